"use strict";
// The gallery: filter, sort, search, enlarge and judge. Verdicts stay in this browser until they are saved as a list. Its state lives in the address after "#", so that a view can be shared.
(() => {
  const byId = (id) => document.getElementById(id);
  const gallery = byId("gallery");
  if (!gallery) return;

  const collator = new Intl.Collator("en", { numeric: true });
  const cards = [...gallery.children].map((element) => ({
    element,
    id: element.dataset.id,
    needle: element.dataset.id.toLowerCase(),
    classes: new Set(JSON.parse(element.dataset.classes)),
    iou: parseFloat(element.dataset.iou),
    reliability: parseFloat(element.dataset.reliability),
    button: element.querySelector(".open"),
  }));
  const chips = [...document.querySelectorAll(".chip")];
  const [query, sort, show, viewer] = [byId("query"), byId("sort"), byId("show"), byId("viewer")];
  const strength = byId("strength");
  const doubtful = parseFloat(document.body.dataset.doubtful);
  const defaultSort = sort.value;
  const state = { classes: new Set(), sort: defaultSort, show: "", query: "", image: null };
  const place = `weakseg:${document.body.dataset.made}`; // other masks have other verdicts
  const verdicts = new Map(stored());

  function stored() {
    try {
      const known = new Set(cards.map((card) => card.id));
      const found = Object.entries(JSON.parse(localStorage.getItem(place) ?? "{}"));
      return found.filter(([id, verdict]) => known.has(id) && ["accepted", "rejected"].includes(verdict));
    } catch {
      return []; // nothing is kept here, or by somebody else
    }
  }
  let shown = cards;

  // Order: cards without the measure come last, equal ones by image id.
  function compare(first, second) {
    const [measure, direction] = state.sort.split("-");
    if (measure !== "name") {
      const [a, b] = [first[measure], second[measure]];
      if (Number.isNaN(a) !== Number.isNaN(b)) return Number.isNaN(a) ? 1 : -1;
      if (a !== b && !Number.isNaN(a)) return direction === "desc" ? b - a : a - b;
    }
    return collator.compare(first.id, second.id);
  }

  const wanted = {
    "": () => true,
    doubtful: (card) => card.reliability < doubtful,
    trusted: (card) => card.reliability >= doubtful,
    accepted: (card) => verdicts.get(card.id) === "accepted",
    rejected: (card) => verdicts.get(card.id) === "rejected",
    open: (card) => !verdicts.has(card.id),
  };
  const hasAll = (card, names) => [...names].every((name) => card.classes.has(name));

  function apply() {
    const needle = state.query.trim().toLowerCase();
    const found = (card) => card.needle.includes(needle) && wanted[state.show](card);
    cards.sort(compare);
    gallery.append(...cards.map((card) => card.element));
    shown = cards.filter((card) => found(card) && hasAll(card, state.classes));
    const visible = new Set(shown);
    for (const card of cards) card.element.hidden = !visible.has(card);
    for (const chip of chips) updateChip(chip);
    const narrowed = shown.length < cards.length || state.classes.size > 0 || needle !== "" || state.show !== "";
    byId("status").value = narrowed ? `${shown.length} of ${cards.length} images` : `${cards.length} images`;
    byId("reset").hidden = !narrowed;
    byId("nothing").hidden = shown.length > 0;
  }

  // A chip counts the images that would be left if it were pressed too.
  function updateChip(chip) {
    const name = chip.dataset.class;
    const pressed = state.classes.has(name);
    const count = shown.filter((card) => card.classes.has(name)).length;
    chip.setAttribute("aria-pressed", String(pressed));
    chip.disabled = count === 0 && !pressed;
    chip.querySelector(".count").textContent = count;
  }

  function change(changes) {
    Object.assign(state, changes);
    apply();
    writeAddress();
  }

  function reset() {
    query.value = "";
    show.value = "";
    change({ classes: new Set(), query: "", show: "" });
  }

  function writeAddress() {
    const parts = new URLSearchParams();
    for (const name of state.classes) parts.append("class", name);
    if (state.query) parts.set("q", state.query);
    if (state.sort !== defaultSort) parts.set("sort", state.sort);
    if (state.show) parts.set("show", state.show);
    if (state.image) parts.set("image", state.image);
    const address = location.href.split("#")[0];
    const text = parts.toString();
    history.replaceState(null, "", text ? `${address}#${text}` : address);
  }

  // A plain "#section" is a link within the page and leaves the gallery alone.
  function readAddress() {
    const text = location.hash.slice(1);
    if (text && !text.includes("=")) return;
    const parts = new URLSearchParams(text);
    const known = new Set(chips.map((chip) => chip.dataset.class));
    const options = [...sort.options].map((option) => option.value);
    state.classes = new Set(parts.getAll("class").filter((name) => known.has(name)));
    state.query = query.value = parts.get("q") ?? "";
    state.sort = sort.value = options.includes(parts.get("sort")) ? parts.get("sort") : defaultSort;
    const choices = [...show.options].map((option) => option.value);
    state.show = show.value = choices.includes(parts.get("show")) ? parts.get("show") : "";
    state.image = null;
    apply();
    const card = shown.find((candidate) => candidate.id === parts.get("image"));
    if (card) open(card);
    else if (viewer.open) viewer.close();
    if (text) byId("images").scrollIntoView();
  }

  function open(card) {
    const index = shown.indexOf(card);
    const parts = (selector) => [...card.element.querySelectorAll(selector)].map((node) => node.cloneNode(true));
    byId("viewer-title").textContent = card.id;
    byId("viewer-scores").replaceChildren(...parts(".score"));
    byId("viewer-panels").replaceChildren(...parts(".panels"));
    seat();
    byId("viewer-footer").replaceChildren(...parts("footer > *"));
    byId("viewer-position").textContent = `${index + 1} of ${shown.length}`;
    byId("previous").disabled = index === 0;
    byId("next").disabled = index === shown.length - 1;
    if (!viewer.open) viewer.showModal();
    viewer.scrollTop = 0;
    state.image = card.id;
    showVerdicts();
    writeAddress();
  }

  // Behind each panel lies the photograph, which is the first of them: the fainter a panel, the more is seen of it.
  function seat() {
    const [photo, ...others] = viewer.querySelectorAll(".panels img");
    for (const image of others) {
      const behind = document.createElement("span");
      behind.className = "behind";
      behind.style.backgroundImage = `url("${photo.src}")`;
      image.loading = "eager";
      image.replaceWith(behind);
      behind.append(image);
    }
    strength.parentElement.hidden = others.length === 0;
    fade();
  }

  function fade(value = strength.value) {
    strength.value = value;
    for (const image of viewer.querySelectorAll(".behind img")) image.style.opacity = strength.value;
  }

  function zoom(toggles, wanted = !viewer.classList.contains("zoomed")) {
    if (toggles) byId("zoom").setAttribute("aria-pressed", String(viewer.classList.toggle("zoomed", wanted)));
  }

  // The same verdict again takes it back. The gallery is not filtered anew: a card that vanished under the hand would be a surprise.
  function judge(id, verdict) {
    if (verdicts.get(id) === verdict) verdicts.delete(id);
    else verdicts.set(id, verdict);
    try {
      localStorage.setItem(place, JSON.stringify(Object.fromEntries(verdicts)));
    } catch {
      // the list can be saved all the same
    }
    showVerdicts();
  }

  function showVerdicts() {
    const press = (root, id) => {
      for (const button of root.querySelectorAll("[data-verdict]")) {
        button.setAttribute("aria-pressed", String(verdicts.get(id) === button.dataset.verdict));
      }
    };
    for (const card of cards) press(card.element, card.id);
    if (state.image) press(viewer, state.image);
    byId("viewer-verdict").value = (state.image && verdicts.get(state.image)) || "";
    const quoted = (text) => `"${text.replaceAll('"', '""')}"`;
    const rows = [...verdicts].sort(([a], [b]) => collator.compare(a, b)).map(([id, verdict]) => `${quoted(id)},${verdict}\n`);
    const link = byId("verdicts");
    link.hidden = verdicts.size === 0;
    link.textContent = `Save ${verdicts.size} ${verdicts.size === 1 ? "verdict" : "verdicts"}`;
    link.href = `data:text/csv;charset=utf-8,${encodeURIComponent(`image,verdict\n${rows.join("")}`)}`;
  }

  function step(distance) {
    const index = shown.findIndex((card) => card.id === state.image);
    const card = shown[Math.min(Math.max(index + distance, 0), shown.length - 1)];
    if (card && card.id !== state.image) open(card);
  }

  function onClose() {
    const card = shown.find((candidate) => candidate.id === state.image);
    state.image = null;
    zoom(true, false);
    writeAddress();
    if (!card) return;
    card.element.scrollIntoView({ block: "nearest" });
    card.button.focus({ preventScroll: true });
  }

  // On the whole document: a button that is disabled while it has the focus loses it to the page.
  const keys = { ArrowLeft: -1, ArrowRight: 1, Home: -Infinity, End: Infinity };
  document.addEventListener("keydown", (event) => {
    if (!viewer.open || event.altKey || event.ctrlKey || event.metaKey) return;
    const verdict = { a: "accepted", r: "rejected" }[event.key.toLowerCase()];
    if (verdict && viewer.querySelector("[data-verdict]")) {
      if (!event.repeat) judge(state.image, verdict);
    } else if (event.key.toLowerCase() === "z") zoom(!event.repeat);
    else if (event.key.toLowerCase() === "o") fade(strength.value > 0.75 ? 0.5 : strength.value > 0.25 ? 0 : 1);
    else if (event.target === strength) return; // its own keys move it
    else if (Object.hasOwn(keys, event.key)) {
      event.preventDefault();
      step(keys[event.key]);
    }
  });
  viewer.addEventListener("close", onClose);
  viewer.addEventListener("click", (event) => {
    if (event.target === viewer) viewer.close();
    else if (event.target.matches("img")) zoom(true);
  });
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-verdict]");
    if (button) judge(button.closest(".card")?.dataset.id ?? state.image, button.dataset.verdict);
  });
  byId("close").addEventListener("click", () => viewer.close());
  strength.addEventListener("input", () => fade());
  byId("zoom").addEventListener("click", () => zoom(true));
  byId("previous").addEventListener("click", () => step(-1));
  byId("next").addEventListener("click", () => step(1));

  for (const card of cards) card.button.addEventListener("click", () => open(card));
  for (const chip of chips) {
    chip.addEventListener("click", () => {
      const classes = new Set(state.classes);
      if (!classes.delete(chip.dataset.class)) classes.add(chip.dataset.class);
      change({ classes });
    });
  }
  query.addEventListener("input", () => change({ query: query.value }));
  show.addEventListener("change", () => change({ show: show.value }));
  sort.addEventListener("change", () => change({ sort: sort.value }));
  byId("controls").addEventListener("submit", (event) => event.preventDefault());
  byId("reset").addEventListener("click", reset);
  byId("reset-empty").addEventListener("click", reset);
  window.addEventListener("hashchange", readAddress);

  byId("controls").hidden = false;
  for (const group of gallery.querySelectorAll(".verdict")) group.hidden = false;
  apply();
  readAddress();
  showVerdicts();
})();

// On paper everything is open.
(() => {
  let closed = [];
  window.addEventListener("beforeprint", () => {
    closed = [...document.querySelectorAll("details:not([open])")];
    for (const details of closed) details.open = true;
  });
  window.addEventListener("afterprint", () => {
    for (const details of closed) details.open = false;
  });
})();

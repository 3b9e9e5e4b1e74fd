// The list of photographs. Only the rows that can be seen are elements, so that ten thousand are no burden.
import { imageAddress } from "./api.js";
import { byId, make, write } from "./make.js";
import { on, state, tell } from "./state.js";

const ROW = 60; // as in page.css
const BEYOND = 6; // rows outside of what is seen
const SIDE = devicePixelRatio > 1.25 ? 256 : 64;
const [frame, rows, count] = [byId("rows-frame"), byId("rows"), byId("count")];
const [search, filter] = [byId("search"), byId("filter")];
let entries = []; // as filtered
const elements = new Map(); // index -> row

const STATES = {
  empty: "no labels", tagged: "tags", drawn: "marks", accepted: "accepted", rejected: "rejected",
  broken: "cannot be read",
};
const WANTED = {
  all: () => true,
  empty: (one) => one.state === "empty",
  labelled: (one) => one.state === "tagged" || one.state === "drawn",
  person: (one) => one.by === "person",
  machine: (one) => one.by === "machine",
  accepted: (one) => one.state === "accepted",
  rejected: (one) => one.state === "rejected",
  broken: (one) => one.state === "broken" || Boolean(one.error),
};

/** The photographs that the list shows, in its order. */
export const order = () => entries;

/** Open or close the list where it is a drawer; elsewhere it is always there. */
export function showList(isOpen) {
  document.body.classList.toggle("list-open", isOpen);
  byId("list-toggle").setAttribute("aria-expanded", String(isOpen));
}

export function focusSearch() {
  showList(true);
  search.focus();
  search.select();
}

/** Put the filter to work. */
function narrow() {
  const needle = search.value.trim().toLowerCase();
  const wanted = WANTED[filter.value];
  entries = state.photographs.filter((one) => wanted(one) && one.id.toLowerCase().includes(needle));
  for (const element of elements.values()) element.remove();
  elements.clear();
  rows.style.height = `${entries.length * ROW}px`;
  const all = state.photographs.length;
  write(count, entries.length === all ? `${all} photographs` : `${entries.length} of ${all} photographs`);
  frame.scrollTop = Math.min(frame.scrollTop, entries.length * ROW);
  render();
}

function render() {
  const first = Math.max(0, Math.floor(frame.scrollTop / ROW) - BEYOND);
  const last = Math.min(entries.length, Math.ceil((frame.scrollTop + frame.clientHeight) / ROW) + BEYOND);
  for (const [index, element] of elements) {
    if (index >= first && index < last) continue;
    element.remove();
    elements.delete(index);
  }
  for (let index = first; index < last; index++) {
    if (!elements.has(index)) {
      elements.set(index, row(index));
      rows.append(elements.get(index));
    }
    update(elements.get(index), entries[index]);
  }
}

function row(index) {
  const { id, file } = entries[index];
  const image = make("img", { alt: "", loading: "lazy", decoding: "async", src: imageAddress(id, SIDE) });
  const text = make("span.row-text", {}, make("span.row-name", {}, file), make("span.row-state"));
  const mark = make("span.row-mark", { "aria-hidden": "true" });
  const button = make("button.row", { type: "button", title: file }, image, text, mark);
  button.addEventListener("click", () => tell("open", { id }));
  const item = make("li", { "aria-posinset": index + 1, "aria-setsize": entries.length }, button);
  item.style.transform = `translateY(${index * ROW}px)`;
  item.dataset.index = index;
  return item;
}

function update(item, entry) {
  const button = item.firstChild;
  const isFront = entry.id === state.front;
  if (isFront) button.setAttribute("aria-current", "true");
  else button.removeAttribute("aria-current");
  button.tabIndex = isFront || (!state.front && item.dataset.index === "0") ? 0 : -1;
  button.dataset.state = entry.state;
  button.dataset.by = entry.by ?? "";
  write(button.querySelector(".row-state"), inWords(entry));
}

function inWords({ state: word, by, reliability, marks, classes, error }) {
  if (error) return STATES.broken;
  const first = word === "drawn" && marks ? `${marks} ${marks === 1 ? "mark" : "marks"}` : STATES[word];
  const tags = word === "tagged" ? classes.join(", ") || "no class is here" : first;
  const sure = typeof reliability === "number" ? ` ${Math.round(reliability * 100)} %` : "";
  const who = by === "person" ? "yours" : by === "machine" ? `machine${sure}` : null;
  return [tags, who].filter(Boolean).join(" · ");
}

/** Bring the one in front into sight. */
function reveal() {
  const index = entries.findIndex(({ id }) => id === state.front);
  if (index < 0) return;
  const [top, height] = [index * ROW, frame.clientHeight];
  if (top < frame.scrollTop) frame.scrollTop = top;
  else if (top + ROW > frame.scrollTop + height) frame.scrollTop = top + ROW - height;
  render();
}

function arrows(event) {
  const steps = { ArrowUp: -1, ArrowDown: 1, PageUp: -8, PageDown: 8, Home: -Infinity, End: Infinity };
  const item = event.target.closest("li");
  if (!(event.key in steps) || !item) return;
  event.preventDefault();
  const index = Math.min(entries.length - 1, Math.max(0, Number(item.dataset.index) + steps[event.key]));
  frame.scrollTop = Math.min(index * ROW, Math.max(frame.scrollTop, (index + 1) * ROW - frame.clientHeight));
  render();
  elements.get(index)?.firstChild.focus({ preventScroll: true });
}

byId("list-toggle").addEventListener("click", () => showList(!document.body.classList.contains("list-open")));
byId("stage").addEventListener("pointerdown", () => showList(false));
frame.addEventListener("scroll", render, { passive: true });
frame.addEventListener("keydown", arrows);
new ResizeObserver(render).observe(frame);
search.addEventListener("input", narrow);
filter.addEventListener("change", narrow);
search.addEventListener("keydown", (event) => {
  if (event.key === "Enter" && entries.length) tell("open", { id: entries[0].id });
  if (event.key === "Escape") search.blur();
});
on("photographs", narrow);
on("list", render);
on("photograph", () => {
  render();
  reveal();
});

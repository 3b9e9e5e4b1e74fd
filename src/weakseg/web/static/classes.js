// The classes: which one is drawn, which ones are there, and a dialog to rename or remove one.
import { post } from "./api.js";
import { takeClasses } from "./classlist.js";
import { say, turnTag, whisper } from "./editing.js";
import { byId, make, write } from "./make.js";
import { tagOf } from "./record.js";
import { alone } from "./saving.js";
import { BACKGROUND, IGNORED, byName, colourOf, css, isLight, on, state, tell } from "./state.js";
import { TOOLS } from "./tools.js";

const list = byId("classes");
const dialog = byId("class-dialog");
const SAID = { present: "there", unknown: "not known", absent: "not there", unsaid: "nothing is said" };
const SIGN = { present: "✓", unknown: "?", absent: "–", unsaid: "·" };

export function chooseClass(name) {
  state.className = name;
  tell("tool");
  whisper(name === IGNORED ? "What does not count." : `${name}.`);
}

export function turnClass(name) {
  if (state.current) turnTag(name);
  else say("No photograph is open.");
}

function swatch(name) {
  const element = make("span.swatch", { "aria-hidden": "true" });
  element.style.background = css(colourOf(name));
  return element;
}

function pick(name, text, key) {
  const label = make("kbd", { "aria-hidden": "true" }, key ?? "");
  const button = make("button.pick", { type: "button", title: key ? `Draw ${text} (${key})` : `Draw ${text}` },
    swatch(name), make("span.name", {}, text), label);
  if (key) button.setAttribute("aria-keyshortcuts", key);
  button.dataset.class = name;
  button.addEventListener("click", () => chooseClass(name));
  return button;
}

function classRow({ name }, index) {
  const tag = make("button.tag", { type: "button" });
  tag.addEventListener("click", () => turnClass(name));
  const title = `Rename or remove ${name}`;
  const more = make("button.more", { type: "button", title, "aria-label": title }, "⋯");
  more.addEventListener("click", () => edit(name));
  return make("li.class", {}, pick(name, name, index < 9 ? String(index + 1) : null), tag, more);
}

function build() {
  const others = [[BACKGROUND, "background", "0"], [IGNORED, "does not count", "i"]];
  const rest = others.map(([name, text, key]) => make("li.class.other", {}, pick(name, text, key)));
  list.replaceChildren(...state.classes.map(classRow), ...rest);
  if (!state.className || (!byName(state.className) && state.className !== BACKGROUND)) {
    state.className = state.classes[0]?.name ?? null;
  }
  byId("no-classes").hidden = state.classes.length > 0;
  update();
}

function update() {
  const wanted = TOOLS[state.tool].classes;
  for (const button of list.querySelectorAll(".pick")) {
    const name = button.dataset.class;
    button.setAttribute("aria-pressed", String(name === state.className));
    const isUnfit = (name === IGNORED && wanted !== "all") || (name === BACKGROUND && wanted === "named");
    button.classList.toggle("unfit", isUnfit);
  }
  list.querySelectorAll(".tag").forEach((button, index) => updateTag(button, state.classes[index].name));
  const chosen = byId("chosen");
  write(chosen, state.className === IGNORED ? "does not count" : state.className ?? "no class");
  chosen.style.background = css(colourOf(state.className));
  chosen.style.color = isLight(colourOf(state.className)) ? "#000" : "#fff";
}

function updateTag(button, name) {
  const tag = state.current ? tagOf(state.current.record, name) : "unsaid";
  button.disabled = !state.current;
  button.dataset.tag = tag;
  write(button, SIGN[tag]);
  button.title = tag === "unsaid" ? "Is it there?" : `${name} is ${SAID[tag]}`;
  button.setAttribute("aria-label", `${name}: ${SAID[tag]}. Change`);
}

// Adding, renaming, removing

/** Have the server change the classes; what is drawn meanwhile is stored afterwards. Returns why it was not done. */
async function send(body) {
  try {
    await alone(async () => {
      const { classes, revisions } = await post("classes", body);
      takeClasses(classes, revisions, body.rename);
    });
    return null;
  } catch (error) {
    return error.message;
  }
}

async function add(event) {
  event.preventDefault();
  const input = byId("new-class");
  const name = input.value.trim();
  if (!name) return;
  const problem = await send({ add: name });
  if (problem) return say(problem);
  input.value = "";
  if (byName(name)) chooseClass(name);
}

function edit(name) {
  byId("class-title").textContent = `Class ${name}`;
  Object.assign(byId("class-name"), { value: name });
  byId("class-problem").textContent = "";
  dialog.dataset.name = name;
  dialog.showModal();
  byId("class-name").select();
}

async function rename(event) {
  event.preventDefault();
  const before = dialog.dataset.name;
  const after = byId("class-name").value.trim();
  if (!after || after === before) return dialog.close();
  const problem = await send({ rename: [before, after] });
  if (problem) return write(byId("class-problem"), problem);
  dialog.close();
  tell("renamed");
}

async function remove() {
  const problem = await send({ remove: dialog.dataset.name });
  if (problem) return write(byId("class-problem"), problem);
  dialog.close();
  tell("renamed");
}

byId("add-class").addEventListener("submit", add);
byId("class-form").addEventListener("submit", rename);
byId("class-remove").addEventListener("click", remove);
byId("class-cancel").addEventListener("click", () => dialog.close());
on("classes", build);
on("record tool photograph", update);

// Keys of the commands, keys of the classes, and the help that lists them.
import { turnClass, chooseClass } from "./classes.js";
import { COMMANDS } from "./commands.js";
import { crosshairKey, toggleKeyboard } from "./crosshair.js";
import { showList } from "./list.js";
import { showMode, space } from "./pointers.js";
import { BACKGROUND, IGNORED, on, state, tell } from "./state.js";
import { cancel, closePolygon, draft, removeCorner } from "./tools.js";
import { stage } from "./view.js";

const byKey = new Map(Object.values(COMMANDS).flatMap((command) => command.keys.map((key) => [key, command])));
const isMac = /Mac|iPhone|iPad/.test(navigator.platform);

function nameOfKey(event) {
  const isLetter = /^[a-z]$/i.test(event.key);
  const modifier = event.ctrlKey || event.metaKey ? "Mod+" : "";
  const shift = event.shiftKey && modifier ? "Shift+" : "";
  return `${modifier}${shift}${isLetter ? event.key.toLowerCase() : event.key}`;
}

const isTyped = (element) => element.matches("input:not([type=range]), textarea, select");

function keyDown(event) {
  const at = event.target instanceof Element ? event.target : document.body;
  if (event.key === "Tab") document.body.classList.add("by-keyboard");
  if (event.defaultPrevented || event.isComposing || isTyped(at) || document.querySelector("dialog[open]")) return;
  const takes = at.matches("[data-arrows] *, input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key);
  if (takes || (event.altKey && !state.keyboard)) return;
  const isOnButton = at.matches("button, summary, a");
  const isTaken = !isOnButton && crosshairKey(event);
  if (isTaken || drawingKey(event) || classKey(event) || command(event)) event.preventDefault();
}

/** Keys that belong to what is being drawn: Enter, Escape, Backspace, and space to pan. */
function drawingKey(event) {
  const isOnButton = event.target instanceof Element && event.target.matches("button, summary, a");
  if (event.key === " " && !isOnButton) {
    space.held = true;
    showMode();
    return true;
  }
  if (event.key === "Enter" && draft.now && !isOnButton) {
    closePolygon();
    return true;
  }
  if (event.key === "Backspace" && removeCorner()) return true;
  if (event.key !== "Escape") return false;
  if (draft.now) cancel();
  else if (document.body.classList.contains("list-open")) showList(false);
  else if (state.selection) {
    state.selection = null;
    tell("selection");
  } else if (state.keyboard) toggleKeyboard();
  return true;
}

/** 1 to 9 choose a class, 0 background, i what does not count; with Shift, or with the tool for tags, they set tags. */
function classKey(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return false;
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1] ?? (/^\d$/.test(event.key) ? event.key : null);
  if (digit === null || (event.code.startsWith("Numpad") && !/^\d$/.test(event.key))) {
    if (event.key !== "i") return false;
    chooseClass(IGNORED);
    return true;
  }
  if (digit === "0" && event.shiftKey) COMMANDS.none.run();
  else if (digit === "0") chooseClass(BACKGROUND);
  else {
    const one = state.classes[digit - 1];
    if (one && (event.shiftKey || state.tool === "tags")) turnClass(one.name);
    else if (one) chooseClass(one.name);
  }
  return true;
}

function command(event) {
  const found = byKey.get(nameOfKey(event));
  if (!found) return false;
  if (found.enabled?.() ?? true) found.run();
  return true;
}

addEventListener("keydown", keyDown);
addEventListener("keyup", (event) => {
  if (event.key !== " ") return;
  space.held = false;
  showMode();
});
addEventListener("blur", () => {
  space.held = false;
});
addEventListener("pointerdown", () => document.body.classList.remove("by-keyboard"), { capture: true });

const WORDS = { ArrowLeft: "←", ArrowRight: "→", "Mod+": isMac ? "⌘" : "Ctrl ", "Shift+": "Shift " };
const written = (key) => Object.entries(WORDS).reduce((text, [name, word]) => text.replace(name, word), key);
const shortcut = (key) => key.replace("Mod+", isMac ? "Meta+" : "Control+");

// Buttons: what they do, whether they can, whether they are on.

const named = [...document.querySelectorAll("[data-command]")];
const buttons = named.map((element) => [element, COMMANDS[element.dataset.command]]);

for (const [element, { text, keys, run }] of buttons) {
  element.title = keys.length ? `${text} (${written(keys[0]).trim()})` : text;
  if (!element.textContent.trim()) element.setAttribute("aria-label", text);
  if (keys.length) element.setAttribute("aria-keyshortcuts", keys.map(shortcut).join(" "));
  element.addEventListener("click", (event) => {
    run();
    if (event.detail) stage.focus({ preventScroll: true }); // a pointer: keys go to the photograph
  });
}

function showButtons() {
  for (const [element, { enabled, pressed }] of buttons) {
    element.disabled = !(enabled?.() ?? true);
    if (pressed) element.setAttribute("aria-pressed", String(pressed()));
  }
}

on("photograph record tool options selection stored classes focus", showButtons);

// Help

const OTHERS = [
  ["Classes", "Choose a class", "1 … 9"], ["Classes", "Background", "0"], ["Classes", "What does not count", "i"],
  ["Classes", "Say whether a class is there", "Shift 1 … 9"],
  ["Marks", "Close a polygon", "Enter"], ["Marks", "Drop what is being drawn", "Esc"],
  ["Marks", "Background mark", "right button"], ["View", "Move", "Space, or two fingers"], ["View", "Zoom", "wheel"],
];

function listKeys() {
  const lines = Object.values(COMMANDS).filter(({ keys }) => keys.length);
  const all = [...lines.map(({ group, text, keys }) => [group, text, keys.map(written).join(" or ")]), ...OTHERS];
  const groups = grouped(all);
  document.getElementById("keys").replaceChildren(...[...groups].map(([group, entries]) => section(group, entries)));
}

function grouped(all) {
  const groups = new Map();
  for (const one of all) groups.set(one[0], [...(groups.get(one[0]) ?? []), one]);
  return groups;
}

function section(group, entries) {
  const element = document.createElement("section");
  const heading = Object.assign(document.createElement("h3"), { textContent: group });
  const list = document.createElement("dl");
  for (const [, text, keys] of entries) {
    const line = document.createElement("div");
    line.append(
      Object.assign(document.createElement("dt"), { textContent: text }),
      Object.assign(document.createElement("dd"), { textContent: keys }),
    );
    list.append(line);
  }
  element.append(heading, list);
  return element;
}

listKeys();

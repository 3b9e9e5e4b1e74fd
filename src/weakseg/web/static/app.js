// Start: read what is there, open the photograph that the address names, and show states to tests.
import { get, pause } from "./api.js";
import { takeClasses } from "./classlist.js";
import "./dialogs.js";
import "./drawing.js";
import { say } from "./editing.js";
import "./keys.js";
import { byId } from "./make.js";
import { labelAt, shown } from "./mask.js";
import { open } from "./opening.js";
import "./panels.js";
import "./pointers.js";
import "./queue.js";
import { savingState, somethingUnsaved } from "./saving.js";
import { nameOf, on, state, tell } from "./state.js";
import "./train.js";
import { toScreen, view, stage } from "./view.js";

const OLD_SECONDS = 30;
let asked = 0;

function took(answer) {
  asked = performance.now();
  state.folder = answer.folder;
  state.photographs = answer.photographs;
  state.byId = new Map(answer.photographs.map((one) => [one.id, one]));
  state.undoSteps = answer.limits?.undo ?? state.undoSteps;
  takeClasses(answer.classes);
  tell("photographs");
  tell("training", answer.training);
}

async function start() {
  const answer = await firstAnswer();
  byId("folder").textContent = answer.folder;
  byId("folder").title = `Labels: ${answer.labels}`;
  byId("version").textContent = `weakseg ${answer.version}`;
  tell("classes");
  took(answer);
  for (const name of ["tool", "options", "saving"]) tell(name);
  const named = decodeURIComponent(location.hash.slice(1));
  const first = state.byId.get(named) ?? state.photographs.find((one) => !one.error) ?? state.photographs[0];
  if (first) await open(first.id);
  else tell("photograph");
  document.body.classList.add("ready");
}

async function firstAnswer() {
  for (let seconds = 1; ; seconds = Math.min(10, seconds * 2)) {
    try {
      return await get("state");
    } catch (error) {
      say(`${error.message}; it is asked again in ${seconds} s.`);
      await pause(seconds);
    }
  }
}

/** Back from elsewhere: other tabs and programs may have changed something. */
function lookAgain() {
  if (document.visibilityState === "visible" && performance.now() - asked > OLD_SECONDS * 1000) refresh();
}

async function refresh() {
  try {
    took(await get("state"));
  } catch {
    return; // saving says so when it matters
  }
  const entry = state.byId.get(state.front);
  const { current } = state;
  if (current && entry && !current.unsaved && entry.revision !== current.revision) tell("overtaken", current);
}

document.addEventListener("visibilitychange", lookAgain);
on("renamed", refresh);
addEventListener("hashchange", () => {
  const id = decodeURIComponent(location.hash.slice(1));
  if (id !== state.front && state.byId.has(id)) open(id);
});

/**
 * For tests and measurements, all of it read-only:
 * id, size (rows, columns), revision, record, tool, className: of the photograph in front and of the hand that draws;
 * masks: how many masks of the server were shown so far;
 * mask: {revision, by, seconds, draft, rows, columns} of the present one, or null; waiting: whether another is made;
 * saved: "saved", "saving" or "not saved"; unsaved: whether anything is;
 * label(row, column): the label at a pixel of the full photograph, null without mask; name(label): what it is called;
 * view: {scale, x, y}, the stage's pixels per pixel of the photograph and where its corner lies on the stage;
 * client(row, column): {x, y} of a position of the photograph in the window, for a mouse.
 */
Object.defineProperty(window, "weakseg", {
  value: Object.freeze({
    get id() { return state.current?.id ?? null; },
    get size() { return state.current ? [...state.current.size] : null; },
    get revision() { return state.current?.revision ?? null; },
    get record() { return state.current ? structuredClone(state.current.record) : null; },
    get tool() { return state.tool; },
    get className() { return state.className; },
    get masks() { return shown.arrivals; },
    get mask() {
      const { map, facts, revision } = shown;
      const { by = null, seconds = null, draft = false } = facts ?? {};
      return map && { revision, by, seconds, draft, rows: map.rows, columns: map.columns };
    },
    get waiting() { return shown.waiting; },
    get saved() { return savingState().word; },
    get unsaved() { return somethingUnsaved(); },
    get view() { return { scale: view.scale, x: view.x, y: view.y }; },
    label: (row, column) => labelAt(row, column),
    name: (label) => nameOf(label),
    client(row, column) {
      const frame = stage.getBoundingClientRect();
      const { x, y } = toScreen([row, column]);
      return { x: x + frame.left, y: y + frame.top };
    },
  }),
});

start();

// Drawing by keyboard: arrows move a crosshair over the photograph, Enter presses there.
import { say, whisper } from "./editing.js";
import { labelAt } from "./mask.js";
import { on, nameOf, state, tell } from "./state.js";
import { cancel, enter, hover } from "./tools.js";
import { reveal, stage, view } from "./view.js";

const STEP = 8; // pixels of the screen; one of the photograph with Alt, five steps with Shift
export const crosshair = { position: [0, 0] };
const DIRECTIONS = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };

export function toggleKeyboard() {
  if (!state.current) return;
  state.keyboard = !state.keyboard;
  cancel();
  stage.focus({ preventScroll: true });
  if (state.keyboard) say("Keyboard drawing: arrows move the crosshair, Enter draws, Escape leaves.");
  else say("Keyboard drawing has ended.");
  tell("focus");
  tell("tool");
}

/** Take a key; the answer says whether it was one of the crosshair's. */
export function crosshairKey(event) {
  if (!state.keyboard || !state.current || event.ctrlKey || event.metaKey) return false;
  if (event.key === "Enter") {
    enter(crosshair.position);
    tell("focus");
    return true;
  }
  const direction = DIRECTIONS[event.key];
  if (!direction) return false;
  const step = event.altKey ? 1 : Math.max(1, Math.round((STEP * (event.shiftKey ? 5 : 1)) / view.scale));
  crosshair.position = crosshair.position.map((value, axis) => {
    const moved = value + direction[axis] * step;
    return Math.min(state.current.size[axis] - 0.5, Math.max(0.5, moved));
  });
  reveal(crosshair.position);
  hover(crosshair.position);
  tellPlace();
  return true;
}

let timer = null;

/** Where the crosshair is, once it rests. */
function tellPlace() {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const [row, column] = crosshair.position.map(Math.floor);
    const label = labelAt(row, column);
    whisper(`Row ${row}, column ${column}${label === null ? "" : `: ${nameOf(label)}`}.`);
  }, 250);
}

on("photograph", () => {
  if (state.current) crosshair.position = state.current.size.map((length) => Math.floor(length / 2) + 0.5);
});

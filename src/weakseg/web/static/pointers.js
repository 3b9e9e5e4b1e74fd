// Mouse, pen, fingers and touch pad: one finger draws, two pan and zoom, the wheel zooms, space or the middle button
// pans.
import { state } from "./state.js";
import { begin, cancel, closePolygon, draft, drags, end, extend, hover, select } from "./tools.js";
import { panBy, place, stage, toPhotograph, zoomAt } from "./view.js";

const PAD_STEP = 40; // wheels turn by more, fingers on a touch pad begin with less
const GESTURE_SECONDS = 0.25;
const STILL = 4; // pixels of the screen that a press may move and still be a press
const down = new Map(); // pointer id -> place
let mode = null; // "draw", "pan", "pinch", or null
let start = null; // of a pan: {x, y, moved}
let penSeen = false; // beside a pen fingers do not draw
export const space = { held: false };

function pressed(event) {
  if (!state.current) return;
  stage.focus({ preventScroll: true });
  stage.setPointerCapture(event.pointerId);
  penSeen ||= event.pointerType === "pen";
  down.set(event.pointerId, place(event));
  if (down.size > 1) {
    cancel({ keepCorners: true });
    mode = "pinch";
    return;
  }
  const pans = event.button === 1 || space.held || !drags(state.tool) || (penSeen && event.pointerType === "touch");
  if (!pans && (event.button === 0 || event.button === 2)) {
    mode = begin(toPhotograph(place(event)), { background: event.button === 2 }) ? "draw" : null;
  } else {
    mode = "pan";
    start = { ...place(event), moved: false };
  }
  showMode();
}

function moved(event) {
  const at = place(event);
  if (!down.has(event.pointerId)) {
    if (state.current && drags(state.tool) && !state.keyboard) hover(toPhotograph(at));
    return;
  }
  const before = down.get(event.pointerId);
  if (mode === "pinch") pinch(event.pointerId, at);
  down.set(event.pointerId, at);
  if (mode === "draw") drawTo(event);
  if (mode === "pan") {
    start.moved ||= Math.hypot(at.x - start.x, at.y - start.y) > STILL;
    if (start.moved) panBy(at.x - before.x, at.y - before.y);
  }
}

/** All positions since the last event: pens and fast mice tell several at once. */
function drawTo(event) {
  const all = event.getCoalescedEvents?.() ?? [];
  for (const one of all.length ? all : [event]) extend(toPhotograph(place(one)));
}

function pinch(id, at) {
  const other = [...down].find(([key]) => key !== id)?.[1];
  if (!other) return;
  const before = down.get(id);
  const middle = { x: (at.x + other.x) / 2, y: (at.y + other.y) / 2 };
  panBy((at.x - before.x) / 2, (at.y - before.y) / 2);
  const [was, is] = [before, at].map((one) => Math.hypot(one.x - other.x, one.y - other.y));
  if (was > 0 && is > 0) zoomAt(middle, is / was);
}

function released(event) {
  if (!down.delete(event.pointerId)) return;
  if (mode === "draw") end();
  if (mode === "pan" && !start.moved && state.tool === "select" && event.button === 0) {
    select(toPhotograph(place(event)));
  }
  if (!down.size) mode = null;
  if (event.pointerType === "touch") draft.hover = null;
  showMode();
}

function lost(event) {
  down.delete(event.pointerId);
  if (mode === "draw") cancel({ keepCorners: true });
  if (!down.size) mode = null;
  showMode();
}

function left() {
  if (down.size || draft.hover === null) return;
  draft.hover = null;
  hover(null);
}

export function showMode() {
  const pans = mode === "pan" || mode === "pinch" || space.held || !drags(state.tool);
  const picks = state.tool === "select" && !space.held;
  if (mode === "pan") stage.dataset.cursor = "grabbing";
  else if (pans) stage.dataset.cursor = picks ? "pick" : "grab";
  else stage.dataset.cursor = "draw";
}

// The wheel zooms. Two fingers on a touch pad pan, and zoom where they pinch (browsers then say Ctrl).

let gesture = { kind: null, until: 0 };

function wheeled(event) {
  event.preventDefault();
  const unit = [1, 16, stage.clientHeight][event.deltaMode];
  const [across, along] = [event.deltaX * unit, event.deltaY * unit];
  if (event.timeStamp > gesture.until) {
    const small = event.deltaMode === 0 && (across !== 0 || Math.abs(along) < PAD_STEP);
    gesture.kind = small && !event.ctrlKey ? "pan" : "zoom";
  }
  gesture.until = event.timeStamp + GESTURE_SECONDS * 1000;
  if (gesture.kind === "pan" && !event.ctrlKey) panBy(-across, -along);
  else {
    const speed = event.ctrlKey && Math.abs(along) < PAD_STEP ? 0.01 : 0.0025;
    zoomAt(place(event), Math.exp(-Math.max(-200, Math.min(200, along)) * speed));
  }
}

stage.addEventListener("pointerdown", pressed);
stage.addEventListener("pointermove", moved);
stage.addEventListener("pointerup", released);
stage.addEventListener("pointercancel", lost);
stage.addEventListener("pointerleave", left);
stage.addEventListener("wheel", wheeled, { passive: false });
stage.addEventListener("dblclick", closePolygon);
for (const name of ["contextmenu", "dragstart", "selectstart"]) {
  stage.addEventListener(name, (event) => event.preventDefault());
}
stage.addEventListener("mousedown", (event) => event.button === 1 && event.preventDefault()); // no scrolling by itself

// The tools: what a press, a drag and its end become. Positions are (row, column) in the full photograph.
import { change, say } from "./editing.js";
import { brushDown, brushTo, brushUp, fillPolygon } from "./mask.js";
import { area, box, markAt, simplified } from "./shapes.js";
import { withMark } from "./record.js";
import { BACKGROUND, IGNORED, byName, on, state, tell } from "./state.js";
import { view, within } from "./view.js";

export const TOOLS = {
  select: { text: "Select", pans: true },
  tags: { text: "Tags", pans: true },
  box: { text: "Box", classes: "named" },
  point: { text: "Point", classes: "background" },
  stroke: { text: "Stroke", classes: "background" },
  polygon: { text: "Polygon", classes: "all" },
  brush: { text: "Brush", classes: "all", paints: true },
  eraser: { text: "Eraser", paints: true },
};
const SMALLEST_BOX = 4; // pixels of the screen
const NEAR = matchMedia("(pointer: coarse)").matches ? 22 : 10; // pixels of the screen: a corner that is hit again
export const draft = { now: null, hover: null };

/** Of the brush, in pixels of the photograph; it always covers at least one. */
export const radiusInPixels = () => Math.max(0.75, (state.options.radius * Math.max(...state.current.size)) / 2);

/** Which class the tool would draw now, or null and a word of why not. */
function drawnClass(background) {
  if (state.tool === "eraser") return BACKGROUND;
  const { classes } = TOOLS[state.tool];
  const name = background && classes !== "named" ? BACKGROUND : state.className;
  const isLeft = name === BACKGROUND || name === IGNORED;
  if (isLeft && classes === "named") return refuse("A box needs a class. Points and strokes mark background.");
  if (name === IGNORED && classes !== "all") return refuse("What does not count is drawn with polygon or brush.");
  if (!isLeft && !byName(name)) return refuse("Add a class first.");
  return name;
}

function refuse(text) {
  say(text);
  return null;
}

export const drags = (tool) => !TOOLS[tool].pans;

/** A press. Where the tool draws nothing the answer is false. */
export function begin(position, { background = false } = {}) {
  if (!state.current || !drags(state.tool)) return false;
  const name = draft.now?.tool === "polygon" ? draft.now.name : drawnClass(background);
  if (name === null) return false;
  const at = within(position);
  if (state.tool !== "polygon") draft.now = { tool: state.tool, name, positions: [at], cursor: null };
  else draft.now ??= { tool: "polygon", name, positions: [], cursor: at };
  if (state.tool === "polygon") draft.now.cursor = at;
  if (TOOLS[state.tool].paints) {
    brushDown();
    brushTo(at, at, radiusInPixels(), name);
  }
  tell("draft");
  return true;
}

/** A drag while pressed. */
export function extend(position) {
  const { now } = draft;
  if (!now) return;
  const at = within(position);
  if (now.tool === "polygon" || now.tool === "box") now.cursor = at;
  else if (now.tool === "point") now.positions = [at];
  else {
    if (TOOLS[now.tool].paints) brushTo(now.positions.at(-1), at, radiusInPixels(), now.name);
    now.positions.push(at);
  }
  draft.hover = at;
  tell("draft");
}

/** The pointer moves without being pressed; null: it has left. */
export function hover(position) {
  draft.hover = position;
  if (draft.now) draft.now.cursor = position && within(position);
  tell("draft");
}

/** The press ends: the mark is there, or a polygon has one more corner. */
export function end() {
  const { now } = draft;
  if (!now) return;
  if (now.tool === "polygon") return addCorner(now);
  draft.now = null;
  if (now.tool === "box") endBox(now);
  else if (now.tool === "point") commit("points", { class: now.name, position: onPixel(now.positions[0]) });
  else if (now.tool === "stroke") endStroke(now);
  else endBrush(now);
  tell("draft");
}

/** A position on a pixel: the far edges belong to none. */
const onPixel = (position) => position.map((value, axis) => Math.min(value, state.current.size[axis] - 0.01));

function commit(kind, mark) {
  change(withMark(state.current.record, kind, mark));
}

function endBox({ name, positions, cursor }) {
  const rectangle = box(positions[0], cursor ?? positions[0]);
  const [height, width] = [rectangle[2] - rectangle[0], rectangle[3] - rectangle[1]];
  if (Math.min(height, width) * view.scale < SMALLEST_BOX) say("Drag from one corner of the box to the other.");
  else commit("boxes", { class: name, rectangle });
}

function endStroke({ name, positions }) {
  const path = simplified(positions.map(onPixel), 0.6 / view.scale);
  if (path.length > 1) commit("scribbles", { class: name, path });
  else commit("points", { class: name, position: path[0] });
}

function endBrush({ name, positions }) {
  const radius = Math.round(radiusInPixels() * 100) / 100;
  const path = simplified(positions, Math.min(0.6 / view.scale, radius / 4));
  brushUp(true);
  commit("regions", name === IGNORED ? { ignored: true, path, radius } : { class: name, path, radius });
}

function addCorner(now) {
  const near = ([row, column]) => Math.hypot(row - now.cursor[0], column - now.cursor[1]) * view.scale < NEAR;
  const closes = now.positions.length > 2 && (near(now.positions[0]) || near(now.positions.at(-1)));
  if (closes) return closePolygon();
  if (!now.positions.length || !near(now.positions.at(-1))) now.positions.push(now.cursor);
  tell("draft");
}

export function closePolygon() {
  const { now } = draft;
  if (now?.tool !== "polygon") return;
  const outline = now.positions;
  if (area(outline) < 2) return say("A polygon needs three corners, and pixels between them.");
  draft.now = null;
  fillPolygon(outline, now.name);
  commit("regions", now.name === IGNORED ? { ignored: true, outline } : { class: now.name, outline });
  tell("draft");
}

/** Take the last corner back. */
export function removeCorner() {
  if (draft.now?.tool !== "polygon") return false;
  draft.now.positions.pop();
  if (!draft.now.positions.length) draft.now = null;
  tell("draft");
  return true;
}

/** Drop what is being drawn; a second finger keeps the corners of a polygon. */
export function cancel({ keepCorners = false } = {}) {
  const { now } = draft;
  if (!now || (keepCorners && now.tool === "polygon" && now.positions.length)) return;
  draft.now = null;
  if (TOOLS[now.tool].paints) brushUp(false);
  tell("draft");
}

/** Select the mark at a position; the answer says whether there is one. */
export function select(position) {
  const found = markAt(state.current.record, position, 8 / view.scale);
  state.selection = found && { kind: found.kind, index: found.index };
  tell("selection");
  return Boolean(found);
}

/** Enter in keyboard drawing: a press at the crosshair. A place that is entered twice ends strokes and polygons. */
export function enter(position) {
  const { now } = draft;
  if (state.tool === "select") return void (select(position) || say("No mark here."));
  if (!now) {
    if (begin(position) && (state.tool === "point" || state.tool === "polygon")) end();
    return;
  }
  const again = now.positions.length && within(position).every((value, axis) => value === now.positions.at(-1)[axis]);
  if (now.tool === "polygon") {
    now.cursor = within(position);
    return void (again && now.positions.length > 2 ? closePolygon() : addCorner(now));
  }
  if (now.tool === "box" || again) {
    if (now.tool === "box") extend(position);
    now.cursor = now.tool === "box" ? now.cursor : null;
    return end();
  }
  extend(position);
}

on("photograph", () => {
  draft.now = draft.hover = null;
});
on("tool", () => cancel());

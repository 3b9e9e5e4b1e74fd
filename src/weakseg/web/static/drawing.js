// Marks on the upper canvas, in pixels of the screen.
import { crosshair } from "./crosshair.js";
import { BACKGROUND, IGNORED, casingOf, colourOf, css, isLight, state } from "./state.js";
import { box } from "./shapes.js";
import { TOOLS, draft, radiusInPixels } from "./tools.js";
import { painters, toScreen, view } from "./view.js";

const POINT_RADIUS = 6;

painters.push((context) => {
  const pen = { context, toScreen, scale: view.scale };
  const { record } = state.current;
  if (state.options.marks) {
    record.regions.forEach((mark, index) => drawRegion(pen, mark, isSelected("regions", index)));
    record.boxes.forEach((mark, index) => drawBox(pen, mark.rectangle, mark.class, isSelected("boxes", index)));
    record.scribbles.forEach((mark, index) => drawStroke(pen, mark.path, mark.class, isSelected("scribbles", index)));
    record.points.forEach((mark, index) => drawPoint(pen, mark.position, mark.class, isSelected("points", index)));
  }
  if (state.hint?.box) drawHint(pen, state.hint.box);
  if (draft.now) drawDraft(pen, draft.now);
  if (state.keyboard) drawCrosshair(pen, crosshair.position);
  else if (draft.hover && TOOLS[state.tool].paints) drawBrush(pen, draft.hover, radiusInPixels());
});

const isSelected = (kind, index) => state.selection?.kind === kind && state.selection.index === index;

function trace({ context, toScreen }, positions, closed = false) {
  context.beginPath();
  positions.forEach((position, index) => {
    const { x, y } = toScreen(position);
    if (index) context.lineTo(x, y);
    else context.moveTo(x, y);
  });
  if (closed) context.closePath();
}

/** Draw the present path: the colour on a dark edge, so that it is seen on whatever lies below. */
function ink({ context }, name, { width = 2.5, selected = false, dash = [] } = {}) {
  Object.assign(context, { lineJoin: "round", lineCap: "round" });
  context.setLineDash([]);
  context.lineWidth = width + (selected ? 6 : 2.5);
  context.strokeStyle = selected ? "rgb(255 255 255 / 0.95)" : casingOf(name);
  context.stroke();
  if (selected) {
    context.lineWidth = width + 2;
    context.strokeStyle = "rgb(0 0 0 / 0.6)";
    context.stroke();
  }
  context.setLineDash(name === BACKGROUND || name === IGNORED ? [7, 6] : dash);
  context.lineWidth = width;
  context.strokeStyle = css(colourOf(name));
  context.stroke();
  context.setLineDash([]);
}

const corners = ([top, left, bottom, right]) => [[top, left], [top, right], [bottom, right], [bottom, left]];

function drawBox(pen, rectangle, name, selected = false) {
  trace(pen, corners(rectangle), true);
  ink(pen, name, { selected });
  const { x, y } = pen.toScreen([rectangle[0], rectangle[1]]);
  if ((rectangle[3] - rectangle[1]) * pen.scale > 36) drawName(pen, name, x, y);
}

function drawName({ context }, name, x, y) {
  context.font = "600 11px system-ui, sans-serif";
  const width = context.measureText(name).width + 10;
  context.fillStyle = css(colourOf(name));
  context.fillRect(x - 1, y - 1, width, 17);
  context.fillStyle = isLight(colourOf(name)) ? "#000" : "#fff";
  context.textBaseline = "middle";
  context.fillText(name, x + 4, y + 8);
}

function drawPoint({ context, toScreen }, position, name, selected = false) {
  const { x, y } = toScreen(position);
  const disc = (radius, colour) => {
    context.beginPath();
    context.arc(x, y, radius, 0, 2 * Math.PI);
    context.fillStyle = colour;
    context.fill();
  };
  if (selected) disc(POINT_RADIUS + 6, "rgb(255 255 255 / 0.95)");
  disc(POINT_RADIUS + 3, "rgb(0 0 0 / 0.75)");
  disc(POINT_RADIUS + 1.5, "#fff");
  disc(POINT_RADIUS - 0.5, name === BACKGROUND ? "#1b2026" : css(colourOf(name)));
  if (name === BACKGROUND) {
    context.fillStyle = "#fff";
    context.fillRect(x - 3.5, y - 1, 7, 2); // a minus
  }
}

function drawStroke(pen, path, name, selected = false) {
  trace(pen, path.length > 1 ? path : [path[0], path[0]]);
  ink(pen, name, { width: 3.5, selected });
}

function drawRegion(pen, mark, selected) {
  const name = mark.ignored ? IGNORED : mark.class;
  if (mark.outline) {
    trace(pen, mark.outline, true);
    ink(pen, name, { width: 2, selected, dash: [1, 5] });
  } else if (mark.path && selected) {
    pen.context.globalAlpha = 0.75;
    trace(pen, mark.path.length > 1 ? mark.path : [mark.path[0], mark.path[0]]);
    ink(pen, name, { width: 2 * mark.radius * pen.scale, selected });
    pen.context.globalAlpha = 1;
  }
}

function drawHint({ context, toScreen }, rectangle) {
  trace({ context, toScreen }, corners(rectangle), true);
  for (const [colour, dash, width] of [["rgb(0 0 0 / 0.65)", [], 4], ["#ffe082", [10, 7], 2.5]]) {
    Object.assign(context, { strokeStyle: colour, lineWidth: width, lineCap: "butt" });
    context.setLineDash(dash);
    context.stroke();
  }
  context.setLineDash([]);
}

function drawDraft(pen, { tool, name, positions, cursor }) {
  const all = cursor ? [...positions, cursor] : positions;
  if (tool === "box" && all.length > 1) drawBox(pen, box(all[0], all.at(-1)), name);
  if (tool === "stroke") drawStroke(pen, all, name);
  if (tool === "point") drawPoint(pen, all.at(-1), name);
  if (tool === "polygon") {
    trace(pen, all);
    ink(pen, name, { width: 2 });
    positions.forEach((position) => drawCorner(pen, position, name));
  }
}

function drawCorner({ context, toScreen }, position, name) {
  const { x, y } = toScreen(position);
  context.fillStyle = "#fff";
  context.fillRect(x - 4, y - 4, 8, 8);
  context.fillStyle = css(colourOf(name));
  context.fillRect(x - 2.5, y - 2.5, 5, 5);
}

function drawBrush({ context, toScreen, scale }, position, radius) {
  const { x, y } = toScreen(position);
  for (const [colour, width] of [["rgb(0 0 0 / 0.7)", 3], ["#fff", 1.25]]) {
    context.beginPath();
    context.arc(x, y, Math.max(1, radius * scale), 0, 2 * Math.PI);
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke();
  }
}

function drawCrosshair(pen, position) {
  const { context, toScreen } = pen;
  const { x, y } = toScreen(position);
  for (const [colour, width] of [["rgb(0 0 0 / 0.75)", 4], ["#fff", 1.5]]) {
    context.beginPath();
    for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
      context.moveTo(x + dx * 5, y + dy * 5);
      context.lineTo(x + dx * 18, y + dy * 18);
    }
    Object.assign(context, { strokeStyle: colour, lineWidth: width });
    context.stroke();
  }
  if (TOOLS[state.tool].paints) drawBrush(pen, position, radiusInPixels());
}

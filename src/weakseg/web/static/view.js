// Two canvases: the photograph below, above it the mask and the marks. Where the photograph lies on the screen.
import { imageAddress } from "./api.js";
import { fill, shown } from "./mask.js";
import { casingOf, colourOf, css, nameOf, on, state, tell } from "./state.js";

const SIDES = [2048, 4096]; // pictures that the server is asked for; the larger one when looked at closely
const MARGIN = 16;
const LARGEST_SCALE = 48;
const KEPT_PICTURES = 4;

export const stage = document.getElementById("stage");
const below = document.getElementById("below");
const above = document.getElementById("above");
export const view = { scale: 1, x: 0, y: 0, width: 0, height: 0, fitted: true };
const pictures = new Map(); // address -> Promise of an image
let picture = null; // the image that is shown
let wantedSide = 0;
let stale = new Set();
export const painters = []; // what draws on the upper canvas, in pixels of the screen, after the mask

export const toScreen = ([row, column]) => ({ x: view.x + column * view.scale, y: view.y + row * view.scale });
export const toPhotograph = ({ x, y }) => [(y - view.y) / view.scale, (x - view.x) / view.scale];

/** A position of an event, in the stage's pixels. */
export function place(event) {
  const frame = stage.getBoundingClientRect();
  return { x: event.clientX - frame.left, y: event.clientY - frame.top };
}

/** The nearest position within the photograph, in hundredths of a pixel. */
export function within([row, column]) {
  const bounded = (value, axis) => Math.min(state.current.size[axis], Math.max(0, value));
  return [row, column].map((value, axis) => Math.round(bounded(value, axis) * 100) / 100);
}

function fittingScale() {
  const [rows, columns] = state.current.size;
  const margin = Math.min(MARGIN, view.width * 0.02) * 2;
  return Math.min((view.width - margin) / columns, (view.height - margin) / rows);
}

export function fit() {
  if (!state.current || !view.width) return;
  const [rows, columns] = state.current.size;
  view.scale = Math.min(LARGEST_SCALE, Math.max(1e-3, fittingScale()));
  view.x = (view.width - columns * view.scale) / 2;
  view.y = (view.height - rows * view.scale) / 2;
  view.fitted = true;
  moved();
}

/** Zoom so that what lies under a place stays there. */
export function zoomAt({ x, y }, factor) {
  if (!state.current) return;
  const smallest = Math.min(1, fittingScale() / 2);
  const scale = Math.min(LARGEST_SCALE, Math.max(smallest, view.scale * factor));
  view.x = x - ((x - view.x) * scale) / view.scale;
  view.y = y - ((y - view.y) * scale) / view.scale;
  view.scale = scale;
  view.fitted = false;
  moved();
}

export const zoomBy = (factor) => zoomAt({ x: view.width / 2, y: view.height / 2 }, factor);
export const zoomToPixels = () => zoomBy(1 / devicePixelRatio / view.scale);

export function panBy(x, y) {
  view.x += x;
  view.y += y;
  view.fitted = false;
  moved();
}

/** Move as far as needed for a position to be seen. */
export function reveal(position) {
  const { x, y } = toScreen(position);
  const outside = (value, length) => Math.min(0, value - 40) + Math.max(0, value - length + 40);
  const [across, down] = [outside(x, view.width), outside(y, view.height)];
  if (across || down) panBy(-across, -down);
}

function moved() {
  if (state.current) keepInSight();
  needSide();
  refresh("below", "above");
  tell("view");
}

/** A corner of the photograph always stays on the stage. */
function keepInSight() {
  const [rows, columns] = state.current.size;
  const bounded = (value, length, whole) => Math.min(whole - 48, Math.max(48 - length, value));
  view.x = bounded(view.x, columns * view.scale, view.width);
  view.y = bounded(view.y, rows * view.scale, view.height);
}

export function refresh(...canvases) {
  if (!stale.size) requestAnimationFrame(draw);
  for (const one of canvases) stale.add(one);
}

function draw() {
  const todo = stale;
  stale = new Set();
  if (todo.has("below")) drawBelow();
  if (todo.has("above")) drawAbove();
}

/** Clear a canvas; afterwards one unit is one pixel of the photograph. */
function started(canvas) {
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.clearRect(0, 0, canvas.width, canvas.height);
  const scale = view.scale * devicePixelRatio;
  context.setTransform(scale, 0, 0, scale, view.x * devicePixelRatio, view.y * devicePixelRatio);
  return context;
}

function drawBelow() {
  const context = started(below);
  if (!state.current || !picture) return;
  const [rows, columns] = state.current.size;
  context.imageSmoothingEnabled = view.scale * devicePixelRatio < 4;
  context.imageSmoothingQuality = "high";
  context.drawImage(picture, 0, 0, columns, rows);
}

function drawAbove() {
  const context = started(above);
  if (!state.current) return;
  const [rows, columns] = state.current.size;
  if (shown.map && state.options.mask) {
    context.globalAlpha = state.options.opacity;
    context.imageSmoothingEnabled = view.scale * devicePixelRatio * (columns / shown.map.columns) < 1;
    context.drawImage(fill, 0, 0, columns, rows);
    context.globalAlpha = 1;
    if (state.options.outlines) drawOutlines(context, columns / shown.map.columns, rows / shown.map.rows);
  }
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  for (const paint of painters) paint(context);
}

function drawOutlines(context, across, down) {
  context.save();
  context.scale(across, down);
  context.lineCap = "square";
  const width = 1 / (view.scale * across);
  for (const [label, path] of shown.paths) {
    context.lineWidth = 3 * width;
    context.strokeStyle = casingOf(nameOf(label));
    context.stroke(path);
    context.lineWidth = 1.5 * width;
    context.strokeStyle = label === 255 ? "rgb(255 255 255 / 0.8)" : css(colourOf(nameOf(label)));
    context.stroke(path);
  }
  context.restore();
}

// Pictures: the next one is fetched while one is looked at.

function load(id, side) {
  const address = imageAddress(id, side);
  if (!pictures.has(address)) {
    const image = new Image();
    image.src = address;
    pictures.set(address, image.decode().then(() => image));
    pictures.get(address).catch(() => pictures.delete(address));
    if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(address);
}

export const prefetch = (id) => void load(id, SIDES[0]).catch(() => null);

/** Show a photograph's picture; the promise is kept when it is there. */
export async function showPicture(photograph) {
  picture = null;
  wantedSide = SIDES[0];
  refresh("below", "above");
  const image = await load(photograph.id, SIDES[0]);
  if (photograph !== state.current) return;
  picture ??= image;
  refresh("below");
  needSide();
}

/** Ask for the larger picture where the one that is shown is drawn larger than it is. */
function needSide() {
  const photograph = state.current;
  if (!photograph || !picture || wantedSide === SIDES[1]) return;
  const longest = Math.max(...photograph.size);
  if (longest <= SIDES[0] || longest * view.scale * devicePixelRatio < SIDES[0] * 1.3) return;
  wantedSide = SIDES[1];
  const use = (image) => {
    if (photograph !== state.current) return;
    picture = image;
    refresh("below");
  };
  load(photograph.id, SIDES[1]).then(use, () => null); // the smaller one stays
}

function measured() {
  Object.assign(view, { width: stage.clientWidth, height: stage.clientHeight });
  for (const canvas of [below, above]) {
    canvas.width = Math.round(view.width * devicePixelRatio);
    canvas.height = Math.round(view.height * devicePixelRatio);
  }
  if (view.fitted) fit();
  else moved();
}

new ResizeObserver(measured).observe(stage);
on("record mask paint selection draft hint focus", () => refresh("above"));
on("classes", () => refresh("above"));
on("options", () => {
  below.style.filter = `brightness(${state.options.brightness}) contrast(${state.options.contrast})`;
  refresh("above");
});

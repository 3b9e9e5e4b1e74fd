// The mask that is shown: asked of the server for each stored revision, and painted on at once by brush and eraser.
import { Refused, Unreachable, get, pause } from "./api.js";
import { colours, decodeGrey, outlines, paintLine, paintPolygon } from "./labels.js";
import { labelOf, on, state, tell } from "./state.js";

const REMEMBERED_BYTES = 48e6;
const AGAIN_SECONDS = 2;
const TRIES = 3; // where the server fails at a mask

export const shown = {
  map: null, // {labels, rows, columns}
  facts: null, // what the server says of it: reliability, warnings, seconds, by
  error: null, // why there is none
  waiting: false,
  hasFailed: false, // it is not asked for any longer
  revision: null,
  arrivals: 0, // how many masks of the server were shown, first ones too
  paths: new Map(), // outlines
};
export const fill = document.createElement("canvas"); // colours, one pixel for one of the mask

let controller = null;
let painting = null; // labels as they were before the brush came down
let held = null; // a mask that came while the brush was down
const memory = new Map(); // record -> {map, facts}; undo shows it at once

/** Ask for the mask of the photograph's stored revision; older questions are dropped. Where the server fails at it
 * again and again, that is said, and the next mark or the user's wish asks anew. */
export async function ask(photograph) {
  controller?.abort();
  controller = new AbortController();
  const { signal } = controller;
  const { id, revision } = photograph;
  let failures = 0;
  let drafted = {};
  Object.assign(shown, { waiting: true, hasFailed: false });
  tell("mask");
  while (!signal.aborted) {
    try {
      const answer = await get("mask", { id, revision, ...drafted }, signal);
      const map = answer && (await decodeGrey(answer.png));
      if (signal.aborted) return;
      if (answer && answer.revision > photograph.revision) return overtaken(photograph);
      const found = { revision: answer?.revision ?? revision, map, facts: answer, error: null };
      if (!answer?.draft) return arrived(photograph, found);
      first(photograph, found);
      drafted = { final: 1 };
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Refused && error.status === 409) return overtaken(photograph);
      if (error instanceof Refused && error.status < 500) {
        return arrived(photograph, { revision, map: null, facts: null, error: error.message });
      }
      if (!(error instanceof Refused || error instanceof Unreachable)) throw error;
      const isLate = error.status === 503 || error.status === 504;
      if (error instanceof Refused && !isLate) failures += 1;
      if (failures === TRIES) return failed(error);
      shown.error = isLate ? null : error.message;
      tell("mask");
      await pause(isLate ? 0.2 : AGAIN_SECONDS);
    }
  }
}

function failed({ message }) {
  const error = `There is no mask, after ${TRIES} tries: ${message}`;
  Object.assign(shown, { waiting: false, hasFailed: true, error });
  tell("mask");
  tell("say", { text: error, isSeen: true });
}

/** A newer revision is there that this page has not made: take it, unless marks of this page are on their way. */
function overtaken(photograph) {
  shown.waiting = false;
  if (!photograph.unsaved) tell("overtaken", photograph);
  tell("mask");
}

/** A first mask, shown until the one that is kept is there. */
function first(photograph, answer) {
  if (photograph !== state.current || photograph.unsaved || painting) return;
  show(answer);
  shown.arrivals += 1;
  tell("mask");
}

function arrived(photograph, answer) {
  if (photograph !== state.current) return;
  if (photograph.unsaved) {
    shown.waiting = false; // one of what is drawn now will come
    return tell("mask");
  }
  if (painting) {
    held = answer;
    return;
  }
  if (answer.map) remember(photograph.record, answer);
  note(photograph.id, answer.facts);
  show(answer);
  shown.arrivals += 1;
  shown.waiting = false;
  tell("mask");
}

/** Tell the list whose mask it is. */
function note(id, facts) {
  const entry = state.byId.get(id);
  if (!entry) return;
  entry.by = facts ? (facts.by === "accepted" ? "person" : "machine") : null;
  entry.reliability = facts && entry.by === "machine" ? Math.min(...Object.values(facts.reliability ?? {})) : null;
  if (!Number.isFinite(entry.reliability)) entry.reliability = null;
  tell("list");
}

function show({ map, facts, error, revision }) {
  Object.assign(shown, { map: map && { ...map, labels: map.labels.slice() }, facts, error, revision });
  colour();
}

function remember(record, answer) {
  memory.delete(record);
  memory.set(record, answer);
  let bytes = 0;
  for (const [older, { map }] of [...memory].reverse()) {
    bytes += map.labels.length;
    if (bytes > REMEMBERED_BYTES) memory.delete(older);
  }
}

/** After undo and redo: the mask of that state, if it was here. */
export function recall(record) {
  if (!memory.has(record)) return;
  show(memory.get(record));
  tell("mask");
}

export function clear() {
  controller?.abort();
  painting = held = null;
  show({ map: null, facts: null, error: null, revision: null });
  Object.assign(shown, { waiting: false, hasFailed: false });
  tell("mask");
}

/** The classes have changed: what the labels of all masks mean has moved. */
function forget() {
  const { current } = state;
  const paints = painting !== null;
  memory.clear();
  clear();
  if (!current) return;
  if (paints) brushDown();
  if (!current.unsaved) ask(current);
}

function palette() {
  const words = new Uint32Array(256);
  state.classes.forEach(({ colour: [red, green, blue] }, index) => {
    words[index + 1] = (0xff000000 | (blue << 16) | (green << 8) | red) >>> 0;
  });
  return words;
}

/** Colours anew: of everything, or of a part that was painted. */
function colour(rect = null) {
  const { map } = shown;
  if (!map) {
    shown.paths = new Map();
    return;
  }
  if (!rect) Object.assign(fill, { width: map.columns, height: map.rows });
  const part = rect ?? { top: 0, left: 0, bottom: map.rows, right: map.columns };
  const image = colours(map, palette(), part);
  if (image) fill.getContext("2d").putImageData(image, part.left, part.top);
  if (!rect) trace();
}

function trace() {
  shown.paths = shown.map ? outlines(shown.map) : new Map();
}

/** A map to paint on, where the server has given none yet. */
function paper() {
  if (shown.map) return;
  const [rows, columns] = state.current.size;
  const shrink = Math.min(1, 1024 / Math.max(rows, columns));
  const size = [Math.max(1, Math.round(rows * shrink)), Math.max(1, Math.round(columns * shrink))];
  shown.map = { labels: new Uint8Array(size[0] * size[1]), rows: size[0], columns: size[1] };
  colour();
}

const onMap = ([row, column]) => [
  (row * shown.map.rows) / state.current.size[0], (column * shown.map.columns) / state.current.size[1],
];

/** The brush is down: masks of the server wait until it is up. */
export function brushDown() {
  paper();
  painting = shown.map.labels.slice();
}

export function brushTo(from, to, radius, name) {
  const scaled = (radius * shown.map.columns) / state.current.size[1];
  const rect = paintLine(shown.map, onMap(from), onMap(to), scaled, labelOf(name));
  colour(rect);
  tell("paint");
}

/** The brush is up: what it painted stays, or is taken back. */
export function brushUp(keep) {
  const late = held;
  if (!keep && painting && shown.map) shown.map.labels = painting;
  painting = held = null;
  colour();
  if (!keep && late) arrived(state.current, late);
  tell("mask");
}

export function fillPolygon(outline, name) {
  paper();
  paintPolygon(shown.map, outline.map(onMap), labelOf(name));
  colour();
  tell("mask");
}

/** The label at a position of the photograph, or null where there is no mask. */
export function labelAt(row, column) {
  if (!shown.map || !state.current) return null;
  const [y, x] = onMap([row, column]).map(Math.floor);
  if (y < 0 || x < 0 || y >= shown.map.rows || x >= shown.map.columns) return null;
  return shown.map.labels[y * shown.map.columns + x];
}

/** Which part of the photograph each label covers: [[label, share], ...], the largest first. */
export function shares() {
  if (!shown.map) return [];
  const counts = new Array(256).fill(0);
  for (const label of shown.map.labels) counts[label] += 1;
  const all = counts.map((count, label) => [label, count / shown.map.labels.length]);
  return all.filter(([label, share]) => share > 0 && label > 0).sort((first, second) => second[1] - first[1]);
}

on("classes", forget);

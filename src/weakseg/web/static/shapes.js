// Lines and polygons: how far away, whether within, and with fewer corners.
import { marksOf } from "./record.js";

/** The rectangle (top, left, bottom, right) between two corners. */
export const box = ([top, left], [bottom, right]) => [
  Math.min(top, bottom), Math.min(left, right), Math.max(top, bottom), Math.max(left, right),
];

function distanceToSegment([row, column], [top, left], [bottom, right]) {
  const [down, across] = [bottom - top, right - left];
  const length = down * down + across * across;
  const along = length ? Math.min(1, Math.max(0, ((row - top) * down + (column - left) * across) / length)) : 0;
  return Math.hypot(row - top - along * down, column - left - along * across);
}

export function distanceToPath(position, path, closed = false) {
  const corners = closed ? [...path, path[0]] : path;
  if (corners.length === 1) return distanceToSegment(position, corners[0], corners[0]);
  return Math.min(...corners.slice(1).map((corner, index) => distanceToSegment(position, corners[index], corner)));
}

/** The path without the corners that lie at most `tolerance` beside the line of others (Ramer, Douglas and Peucker). */
export function simplified(path, tolerance) {
  const keep = new Set([0, path.length - 1]);
  const parts = [[0, path.length - 1]];
  while (parts.length) {
    const [first, last] = parts.pop();
    let [farthest, distance] = [0, tolerance];
    for (let index = first + 1; index < last; index++) {
      const beside = distanceToSegment(path[index], path[first], path[last]);
      if (beside > distance) [farthest, distance] = [index, beside];
    }
    if (!farthest) continue;
    keep.add(farthest);
    parts.push([first, farthest], [farthest, last]);
  }
  const kept = path.filter((_, index) => keep.has(index));
  const isOne = kept.length === 2 && kept[0].every((value, axis) => value === kept[1][axis]);
  return isOne ? [kept[0]] : kept;
}

/** How many pixels a polygon covers, roughly. */
export function area(outline) {
  const twice = outline.map(([row, column], index) => {
    const [nextRow, nextColumn] = outline[(index + 1) % outline.length];
    return column * nextRow - nextColumn * row;
  });
  return Math.abs(twice.reduce((sum, value) => sum + value, 0)) / 2;
}

export function isInside([row, column], outline) {
  let inside = false;
  outline.forEach(([top, left], index) => {
    const [bottom, right] = outline[(index + 1) % outline.length];
    if (top > row !== bottom > row && column < left + ((row - top) / (bottom - top)) * (right - left)) inside = !inside;
  });
  return inside;
}

/** How far a position is from the line of a mark, and whether it lies within it. */
function reach({ kind, mark }, position) {
  if (kind === "points") return { line: distanceToPath(position, [mark.position]) };
  if (kind === "scribbles") return { line: distanceToPath(position, mark.path) };
  if (kind === "boxes") {
    const [top, left, bottom, right] = mark.rectangle;
    const outline = [[top, left], [top, right], [bottom, right], [bottom, left]];
    return { line: distanceToPath(position, outline, true), inside: isInside(position, outline) };
  }
  if (mark.outline) {
    return { line: distanceToPath(position, mark.outline, true), inside: isInside(position, mark.outline) };
  }
  if (mark.path) return { line: Infinity, inside: distanceToPath(position, mark.path) <= mark.radius };
  return { line: Infinity, inside: false };
}

/** The mark at a position: whose line is near, else the topmost that it lies within; null if there is none. */
export function markAt(record, position, near) {
  const all = marksOf(record).map((one) => ({ ...one, ...reach(one, position) }));
  const onLine = all.filter(({ line }) => line <= near).sort((first, second) => first.line - second.line);
  return onLine[0] ?? all.find(({ inside }) => inside) ?? null;
}

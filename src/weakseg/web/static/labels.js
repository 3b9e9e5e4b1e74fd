// Label maps: {labels: Uint8Array, rows, columns}. Reading them from a PNG, painting on them, and their outlines.

const SIGNATURE_BYTES = 8;

/** The values of an 8-bit grey PNG, exactly: no canvas, whose colours a browser may change. */
export async function decodeGrey(text) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const parts = [];
  let [rows, columns] = [0, 0];
  for (let at = SIGNATURE_BYTES; at < bytes.length; at += view.getUint32(at) + 12) {
    const kind = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (kind === "IHDR") {
      [columns, rows] = [view.getUint32(at + 8), view.getUint32(at + 12)];
      const [depth, colour, , , interlaced] = bytes.subarray(at + 16, at + 21);
      const isGrey = depth === 8 && (colour === 0 || colour === 3) && !interlaced;
      if (!isGrey) throw new Error("the mask is no grey picture of 8 bits");
    }
    if (kind === "IDAT") parts.push(bytes.subarray(at + 8, at + 8 + view.getUint32(at)));
  }
  const stream = new Blob(parts).stream().pipeThrough(new DecompressionStream("deflate"));
  const filtered = new Uint8Array(await new Response(stream).arrayBuffer());
  return { labels: unfiltered(filtered, rows, columns), rows, columns };
}

function unfiltered(filtered, rows, columns) {
  const labels = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const [kind, from, to] = [filtered[row * (columns + 1)], row * (columns + 1) + 1, row * columns];
    for (let column = 0; column < columns; column++) {
      const left = column ? labels[to + column - 1] : 0;
      const above = row ? labels[to + column - columns] : 0;
      const corner = row && column ? labels[to + column - columns - 1] : 0;
      labels[to + column] = filtered[from + column] + predicted(kind, left, above, corner);
    }
  }
  return labels;
}

function predicted(kind, left, above, corner) {
  if (kind === 0) return 0;
  if (kind === 1) return left;
  if (kind === 2) return above;
  if (kind === 3) return (left + above) >> 1;
  const guess = left + above - corner;
  const [byLeft, byAbove, byCorner] = [Math.abs(guess - left), Math.abs(guess - above), Math.abs(guess - corner)];
  if (byLeft <= byAbove && byLeft <= byCorner) return left;
  return byAbove <= byCorner ? above : corner;
}

/** Paint the pixels whose centres are at most `radius` away from the line between two positions (row, column). */
export function paintLine(map, [top, left], [bottom, right], radius, label) {
  const rect = clipped(map, Math.min(top, bottom) - radius, Math.min(left, right) - radius,
    Math.max(top, bottom) + radius, Math.max(left, right) + radius);
  const [down, across] = [bottom - top, right - left];
  const length = down * down + across * across || 1;
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let column = rect.left; column < rect.right; column++) {
      const [y, x] = [row + 0.5 - top, column + 0.5 - left];
      const along = Math.min(1, Math.max(0, (y * down + x * across) / length));
      const [dy, dx] = [y - along * down, x - along * across];
      if (dy * dy + dx * dx <= radius * radius) map.labels[row * map.columns + column] = label;
    }
  }
  return rect;
}

/** Paint the pixels whose centres lie within a polygon (even-odd rule). */
export function paintPolygon(map, outline, label) {
  const rows = outline.map(([row]) => row);
  const rect = clipped(map, Math.min(...rows), 0, Math.max(...rows), map.columns);
  for (let row = rect.top; row < rect.bottom; row++) {
    const crossings = crossingsAt(outline, row + 0.5);
    for (let index = 0; index + 1 < crossings.length; index += 2) {
      const from = Math.max(0, Math.ceil(crossings[index] - 0.5));
      const to = Math.min(map.columns, Math.ceil(crossings[index + 1] - 0.5));
      if (from < to) map.labels.fill(label, row * map.columns + from, row * map.columns + to);
    }
  }
  return rect;
}

function crossingsAt(outline, height) {
  const found = [];
  outline.forEach(([row, column], index) => {
    const [other, otherColumn] = outline[(index + 1) % outline.length];
    if (row > height !== other > height) found.push(column + ((height - row) / (other - row)) * (otherColumn - column));
  });
  return found.sort((first, second) => first - second);
}

const clipped = (map, top, left, bottom, right) => ({
  top: Math.max(0, Math.floor(top)), left: Math.max(0, Math.floor(left)),
  bottom: Math.min(map.rows, Math.ceil(bottom)), right: Math.min(map.columns, Math.ceil(right)),
});

/** Colours (RGBA) of a part of the map; undecided pixels are hatched. */
export function colours(map, palette, rect) {
  const [height, width] = [rect.bottom - rect.top, rect.right - rect.left];
  if (height <= 0 || width <= 0) return null;
  const image = new ImageData(width, height);
  const words = new Uint32Array(image.data.buffer);
  for (let row = 0; row < height; row++) {
    const from = (row + rect.top) * map.columns + rect.left;
    for (let column = 0; column < width; column++) {
      const label = map.labels[from + column];
      const isHatch = (row + rect.top + column + rect.left) % 8 < 3;
      if (label === 255) words[row * width + column] = isHatch ? 0xb0ffffff : 0x60404040;
      else if (label) words[row * width + column] = palette[label];
    }
  }
  return image;
}

/** For each label the line along the cracks between its pixels and those of other labels. */
export function outlines({ labels, rows, columns }) {
  const paths = new Map();
  const pathOf = (first, second) => {
    const label = first && first !== 255 ? first : second && second !== 255 ? second : first || second;
    if (!paths.has(label)) paths.set(label, new Path2D());
    return paths.get(label);
  };
  const trace = (lines, cells, valueAt, draw) => {
    for (let line = 1; line < lines; line++) {
      for (let cell = 0; cell < cells; cell++) {
        const [first, second] = [valueAt(line - 1, cell), valueAt(line, cell)];
        if (first === second) continue;
        const from = cell;
        while (cell + 1 < cells && valueAt(line - 1, cell + 1) === first && valueAt(line, cell + 1) === second) cell++;
        draw(pathOf(first, second), line, from, cell + 1);
      }
    }
  };
  trace(rows, columns, (row, column) => labels[row * columns + column], (path, line, from, to) => {
    path.moveTo(from, line);
    path.lineTo(to, line);
  });
  trace(columns, rows, (column, row) => labels[row * columns + column], (path, line, from, to) => {
    path.moveTo(line, from);
    path.lineTo(line, to);
  });
  return paths;
}

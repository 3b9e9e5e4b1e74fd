// What the page knows. Who changes something says so with `tell`; who shows it listens with `on`.

const listeners = new Map();

/** Call `listener` whenever one of the events (names, with spaces between them) is told. */
export function on(names, listener) {
  for (const name of names.split(" ")) {
    if (!listeners.has(name)) listeners.set(name, []);
    listeners.get(name).push(listener);
  }
}

export function tell(name, detail) {
  for (const listener of listeners.get(name) ?? []) listener(detail);
}

export const BACKGROUND = "background";
export const IGNORED = "ignored"; // not a class: regions that count for nothing

// Events: "photograph" another one is in front; "record" its marks changed; "stored" it was stored; "saving" the state
// of saving changed; "mask" another mask; "paint" the brush paints on it; "conflict" another tab was quicker;
// "overtaken" the server has a newer record; "photographs" another list; "list" entries of it changed; "say" something
// is said; "notices" those of the server; and what changed: "classes", "tool", "options", "selection", "draft", "hint",
// "view", "focus", "training".
export const state = {
  folder: "",
  classes: [], // [{name, colour: [r, g, b]}]
  photographs: [], // as api/state says it
  byId: new Map(),
  front: null, // the id of the photograph in front
  current: null, // it, once it is there: a Photograph
  tool: "box",
  className: null,
  selection: null, // {kind, index} of a mark
  hint: null, // an entry of the queue
  keyboard: false, // drawing by keyboard
  options: stored({
    opacity: 0.45, mask: true, outlines: true, marks: true, brightness: 1, contrast: 1, radius: 1 / 50,
  }),
  undoSteps: 100,
};

function stored(options) {
  try {
    const kept = JSON.parse(localStorage.getItem("weakseg") ?? "{}");
    for (const name of ["opacity", "outlines", "marks", "radius"]) {
      if (typeof kept[name] === typeof options[name]) options[name] = kept[name];
    }
  } catch {
    // another program's entry, or none may be kept: as at first
  }
  return options;
}

export function setOption(name, value) {
  state.options[name] = value;
  try {
    localStorage.setItem("weakseg", JSON.stringify(state.options));
  } catch {
    // it counts until the page is closed
  }
  tell("options");
}

export const byName = (name) => state.classes.find((one) => one.name === name);

/** The colour of a class; background marks are white, ignored regions grey. */
export function colourOf(name) {
  if (name === BACKGROUND) return [255, 255, 255];
  if (name === IGNORED) return [150, 150, 150];
  return byName(name)?.colour ?? [160, 160, 160];
}

const brightness = ([red, green, blue]) => 0.299 * red + 0.587 * green + 0.114 * blue;

/** Is dark text to be read on it? */
export const isLight = (colour) => brightness(colour) > 140;

/** What is drawn around a line of a class, so that it is seen on whatever lies below. */
export const casingOf = (name) => (brightness(colourOf(name)) < 70 ? "rgb(255 255 255 / 0.75)" : "rgb(0 0 0 / 0.6)");

export const css = ([red, green, blue], alpha = 1) => `rgb(${red} ${green} ${blue} / ${alpha})`;

/** The value that a class has in label maps. */
export function labelOf(name) {
  if (name === BACKGROUND) return 0;
  if (name === IGNORED) return 255;
  return state.classes.findIndex((one) => one.name === name) + 1 || 255;
}

export function nameOf(label) {
  if (label === 0) return BACKGROUND;
  return state.classes[label - 1]?.name ?? "undecided";
}

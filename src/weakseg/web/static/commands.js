// Everything that a key or a button does, by name. Buttons name theirs in data-command; the help lists them all.
import { toggleKeyboard } from "./crosshair.js";
import { redo, removeAll, removeSelected, say, sayNone, undo, whisper } from "./editing.js";
import { focusSearch } from "./list.js";
import { openNext, openPrevious, openUnlabelled } from "./opening.js";
import { nextOfQueue } from "./queue.js";
import { isEmpty, isSaid } from "./record.js";
import { shown } from "./mask.js";
import { decide, retry } from "./saving.js";
import { setOption, state, tell } from "./state.js";
import { TOOLS, draft, removeCorner } from "./tools.js";
import { fit, zoomBy, zoomToPixels } from "./view.js";

const LARGEST_BRUSH = 0.4;
const SMALLEST_BRUSH = 0.002;

export function choose(tool) {
  state.tool = tool;
  tell("tool");
  whisper(`${TOOLS[tool].text}.`);
}

function turn(option, text) {
  setOption(option, !state.options[option]);
  say(`${text} ${state.options[option] ? "shown" : "hidden"}.`);
}

function resizeBrush(factor) {
  setOption("radius", Math.min(LARGEST_BRUSH, Math.max(SMALLEST_BRUSH, state.options.radius * factor)));
}

const DECIDED = { accept: "Accepted: this mask is yours now.", reject: "Rejected.", reopen: "Open again." };

async function decided(verb) {
  const photograph = state.current;
  if (!photograph) return;
  if (verb === "accept" && shown.facts?.draft) return say("A better mask is on its way; accept that one.");
  try {
    if (await decide(photograph, verb)) say(DECIDED[verb]);
    if (photograph === state.current) tell("record");
  } catch (error) {
    say(`Not done: ${error.message}`);
  }
}

const isJudged = () => Boolean(state.current?.record.verdict);
const there = () => Boolean(state.current);
const tool = (name, key) => ({
  group: "Tools", text: TOOLS[name].text, keys: [key], run: () => choose(name), pressed: () => state.tool === name,
});

// keys: event.key; "Mod+" is Ctrl, or Command on a Mac. enabled and pressed tell the buttons' states.
export const COMMANDS = {
  select: tool("select", "v"),
  tags: tool("tags", "t"),
  box: tool("box", "b"),
  point: tool("point", "c"),
  stroke: tool("stroke", "s"),
  polygon: tool("polygon", "g"),
  brush: tool("brush", "d"),
  eraser: tool("eraser", "e"),
  smaller: { group: "Tools", text: "Smaller brush", keys: ["["], run: () => resizeBrush(1 / 1.25) },
  larger: { group: "Tools", text: "Larger brush", keys: ["]"], run: () => resizeBrush(1.25) },
  keyboard: {
    group: "Tools", text: "Draw by keyboard", keys: ["k"], run: toggleKeyboard, enabled: there,
    pressed: () => state.keyboard,
  },
  undo: {
    group: "Marks", text: "Undo", keys: ["Mod+z"], run: () => removeCorner() || undo(),
    enabled: () => Boolean(draft.now || state.current?.history.canUndo),
  },
  redo: {
    group: "Marks", text: "Redo", keys: ["Mod+Shift+z", "Mod+y"], run: redo,
    enabled: () => Boolean(state.current?.history.canRedo),
  },
  remove: {
    group: "Marks", text: "Remove the selected mark", keys: ["Delete", "Backspace"], run: removeSelected,
    enabled: () => Boolean(state.selection),
  },
  clear: {
    group: "Marks", text: "Remove all marks", keys: [], run: removeAll,
    enabled: () => there() && !isEmpty(state.current.record),
  },
  none: {
    group: "Classes", text: "None of the classes is here", keys: ["Shift+0"], run: sayNone,
    enabled: () => there() && !isSaid(state.current.record) && state.classes.length > 0,
  },
  accept: { group: "Verdict", text: "Accept the mask", keys: ["a"], run: () => decided("accept"), enabled: there,
    pressed: () => state.current?.record.verdict === "accepted" },
  reject: { group: "Verdict", text: "Reject the mask", keys: ["r"], run: () => decided("reject"), enabled: there,
    pressed: () => state.current?.record.verdict === "rejected" },
  reopen: { group: "Verdict", text: "Open it again", keys: ["o"], run: () => decided("reopen"), enabled: isJudged },
  previous: { group: "Photographs", text: "Previous photograph", keys: ["ArrowLeft", "p"], run: openPrevious },
  next: { group: "Photographs", text: "Next photograph", keys: ["ArrowRight", "n"], run: openNext },
  unlabelled: { group: "Photographs", text: "Next without labels", keys: ["u"], run: openUnlabelled },
  queue: { group: "Photographs", text: "Where labels help most", keys: ["q"], run: nextOfQueue },
  search: { group: "Photographs", text: "Find a photograph", keys: ["/"], run: focusSearch },
  fit: { group: "View", text: "Fit to the window", keys: ["f"], run: fit },
  zoomIn: { group: "View", text: "Zoom in", keys: ["+", "="], run: () => zoomBy(1.4) },
  zoomOut: { group: "View", text: "Zoom out", keys: ["-"], run: () => zoomBy(1 / 1.4) },
  pixels: { group: "View", text: "One pixel for one pixel", keys: ["z"], run: zoomToPixels },
  mask: {
    group: "View", text: "Mask", keys: ["h"], run: () => turn("mask", "Mask"), pressed: () => state.options.mask,
  },
  outlines: {
    group: "View", text: "Outlines", keys: ["l"], run: () => turn("outlines", "Outlines"),
    pressed: () => state.options.outlines,
  },
  marks: {
    group: "View", text: "Marks", keys: ["m"], run: () => turn("marks", "Marks"), pressed: () => state.options.marks,
  },
  plain: {
    group: "View", text: "Brightness and contrast as they are", keys: [],
    run: () => {
      setOption("brightness", 1);
      setOption("contrast", 1);
    },
  },
  retry: { group: "Photographs", text: "Save again", keys: ["Mod+s"], run: retry },
  help: { group: "Photographs", text: "All keys", keys: ["?"], run: () => tell("help") },
};

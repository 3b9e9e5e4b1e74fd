// What to draw next, as the server thinks: the photograph, the class, the tool, and why.
import { get } from "./api.js";
import { say, whisper } from "./editing.js";
import { byId, make } from "./make.js";
import { open } from "./opening.js";
import { on, state, tell } from "./state.js";

const TOOL = { box: "box", point: "point", scribble: "stroke", tag: "tags" };
const WORD = {
  box: "Draw a box of", point: "Draw a point on", scribble: "Draw a stroke on", tag: "Say whether there is",
};
const banner = byId("hint");
const visited = new Set(); // in this round

export async function nextOfQueue() {
  try {
    const { queue } = await get("queue", { first: 50 });
    const open = queue.filter(({ id }) => id !== state.front);
    let next = open.find(({ id }) => !visited.has(id));
    if (!next) {
      visited.clear(); // once round: from the best one again
      next = open[0];
    }
    if (next) follow(next);
    else say("Nothing is in the queue.");
  } catch (error) {
    say(error.message);
  }
}

async function follow(entry) {
  visited.add(entry.id);
  await open(entry.id, entry);
  if (state.hint !== entry) return;
  state.tool = TOOL[entry.kind] ?? state.tool;
  if (entry.class) state.className = entry.class;
  tell("tool");
  tell("hint");
  whisper(inWords(entry).join(""));
}

/** What is to be done, and of which class; a tag that names none is of all. */
function inWords({ kind, class: name, reason, seconds }) {
  const why = `. ${reason}${/[.!?]$/.test(reason) ? "" : "."}`;
  const time = seconds ? ` About ${Math.round(seconds)} s.` : "";
  return name ? [`${WORD[kind] ?? "Draw"} `, name, why + time] : ["", "Say which classes are here", why + time];
}

function show() {
  const { hint } = state;
  banner.hidden = !hint;
  if (!hint) return;
  const [before, what, after] = inWords(hint);
  banner.firstElementChild.replaceChildren(before, make("strong", {}, what), after);
}

byId("hint-close").addEventListener("click", () => {
  state.hint = null;
  tell("hint");
});
on("hint photograph", show);

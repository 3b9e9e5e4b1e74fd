// Which photograph is in front, and which comes next.
import { get } from "./api.js";
import { say } from "./editing.js";
import { order, showList } from "./list.js";
import { ask, clear, recall } from "./mask.js";
import { remembered } from "./photograph.js";
import { on, state, tell } from "./state.js";
import { fit, prefetch, showPicture } from "./view.js";

/** Show a photograph; with an entry of the queue, what to draw there. */
export async function open(id, hint = null) {
  state.front = id;
  history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  showList(false);
  let answer;
  try {
    answer = await get("photograph", { id });
  } catch (error) {
    answer = { id, error: error.message };
  }
  if (state.front !== id) return;
  Object.assign(state, { selection: null, hint, keyboard: false, current: answer.error ? null : remembered(answer) });
  clear();
  tell("photograph", answer.error ?? null);
  if (!state.current) return say(answer.error);
  fit();
  recall(state.current.record);
  tell("record");
  if (!state.current.unsaved) ask(state.current);
  showPicture(state.current).then(prefetchNext, () => say("The picture could not be fetched."));
}

/** The next or previous one of the list; the one in front need not be in it. */
function neighbour(step) {
  const places = new Map(state.photographs.map(({ id }, place) => [id, place]));
  const from = places.get(state.front) ?? -1;
  if (step > 0) return order().find(({ id }) => places.get(id) > from);
  return order().findLast(({ id }) => places.get(id) < from);
}

function prefetchNext() {
  const next = neighbour(1);
  if (next && !next.error) prefetch(next.id);
}

export function openNext() {
  const next = neighbour(1);
  if (next) open(next.id);
  else say("This is the last photograph.");
}

export function openPrevious() {
  const previous = neighbour(-1);
  if (previous) open(previous.id);
  else say("This is the first photograph.");
}

/** The next one without labels, from the start again at the end. */
export function openUnlabelled() {
  const all = state.photographs;
  const from = all.findIndex(({ id }) => id === state.front) + 1;
  const others = [...all.slice(from), ...all.slice(0, from)].filter(({ id }) => id !== state.front);
  const found = others.find((one) => one.state === "empty");
  if (found) open(found.id);
  else say("All photographs have labels.");
}

/** Read the one in front again: another tab has changed it, or the server has with a class. */
async function again(photograph) {
  const { moves } = photograph.history;
  try {
    const answer = await get("photograph", { id: photograph.id });
    if (photograph.unsaved || photograph !== state.current) return;
    if (answer.revision !== photograph.revision) photograph.take(answer);
    else if (photograph.history.moves === moves) photograph.correct(answer);
    tell("record");
    ask(photograph);
  } catch (error) {
    say(error.message);
  }
}

on("open", ({ id }) => open(id));
on("overtaken", again);
on("stored", (photograph) => {
  if (photograph === state.current && !photograph.unsaved) ask(photograph);
});

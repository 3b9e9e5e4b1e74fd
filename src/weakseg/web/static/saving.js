// Storing: one request at a time, the newest state of a photograph is sent, and what could not be stored
// is kept and tried again.
import { Refused, Unreachable, post } from "./api.js";
import { marksOf, whole } from "./record.js";
import { state, tell } from "./state.js";

const LONGEST_PAUSE_SECONDS = 30;
const unsaved = new Set();
let busy = false;
let seconds = 0; // how long to wait before the next try
let timer = null;
let problem = null;

export const somethingUnsaved = () => unsaved.size > 0;

/** {word: "saved" | "saving" | "not saved", why, again: seconds until the next try} */
export function savingState() {
  const stuck = [...unsaved].find((one) => one.refused ?? one.conflict);
  if (problem) return { word: "not saved", why: problem, again: seconds };
  if (stuck) return { word: "not saved", why: stuck.refused ?? "changed in another tab", again: 0 };
  return { word: unsaved.size ? "saving" : "saved", why: "", again: 0 };
}

/** The photograph has changed: store it. */
export function save(photograph) {
  photograph.unsaved = true;
  photograph.refused = null;
  unsaved.add(photograph);
  tell("saving");
  pump();
}

/** Try again at once. */
export function retry() {
  for (const one of unsaved) one.refused = null;
  clearTimeout(timer);
  timer = null;
  pump();
}

async function pump() {
  if (busy || timer) return;
  const next = [...unsaved].find((one) => !one.conflict && !one.refused);
  if (!next) return;
  busy = true;
  try {
    await send(next);
  } finally {
    busy = false;
    tell("saving");
  }
  pump();
}

async function send(photograph) {
  const record = photograph.record;
  try {
    const answer = await post("record", { id: photograph.id, revision: photograph.revision, record: photograph.sent });
    settle(photograph, answer, photograph.record === record);
  } catch (error) {
    fail(photograph, error);
  }
}

function settle(photograph, answer, isNewest) {
  problem = null;
  seconds = 0;
  photograph.revision = answer.revision;
  if (isNewest) {
    photograph.history.replace(whole(answer.record));
    photograph.unsaved = false;
    unsaved.delete(photograph);
  }
  note(photograph, answer);
  tell("stored", photograph);
}

/** Keep the list up to date with what the server says of a photograph. */
function note(photograph, answer) {
  const entry = state.byId.get(photograph.id);
  if (entry) {
    const { state: word, by, revision, record } = answer;
    const marks = marksOf(whole(record)).length;
    Object.assign(entry, { state: word, by, revision, classes: record.tags ?? [], marks });
    tell("list");
  }
}

function fail(photograph, error) {
  if (error instanceof Refused && error.status === 409 && error.body.record) {
    problem = null;
    photograph.conflict = { revision: error.body.revision, record: error.body.record };
    tell("conflict", photograph);
  } else if (error instanceof Unreachable || (error instanceof Refused && error.status >= 500)) {
    problem = error.message;
    seconds = Math.min(LONGEST_PAUSE_SECONDS, Math.max(1, seconds * 2));
    timer = setTimeout(retry, seconds * 1000);
  } else if (error instanceof Refused) {
    problem = null;
    photograph.refused = error.message;
  } else {
    throw error;
  }
}

/** Wait until nothing of the photograph is unsaved; an error says why that is not so. */
async function stored(photograph) {
  while (photograph.unsaved || busy) {
    const why = photograph.refused ?? problem ?? (photograph.conflict && "it was changed in another tab");
    if (why) throw new Unreachable(why);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/**
 * Accept, reject or reopen: api/accept and its like, after everything is stored. The answer is one more step; or, where
 * undo and redo have led to a verdict, which only the server gives, the same step.
 */
export async function decide(photograph, verb, { isStep = true } = {}) {
  const { place } = photograph.history;
  await stored(photograph);
  if (!isStep && photograph.history.place !== place) return;
  busy = true;
  try {
    const seconds = Math.round(photograph.seconds * 10) / 10;
    const answer = await post(verb, { id: photograph.id, revision: photograph.revision, seconds });
    photograph.revision = answer.revision;
    if (isStep) photograph.history.push(whole(answer.record));
    else photograph.history.replace(whole(answer.record));
    note(photograph, answer);
    tell("stored", photograph);
  } catch (error) {
    if (!(error instanceof Refused && error.status === 409 && error.body.record)) throw error;
    unsaved.add(photograph);
    fail(photograph, error);
  } finally {
    busy = false;
    tell("saving");
    pump();
  }
}

/** Solve a conflict: theirs becomes a step on top of mine, or mine one on top of theirs. Undo leads to the other. */
export function resolve(photograph, choice) {
  const { revision, record } = photograph.conflict;
  photograph.conflict = null;
  if (choice === "theirs") {
    photograph.unsaved = false;
    unsaved.delete(photograph);
    photograph.take({ revision, record });
    tell("stored", photograph);
  } else {
    photograph.revision = revision;
    photograph.history.insertBelow(whole(record));
    save(photograph);
  }
  if (photograph === state.current) tell("record");
  tell("saving");
}

addEventListener("online", retry);
addEventListener("beforeunload", (event) => {
  if (somethingUnsaved()) event.preventDefault();
});

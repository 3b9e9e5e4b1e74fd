// Storing: one request at a time, the newest state of a photograph is sent, and what could not be stored
// is kept and tried again.
import { Refused, Unreachable, post } from "./api.js";
import { marksOf, reopened, stepOf, whole } from "./record.js";
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
    settle(photograph, answer, record);
  } catch (error) {
    fail(photograph, error);
  }
}

function settle(photograph, answer, record) {
  problem = null;
  seconds = 0;
  photograph.revision = answer.revision;
  if (photograph.record === record) {
    photograph.history.replace(withVerdictOf(record, whole(answer.record)));
    photograph.unsaved = false;
    unsaved.delete(photograph);
  }
  note(photograph, answer);
  tell("stored", photograph);
}

/** A verdict that undo has led to stays in its step; `decide` asks the server for it. */
function withVerdictOf({ verdict, acceptedAt }, record) {
  return verdict ? { ...record, verdict, ...(acceptedAt !== undefined && { acceptedAt }) } : record;
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

/** Do what must not happen while something is stored; what is to be stored waits for it. */
export async function alone(work) {
  while (busy) await new Promise((resolve) => setTimeout(resolve, 20));
  busy = true;
  try {
    return await work();
  } finally {
    busy = false;
    tell("saving");
    pump();
  }
}

/**
 * Accept, reject or reopen: api/accept and its like, after everything is stored. The answer is one more step, below
 * what was drawn meanwhile. Returns whether it was done; where not, another tab was quicker, and the user is asked.
 */
export async function decide(photograph, verb) {
  const { moves } = photograph.history;
  await stored(photograph);
  if (photograph.history.moves !== moves) throw new Error("the photograph was changed before the mask was judged");
  return judge(photograph, verb, {}, (given) => {
    if (photograph.unsaved || photograph.history.moves !== moves) photograph.history.insertBelow(given);
    else photograph.history.push(given);
  });
}

/**
 * Where undo and redo have led to a verdict, have the server give it again, with the very mask that was accepted.
 * Returns whether it was done; where an error says why not, the photograph is left open.
 */
export async function decideAgain(photograph) {
  const { history, record: { verdict, acceptedAt } } = photograph;
  const { moves } = history;
  let isDone = false;
  const verb = verdict === "accepted" ? "accept" : "reject";
  const extra = verb === "accept" && acceptedAt !== undefined ? { of: acceptedAt } : {};
  try {
    await stored(photograph);
    if (history.moves !== moves) return false;
    const step = photograph.record;
    isDone = await judge(photograph, verb, extra, (given) => {
      if (history.moves === moves) history.replace(given);
      else history.exchange(step, given);
    });
    return isDone;
  } finally {
    if (!isDone && history.moves === moves) history.replace(reopened(photograph.record));
  }
}

function judge(photograph, verb, extra, keep) {
  return alone(async () => {
    try {
      const seconds = Math.round(photograph.seconds * 10) / 10;
      const { id, revision } = photograph;
      const answer = await post(verb, { id, revision, seconds, ...extra });
      photograph.revision = answer.revision;
      keep(stepOf(answer.record, answer.revision));
      note(photograph, answer);
      tell("stored", photograph);
      return true;
    } catch (error) {
      if (!(error instanceof Refused && error.status === 409 && error.body.record)) throw error;
      photograph.unsaved = true;
      unsaved.add(photograph);
      fail(photograph, error);
      return false;
    }
  });
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
    photograph.history.insertBelow(stepOf(record, revision));
    save(photograph);
  }
  if (photograph === state.current) tell("record");
  tell("saving");
}

addEventListener("online", retry);
addEventListener("beforeunload", (event) => {
  if (somethingUnsaved()) event.preventDefault();
});

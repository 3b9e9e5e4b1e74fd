// The list of classes as the server last gave it, and what a change of it means for the records that the page holds.
import { say } from "./editing.js";
import { knownPhotographs } from "./photograph.js";
import { renamed, whole, withOpenClass, withoutClass } from "./record.js";
import { retry } from "./saving.js";
import { state, tell } from "./state.js";

/** [[old name, new name], ...]: another tab renames in place; a list that was changed otherwise tells no names. */
function renamedIn(before, after) {
  if (before.length !== after.length) return [];
  const pairs = before.map((name, index) => [name, after[index]]).filter(([old, name]) => old !== name);
  return pairs.every(([old, name]) => !after.includes(old) && !before.includes(name)) ? pairs : [];
}

/** What has happened to the names; `pair` is the old and the new name of a class that was renamed here. */
function difference(classes, pair) {
  const after = classes.map(({ name }) => name);
  const known = pair ? [pair] : [];
  const now = state.classes.map(({ name }) => (name === pair?.[0] ? pair[1] : name));
  const more = renamedIn(now, after);
  const [old, fresh] = [more.map(([name]) => name), more.map(([, name]) => name)];
  return {
    pairs: [...known, ...more],
    gone: now.filter((name) => !after.includes(name) && !old.includes(name)),
    come: after.filter((name) => !now.includes(name) && !fresh.includes(name)),
  };
}

function changed(record, { pairs, gone, come }) {
  let now = record;
  for (const [old, name] of pairs) now = renamed(now, old, name);
  for (const name of gone) now = withoutClass(now, name);
  for (const name of come) now = withOpenClass(now, name);
  return now;
}

/**
 * Take the classes, where the page has changed them with {id: revision} of the photographs whose record the server has
 * changed with them, and with the old and the new name of the one that was renamed.
 */
export function takeClasses(classes, revisions = {}, pair = null) {
  const isOther = JSON.stringify(state.classes) !== JSON.stringify(classes);
  if (isOther) changeRecords(classes, pair);
  for (const photograph of knownPhotographs()) raise(photograph, revisions[photograph.id]);
  const { current } = state;
  if (isOther) tell("classes");
  if (isOther && current) tell("record");
  if (current && !current.unsaved && current.id in revisions) tell("overtaken", current);
  if (isOther) retry(); // what has just been refused may be taken now
}

function changeRecords(classes, pair) {
  const what = difference(classes, pair);
  state.className = what.pairs.find(([old]) => old === state.className)?.[1] ?? state.className;
  state.classes = classes;
  for (const photograph of knownPhotographs()) {
    photograph.history.map((record) => changed(record, what));
    if (photograph.conflict) photograph.conflict.record = changed(whole(photograph.conflict.record), what);
  }
  const said = what.pairs.map(([old, name]) => `${old} is called ${name} now.`);
  said.push(...what.gone.map((name) => `${name} is no class any more.`));
  if (said.length) say(said.join(" "));
}

/** A change of the classes is no conflict by itself; where another tab has changed more, the old revision says so. */
function raise(photograph, revision) {
  if (revision === undefined) return;
  const { conflict } = photograph;
  if (conflict?.revision === revision - 1) conflict.revision = revision;
  if (photograph.revision !== revision - 1) return;
  photograph.revision = revision;
  const entry = state.byId.get(photograph.id);
  if (entry) entry.revision = revision;
}

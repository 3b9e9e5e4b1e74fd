// Changes of the record in front: each is a step that can be undone, is shown at once, and is stored.
import { recall } from "./mask.js";
import { isDrawn, isEmpty, isSaid, tagOf, withTag, withoutMark, withoutMarks, withoutTags } from "./record.js";
import { decideAgain, save } from "./saving.js";
import { state, tell } from "./state.js";

/** Say something to whoever looks and to whoever listens. */
export const say = (text) => tell("say", { text, isSeen: true });

/** Say what can be seen anyway to those who listen. */
export const whisper = (text) => tell("say", { text, isSeen: false });

export function change(record) {
  state.current.history.push(record);
  changed();
}

function changed() {
  state.selection = null;
  if (state.hint && !state.hint.kept) state.hint = null;
  save(state.current);
  tell("record");
  tell("hint");
}

export function undo() {
  if (!state.current?.history.canUndo) return say("Nothing to undo.");
  state.current.history.undo();
  stepped("Undone.");
}

export function redo() {
  if (!state.current?.history.canRedo) return say("Nothing to redo.");
  state.current.history.redo();
  stepped("Done again.");
}

function stepped(text) {
  const { current } = state;
  const { verdict } = current.record;
  const shows = () => current === state.current && tell("record");
  recall(current.record);
  changed();
  say(text);
  if (!verdict) return;
  decideAgain(current).then(shows, (error) => {
    shows();
    say(`The verdict could not be given again, the photograph is open: ${error.message}`);
  });
}

export function removeSelected() {
  if (!state.selection) return say("Select a mark first.");
  change(withoutMark(state.current.record, state.selection));
  say("Mark removed.");
}

export function removeAll() {
  if (!state.current || isEmpty(state.current.record)) return say("There are no marks.");
  change(withoutMarks(state.current.record));
  say("All marks removed. Undo brings them back.");
}

const NEXT = { unsaid: "present", absent: "present", present: "unknown", unknown: "absent" };

/** The class is there, it is open whether it is, it is not there: the next of these. */
export function turnTag(name) {
  const { record } = state.current;
  const drawn = isDrawn(record, name);
  if (drawn && tagOf(record, name) === "present") return say(`${name} is drawn, so it is there.`);
  setTag(name, drawn ? "present" : NEXT[tagOf(record, name)]);
}

const SAID = { present: "there", unknown: "not known", absent: "not there" };

function setTag(name, tag) {
  change(withTag(state.current.record, name, tag));
  whisper(`${name}: ${SAID[tag]}.`);
}

/** None of the classes is here. */
export function sayNone() {
  if (!state.current || isSaid(state.current.record)) return say("Something is said of this photograph already.");
  change(withoutTags(state.current.record));
  say("None of the classes is here.");
}

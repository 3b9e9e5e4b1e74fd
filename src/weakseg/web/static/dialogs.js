// Dialogs: all keys, and a photograph that another tab has changed meanwhile.
import { say } from "./editing.js";
import { byId, write } from "./make.js";
import { marksOf, whole } from "./record.js";
import { resolve } from "./saving.js";
import { on } from "./state.js";

const help = byId("help");
const conflict = byId("conflict");
const waiting = []; // photographs whose conflict is not solved

on("help", () => help.showModal());
byId("help-close").addEventListener("click", () => help.close());

const amount = (record) => {
  const count = marksOf(whole(record)).length;
  return `${count} ${count === 1 ? "mark" : "marks"}${record.verdict ? `, ${record.verdict}` : ""}`;
};

on("conflict", (photograph) => {
  if (!waiting.includes(photograph)) waiting.push(photograph);
  if (!conflict.open) askFirst();
});

function askFirst() {
  const [photograph] = waiting;
  if (!photograph) return;
  write(byId("conflict-file"), photograph.file);
  write(byId("conflict-theirs"), amount(photograph.conflict.record));
  write(byId("conflict-mine"), amount(photograph.record));
  conflict.showModal();
}

function solve(choice) {
  const photograph = waiting.shift();
  conflict.close();
  resolve(photograph, choice);
  say(choice === "theirs" ? "Theirs is shown. Undo brings yours back." : "Yours is kept. Undo leads to theirs.");
  askFirst();
}

byId("take-theirs").addEventListener("click", () => solve("theirs"));
byId("keep-mine").addEventListener("click", () => solve("mine"));
conflict.addEventListener("cancel", (event) => event.preventDefault()); // one of both has to be chosen

// The panel that trains: start and stop, how far it is, and what came of it.
import { get, post } from "./api.js";
import { say } from "./editing.js";
import { byId, make, write } from "./make.js";
import { on } from "./state.js";

const EVERY_SECONDS = 1;
const WORDS = { none: "", running: "Running", done: "Done", failed: "Failed", stopped: "Stopped" };
const log = byId("train-log");
let timer = null;
let before = null;

function show(training) {
  const { state: word, seconds, lines = [], step, folder, labelled, needed, links = [] } = training;
  const runs = word === "running";
  const start = byId("train-start");
  start.hidden = runs;
  start.disabled = Boolean(needed);
  write(start, word === "none" ? "Train" : word === "stopped" ? "Go on" : "Train again");
  byId("train-stop").hidden = !runs;
  const ready = word === "none" ? `${labelled} photographs with labels are learned from.` : "";
  write(byId("train-needed"), needed ?? ready);
  const time = seconds ? ` · ${duration(seconds)}` : "";
  write(byId("train-state"), WORDS[word] && `${WORDS[word]}${step && runs ? `: ${step}` : ""}${time}`);
  byId("train-state").dataset.state = word;
  byId("train-bar").hidden = !runs;
  showLog(lines, word);
  byId("train-links").replaceChildren(...links.map(({ text, href }) =>
    make("li", {}, make("a", { href, target: "_blank", rel: "noopener" }, text))));
  write(byId("train-folder"), folder && word !== "none" ? `In ${folder}` : "");
  if (before === "running" && !runs) say(`Training: ${WORDS[word].toLowerCase()}.`);
  before = word;
  clearTimeout(timer);
  if (runs) timer = setTimeout(look, EVERY_SECONDS * 1000);
}

function showLog(lines, word) {
  byId("train-lines").hidden = !lines.length;
  const atEnd = log.scrollHeight - log.scrollTop - log.clientHeight < 24;
  write(log, lines.join("\n"));
  if (atEnd) log.scrollTop = log.scrollHeight;
  if (word === "failed" && before !== "failed") byId("train-lines").open = true;
}

function duration(seconds) {
  const minutes = Math.floor(seconds / 60);
  return minutes ? `${minutes} min ${Math.round(seconds % 60)} s` : `${Math.round(seconds)} s`;
}

/** Ask how far it is; where there is no answer, ask again later. */
export async function look() {
  try {
    show(await get("train"));
  } catch (error) {
    write(byId("train-state"), error.message);
    clearTimeout(timer);
    timer = setTimeout(look, 5000);
  }
}

async function act(action) {
  try {
    show(await post("train", { action }));
    say(action === "start" ? "Training has started." : "Training stops.");
  } catch (error) {
    write(byId("train-needed"), error.message);
    say(error.message);
  }
}

byId("train-start").addEventListener("click", () => act("start"));
byId("train-stop").addEventListener("click", () => act("stop"));
byId("train-panel").addEventListener("toggle", () => byId("train-panel").open && look());
on("training", show);
let asked = 0;
on("stored", () => {
  clearTimeout(asked); // one more photograph may be what was needed
  asked = setTimeout(() => byId("train-panel").open && before !== "running" && look(), 1000);
});

// What is told beside the photograph: names and states, the mask, the marks, the view, saving, notices.
import { whisper } from "./editing.js";
import { byId, make, write } from "./make.js";
import { ask, shares, shown } from "./mask.js";
import { describe, inWords, marksOf } from "./record.js";
import { retry, savingState } from "./saving.js";
import { colourOf, css, nameOf, on, setOption, state, tell } from "./state.js";
import { TOOLS, radiusInPixels } from "./tools.js";
import { stage, view } from "./view.js";

const VERDICTS = { accepted: "accepted", rejected: "rejected" };
const MAKERS = {
  a2gnn: "a graph network of this photograph", clicks: "what each place has to do with the marks", tags: "the tags", run: "the run",
  drawn: "what is drawn",
};

// The name

function showName(problem = null) {
  const { current, front } = state;
  const entry = state.byId.get(front);
  write(byId("file"), entry?.file ?? "no photograph");
  document.title = entry ? `${entry.file} · weakseg` : "weakseg";
  const index = state.photographs.indexOf(entry);
  write(byId("place"), entry ? `${index + 1} of ${state.photographs.length}` : "");
  byId("broken").hidden = Boolean(current) || !front;
  if (typeof problem === "string") write(byId("broken"), problem);
  byId("start").hidden = state.photographs.length > 0;
  showVerdict();
}

function showVerdict() {
  const verdict = state.current?.record.verdict;
  const chip = byId("verdict");
  chip.hidden = !verdict;
  chip.dataset.verdict = verdict ?? "";
  write(chip, VERDICTS[verdict] ?? "");
}

// The mask

function word(reliability) {
  if (reliability >= 0.75) return "looks right";
  return reliability >= 0.5 ? "have a look" : "doubtful";
}

function maskLine([label, share]) {
  const name = nameOf(label);
  const reliability = shown.facts?.reliability?.[name];
  const swatch = make("span.swatch", { "aria-hidden": "true" });
  swatch.style.background = label === 255 ? "" : css(colourOf(name));
  const percent = share < 0.01 ? "under 1 %" : `${Math.round(share * 100)} %`;
  const isKnown = typeof reliability === "number";
  const sure = make("span.sure", {}, isKnown ? `${word(reliability)} (${Math.round(reliability * 100)} %)` : "");
  if (isKnown) sure.dataset.sure = word(reliability);
  const reasons = reliability < 0.75 ? shown.facts.reasons?.[name] ?? [] : [];
  const isWarned = shown.facts?.warnings?.some((text) => text.includes(`'${name}'`)); // with the reasons
  if (reasons.length && !isWarned) sure.append(`: ${reasons.join("; ")}`);
  return make("li", {}, swatch, make("span.name", {}, name), make("span.share", {}, percent), sure);
}

function showMask() {
  const { facts, error, waiting, map } = shown;
  const parts = shares();
  byId("mask-list").replaceChildren(...(map ? parts.map(maskLine) : []));
  byId("mask-warnings").replaceChildren(...(facts?.warnings ?? []).map((text) => make("li", {}, text)));
  const maker = facts?.by === "accepted" ? "Accepted by you" : `Made by ${MAKERS[facts?.by] ?? facts?.by}`;
  const made = !facts ? "" : facts.draft ? "A first mask" : maker;
  const time = facts?.seconds && !["accepted", "drawn"].includes(facts.by) ? ` in ${facts.seconds.toFixed(2)} s` : "";
  const empty = map ? "All of it is background. " : "No mask yet. Draw a mark, or say which classes are there.";
  const nothing = parts.length ? "" : empty;
  write(byId("mask-made"), error ?? `${nothing}${made}${made ? `${time}.` : ""}${facts?.draft ? " The better one is on its way." : ""}`);
  byId("mask-made").classList.toggle("bad", Boolean(error));
  askAgain.hidden = !shown.hasFailed;
  document.body.classList.toggle("waiting", waiting);
}

const askAgain = make("button.small", { type: "button", id: "mask-again", hidden: true }, "Try again");
askAgain.addEventListener("click", () => state.current && ask(state.current));
byId("mask-made").after(askAgain);

/** Said when a mask of the server has arrived, not while a brush paints. */
let told = 0;
function sayMask() {
  if (shown.arrivals === told || shown.waiting) return;
  told = shown.arrivals;
  const parts = shares().map(([label, share]) => `${nameOf(label)} ${Math.max(1, Math.round(share * 100))} percent`);
  write(byId("mask-said"), shown.error ?? (parts.length ? `Mask: ${parts.join(", ")}.` : "The mask is empty."));
  describeStage();
}

// The marks

function showMarks() {
  const list = byId("marks");
  const all = state.current ? marksOf(state.current.record) : [];
  list.replaceChildren(...all.map(markLine));
  write(byId("marks-count"), all.length ? String(all.length) : "");
  byId("no-marks").hidden = all.length > 0;
  describeStage();
}

function markLine(one) {
  const chosen = state.selection?.kind === one.kind && state.selection.index === one.index;
  const button = make("button.mark", { type: "button", "aria-pressed": String(chosen) }, describe(one));
  button.addEventListener("click", () => {
    state.selection = chosen ? null : { kind: one.kind, index: one.index };
    tell("selection");
    if (!chosen) whisper(`${describe(one)} selected. Delete removes it.`);
  });
  return make("li", {}, button);
}

function showSelection() {
  const focused = [...byId("marks").querySelectorAll("button")].indexOf(document.activeElement);
  showMarks();
  byId("marks").querySelectorAll("button")[focused]?.focus();
}

function describeStage() {
  const { current } = state;
  if (!current) return stage.setAttribute("aria-label", "No photograph");
  const marks = inWords(current.record) || "no marks";
  const mask = shares().map(([label, share]) => `${nameOf(label)} ${Math.round(share * 100)} %`).join(", ");
  const size = `${current.size[1]} by ${current.size[0]} pixels`;
  const text = `Photograph ${current.id}, ${size}. ${marks}. Mask: ${mask || "none"}. K draws by keyboard.`;
  stage.setAttribute("aria-label", text);
}

// View and tools

const SLIDERS = ["opacity", "brightness", "contrast"];

for (const name of SLIDERS) {
  byId(name).addEventListener("input", (event) => setOption(name, Number(event.target.value) / 100));
}
byId("radius").addEventListener("input", (event) => setOption("radius", 10 ** (Number(event.target.value) / 100)));

function showOptions() {
  for (const name of SLIDERS) {
    const percent = Math.round(state.options[name] * 100);
    byId(name).value = percent;
    write(byId(`${name}-value`), `${percent} %`);
  }
  byId("radius").value = Math.log10(state.options.radius) * 100;
  const pixels = state.current ? 2 * radiusInPixels() : 0;
  write(byId("radius-value"), pixels ? `${pixels < 10 ? pixels.toFixed(1) : Math.round(pixels)} px` : "");
  byId("radius").setAttribute("aria-valuetext", `${pixels.toFixed(1)} pixels wide`);
}

const ADVICE = {
  select: "Click a mark to select it; Delete removes it. Drag to move the photograph.",
  tags: "Say which classes are there, with their keys or the signs beside them.",
  box: "Drag a box tightly around one object.",
  point: "Click on the object. The right button, or class 0, marks background.",
  stroke: "Draw a stroke within the object. The right button marks background.",
  polygon: "Click corners around the object; Enter or a double click closes.",
  brush: "Paint the class onto the mask.",
  eraser: "Paint background onto the mask.",
};

function showTool() {
  write(byId("advice"), state.keyboard ? "Arrows move the crosshair, Enter draws, Escape leaves." : ADVICE[state.tool]);
  byId("brush-size").hidden = !TOOLS[state.tool].paints;
}

const showZoom = () => write(byId("zoom"), `${Math.round(view.scale * devicePixelRatio * 100)} %`);

// Saving, what is said, notices

function showSaving() {
  const { word: now, why, again } = savingState();
  const element = byId("saved");
  element.dataset.saved = now;
  write(element, now === "not saved" ? `not saved: ${why}` : now);
  byId("save-again").hidden = now !== "not saved";
  byId("save-again").title = again ? `Tried again every ${Math.round(again)} s` : "Try again";
}

let silence = null;

on("say", ({ text, isSeen }) => {
  byId("said").textContent = text; // read again even where it is the same
  byId("said").classList.toggle("shown", isSeen);
  clearTimeout(silence);
  silence = setTimeout(() => byId("said").classList.remove("shown"), 4000);
});

const noticed = new Set(); // texts that were shown; one that was closed does not come back

function notice(text) {
  if (noticed.has(text)) return;
  noticed.add(text);
  const close = make("button.close", { type: "button", "aria-label": "Close this notice" }, "×");
  const element = make("li.notice", {}, make("span", {}, text), close);
  close.addEventListener("click", () => element.remove());
  byId("notices").append(element);
}

on("notices", (texts) => texts.forEach(notice));

byId("save-again").addEventListener("click", retry);
on("photograph", showName);
on("record stored", showVerdict);
on("record photograph", showMarks);
on("selection", showSelection);
on("mask", showMask);
on("mask", sayMask);
on("options photograph", showOptions);
on("tool focus photograph", showTool);
on("view photograph", showZoom);
on("saving conflict", showSaving);

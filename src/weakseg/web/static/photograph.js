// One photograph: its record, its steps, and how much of it is stored.
import { History } from "./history.js";
import { stepOf } from "./record.js";
import { state } from "./state.js";

const known = new Map(); // id -> Photograph; kept, with its steps, until the page is closed

export class Photograph {
  constructor(answer) {
    this.id = answer.id;
    this.file = answer.file;
    this.size = answer.size;
    this.revision = answer.revision;
    this.history = new History(stepOf(answer.record, answer.revision), state.undoSteps);
    this.seconds = answer.record.effort?.seconds ?? 0;
    this.unsaved = false;
    this.conflict = null; // {revision, record} of somebody else
    this.refused = null; // why the server does not take it
  }

  get record() {
    return this.history.now;
  }

  /** What is sent: time goes on whatever is undone. */
  get sent() {
    const { acceptedAt, ...record } = this.record;
    return { ...record, size: this.size, effort: { seconds: Math.round(this.seconds * 10) / 10 } };
  }

  /** Take what the server has, as a step of its own where it differs. */
  take({ revision, record }) {
    if (revision === this.revision) return;
    this.revision = revision;
    this.seconds = Math.max(this.seconds, record.effort?.seconds ?? 0);
    this.history.push(stepOf(record, revision));
  }

  /** Take what the server has in place of the present step: a class has changed, and nothing else. */
  correct({ revision, record }) {
    this.revision = revision;
    const { acceptedAt = revision } = this.record;
    this.history.replace(stepOf(record, acceptedAt));
  }
}

/** The photograph of an answer of api/photograph; unsaved marks of this page stay. */
export function remembered(answer) {
  const photograph = known.get(answer.id);
  if (!photograph) known.set(answer.id, new Photograph(answer));
  else if (!photograph.unsaved) photograph.take(answer);
  return known.get(answer.id);
}

export const knownPhotographs = () => [...known.values()];

// Time counts while the page is used: the gap between two inputs, unless it is longer than this.
const LONGEST_GAP_SECONDS = 20;
let last = performance.now();

function used() {
  const now = performance.now();
  const gap = (now - last) / 1000;
  last = now;
  if (state.current && gap < LONGEST_GAP_SECONDS) state.current.seconds += gap;
}

for (const name of ["pointerdown", "pointermove", "keydown", "wheel"]) {
  addEventListener(name, used, { capture: true, passive: true });
}

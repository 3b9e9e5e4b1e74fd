// The states that one photograph's record went through.

export class History {
  #steps;
  #at = 0;
  #moves = 0;
  #limit;

  constructor(first, limit) {
    this.#steps = [first];
    this.#limit = limit;
  }

  get now() {
    return this.#steps[this.#at];
  }

  /** How often another state was gone to; the same number is the same state, whatever its words. */
  get moves() {
    return this.#moves;
  }

  get canUndo() {
    return this.#at > 0;
  }

  get canRedo() {
    return this.#at < this.#steps.length - 1;
  }

  /** A new state; what was undone before it is forgotten, and so is what is older than the limit. */
  push(record) {
    this.#steps.splice(this.#at + 1, Infinity, record);
    this.#steps.splice(0, this.#steps.length - 1 - this.#limit);
    this.#at = this.#steps.length - 1;
    this.#moves += 1;
  }

  /** The same state in other words, as the server writes it. */
  replace(record) {
    this.#steps[this.#at] = record;
  }

  /** The same for any state, wherever it lies now; none where it is forgotten. */
  exchange(step, record) {
    const at = this.#steps.indexOf(step);
    if (at >= 0) this.#steps[at] = record;
  }

  /** Somebody else's state, one step below the present one. */
  insertBelow(record) {
    this.#steps.splice(this.#at, 0, record);
    this.#at += 1;
  }

  undo() {
    if (!this.canUndo) return;
    this.#at -= 1;
    this.#moves += 1;
  }

  redo() {
    if (!this.canRedo) return;
    this.#at += 1;
    this.#moves += 1;
  }

  map(change) {
    this.#steps = this.#steps.map(change);
  }
}

// The states that one photograph's record went through.

export class History {
  #steps;
  #at = 0;
  #limit;

  constructor(first, limit) {
    this.#steps = [first];
    this.#limit = limit;
  }

  get now() {
    return this.#steps[this.#at];
  }

  /** Where it stands; the same number and the same `now` are the same state. */
  get place() {
    return this.#at;
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
  }

  /** The same state in other words, as the server writes it. */
  replace(record) {
    this.#steps[this.#at] = record;
  }

  /** Somebody else's state, one step below the present one. */
  insertBelow(record) {
    this.#steps.splice(this.#at, 0, record);
    this.#at += 1;
  }

  undo() {
    if (this.canUndo) this.#at -= 1;
  }

  redo() {
    if (this.canRedo) this.#at += 1;
  }

  map(change) {
    this.#steps = this.#steps.map(change);
  }
}

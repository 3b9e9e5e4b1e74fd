// Records: what is said of one photograph, as docs/data.md describes it. Nothing here changes a record; each function
// returns a new one.
import { BACKGROUND, IGNORED } from "./state.js";

export const KINDS = ["points", "scribbles", "boxes", "regions"];

/** The record with every list in its place, but for `unknown`: without it nothing may have been said yet. */
export const whole = (record) => ({ tags: [], boxes: [], points: [], scribbles: [], regions: [], ...record });

/** Has anything been said? Then classes that are neither there nor open are absent. */
export const isSaid = (record) =>
  Boolean(record.tags.length || record.unknown || record.verdict || !isEmpty(record));

/** A record of the server as a step; an accepted one remembers the revision at which its mask was accepted. */
export function stepOf(record, revision) {
  return record.verdict === "accepted" ? { ...whole(record), acceptedAt: revision } : whole(record);
}

/** What is drawn or said after a verdict takes the verdict back. */
export function reopened(record) {
  const { verdict, mask, acceptedAt, ...rest } = record;
  return rest;
}

const isClass = (name) => name !== undefined && name !== BACKGROUND && name !== IGNORED;

export function withMark(record, kind, mark) {
  const added = { ...reopened(record), [kind]: [...record[kind], mark] };
  return isClass(mark.class) ? withTag(added, mark.class, "present") : added;
}

export function withoutMark(record, { kind, index }) {
  return { ...reopened(record), [kind]: record[kind].filter((_, place) => place !== index) };
}

export function withoutMarks(record) {
  return { ...reopened(record), boxes: [], points: [], scribbles: [], regions: [] };
}

export function tagOf(record, name) {
  if (record.tags.includes(name)) return "present";
  if (record.unknown?.includes(name)) return "unknown";
  return isSaid(record) ? "absent" : "unsaid";
}

export function withTag(record, name, tag) {
  const others = (list) => list.filter((one) => one !== name);
  return {
    ...reopened(record),
    tags: tag === "present" ? [...others(record.tags), name] : others(record.tags),
    unknown: tag === "unknown" ? [...others(record.unknown ?? []), name] : others(record.unknown ?? []),
  };
}

/** No class is there. */
export const withoutTags = (record) => ({ ...reopened(record), tags: [], unknown: [] });

/** A class that was added: what is said already says nothing of it. */
export const withOpenClass = (record, name) =>
  tagOf(record, name) === "absent" ? { ...record, unknown: [...(record.unknown ?? []), name] } : record;

/** A class that was removed is not open any longer, nor there; what is drawn of it stays: the user removes it. */
export function withoutClass(record, name) {
  const others = (list) => list.filter((one) => one !== name);
  const changed = { ...record, tags: isDrawn(record, name) ? record.tags : others(record.tags) };
  if (record.unknown) changed.unknown = others(record.unknown);
  return changed;
}

/** Is the class drawn, so that its tag cannot be taken away? */
export const isDrawn = (record, name) => KINDS.some((kind) => record[kind].some((mark) => mark.class === name));

/** All marks, those that lie on top first. */
export function marksOf(record) {
  return KINDS.flatMap((kind) => record[kind].map((mark, index) => ({ kind, index, mark })).reverse());
}

export const isEmpty = (record) => KINDS.every((kind) => !record[kind].length);

export function describe({ kind, mark }) {
  const name = mark.ignored ? "what does not count" : mark.class;
  if (kind === "boxes") return `Box of ${name}`;
  if (kind === "points") return `Point of ${name}`;
  if (kind === "scribbles") return `Stroke of ${name}`;
  if (mark.outline) return `Polygon of ${name}`;
  return mark.path ? `Brush of ${name}` : `Region of ${name}`;
}

/** "2 boxes of cow, 1 point of background", for those who do not see them. */
export function inWords(record) {
  const counts = new Map();
  for (const one of marksOf(record)) counts.set(describe(one), (counts.get(describe(one)) ?? 0) + 1);
  return [...counts].map(([text, count]) => (count > 1 ? `${text}, ${count} times` : text)).join("; ");
}

/** The record after a class got another name. */
export function renamed(record, before, after) {
  const list = (names) => names.map((name) => (name === before ? after : name));
  const marks = KINDS.map((kind) => [
    kind, record[kind].map((mark) => (mark.class === before ? { ...mark, class: after } : mark)),
  ]);
  const changed = { ...record, ...Object.fromEntries(marks), tags: list(record.tags) };
  if (record.unknown) changed.unknown = list(record.unknown);
  if (record.mask) {
    changed.mask = Object.fromEntries(Object.entries(record.mask).map(([name, runs]) => [list([name])[0], runs]));
  }
  return changed;
}

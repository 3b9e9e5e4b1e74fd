"""What to draw next on the page."""

from collections.abc import Iterable, Mapping
from typing import Any

from weakseg.stages.known import KnownClass, KnownPhotograph, MarkKind, State
from weakseg.stages.queue import Candidate, what_to_draw
from weakseg.stages.reliability import Reliability
from weakseg.web.entry import Entry
from weakseg.web.labels import LabelBook
from weakseg.web.trained import Trained
from weakseg.web.worker import Answer

KINDS: dict[str, MarkKind] = {"boxes": "box", "scribbles": "stroke", "points": "click"}  # the strongest first
TOOLS: dict[MarkKind, str] = {"tag": "tag", "click": "point", "stroke": "scribble", "box": "box"}
STATES: dict[str, State] = {
    "empty": "nothing",
    "tagged": "tags",
    "drawn": "drawn",
    "accepted": "accepted",
    "rejected": "rejected",
    "broken": "accepted",  # nothing can be drawn on it
}


def next_labels(
    images: Iterable[str], book: LabelBook, answers: Mapping[str, Answer], trained: Trained | None
) -> list[dict[str, Any]]:
    """Return what to draw next, the best first, as a browser gets it.

    Args:
        images: Ids of the photographs.
        book: What is said of them.
        answers: Masks that have been made.
        trained: A run and its masks; ``None``: there is none.
    """
    doubts = trained.doubts if trained else {}
    known = [_known(one, book.entry(one), answers.get(one), doubts.get(one, {})) for one in images]
    return [_queued(one) for one in what_to_draw(known, book.classes.names if book.classes else ())]


def _known(image_id: str, entry: Entry, answer: Answer | None, doubts: Mapping[str, Reliability]) -> KnownPhotograph:
    shown = answer.shown if answer else None
    state = "tags" if doubts and not entry.record else STATES[entry.state]
    reliability = shown.reliability if shown else doubts
    found = []
    for name in sorted({*entry.classes, *doubts} - entry.outlined):
        doubt, share = reliability.get(name), shown.shares.get(name) if shown else None
        value, reasons = (doubt.value, doubt.reasons) if doubt else (None, ())
        parts = shown.parts.get(name, 1) if shown else 1
        found.append(KnownClass(name, value, share, parts, _kind(entry, name), reasons=reasons))
    return KnownPhotograph(image_id, state, tuple(found))


def _kind(entry: Entry, name: str) -> MarkKind:
    """Return the strongest kind of mark that a class has."""
    kinds = (kind for key, kind in KINDS.items() if any(one.get("class") == name for one in entry.of_kind(key)))
    return next(kinds, "tag")


def _queued(one: Candidate) -> dict[str, Any]:
    """Return a label that may be drawn next as a browser gets it."""
    left, top, right, bottom = one.region or (0, 0, 0, 0)
    return {
        "id": one.photograph,
        "class": one.name,
        "kind": TOOLS[one.kind],
        "box": [top, left, bottom, right] if one.region else None,
        "reason": one.reason,
        "gain": round(one.gain, 4),
        "seconds": one.seconds,
    }

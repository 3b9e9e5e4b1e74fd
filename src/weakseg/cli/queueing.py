"""What ``weakseg queue`` does: the labels that bring most a second, as a table and as a file."""

import csv
import io
from collections.abc import Sequence
from pathlib import Path

from jsonargparse import Namespace

from weakseg.data.classes import Classes
from weakseg.data.paths import read_classes
from weakseg.errors import ConfigError
from weakseg.files import write_bytes
from weakseg.methods.finished import open_finished
from weakseg.methods.queue import known_photographs, read_since
from weakseg.settings.rules import spoken
from weakseg.stages.known import MARK_KINDS, KnownPhotograph, MarkKind
from weakseg.stages.queue import Candidate, what_to_draw

COLUMNS = ("image", "class", "label", "gain", "seconds", "left", "top", "right", "bottom", "reason")
SHOWN = ("image", "class", "label", "gain", "seconds", "where", "why")
ALL_CLASSES = "(all)"  # of tags


def queue(given: Namespace) -> str:
    """Return a table of what to draw next, and write it where that is asked for.

    Raises:
        ConfigError: If a kind of label is unknown, or the run knows nothing of its masks.
        DataError: If the run's data set, or a file of labels or verdicts, cannot be used.
    """
    kinds = _kinds(given.kinds)
    if given.first < 0:
        raise ConfigError(f"--first: must be 0 or more, got {given.first}")
    run = open_finished(given.run, given.method)
    classes = Classes(read_classes(given.run, ()) or ())
    photographs = known_photographs(run, read_since(given.labels, given.verdicts, classes))
    found = what_to_draw(photographs, classes.names, kinds=kinds)
    listed = found[: given.first or None]
    if given.out is not None:
        write_queue(given.out, listed)
    told = [f"{given.out}: {len(listed)} labels"] if given.out is not None else []
    return "\n".join((*_table(listed), _summary(photographs, found, len(listed)), *told))


def write_queue(path: Path, listed: Sequence[Candidate]) -> None:
    """Write one row for each label, the best first; ``class`` is empty for tags, the region where nothing is uncertain.

    Raises:
        OutputError: If the file cannot be written.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for one in listed:
        numbers = (f"{one.gain:.4f}", f"{one.seconds:.1f}")
        writer.writerow((one.photograph, one.name, one.kind, *numbers, *(one.region or ("",) * 4), one.reason))
    write_bytes(path, text.getvalue().encode())


def _kinds(text: str) -> tuple[MarkKind, ...]:
    if not text:
        return MARK_KINDS
    words = [word.strip() for word in text.split(",")]
    if unknown := [word for word in words if word not in MARK_KINDS]:
        raise ConfigError(f"--kinds: there is no {unknown[0]!r}; choose {spoken(MARK_KINDS)}")
    return tuple(kind for kind in MARK_KINDS if kind in words)


def _table(listed: Sequence[Candidate]) -> list[str]:
    """Return the labels in columns."""
    rows = [SHOWN, *map(_row, listed)] if listed else []
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _row(one: Candidate) -> tuple[str, ...]:
    where = ",".join(map(str, one.region)) if one.region else "-"
    name = one.name or ALL_CLASSES
    return one.photograph, name, one.kind, f"{one.gain:.3f}", f"{one.seconds:.0f}", where, one.reason


def _summary(photographs: Sequence[KnownPhotograph], found: Sequence[Candidate], listed: int) -> str:
    """Return how many labels there are, what they would take, and what was left out."""
    accepted = sum(one.state == "accepted" for one in photographs)
    asked = len({one.photograph for one in found})
    minutes = sum(one.seconds for one in found) / 60
    return (
        f"{listed} of {len(found)} labels on {asked} of {len(photographs)} photographs; all of them take about "
        f"{minutes:.0f} minutes. {accepted} photographs are accepted, of the rest nothing is asked where no label is "
        "expected to help. gain: points of mIoU (%), an estimate; where: left,top,right,bottom"
    )

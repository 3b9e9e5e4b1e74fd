"""Tags of photographs before class names are bound to ids. Absent, present and unknown are three states."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.paths import image_id_of
from weakseg.data.sample import Tags
from weakseg.errors import DataError, quoted
from weakseg.names import composed

State = bool | None


@dataclass(frozen=True, slots=True)
class TagRow:
    """What one row of a tag file says.

    Attributes:
        image: Image name as written.
        where: File and line, or file and key, for errors.
        states: Class name to present (``True``), absent (``False``) or unknown (``None``).
        reason: Why the row, or a part of it, is left out; empty where nothing is.
        doubtful: Names in what is left out, which are unknown if they are classes; ``None``: it may name any class.
    """

    image: str
    where: str
    states: Mapping[str, State]
    reason: str = ""
    doubtful: frozenset[str] | None = frozenset()

    def mapped(self, class_map: ClassMap) -> "TagRow":
        """Return the row with class names as ``class_map`` makes them; what it ignores is doubtful unless absent."""
        states = class_map.states(self.states)
        if self.doubtful is None:
            return replace(self, states=states)
        targets = {class_map.target(name) or name for name in self.doubtful}
        ignored = {name for name, state in self.states.items() if state is not False and not class_map.target(name)}
        renamed = {class_map.renamed(name) for name in ignored}
        return replace(self, states=states, doubtful=frozenset(targets | ignored | renamed))


@dataclass(frozen=True)
class TagTable:
    """A tag file before its class names are bound to class ids.

    Attributes:
        path: The file, or the folder of class folders.
        rows: Its rows in order; several rows of one image add up.
        asked: Class names that the file decides on; others are unknown, unless a row says otherwise. ``None``: all, so
            others are absent.
        skipped: Reason by file and line of rows that are of no image, or say nothing new.
    """

    path: Path
    rows: tuple[TagRow, ...]
    asked: frozenset[str] | None = None
    skipped: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a table without a usable row, and images that would share one id."""
        dropped = self.dropped
        if all(row.reason for row in self.rows) and dropped:
            where, reason = next(iter(dropped.items()))
            raise DataError(f"{where}: {reason}")
        if not self.rows:
            raise DataError(f"{self.path}: lists no images; add one row for each image")
        first: dict[str, TagRow] = {}
        for row in self.rows:
            other = first.setdefault(image_id_of(row.image), row)
            if composed(other.image) != composed(row.image):
                raise DataError(
                    f"{row.where}: {quoted(row.image)} has the image id of {quoted(other.image)}; rename one"
                )

    @property
    def class_names(self) -> frozenset[str]:
        """Names of all classes that the file mentions, without the background."""
        return frozenset(self.asked or ()).union(*(row.states for row in self.rows)) - BACKGROUND_NAMES

    @property
    def dropped(self) -> dict[str, str]:
        """Reason by file and line of all that is left out."""
        return {**{row.where: row.reason for row in self.rows if row.reason}, **self.skipped}

    def mapped(self, class_map: ClassMap) -> "TagTable":
        """Return the table with class names as ``class_map`` makes them."""
        if class_map == ClassMap():
            return self
        asked = None if self.asked is None else frozenset(class_map.names(self.asked))
        return replace(self, rows=tuple(row.mapped(class_map) for row in self.rows), asked=asked)

    def bind(self, classes: Classes) -> dict[str, Tags]:
        """Return the tags of every image by image id, in the order of the file.

        Raises:
            DataError: If the file names a class that is none of ``classes``.
        """
        for name in sorted(self.asked or ()):
            classes.id_of(name, f"{self.path}:1")
        asked = classes.names if self.asked is None else self.asked
        unasked = set(classes.ids.values()) - {classes.ids[name] for name in asked}
        rows: dict[str, list[TagRow]] = {}
        for row in self.rows:
            rows.setdefault(image_id_of(row.image), []).append(row)
        once: dict[Tags, Tags] = {}  # images share what they have in common
        found = ((image_id, _tags(members, classes, unasked)) for image_id, members in rows.items())
        return {image_id: once.setdefault(tags, tags) for image_id, tags in found}


def long_table(path: Path, rows: Sequence[TagRow], skipped: Mapping[str, str] | None = None) -> TagTable:
    """Build a table in which an image may have several rows.

    What a row says again is left out, and so is that an image shows no class, where another row names one.
    """
    left_out = dict(skipped or {})
    rows = _of_one_name(rows, left_out)
    first: dict[tuple[str, str], TagRow] = {}
    labelled = {composed(row.image): row for row in rows if row.states}
    for row in rows:
        image = composed(row.image)
        label = next(iter(row.states), "")
        if row.reason:
            first[image, row.where] = row
        elif (other := first.setdefault((image, label), row)) is not row:
            left_out[row.where] = f"{quoted(row.image)} with label {quoted(label)} is already at {other.where}"
        elif not label and image in labelled:
            del first[image, label]
            other = labelled[image]
            has = f"{quoted(next(iter(other.states)))} at {other.where}"
            left_out[row.where] = f"{quoted(row.image)} is said to have no label, but has {has}"
    return TagTable(path, tuple(first.values()), None, left_out)


def single_table(
    path: Path, rows: Sequence[TagRow], *, asked: frozenset[str] | None = None, skipped: Mapping[str, str] | None = None
) -> TagTable:
    """Build a table in which every image has one row; of another, the classes that it does not deny are unknown."""
    left_out = dict(skipped or {})
    first: dict[str, TagRow] = {}
    members: list[TagRow] = []
    for row in _of_one_name(rows, left_out):
        other = first.setdefault(composed(row.image), row)
        if other is not row:
            names = frozenset(name for name, state in row.states.items() if state is not False)
            reason = f"image {quoted(row.image)} is already at {other.where}; keep one row an image"
            row = TagRow(row.image, row.where, {}, reason, None if row.doubtful is None else row.doubtful | names)
        members.append(row)
    return TagTable(path, tuple(members), asked, left_out)


def _of_one_name(rows: Sequence[TagRow], left_out: dict[str, str]) -> list[TagRow]:
    """Return the rows without those of a photograph whose id another has before it."""
    first: dict[str, TagRow] = {}
    members = []
    for row in rows:
        other = first.setdefault(image_id_of(row.image), row)
        if composed(other.image) == composed(row.image):
            members.append(row)
        else:
            names = f"{quoted(row.image)} and {quoted(other.image)} ({other.where})"
            left_out[row.where] = f"{names} both have the image id {quoted(image_id_of(row.image))}; rename one"
    return members


def _tags(rows: Sequence[TagRow], classes: Classes, unasked: set[int]) -> Tags:
    """Return what all rows of one image say together: present wins, then unknown."""
    found: dict[int, set[State]] = {}
    doubtful: set[int] = set()
    for row in rows:
        for name, state in row.states.items():
            if name not in BACKGROUND_NAMES:
                found.setdefault(classes.id_of(name, row.where), set()).add(state)
        names = classes.names if row.doubtful is None else row.doubtful
        doubtful |= {classes.ids[name] for name in names if name in classes.ids}
    present = {class_id for class_id, states in found.items() if True in states}
    unknown = {class_id for class_id, states in found.items() if None in states} | (unasked - set(found)) | doubtful
    return Tags(frozenset(present), frozenset(unknown - present))

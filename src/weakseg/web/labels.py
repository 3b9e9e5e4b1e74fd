"""The labels of the page: records by image id, on disk before anybody is told that they are saved."""

import json
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage
from weakseg.data.binding import bind_image
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.file_state import FileState
from weakseg.data.formats.drawn_json import VERSION
from weakseg.data.formats.drawn_record import Record, read_record
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_list, as_record, as_text, shown
from weakseg.errors import DataError, StoreError
from weakseg.files import write_bytes
from weakseg.pipeline.lock import FolderLock, lock_folder
from weakseg.web.entry import Entry, closed, entry_of, opened, renamed, revision_of

KIND = "page"
RESERVED = ("ignored",)  # the page calls so what does not count
SAID = ("tags", "unknown")
MOST_REGIONS = 2000  # of one photograph; each is rastered in its full size


class StaleError(DataError):
    """A photograph has been changed since the change that is to be made was begun."""


class LabelBook:
    """A file of labels, which one page at a time works on.

    Every change is written at once and atomically, before it counts; one that cannot be written has not been made.
    Photographs of which nothing is said are not in the file, for in it what is not named is absent.

    Attributes:
        path: The file; need not be there yet.
        notices: What the user should know of it.
    """

    def __init__(self, path: Path, classes: Sequence[str] = ()) -> None:
        """Read the file where there is one.

        Raises:
            DataError: If it is no such file.
            StoreError: If another page works on it, or the folder cannot be written.
        """
        self.path = path
        self.notices: list[str] = []
        self._changing = threading.Lock()
        self._held = _locked(path.parent)
        self._names, self._entries = self._read() if path.is_file() else ((), {})
        self._state = FileState.of(path) if path.is_file() else None
        self._emptied: dict[str, Entry] = {}
        if classes and (further := [name for name in self._names if name not in classes]):
            self.notices.append(f"{path.name} has more classes than were given: {', '.join(further)}")
        for name in classes:
            self._check_name(name, self._names)
            if name not in self._names:
                self._names = (*self._names, name)
                self._entries = self._all_opened(name)

    @property
    def classes(self) -> Classes | None:
        """The classes, in the order of their ids; ``None`` where there is none yet."""
        return Classes(self._names) if self._names else None

    @property
    def entries(self) -> Mapping[str, Entry]:
        """What is said, by image id."""
        return self._entries

    def entry(self, image_id: str) -> Entry:
        """Return what is said of a photograph; of one that nobody has looked at, nothing."""
        return self._entries.get(image_id) or self._emptied.get(image_id, Entry({}, 0, "{}"))

    def read(self, image_id: str, entry: Entry) -> AnnotatedImage:
        """Return the labels in an entry of a photograph, as every reader of the file sees them."""
        return read_record(image_id, entry.record, self._where(image_id))

    def put(self, image_id: str, revision: int, record: Record) -> Entry:
        """Store what is said of a photograph.

        Args:
            image_id: Of the photograph.
            revision: That the change was made of.
            record: All that is said now, with ``size`` and ``file``.

        Raises:
            StaleError: If there is another revision.
            DataError: If something of it cannot be used; nothing is stored then.
            OutputError: If the file cannot be written; nothing is stored then.
        """
        with self._changing:
            old = self.entry(image_id)
            if old.error:
                raise DataError(f"{old.error}; correct {self.path.name}, and start the page again")
            if revision != old.revision:
                raise StaleError(f"{image_id}: has been changed elsewhere meanwhile, perhaps in another tab")
            new = self._checked(image_id, {**record, "revision": revision + 1})
            others = {i: entry for i, entry in self._entries.items() if i != image_id}
            if new.record:
                self._write(self._names, {**self._entries, image_id: new})
            elif image_id in self._entries:
                self._write(self._names, others)
            self._emptied = {**self._emptied, image_id: new} if not new.record else self._emptied
            return new

    def add_class(self, name: str) -> None:
        """Add a class behind the others; it is open on photographs that are labelled already.

        Raises:
            DataError: If it has no usable name, or is there already.
        """
        with self._changing:
            self._check_name(name, self._names)
            if name in self._names:
                raise DataError(f"class {shown(name)} is there already")
            self._write((*self._names, name), self._all_opened(name))

    def rename_class(self, old: str, new: str) -> None:
        """Call a class otherwise, wherever it is used; revisions stay.

        Raises:
            DataError: If there is no such class, or one of the new name.
        """
        with self._changing:
            self._check_known(old)
            self._check_name(new, self._names)
            if new in self._names:
                raise DataError(f"class {shown(new)} is there already; classes cannot be joined here")
            names = tuple(new if name == old else name for name in self._names)
            self._write(names, {i: renamed(entry, old, new) for i, entry in self._entries.items()})

    def remove_class(self, name: str) -> None:
        """Remove a class that nothing is labelled as.

        Raises:
            DataError: If there is no such class, or it is used.
        """
        with self._changing:
            self._check_known(name)
            if used := [i for i, entry in self._entries.items() if name in entry.classes]:
                raise DataError(f"class {shown(name)} is used on {len(used)} photographs, the first {used[0]!r}")
            entries = {i: closed(entry, name) for i, entry in self._entries.items()}
            self._write(tuple(one for one in self._names if one != name), entries)

    def _all_opened(self, name: str) -> dict[str, Entry]:
        """Return the entries, on all of which it is open whether a new class is there."""
        if self._entries:
            self.notices.append(
                f"{name} is a new class: whether it is on the {len(self._entries)} photographs that are labelled "
                "already is open, until you say so"
            )
        return {i: opened(entry, name) for i, entry in self._entries.items()}

    def _checked(self, image_id: str, record: Record) -> Entry:
        """Return a record that a browser sent as it is stored, or say what is wrong with it."""
        where = self._where(image_id)
        if "unknown" in record:  # a class that has gone meanwhile is not open any longer
            record["unknown"] = [one for one in as_list(record["unknown"], "unknown", where) if one in self._names]
        regions = record.get("regions", [])
        if isinstance(regions, list) and len(regions) > MOST_REGIONS:
            raise DataError(f"{where}: more than {MOST_REGIONS} outlines and brush strokes; accept the mask, and go on")
        image = read_record(image_id, record, where)
        if image.dropped:
            place, dropped = next(iter(image.dropped.items()))
            raise DataError(f"{place}: {dropped.reason}")
        if not image.tags <= set(self._names):
            raise DataError(f"{where}: tags {shown(record['tags'])} are none of the classes; add them first")
        if strange := sorted(image.labels - set(self._names) - BACKGROUND_NAMES - {""}):
            raise DataError(f"{where}: {shown(strange[0])} is none of the classes; add it first")
        if self._names:
            for place, reason in bind_image(image, Classes(self._names)).dropped.items():
                raise DataError(f"{place}: {reason}")
        is_open = "unknown" not in record or image.unknown == set(self._names)
        if is_open and not (image.tags or image.shapes or record.get("verdict")):
            return Entry({}, revision_of(record), "{}")
        ordered = {key: [one for one in self._names if one in getattr(image, key)] for key in SAID if key in record}
        kept: Record = {
            key: value for key, value in record.items() if value not in ([], None) or key in ("mask", *SAID)
        }
        return entry_of({**kept, **ordered})

    def _write(self, names: tuple[str, ...], entries: Mapping[str, Entry]) -> None:
        self._keep_foreign()
        head = json.dumps({"weakseg": VERSION, "kind": KIND, "classes": names}, ensure_ascii=False)[:-1]
        lines = (f"{json.dumps(image_id, ensure_ascii=False)}: {entry.text}" for image_id, entry in entries.items())
        write_bytes(self.path, (head + ', "images": {\n' + ",\n".join(lines) + "\n}}\n").encode())
        self._names, self._entries, self._state = names, dict(entries), FileState.of(self.path)

    def _keep_foreign(self) -> None:
        """Put the file aside where another program has changed it since it was read or written here."""
        if self._state is None or not self.path.is_file() or self._state.seems_same(self.path):
            return
        if FileState.of(self.path).content_hash == self._state.content_hash:
            return
        number = 1
        while (aside := self.path.with_name(f"{self.path.stem}.other-{number}.json")).exists():
            number += 1
        write_bytes(aside, self.path.read_bytes())
        self.notices.append(
            f"{self.path.name} was changed by another program; what it wrote is kept as {aside.name}, and the page "
            "goes on with its own labels"
        )

    def _read(self) -> tuple[tuple[str, ...], dict[str, Entry]]:
        where = str(self.path)
        document = as_record(parse_json(self.path, read_text(self.path, "file of labels")), "the file", where)
        if document.get("weakseg") != VERSION:
            raise DataError(f"{where}: is no file of weakseg's own labels; give another --labels, which need not exist")
        names = tuple(as_text(name, "a class", where) for name in as_list(document.get("classes"), "classes", where))
        images = as_record(document.get("images"), "images", where)
        entries = {i: self._entry_of(i, record, names) for i, record in images.items()}
        if broken := [entry.error for entry in entries.values() if entry.error]:
            self.notices.append(f"{len(broken)} photographs cannot be changed here; the first: {broken[0]}")
        return names, entries

    def _entry_of(self, image_id: str, value: object, names: Sequence[str]) -> Entry:
        """Return an entry of the file; one that cannot be used is kept as it is."""
        record = value if isinstance(value, dict) else {"value": value}
        text = json.dumps(value, ensure_ascii=False)
        try:
            image = read_record(image_id, as_record(value, "an image", self._where(image_id)), self._where(image_id))
            dropped = [f"{place}: {one.reason}" for place, one in image.dropped.items()]
            strange = sorted(image.labels - set(names) - BACKGROUND_NAMES)
            error = (dropped or [f"{self._where(image_id)}: no class {shown(name)}" for name in strange] or [""])[0]
            return Entry(record, revision_of(record), text, error)
        except DataError as error:
            return Entry(record, 0, text, str(error))

    def _where(self, image_id: str) -> str:
        return f"{self.path.name}: image {image_id!r}"

    def _check_known(self, name: str) -> None:
        if name not in self._names:
            raise DataError(f"no class {shown(name)}; there are {', '.join(self._names)}")

    def _check_name(self, name: object, names: Sequence[str]) -> None:
        text = as_text(name, "the name of a class", self.path.name)
        if (
            text != name
            or text in BACKGROUND_NAMES
            or text in RESERVED
            or not text.isprintable()
            or len(text) > 100
            or "," in text
        ):
            raise DataError(f"{shown(name)} cannot be the name of a class; take a short one, without commas")
        Classes((*names, *([text] if text not in names else [])))


def _locked(folder: Path) -> FolderLock:
    """Return the lock of the folder of the labels.

    Raises:
        StoreError: If another page, or command, works on it.
    """
    try:
        return lock_folder(folder)
    except StoreError as error:
        raise StoreError(f"{str(error).partition('; wait for')[0]}; stop that first, or use its page") from error

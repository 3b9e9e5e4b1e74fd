"""What is labelled on the page: photographs, their labels, their masks, and the run that learns from them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from weakseg.artifacts import LabelMap, voc_palette
from weakseg.data.annotations import AnnotatedImage
from weakseg.data.formats.drawn_record import Record
from weakseg.data.values import as_list, shown
from weakseg.errors import DataError, WeaksegError
from weakseg.photograph.config import SegmentOptions
from weakseg.version import __version__
from weakseg.web.album import SIDES, Album, shown_size
from weakseg.web.entry import Entry
from weakseg.web.labels import LabelBook, StaleError
from weakseg.web.masks import Draft, MaskMaker, Shown
from weakseg.web.queue import next_labels
from weakseg.web.trained import Trained
from weakseg.web.training import Training
from weakseg.web.verdicts import OWN_KEYS, Verdicts
from weakseg.web.worker import Worker

UNDO_STEPS = 100
LABELS_FILE = "weakseg.json"
ADOPTED = ("run", "tags")


class Page:
    """A folder of photographs that somebody labels.

    Attributes:
        album: The photographs.
        book: Their labels.
        worker: Makes masks.
        training: The run.
        trained: A finished run whose networks are used; ``None`` where there is none.
    """

    def __init__(
        self, album: Album, book: LabelBook, run: Path | None = None, options: SegmentOptions | None = None
    ) -> None:
        """Join photographs, labels and a run.

        Args:
            album: The photographs.
            book: Their labels.
            run: Folder of a run that is used.
            options: How masks are made of marks.

        Raises:
            StoreError: If ``run`` is no run folder.
            DataError: If it knows none of the classes.
        """
        self.album, self.book = album, book
        self.notices = [*album.left_out]
        boxes = options.drawn.seeds.boxes if options else None
        self.training = Training(album.folder, book.path.resolve(), boxes)
        self.worker = Worker()
        self.trained: Trained | None = None
        self._maker, self._seen = MaskMaker(album, options=options), self.training.done
        self._run = run or (self.training.folder if self.training.done else None)
        self._unreadable: dict[str, str] = {}
        self.verdicts = Verdicts(book, self._place, self._shown)
        if run and not book.classes:
            self.notices.append(f"--run {run} is not used: there is no class yet; give --classes as in the run")
        elif run and book.classes:
            self.trained = self._maker.trained = Trained(run, book.classes)
        else:
            self._use()
        if strange := sorted(set(book.entries) - set(album.files)):
            self.notices.append(
                f"{book.path.name} has labels of {len(strange)} photographs that are not in the folder, the first "
                f"{strange[0]!r}; they are kept"
            )

    def classes(self) -> list[dict[str, Any]]:
        """Return names and colours of the classes, in the order of their ids."""
        names = self.book.classes.names if self.book.classes else ()
        return [
            {"name": name, "colour": [int(value) for value in voc_palette()[number]]}
            for number, name in enumerate(names, start=1)
        ]

    def state(self) -> dict[str, Any]:
        """Return all that a browser needs to begin with."""
        trained = self.trained
        run = trained and {"folder": str(trained.finished.folder), "method": trained.finished.recipe.method}
        return {
            "folder": self.album.folder.name,
            "labels": str(self.book.path),
            "version": __version__,
            "limits": {"undo": UNDO_STEPS},
            "classes": self.classes(),
            "photographs": [self._listed(image_id) for image_id in self.album.files],
            "run": run,
            "training": self.trained_state(),
            "saved": True,
            "notice": self.all_notices(),
        }

    def all_notices(self) -> list[str]:
        """Return what the user should know, the oldest first."""
        return [*self.notices, *self.book.notices, *(self.trained.notices if self.trained else ())]

    def standing(self, image_id: str) -> dict[str, Any]:
        """Return how a photograph stands: labelled or not, and by whom its mask is."""
        entry, answer = self.book.entry(image_id), self.worker.answers.get(image_id)
        by = "person" if entry.state == "accepted" else "machine" if answer and answer.shown else None
        known = self.trained.doubts.get(image_id, {}) if self.trained else {}
        lowest = min((one.value for one in known.values()), default=None)
        if answer is not None and answer.shown is not None:
            lowest = answer.shown.lowest
        elif known and by is None:
            by = "machine"
        state = "broken" if image_id in self._unreadable else entry.state
        return {"state": state, "by": by, "reliability": lowest, "revision": entry.revision}

    def photograph(self, image_id: str) -> dict[str, Any]:
        """Return a photograph's size and record, and have computed what its first mark will need.

        Raises:
            DataError: If there is no such photograph.
        """
        self.album.path(image_id)
        entry, error, size = self.book.entry(image_id), "", (0, 0)
        try:
            size = self.album.size(image_id)
            self.album.picture(image_id, SIDES[0])  # which decodes it
            self._check_size(image_id, size)
            self.worker.warm(image_id, lambda: self._maker.warm(image_id))
        except DataError as problem:
            error, size = str(problem), (0, 0)
            self._unreadable[image_id] = error
        else:
            self._unreadable.pop(image_id, None)
        return {
            "id": image_id,
            "file": self.album.name(image_id),
            "size": list(size),
            "shown": list(shown_size(size)) if min(size) else [0, 0],
            "revision": entry.revision,
            "record": self.sent(image_id, entry),
            "error": error or entry.error or None,
            **{key: value for key, value in self.standing(image_id).items() if key != "revision"},
        }

    def sent(self, image_id: str, entry: Entry) -> Record:
        """Return a record as a browser gets it; the accepted mask comes as a picture, by itself."""
        return {} if entry.error else {key: value for key, value in entry.record.items() if key != "mask"}

    def ask_mask(self, image_id: str, revision: int) -> None:
        """Have the mask of a photograph made as it is labelled now.

        Raises:
            DataError: If there is no such photograph, or such a revision.
        """
        self.album.path(image_id)
        entry = self.book.entry(image_id)
        if revision > entry.revision:
            raise DataError(f"revision: {image_id!r} has no revision {revision}; it has {entry.revision}")
        if entry.error:
            raise DataError(entry.error)
        self._check_size(image_id, self.album.size(image_id))
        self.worker.ask(image_id, entry.revision, lambda draft: self._made(image_id, entry, draft))

    def _made(self, image_id: str, entry: Entry, draft: Draft | None = None) -> Shown | None:
        """Return the mask of a photograph by what is said of it."""
        classes = self.book.classes
        labels = self.book.read(image_id, entry) if entry.record else AnnotatedImage(image_id, (), image_id)
        return self._maker.make(image_id, labels, classes, accepted=entry.state == "accepted", draft=draft)

    def put(self, image_id: str, revision: int, record: Record) -> Entry:
        """Store what is said of a photograph; a mask that was accepted is not so any longer.

        Raises:
            StaleError: If it has another revision.
            DataError: If something of it cannot be used, or there is no such photograph.
            OutputError: If it cannot be written.
        """
        drawn = {key: value for key, value in record.items() if key not in OWN_KEYS}
        if (adopted := self._adopted(image_id, revision, drawn)) is not None:
            drawn["regions"] = [*adopted, *as_list(drawn["regions"], "regions", image_id)]
        return self.book.put(image_id, revision, {**self._place(image_id), **drawn})

    def _adopted(self, image_id: str, revision: int, drawn: Record) -> list[Record] | None:
        """Return the mask that a first brush stroke is painted on as regions, where a run or tags have made it.

        It is not in the record otherwise, so that the stroke alone would be left of what was seen.
        """
        entry, answer = self.book.entry(image_id), self.worker.answers.get(image_id)
        shown = answer.shown if answer and answer.revision == revision and answer.complete else None
        regions = drawn.get("regions")
        painted = isinstance(regions, list) and any(isinstance(one, dict) and "path" in one for one in regions)
        if not painted or entry.of_kind("regions") or shown is None or shown.by not in ADOPTED:
            return None
        return [{"class": name, "runs": runs} for name, runs in self.verdicts.runs(shown.labels).items()]

    def change_classes(self, change: Mapping[str, Any]) -> None:
        """Add, rename or remove a class.

        Raises:
            DataError: If the change is none of these, or cannot be made.
        """
        changes: dict[str, Callable[[Any], None]] = {
            "add": self.book.add_class,
            "remove": self.book.remove_class,
            "rename": lambda pair: self.book.rename_class(*_pair(pair)),
        }
        if len(change) != 1 or (word := next(iter(change))) not in changes:
            raise DataError(f"classes: give one of {', '.join(changes)}, got {shown(dict(change))}")
        changes[word](change[word])
        self.worker.forget()
        self._use()

    def queue(self, first: int) -> list[dict[str, Any]]:
        """Return what to draw next, the best first."""
        return next_labels(self.album.files, self.book, self.worker.answers, self.trained)[:first]

    def trained_state(self) -> dict[str, Any]:
        """Return how the run stands; one that has ended is used from then on."""
        if self._seen != self.training.done:
            self._seen, self._run = self.training.done, self.training.folder
            self._use()
        return self.training.as_json(self.book.entries)

    def _use(self) -> None:
        """Have the run used with the classes of now, or say why it cannot be; masks are made anew."""
        trained = None
        try:
            if self._run is not None and self.book.classes is not None:
                trained = Trained(self._run, self.book.classes)
        except WeaksegError as error:
            self.notices.append(f"the run in {self._run} is not used: {error}")
        self.trained = self._maker.trained = trained
        self.worker.forget()

    def _listed(self, image_id: str) -> dict[str, Any]:
        entry = self.book.entry(image_id)
        return {
            "id": image_id,
            "file": self.album.name(image_id),
            "classes": entry.classes,
            "marks": len(entry.shapes),
            "error": entry.error or self._unreadable.get(image_id),
            **self.standing(image_id),
        }

    def _shown(self, image_id: str, revision: int) -> LabelMap:
        """Return the mask of a revision, which may have to be made."""
        entry = self.book.entry(image_id)
        if entry.revision != revision:
            raise StaleError(f"{image_id}: has been changed elsewhere meanwhile, perhaps in another tab")
        answer = self.worker.answers.get(image_id)
        found: Shown | None = answer.shown if answer and answer.revision == revision else None
        if found is None or not answer or answer.draft or not answer.complete:
            found = self._made(image_id, entry)
        if found is None:
            raise DataError(f"{image_id}: there is no mask that could be accepted; mark something first")
        return found.labels

    def _check_size(self, image_id: str, size: tuple[int, int]) -> None:
        stated = self.book.entry(image_id).record.get("size")
        if stated and stated != list(size):
            raise DataError(
                f"{self.album.name(image_id)}: was labelled with {shown_text(stated)} pixels (rows x columns), but has "
                f"{size[0]} x {size[1]} now; restore the photograph, or delete its entry in {self.book.path.name}"
            )

    def _place(self, image_id: str) -> Record:
        """Return file and size of a photograph, as its record has them."""
        size = self.album.size(image_id)
        self._check_size(image_id, size)
        return {"file": self.album.name(image_id), "size": list(size)}


def shown_text(size: object) -> str:
    """Return a stated size in words."""
    return " x ".join(map(str, size)) if isinstance(size, list) else shown(size)


def _pair(value: object) -> tuple[str, str]:
    if not isinstance(value, list) or len(value) != 2 or not all(isinstance(one, str) for one in value):
        raise DataError(f"rename: give the old and the new name, got {shown(value)}")
    return value[0], value[1]

"""What a person says of masks: accepted ones are labels from then on."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.formats.drawn_record import Record
from weakseg.data.regions import runs_of_mask
from weakseg.errors import DataError
from weakseg.web.entry import Entry
from weakseg.web.labels import LabelBook

KEPT_ACCEPTED = 300
OWN_KEYS = ("mask", "verdict", "size", "file", "revision")


class Verdicts:
    """Accepts and rejects masks.

    Args:
        book: Where verdicts are stored.
        place: File and size of a photograph, as its record has them.
        shown: The mask of a revision of a photograph.
    """

    def __init__(self, book: LabelBook, place: Callable[[str], Record], shown: Callable[[str, int], LabelMap]) -> None:
        self._book, self._place, self._shown = book, place, shown
        self._accepted: OrderedDict[tuple[str, int], Any] = OrderedDict()

    def accept(self, image_id: str, revision: int, effort: Mapping[str, Any] | None = None) -> Entry:
        """Make the mask that is shown the photograph's label.

        Raises:
            StaleError: If the photograph has another revision.
            DataError: If it has no mask.
        """
        found = self._shown(image_id, revision)
        if undecided := int((found.labels == 255).sum()):
            raise DataError(f"{undecided} pixels are undecided; paint them first")
        mask = self.runs(found)
        return self._keep(image_id, self._judged(image_id, revision, self._accept(mask, effort)))

    def accept_again(self, image_id: str, revision: int, of: int, effort: Mapping[str, Any] | None = None) -> Entry:
        """Accept the mask once more that was accepted at revision ``of``, to the pixel.

        Raises:
            StaleError: If the photograph has another revision.
            DataError: If that mask is no longer known.
        """
        mask = self._accepted.get((image_id, of))
        if mask is None or not set(mask) <= set(self._known_classes().names):
            raise DataError(f"{image_id}: the mask that was accepted then is no longer known; accept what is shown")
        return self._keep(image_id, self._judged(image_id, revision, self._accept(mask, effort)))

    def _accept(self, mask: dict[str, str], effort: Mapping[str, Any] | None) -> Record:
        return {"verdict": "accepted", "mask": mask, **(effort or {})}

    def _keep(self, image_id: str, entry: Entry) -> Entry:
        """Remember an accepted mask, for undo."""
        self._accepted[image_id, entry.revision] = entry.record["mask"]
        while len(self._accepted) > KEPT_ACCEPTED:
            self._accepted.popitem(last=False)
        return entry

    def reject(self, image_id: str, revision: int, effort: Mapping[str, Any] | None = None) -> Entry:
        """Say that a mask is bad.

        Raises:
            StaleError: If the photograph has another revision.
        """
        return self._judged(image_id, revision, {"verdict": "rejected", **(effort or {})})

    def reopen(self, image_id: str, revision: int, effort: Mapping[str, Any] | None = None) -> Entry:
        """Take the verdict on a mask back.

        Raises:
            StaleError: If the photograph has another revision.
        """
        return self._judged(image_id, revision, dict(effort or {}))

    def runs(self, labels: LabelMap) -> dict[str, str]:
        """Return the pixels of each class of a mask as COCO's runs, by its name."""
        return {
            self._known_classes().name_of(label): runs_of_mask(labels.labels == label).decode("latin-1")
            for label in sorted(labels.label_ids - {0, 255})
        }

    def _judged(self, image_id: str, revision: int, verdict: Record) -> Entry:
        entry = self._book.entry(image_id)
        kept = {key: value for key, value in entry.record.items() if key not in OWN_KEYS}
        if not entry.record and self._book.classes:  # of which nothing is said: a verdict does not say what is there
            kept["unknown"] = list(self._book.classes.names)
        place = self._place(image_id)
        return self._book.put(image_id, revision, {**place, **kept, **verdict})

    def _known_classes(self) -> Classes:
        if self._book.classes is None:
            raise DataError("there is no class yet; add one")
        return self._book.classes

"""What a run knows of photographs: the masks that it has made, and its trained segmenter for all others."""

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.paths import inside, read_classes
from weakseg.errors import DataError, WeaksegError
from weakseg.methods.finished import FinishedRun, open_finished
from weakseg.nn.segmenters import Segmenter
from weakseg.stages.predict import predict_image, predict_restricted
from weakseg.stages.reliability import Reliability
from weakseg.stages.segment import load_segmenter
from weakseg.steps.reliability import LIST_FILE
from weakseg.steps.segment import SEGMENTER, in_round


@dataclass(frozen=True)
class Known:
    """A mask of a run, in the ids of the page's classes."""

    labels: LabelMap
    reliability: Mapping[str, Reliability] = field(default_factory=dict)


@dataclass(frozen=True)
class _Row:
    """What ``masks.csv`` says of one class of an image."""

    name: str
    reliability: Reliability
    mask: str


class Trained:
    """A finished run.

    Attributes:
        finished: Its folder and recipe.
        model: Its segmenter's file; ``None`` where it has trained none.
        doubts: How far its masks are to be trusted, by image and name of class.
        notices: What of it the page cannot use, and why.
    """

    def __init__(self, folder: Path, classes: Classes) -> None:
        """Open a run.

        Raises:
            StoreError: If the folder is no run.
            DataError: If none of its classes is one of the page's.
        """
        self.finished: FinishedRun = open_finished(folder)
        self.notices: list[str] = []
        self._classes = classes
        names = read_classes(folder, ()) or ()
        self._table = np.zeros(256, np.uint8)
        self._table[255] = 255
        self._table[1 : 1 + len(names)] = [classes.ids.get(name, 0) for name in names]
        if not self._table[1:255].any():
            raise DataError(f"--run: {folder} knows {', '.join(names) or 'no class'}, and the page none of these")
        if strange := [name for name in names if name not in classes.ids]:
            self.notices.append(f"{folder.name}: {', '.join(strange)} is no class here; such pixels are background")
        self._rows = self._listed(folder)
        self.doubts: Mapping[str, Mapping[str, Reliability]] = {
            image_id: {row.name: row.reliability for row in rows} for image_id, rows in self._rows.items()
        }
        self.model = self._model_file()
        self._segmenter: Segmenter | None = None

    def mask(self, image_id: str, image: NDArray[np.uint8], present: frozenset[int]) -> Known | None:
        """Return the mask of a photograph: the run's own, else its segmenter's; ``None`` where it has neither.

        Args:
            image_id: Of the photograph.
            image: ``(H, W, 3)`` uint8.
            present: Classes that are there; empty where that is not known. Others are not in the mask.
        """
        size = (image.shape[0], image.shape[1])
        own = self._own(image_id)
        if own is not None and own.shape == size and (not present or set(np.unique(own)) <= present | {0, 255}):
            return Known(LabelMap(own), {row.name: row.reliability for row in self._rows[image_id]})
        if self.model is None:
            return None
        model, config = self._loaded(), self.finished.recipe.predictions
        if not present:
            return Known(LabelMap(self._table[predict_image(model, image, config).labels]))
        label_ids = {label for label in range(1, 255) if int(self._table[label]) in present}
        if not label_ids:
            return None
        found = predict_restricted(model, image, config, label_ids | {0})
        return Known(LabelMap(self._table[found.mask.labels]))

    def _loaded(self) -> Segmenter:
        if self._segmenter is None and self.model is not None:
            self._segmenter, _ = load_segmenter(self.model)
        assert self._segmenter is not None
        return self._segmenter

    def _own(self, image_id: str) -> NDArray[np.uint8] | None:
        """Return the mask that the run has made of a photograph, in the page's ids."""
        rows = self._rows.get(image_id)
        if not rows:
            return None
        try:
            path = inside(self.finished.folder.resolve(), rows[0].mask, LIST_FILE)
            return self._table[LabelMap.load(path).labels] if path.is_file() else None
        except WeaksegError as error:
            self.notices += [str(error)] if str(error) not in self.notices else []
            return None

    def _listed(self, folder: Path) -> dict[str, list[_Row]]:
        path = folder / LIST_FILE
        found: dict[str, list[_Row]] = {}
        if not path.is_file():
            return found
        try:
            for row in csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))):
                reasons = tuple(reason for reason in row["reasons"].split("; ") if reason)
                one = _Row(row["class"], Reliability(float(row["reliability"]), reasons), row["mask"])
                found.setdefault(row["image"], []).append(one)
        except (KeyError, ValueError, TypeError, OSError) as error:
            self.notices.append(f"{path}: is no list of masks ({error}); its masks are not shown")
        return found

    def _model_file(self) -> Path | None:
        name = in_round(SEGMENTER, self.finished.recipe.rounds)
        try:
            return self.finished.model_of(name)
        except WeaksegError as error:
            self.notices.append(f"no segmenter of the run is used: {error}")
            return None

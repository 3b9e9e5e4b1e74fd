"""One photograph with its weak labels; and, apart from it, the same with ground truth."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import NOTHING_DRAWN, Drawn
from weakseg.data.file_state import FileState
from weakseg.data.image import image_size, load_rgb
from weakseg.data.saliency import load_saliency
from weakseg.errors import DataError


@dataclass(frozen=True, slots=True)
class Tags:
    """Which classes an image shows; every class is present, absent or unknown.

    Attributes:
        present: Ids of classes that are in the image.
        unknown: Ids of classes of which it is not known; all others are absent.
    """

    present: frozenset[int]
    unknown: frozenset[int] = frozenset()

    def __post_init__(self) -> None:
        """Refuse a class that is present and unknown at once."""
        if both := self.present & self.unknown:
            raise DataError(f"tags: classes {sorted(both)} are present and unknown at once")

    @property
    def possible(self) -> frozenset[int]:
        """Ids of the classes that are not known to be absent."""
        return self.present | self.unknown

    def targets(self, num_classes: int) -> NDArray[np.float32]:
        """Return ``(K,)`` float32 training targets: 1 present, 0 absent, NaN unknown."""
        values = np.zeros(num_classes, np.float32)
        values[[class_id - 1 for class_id in self.present]] = 1.0
        values[[class_id - 1 for class_id in self.unknown]] = np.nan
        return values


@dataclass(frozen=True, slots=True)
class WeakSample:
    """A photograph and its weak labels. It never holds, or leads to, ground truth.

    Attributes:
        id: Image id, unique in its data set; a relative path without suffix, ``/`` between folders.
        image_path: The photograph.
        tags: Its tags.
        drawn: Boxes, points, scribbles and regions that were given as labels.
        file: The photograph's file as it was first looked at; ``None``: it was not yet.
        saliency: Its saliency map; ``None``: it has none.
    """

    id: str
    image_path: Path
    tags: Tags
    drawn: Drawn = NOTHING_DRAWN  # the same for all
    file: FileState | None = None
    saliency: Path | None = None

    def __post_init__(self) -> None:
        """Refuse an id that is no path below a folder; results are stored under it."""
        parts = {self.id} if "/" not in self.id else set(self.id.split("/"))  # a path would take longer
        if parts <= {"", "."} or self.id[0] == "/" or ".." in parts or not self.id.isprintable():
            raise DataError(f"image id {self.id!r}: must be a printable relative path without '..'; rename the image")

    @property
    def shows_nothing(self) -> bool:
        """Whether the photograph is known to show none of the classes, and nothing but background is drawn on it."""
        return not (self.tags.present or self.tags.unknown or self.drawn.class_ids or self.drawn.regions)

    def load_image(self) -> NDArray[np.uint8]:
        """Return the photograph as ``(H, W, 3)`` RGB uint8, upright.

        Raises:
            DataError: If it cannot be read, or its file is not that which was first looked at.
        """
        if self.file is None:
            return load_rgb(self.image_path)
        self.file.check(self.image_path)
        image = load_rgb(self.image_path)
        self.file.check(self.image_path)  # nor has it changed meanwhile
        return image

    def load_saliency(self) -> NDArray[np.float32]:
        """Return the saliency map of the upright photograph: ``(H, W)`` float32 in [0, 1], 1 what draws the eye most.

        Raises:
            DataError: If it has none, or the map cannot be read or is not of this photograph.
        """
        if self.saliency is None:
            raise DataError(f"image {self.id!r}: no saliency map; add {self.id}.png to the folder of data.saliency")
        return load_saliency(self.saliency, image_size(self.image_path))

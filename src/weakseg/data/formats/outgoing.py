"""What is written of one photograph for another program."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.formats.instances_out import regions_of
from weakseg.data.image import check_frame, image_size
from weakseg.errors import DataError
from weakseg.files import atomic_path
from weakseg.instances import Instances
from weakseg.ops.runs import Size, decode_runs


@dataclass(frozen=True)
class Outgoing:
    """The objects on a photograph, or its mask.

    Attributes:
        image_id: Its id.
        name: Of its file, relative to the folder of all; without suffix where there is no file.
        photograph: Its file; ``None`` where nobody gave it.
        objects: What is on it; of a mask all pixels of each class as one, with a score of 1.
        undecided: ``(H, W)`` pixels of a mask that are of no label; ``None`` of objects.
        score: How far all of it is to be trusted, in [0, 1]; ``None`` where nothing is known.
    """

    image_id: str
    name: str
    photograph: Path | None
    objects: Instances
    undecided: NDArray[np.bool_] | None = None
    score: float | None = None

    @classmethod
    def of_mask(
        cls, image_id: str, name: str, photograph: Path | None, labels: LabelMap, score: float | None = None
    ) -> "Outgoing":
        """Return what is written of a mask."""
        return cls(image_id, name, photograph, regions_of(labels), labels.labels == UNDECIDED, score)

    @property
    def size(self) -> Size:
        """(rows, columns)."""
        return self.objects.image_size

    @property
    def is_mask(self) -> bool:
        """Whether it is a mask, and no objects."""
        return self.undecided is not None

    @property
    def num_undecided(self) -> int:
        """Pixels that are of no label."""
        return 0 if self.undecided is None else int(self.undecided.sum())

    def masks(self) -> Iterator[tuple[int, NDArray[np.bool_], float]]:
        """Yield class id, ``(H, W)`` mask and score of each object; one mask is opened at a time."""
        found = self.objects
        for runs, class_id, score in zip(found.runs, found.class_ids, found.scores, strict=True):
            yield class_id, decode_runs([runs], found.image_size)[0], score

    def existing(self) -> Path:
        """Return the file of the photograph.

        Raises:
            DataError: If nobody gave it, it cannot be read, or has another size than the mask.
        """
        if self.photograph is None:
            raise DataError(f"image {self.image_id!r}: has no photograph; give their folder with --images")
        check_frame(self.size, image_size(self.photograph), f"mask of {self.photograph}")
        return self.photograph

    def copy_photograph(self, place: Path) -> None:
        """Copy the photograph to ``place``, unless it lies there.

        Raises:
            DataError: As ``existing``.
        """
        source = self.existing()
        if source.resolve() != place.resolve():
            with atomic_path(place) as temporary:
                shutil.copyfile(source, temporary)

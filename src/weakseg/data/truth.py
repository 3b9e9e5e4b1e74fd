"""Ground truth, kept apart: only ``evaluation`` and the simulation of weak labels may import this module."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.class_map import open_class_map
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.formats import coco, voc
from weakseg.data.formats.coco_masks import paint_objects
from weakseg.data.formats.coco_objects import CocoImage
from weakseg.data.image import image_size
from weakseg.data.paths import inside
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError


@dataclass(frozen=True)
class EvalSample:
    """A photograph with its ground truth.

    Attributes:
        sample: The photograph and its weak labels.
        load: Returns the truth: ``(H, W)`` uint8 in {0..K, 255}, 255 = void.
        num_classes: K, to check the values against.
        source: File that the truth comes from, for errors.
    """

    sample: WeakSample
    load: Callable[[], NDArray[np.uint8]]
    num_classes: int
    source: str = "truth"

    @property
    def id(self) -> str:
        """Image id."""
        return self.sample.id

    def load_truth(self) -> NDArray[np.uint8]:
        """Return the truth as ``(H, W)`` uint8.

        Raises:
            DataError: If its size is not that of the photograph, or a value is neither at most K nor 255.
        """
        truth = self.load()
        size = image_size(self.sample.image_path)
        if truth.shape != size:
            raise DataError(
                f"{self.source}: truth of image {self.id!r} is {_rows_by_columns(truth.shape)}, but the photograph "
                f"{self.sample.image_path} is {_rows_by_columns(size)} (rows x columns, upright); give them one size"
            )
        wrong = np.unique(truth[(truth > self.num_classes) & (truth != UNDECIDED)])
        if wrong.size:
            raise DataError(
                f"{self.source}: truth of image {self.id!r} holds values {wrong.tolist()[:5]} that are no class ids; "
                f"expected 0..{self.num_classes} or 255. Is this a palette image that was saved as grey?"
            )
        return truth


def open_truth(config: DataConfig, dataset: Dataset, split: str) -> tuple[EvalSample, ...]:
    """Return the samples of a split that have ground truth; masks are not opened yet.

    Truth is the folder ``config.masks`` where it is set; else what the format has: ``SegmentationClass`` of voc, the
    segmentations of coco (images with an object that has none are left out), nothing for ``folder``.

    Raises:
        DataError: If ``config.masks`` is set and no folder, or a path leads outside the root.
    """
    root = Path(config.root).expanduser().resolve()
    samples = dataset.splits.get(split, ())
    if config.masks and not inside(root, config.masks, "data.masks").is_dir():
        raise DataError(f"data.masks: {root / config.masks} is not a folder; give the folder of the true masks")
    if config.masks or config.format == "voc":
        paths = [voc.mask_path(config, root, sample.id) for sample in samples]
        return _from_files(samples, paths, len(dataset.classes))
    if config.format == "coco":
        path = inside(root, config.train if split == "train" else config.val, f"data.{split}")
        class_map = open_class_map(root, config.class_map)
        return _from_coco(samples, coco.read_instances(path, class_map), dataset) if samples else ()
    return ()


def _from_files(samples: Sequence[WeakSample], paths: Sequence[Path], num_classes: int) -> tuple[EvalSample, ...]:
    return tuple(
        EvalSample(sample, partial(_load_labels, path), num_classes, str(path))
        for sample, path in zip(samples, paths, strict=True)
        if path.is_file()
    )


def _from_coco(samples: Sequence[WeakSample], file: coco.CocoFile, dataset: Dataset) -> tuple[EvalSample, ...]:
    class_ids = file.class_ids(dataset.classes) | dict.fromkeys(file.ignored, UNDECIDED)
    return tuple(
        EvalSample(sample, partial(_paint, file.images[sample.id], class_ids), len(dataset.classes), str(file.path))
        for sample in samples
        if all(item.segmentation for item in file.images[sample.id].objects if item.category_id in class_ids)
    )


def _load_labels(path: Path) -> NDArray[np.uint8]:
    return LabelMap.load(path).labels


def _paint(image: CocoImage, class_ids: dict[int, int]) -> NDArray[np.uint8]:
    if image.size is None:
        raise DataError(f"{image.where}: 'height' and 'width' are missing; add them, masks cannot be drawn without")
    return paint_objects(image.objects, class_ids, image.size)


def _rows_by_columns(size: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in size)

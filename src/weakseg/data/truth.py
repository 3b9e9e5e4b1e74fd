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
from weakseg.data.formats.coco_masks import number_objects, paint_objects
from weakseg.data.formats.coco_objects import CocoImage
from weakseg.data.image import image_size
from weakseg.data.paths import inside
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError

OBJECT_FOLDER = "SegmentationObject"


@dataclass(frozen=True)
class EvalSample:
    """A photograph with its ground truth.

    Attributes:
        sample: The photograph and its weak labels.
        load: Returns the truth: ``(H, W)`` uint8 in {0..K, 255}, 255 = void.
        num_classes: K, to check the values against.
        source: File that the truth comes from, for errors.
        objects: Returns ``(H, W)`` int32 numbers of the objects, 0 where there is none; ``None`` where nobody told them
            apart.
    """

    sample: WeakSample
    load: Callable[[], NDArray[np.uint8]]
    num_classes: int
    source: str = "truth"
    objects: Callable[[], NDArray[np.int32]] | None = None

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
        self._check_size("truth", truth.shape)
        wrong = np.unique(truth[(truth > self.num_classes) & (truth != UNDECIDED)])
        if wrong.size:
            raise DataError(
                f"{self.source}: truth of image {self.id!r} holds values {wrong.tolist()[:5]} that are no class ids; "
                f"expected 0..{self.num_classes} or 255. Is this a palette image that was saved as grey?"
            )
        return truth

    def load_objects(self) -> NDArray[np.int32] | None:
        """Return the numbers of the objects as ``(H, W)`` int32, or ``None`` where nobody told them apart.

        Raises:
            DataError: If their size is not that of the photograph.
        """
        if self.objects is None:
            return None
        numbers = self.objects()
        self._check_size("the map of objects", numbers.shape)
        return numbers

    def _check_size(self, what: str, found: tuple[int, ...]) -> None:
        size = image_size(self.sample.image_path)
        if found != size:
            raise DataError(
                f"{self.source}: {what} of image {self.id!r} is {_rows_by_columns(found)}, but the photograph "
                f"{self.sample.image_path} is {_rows_by_columns(size)} (rows x columns, upright); give them one size"
            )


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
        maps = [inside(root, f"{OBJECT_FOLDER}/{sample.id}.png", OBJECT_FOLDER) for sample in samples]
        has_maps = config.format == "voc" and not config.masks
        return _from_files(samples, paths, len(dataset.classes), maps if has_maps else ())
    if config.format == "coco":
        path = inside(root, config.train if split == "train" else config.val, f"data.{split}")
        class_map = open_class_map(root, config.class_map)
        return _from_coco(samples, coco.read_instances(path, class_map), dataset) if samples else ()
    return ()


def _from_files(
    samples: Sequence[WeakSample], paths: Sequence[Path], num_classes: int, maps: Sequence[Path] = ()
) -> tuple[EvalSample, ...]:
    objects = [partial(_load_numbers, path) if path.is_file() else None for path in maps] or [None] * len(samples)
    return tuple(
        EvalSample(sample, partial(_load_labels, path), num_classes, str(path), numbers)
        for sample, path, numbers in zip(samples, paths, objects, strict=True)
        if path.is_file()
    )


def _from_coco(samples: Sequence[WeakSample], file: coco.CocoFile, dataset: Dataset) -> tuple[EvalSample, ...]:
    objects = file.class_ids(dataset.classes)
    class_ids = objects | dict.fromkeys(file.ignored, UNDECIDED)
    return tuple(
        EvalSample(
            sample,
            partial(_paint, file.images[sample.id], class_ids),
            len(dataset.classes),
            str(file.path),
            partial(_paint_numbers, file.images[sample.id], objects),
        )
        for sample in samples
        if all(item.segmentation for item in file.images[sample.id].objects if item.category_id in class_ids)
    )


def _load_labels(path: Path) -> NDArray[np.uint8]:
    return LabelMap.load(path).labels


def _load_numbers(path: Path) -> NDArray[np.int32]:
    numbers = LabelMap.load(path).labels.astype(np.int32)
    return np.where(numbers == UNDECIDED, 0, numbers)


def _paint(image: CocoImage, class_ids: dict[int, int]) -> NDArray[np.uint8]:
    return paint_objects(image.objects, class_ids, _stated_size(image))


def _paint_numbers(image: CocoImage, class_ids: dict[int, int]) -> NDArray[np.int32]:
    return number_objects(image.objects, class_ids, _stated_size(image))


def _stated_size(image: CocoImage) -> tuple[int, int]:
    if image.size is None:
        raise DataError(f"{image.where}: 'height' and 'width' are missing; add them, masks cannot be drawn without")
    return image.size


def _rows_by_columns(size: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in size)

"""Ground truth, kept apart: only ``evaluation`` and the simulation of weak labels may import this module."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.data.class_map import ClassMap, open_class_map
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset
from weakseg.data.formats.coco import CocoFile, read_instances
from weakseg.data.formats.coco_masks import check_pixels, number_objects, paint_objects
from weakseg.data.formats.coco_objects import CocoImage, Key
from weakseg.data.formats.mask_files import MaskRules, check_meaning, load_mask, load_numbers
from weakseg.data.formats.mask_pairs import objects_of_pair
from weakseg.data.image import Scalar, image_size
from weakseg.data.paths import image_id_of, inside
from weakseg.data.readers import voc
from weakseg.data.readers.masks import mask_rules
from weakseg.data.regions import encode_runs
from weakseg.data.sample import WeakSample
from weakseg.data.upright import stored_frame, upright_mask, upright_runs
from weakseg.errors import DataError, ShapeError
from weakseg.instances import Instances
from weakseg.ops.runs import run_areas, run_boxes


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
        _check_photograph(self.sample.image_path, truth.shape, f"{self.source}: truth of image {self.id!r}")
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
        what = f"{self.source}: the map of objects of image {self.id!r}"
        _check_photograph(self.sample.image_path, numbers.shape, what)
        return numbers


@dataclass(frozen=True)
class TrueInstances:
    """The true objects of one image.

    Attributes:
        objects: Their pixels, classes and boxes.
        crowd: Whether each is a region of many objects that nobody told apart.
    """

    objects: Instances
    crowd: tuple[bool, ...]

    def __post_init__(self) -> None:
        """Check that there is one flag for every object."""
        if len(self.crowd) != len(self.objects):
            raise ShapeError(f"truth: {len(self.objects)} objects, but {len(self.crowd)} crowd flags; want one each")


@dataclass(frozen=True)
class InstanceSample:
    """An image with its true objects.

    Attributes:
        id: Image id.
        load: Returns the objects.
        num_classes: K, to check their classes against.
        source: File that the truth comes from, for errors.
        photograph: Its file, to check the size against; ``None``: nothing to check.
    """

    id: str
    load: Callable[[], TrueInstances]
    num_classes: int
    source: str = "truth"
    photograph: Path | None = None

    def load_truth(self) -> TrueInstances:
        """Return the true objects.

        Raises:
            DataError: If they cannot be read, are of another size than the photograph, or one is of a class above K.
        """
        truth = self.load()
        if self.photograph is not None:
            _check_photograph(self.photograph, truth.objects.image_size, f"{self.source}: truth of image {self.id!r}")
        if (top := max(truth.objects.class_ids, default=0)) > self.num_classes:
            raise DataError(
                f"{self.source}: object of class {top} in image {self.id!r}, but there are {self.num_classes} classes; "
                "were the masks made with others?"
            )
        return truth


def open_truth(config: DataConfig, dataset: Dataset, split: str, listed: str = "") -> tuple[EvalSample, ...]:
    """Return the samples of a split, or a list, that have ground truth; masks are opened until one shows a class.

    Truth is the folder ``config.truth`` where it is set; else what the format has: ``SegmentationClass`` of voc, the
    segmentations of coco (images with an object that has none are left out), nothing for ``folder``.

    Raises:
        DataError: If ``config.truth`` is set and no folder, a path leads outside the root, or masks hold 0 and 255
            alone and ``config.void`` does not say what that means.
    """
    root = Path(config.root).expanduser().resolve()
    samples = dataset.images_of(split, listed)
    if config.truth and not inside(root, config.truth, "data.truth").is_dir():
        raise DataError(f"data.truth: {root / config.truth} is not a folder; give the folder of the true masks")
    if config.truth or config.format == "voc":
        paths = [voc.mask_path(config, root, sample.id) for sample in samples]
        maps = [voc.object_path(root, sample.id) for sample in samples]
        has_maps = config.format == "voc" and not config.truth
        rules = _rules(config, root, dataset)
        check_meaning((path for path in paths if path.is_file()), rules, f"truth in {paths[0].parent}" if paths else "")
        return _from_files(samples, paths, rules, maps if has_maps else ())
    if config.format == "coco":
        groups, class_map = dataset.by_split(samples, split), open_class_map(root, config.class_map)
        files = {s: read_instances(inside(root, config.list_of(s), f"data.{s}"), class_map) for s in groups}
        return tuple(one for s, members in groups.items() for one in _from_coco(members, files[s], dataset))
    return ()


def check_truth(config: DataConfig, dataset: Dataset) -> None:
    """Raise what ``open_truth`` would raise of true masks, before the work whose result they are to score."""
    for split in dataset.splits if config.truth or config.format == "voc" else ():
        open_truth(config, dataset, split)


def open_instance_truth(
    config: DataConfig, dataset: Dataset, split: str, listed: str = ""
) -> tuple[InstanceSample, ...]:
    """Return the images of a split, or a list, whose true objects are known; masks are not opened yet.

    Truth is ``SegmentationObject`` with the class masks of voc, the segmentations of coco, nothing for ``folder``.
    """
    root = Path(config.root).expanduser().resolve()
    groups = dataset.by_split(dataset.images_of(split, listed), split)
    photographs = {sample.id: sample.image_path for sample in dataset.images_of(split, listed)}
    truth: tuple[InstanceSample, ...] = ()
    if config.format == "voc":
        paths = {i: (voc.object_path(root, i), voc.mask_path(config, root, i)) for i in photographs}
        there = {i: pair for i, pair in paths.items() if all(path.is_file() for path in pair)}
        truth = instance_truth_from_masks(there, _rules(config, root, dataset))
    for s, members in groups.items() if config.format == "coco" else ():
        path, files = inside(root, config.list_of(s), f"data.{s}"), {one.id: one.image_path for one in members}
        found = instance_truth_from_coco(path, dataset.classes, open_class_map(root, config.class_map), files)
        truth += tuple(one for one in found if one.id in files)
    return tuple(replace(one, photograph=photographs[one.id]) for one in truth if one.id in photographs)


def _rules(config: DataConfig, root: Path, dataset: Dataset) -> MaskRules:
    folder = voc.mask_path(config, root, "any").parent
    return mask_rules(config, root, folder, dataset.classes, open_class_map(root, config.class_map))


def instance_truth_from_masks(paths: Mapping[str, tuple[Path, Path]], rules: MaskRules) -> tuple[InstanceSample, ...]:
    """Return images with objects from VOC's pairs of masks: (numbers of objects, classes), by image id.

    Objects are the numbers other than 0 and 255; the class of one is the most frequent at its pixels.
    """
    num_classes = len(rules.classes)
    return tuple(
        InstanceSample(image_id, partial(_objects_of_masks, objects, labels, rules), num_classes, str(objects))
        for image_id, (objects, labels) in paths.items()
    )


def instance_truth_from_coco(
    path: Path, classes: Classes, class_map: ClassMap | None = None, photographs: Mapping[str, Path] | None = None
) -> tuple[InstanceSample, ...]:
    """Return images with objects from a COCO file; images with an object that has no segmentation are left out.

    Objects of categories that the class map ignores, or that are none of ``classes``, are no true objects. Objects of
    ``photographs``, files by image id, become upright as labels do.
    """
    file, files = read_instances(path, class_map), photographs or {}
    class_ids = file.class_ids(classes)
    return tuple(
        InstanceSample(i, partial(_objects_of_coco, image, class_ids, files.get(i)), len(classes), str(path))
        for i, image in file.images.items()
        if all(item.segmentation for item in image.objects if item.category_id in class_ids)
    )


def _from_files(
    samples: Sequence[WeakSample], paths: Sequence[Path], rules: MaskRules, maps: Sequence[Path] = ()
) -> tuple[EvalSample, ...]:
    objects = [partial(load_numbers, path) if path.is_file() else None for path in maps] or [None] * len(samples)
    return tuple(
        EvalSample(sample, partial(load_mask, path, rules), len(rules.classes), str(path), numbers)
        for sample, path, numbers in zip(samples, paths, objects, strict=True)
        if path.is_file()
    )


def _from_coco(samples: Sequence[WeakSample], file: CocoFile, dataset: Dataset) -> tuple[EvalSample, ...]:
    objects = file.class_ids(dataset.classes)
    class_ids = objects | dict.fromkeys(file.ignored, UNDECIDED)
    return tuple(
        EvalSample(
            sample,
            partial(_paint, paint_objects, file.images[sample.id], class_ids, sample.image_path),
            len(dataset.classes),
            str(file.path),
            partial(_paint, number_objects, file.images[sample.id], objects, sample.image_path),
        )
        for sample in samples
        if all(item.segmentation for item in file.images[sample.id].objects if item.category_id in class_ids)
    )


def _paint(paint: Callable[..., NDArray[Scalar]], image: CocoImage, ids: dict[Key, int], file: Path) -> NDArray[Scalar]:
    return upright_mask(paint(image.objects, ids, _stated_size(image, file)), file)


def _objects_of_masks(objects: Path, labels: Path, rules: MaskRules) -> TrueInstances:
    found = objects_of_pair(objects, labels, rules)
    return TrueInstances(found, (False,) * len(found))


def _objects_of_coco(image: CocoImage, class_ids: dict[Key, int], photograph: Path | None) -> TrueInstances:
    """Return the objects of an entry that have pixels: polygons can be too thin for any."""
    size = _stated_size(image, photograph)
    chosen = [item for item in image.objects if item.category_id in class_ids]
    runs = [encode_runs(item.segmentation, size, item.where)["counts"] for item in chosen]
    if frame := stored_frame(size, photograph):
        runs, size = [upright_runs(run, frame) for run in runs], frame.size
    there = [number for number, area in enumerate(run_areas(runs, size)) if area]
    shown = tuple(runs[n] for n in there)
    ids = tuple(class_ids[chosen[n].category_id] for n in there)
    objects = Instances(shown, ids, (1.0,) * len(there), run_boxes(shown, size), size)
    return TrueInstances(objects, tuple(chosen[n].crowd for n in there))


def _stated_size(image: CocoImage, photograph: Path | None) -> tuple[int, int]:
    """Return the size that an entry states, if it is that of the photograph, as stored or upright."""
    if image.size is None:
        raise DataError(f"{image.where}: 'height' and 'width' are missing; add them, masks cannot be drawn without")
    check_pixels(image.size)
    if photograph is not None and stored_frame(image.size, photograph) is None:
        _check_photograph(photograph, image.size, f"{image.where}: truth of image {image_id_of(image.file_name)!r}")
    return image.size


def _check_photograph(photograph: Path, found: tuple[int, ...], what: str) -> None:
    """Raise ``DataError`` if a truth is of another size than its photograph."""
    if (size := image_size(photograph)) != found:
        raise DataError(
            f"{what} is {_rows_by_columns(found)}, but the photograph {photograph} is {_rows_by_columns(size)} (rows x "
            "columns, upright); give them one size"
        )


def _rows_by_columns(size: tuple[int, ...]) -> str:
    return " x ".join(str(length) for length in size)

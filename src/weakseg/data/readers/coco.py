"""COCO layout: a folder of images and a JSON file of instances for each split."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage
from weakseg.data.binding import bind_image
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes, unknown_class
from weakseg.data.config import DataConfig
from weakseg.data.formats.coco import CocoFile, read_instances
from weakseg.data.formats.coco_objects import CocoObject
from weakseg.data.formats.coco_shapes import shapes_of
from weakseg.data.paths import find_image, inside, read_classes
from weakseg.data.reading import Extras, Reading
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError


def read(config: DataConfig, root: Path, class_map: ClassMap) -> Reading:
    """Return classes and samples of COCO files; given class names choose among the categories.

    Boxes and visible keypoints are labels, segmentations only where ``labels: regions`` asks for them: they are also
    what results are scored with.

    Raises:
        DataError: If a file is malformed, a class or category does not exist, or a path leads outside the root.
    """
    names = {"train": config.train, "val": config.val}
    files = {s: read_instances(inside(root, name, f"data.{s}"), class_map) for s, name in names.items() if name}
    given = read_classes(root, config.classes)
    classes = Classes(given or files["train"].class_names)
    for file in files.values():
        _check_classes(file, classes, chosen=given is not None)
    extras = Extras()
    splits = {
        split: _samples(file, classes, root, _image_folder(config, root, split, file.path), config.labels, extras)
        for split, file in files.items()
    }
    return Reading(classes, splits, extras.dropped, extras.sizes)


def _check_classes(file: CocoFile, classes: Classes, *, chosen: bool) -> None:
    """Refuse a class without category and, unless the classes were chosen among them, a category without class."""
    wanted, known = (classes.names, file.class_names) if chosen else (file.class_names, classes.names)
    for name in wanted:
        if name not in known:
            raise unknown_class(name, known, f"{file.path}: {'data.classes' if chosen else 'categories'}")


def _samples(
    file: CocoFile, classes: Classes, root: Path, folder: Path, labels: str, extras: Extras
) -> tuple[WeakSample, ...]:
    class_ids = file.class_ids(classes)
    images, paths = [], []
    for image in file.images.values():
        paths.append(find_image(root, folder, image.file_name, image.where))
        shapes = [
            shape
            for item in image.objects
            if item.category_id in class_ids or item.category_id in file.ignored
            for shape in shapes_of(item, file.categories.get(item.category_id), image.size, labels)
        ]
        images.append(AnnotatedImage(image.file_name, tuple(shapes), image.where, size=image.size))
    samples = []
    for (image_id, entry), path, upright in zip(
        file.images.items(), paths, turn_upright(images, paths, file.path), strict=True
    ):
        bound = bind_image(upright, classes)
        extras.add(image_id, upright.size, bound.dropped)
        samples.append(WeakSample(image_id, path, _tags(entry.objects, class_ids), bound.drawn))
    return tuple(samples)


def _tags(objects: Sequence[CocoObject], class_ids: dict[int, int]) -> Tags:
    """Return the classes of the objects; one that only crowd regions show is unknown."""
    present = frozenset(class_ids[o.category_id] for o in objects if o.category_id in class_ids and not o.crowd)
    crowds = frozenset(class_ids[o.category_id] for o in objects if o.category_id in class_ids and o.crowd)
    return Tags(present, crowds - present)


def _image_folder(config: DataConfig, root: Path, split: str, file: Path) -> Path:
    """Return the folder of images: as configured, else ``images``, ``train``, ``train2017`` (instances_train2017)."""
    if config.images:
        return inside(root, config.images, "data.images")
    names = ("images", split, file.stem.removeprefix("instances_"))
    if (found := next((name for name in names if (root / name).is_dir()), None)) is None:
        raise DataError(
            f"{root}: none of the folders {', '.join(names)} exists; set data.images to the folder of images"
        )
    return inside(root, found, "data.images")

"""COCO layout: a folder of images and a JSON file of instances for each split."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, Dropped
from weakseg.data.binding import bind_image
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes, unknown_class
from weakseg.data.config import DataConfig
from weakseg.data.formats.coco import CocoFile, read_instances
from weakseg.data.formats.coco_objects import CocoImage, Key
from weakseg.data.formats.coco_shapes import annotated
from weakseg.data.image import read_frame
from weakseg.data.paths import find_image, image_id_of, inside, read_classes
from weakseg.data.readers.annotated import check_ids
from weakseg.data.reading import Extras, Reading
from weakseg.data.sample import WeakSample
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError

PROBED_IMAGES = 20  # of which one must be in a folder that is taken to be theirs


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
        split: _samples(file, classes, root, _image_folder(config, root, split, file), config.labels, extras)
        for split, file in files.items()
    }
    check_ids(splits)
    return Reading(classes, splits, extras.dropped, extras.sizes)


def _check_classes(file: CocoFile, classes: Classes, *, chosen: bool) -> None:
    """Refuse a class without category and, unless the classes were chosen among them, a category without class."""
    every = tuple(dict.fromkeys(file.categories.values()))
    wanted, known = (classes.names, every) if chosen else (file.class_names, classes.names)
    for name in wanted:
        if name not in known:
            raise unknown_class(name, known, f"{file.path}: {'data.classes' if chosen else 'categories'}")


def _samples(
    file: CocoFile, classes: Classes, root: Path, folder: Path, labels: str, extras: Extras
) -> tuple[WeakSample, ...]:
    names: dict[Key, str | None] = {key: file.categories[key] for key in file.class_ids(classes)}
    names |= dict.fromkeys(file.ignored)
    extras.dropped |= file.skipped
    found = _located(file, root, folder, extras)
    paths = list(found.values())
    images = [_known(_read(file.images[i], names, labels, path), classes, extras) for i, path in found.items()]
    samples = []
    for image, path in zip(turn_upright(images, paths, file.path), paths, strict=True):
        image_id, bound = image_id_of(image.name), bind_image(image, classes)
        extras.add(image_id, image.size, bound.dropped)
        samples.append(WeakSample(image_id, path, bound.tags, bound.drawn))
    return tuple(samples)


def _located(file: CocoFile, root: Path, folder: Path, extras: Extras) -> dict[str, Path]:
    """Return the photographs by image id; those outside the root are left out.

    Raises:
        DataError: If all are.
    """
    found: dict[str, Path] = {}
    for image_id, image in file.images.items():
        try:
            found[image_id] = find_image(root, folder, image.file_name, image.where)
        except DataError as error:
            extras.dropped[image.where] = reason = str(error).removeprefix(f"{image.where}: ")
    if file.images and not found:
        raise DataError(f"{file.path}: lists no images that can be used: {image.where}: {reason}")
    return found


def _read(image: CocoImage, names: Mapping[Key, str | None], labels: str, path: Path) -> AnnotatedImage:
    """Return what is said of an image; nothing is rasterised for a size that is not that of the photograph."""
    if labels != "regions" or image.size is None:
        return annotated(image, names, labels)
    try:
        frame = read_frame(path)
    except DataError:  # it fails by itself
        return annotated(image, names, labels)
    if image.size in (frame.stored, frame.size):
        return annotated(image, names, labels)
    sizes = [f"{rows} x {columns}" for rows, columns in (image.size, frame.size)]
    reason = f"its regions are for {sizes[0]} (rows x columns), but the photograph is {sizes[1]}; correct one"
    plain = annotated(image, names, "tags")
    return replace(plain, dropped={**plain.dropped, image.where: Dropped(reason, frozenset())})


def _known(image: AnnotatedImage, classes: Classes, extras: Extras) -> AnnotatedImage:
    """Return an image without the left-out entries of categories that are none of the classes; they are noted."""
    others = {w for w, entry in image.dropped.items() if entry.labels and not entry.labels <= set(classes.names)}
    extras.dropped |= {where: image.dropped[where].reason for where in others}
    return replace(image, dropped={w: entry for w, entry in image.dropped.items() if w not in others})


def _image_folder(config: DataConfig, root: Path, split: str, file: CocoFile) -> Path:
    """Return the folder of images: as configured, else the first usual one that holds one of the first images.

    Usual are ``images``, that of the split, that of the file's name (``instances_train2017`` or ``train2017``), all of
    these also in ``images``, ``data``, and the folder of the file itself.

    Raises:
        DataError: If it is none of these.
    """
    if config.images:
        return inside(root, config.images, "data.images")
    own = file.path.parent.relative_to(root)
    stem = file.path.stem
    plain = ("images", split, stem.removeprefix("instances_"), stem.rsplit("_", 1)[-1], "data")
    nested = [f"images/{name}" for name in plain[1:4]]
    names = dict.fromkeys(
        [*nested, *plain, *(f"{own.as_posix()}/{name}" for name in ("images", "data")), own.as_posix()]
    )
    folders = [inside(root, name, "data.images") for name in names if (root / name).is_dir()]
    first = list(islice(file.images.values(), PROBED_IMAGES))
    for folder in folders:
        if any(_is_there(root, folder, image) for image in first):
            return folder
    if (there := next((root / name for name in plain[:3] if (root / name).is_dir()), None)) is not None:
        return there.resolve()
    raise DataError(
        f"{root}: none of the folders {', '.join(plain[:3])} exists, and no image is beside {file.path.name}; set "
        "data.images to the folder of images"
    )


def _is_there(root: Path, folder: Path, image: CocoImage) -> bool:
    try:
        return find_image(root, folder, image.file_name, image.where).is_file()
    except DataError:  # it leads outside
        return False

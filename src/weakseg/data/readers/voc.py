"""PASCAL VOC layout: JPEGImages, ImageSets/Segmentation, Annotations, SegmentationClass, SegmentationObject."""

from collections.abc import Callable, Mapping
from functools import partial
from itertools import product
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, Drawn
from weakseg.data.binding import bind_image
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.mask_files import MaskRules, check_meaning, palette_classes
from weakseg.data.formats.shapes import left_out
from weakseg.data.formats.tags import read_table
from weakseg.data.formats.voc_xml import VOC_CLASSES, VocRules, read_objects, warn_of_zeros
from weakseg.data.paths import inside, read_classes, read_lines
from weakseg.data.readers import annotated
from weakseg.data.readers.image_list import list_path, read_image_list
from weakseg.data.readers.masks import mask_rules
from weakseg.data.reading import Extras, Reading
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.simulate import tags_from_mask
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError
from weakseg.names import composed

Labels = tuple[Tags, Drawn]


def read(config: DataConfig, root: Path, class_map: ClassMap) -> Reading:
    """Return classes and samples of a VOC folder; without ``classes.txt`` and ``labelmap.txt`` the 20 of VOC are meant.

    Boxes come from the XML files, where tags do. A folder without lists of images, with XML files beside the
    photographs, as LabelImg writes it, is read where ``data.train`` names it; its classes are those of its objects.
    """
    folder = inside(root, config.train, "data.train")
    if folder.is_dir() and not list_path(root, config.train, "data.train").is_file():
        return annotated.read(config, root, class_map)
    classes = Classes(read_classes(root, config.classes) or class_map.names(palette_classes(root) or VOC_CLASSES))
    names = {"train": config.train, "val": config.val}
    images = photograph_folder(config, root)
    extras = Extras()
    files = {s: list_path(root, name, f"data.{s}") for s, name in names.items() if name}
    paths = {s: read_image_list(file, root, images, extras) for s, file in files.items()}
    every = {image_id: path for members in paths.values() for image_id, path in members.items()}
    labels_of = _label_source(config, root, classes, class_map, every, extras)
    splits = {s: tuple(WeakSample(i, path, *labels_of(i)) for i, path in found.items()) for s, found in paths.items()}
    return Reading(classes, splits, extras.dropped, extras.sizes)


def photograph_folder(config: DataConfig, root: Path) -> Path:
    """Return the folder of the photographs."""
    return inside(root, config.images or "JPEGImages", "data.images")


def mask_path(config: DataConfig, root: Path, image_id: str) -> Path:
    """Return where the true class mask of an image lies."""
    return inside(root, f"{config.truth or 'SegmentationClass'}/{image_id}.png", "data.truth")


def object_path(root: Path, image_id: str) -> Path:
    """Return where the true object mask of an image lies."""
    return inside(root, f"SegmentationObject/{image_id}.png", "ImageSets")


def _label_source(
    config: DataConfig, root: Path, classes: Classes, class_map: ClassMap, files: Mapping[str, Path], extras: Extras
) -> Callable[[str], Labels]:
    """Return the function from image id to labels that ``config.tags`` names."""
    source = config.tags
    if source == "auto":
        source = "annotations" if (root / "Annotations").is_dir() else "main"
    if source == "annotations":
        found = _from_xml(config, root, classes, class_map, files, extras)
        return lambda i: found[i]
    if source == "main":
        tag_of = _tags_from_main(config, root, classes, class_map)
    elif source == "truth":
        folder = mask_path(config, root, "any").parent
        rules = mask_rules(config, root, folder, classes, class_map)
        check_meaning((mask_path(config, root, image_id) for image_id in files), rules, str(folder))
        tag_of = partial(_tags_from_mask, config, root, rules)
    else:
        table = read_table(inside(root, source, "data.tags"))
        extras.dropped |= table.dropped
        unmentioned = Tags(frozenset(), frozenset(range(1, len(classes) + 1)))
        tag_of = partial(_get, table.mapped(class_map).bind(classes), unmentioned)
    return lambda i: (tag_of(i), Drawn())


def _get(table: Mapping[str, Tags], otherwise: Tags, image_id: str) -> Tags:
    return table.get(image_id, otherwise)


def _tags_from_mask(config: DataConfig, root: Path, rules: MaskRules, image_id: str) -> Tags:
    return tags_from_mask(mask_path(config, root, image_id), rules, min_pixels=config.min_pixels)


def _from_xml(
    config: DataConfig, root: Path, classes: Classes, class_map: ClassMap, files: Mapping[str, Path], extras: Extras
) -> dict[str, Labels]:
    """Return tags and boxes of each photograph."""
    rules = VocRules(config.voc_base, config.difficult, config.labels in ("auto", "boxes"))
    images = [_objects(root, image_id, rules) for image_id in files]
    if images and all(image.where in image.dropped for image in images):
        where, entry = next(iter(images[0].dropped.items()))
        raise DataError(f"{where}: {entry.reason}; and so with all others")
    warn_of_zeros(images, rules.base)
    labels: dict[str, Labels] = {}
    for image in turn_upright(images, list(files.values()), root / "Annotations"):
        bound = bind_image(image, classes, class_map)
        labels[image.name] = bound.tags, bound.drawn
        extras.add(image.name, image.size, bound.dropped)
    return labels


def _objects(root: Path, image_id: str, rules: VocRules) -> AnnotatedImage:
    """Return the objects of one photograph; of a file outside the root, that is what is left out."""
    name = f"Annotations/{image_id}.xml"
    where = str(root / name)
    try:
        return read_objects(inside(root, name, where), image_id, rules)
    except DataError as error:
        return AnnotatedImage(image_id, (), where, dropped={where: left_out(error, where, None)})


def _tags_from_main(config: DataConfig, root: Path, classes: Classes, class_map: ClassMap) -> Callable[[str], Tags]:
    """Read ``Main/CLASS_SPLIT.txt``: 1 present, -1 absent, 0 (difficult objects only) unknown, not listed unknown."""
    flags: dict[str, dict[int, set[str]]] = {}
    for class_id, name in enumerate(classes.names, start=1):
        lists = sorted({"train", "val", "trainval", "test", config.train, config.val} - {""})
        for old, split in product(class_map.sources(name), lists):
            path = inside(root, f"ImageSets/Main/{old}_{split}.txt", "data.tags")
            for number, line in read_lines(path, "list of images") if path.is_file() else ():
                image_id, flag = _main_entry(line, f"{path}:{number}")
                flags.setdefault(image_id, {}).setdefault(class_id, set()).add(flag)
    if not flags:
        raise DataError(
            f"{root}: no tags found (neither Annotations nor ImageSets/Main/CLASS_SPLIT.txt); set data.tags to a label "
            "file, or to 'truth' to simulate tags from the true masks"
        )
    return lambda i: _tags_of_flags(flags.get(i, {}), len(classes))


def _main_entry(line: str, where: str) -> tuple[str, str]:
    """Return image id and flag of one line."""
    parts = line.split()
    if len(parts) != 2 or parts[1] not in ("1", "-1", "0"):
        raise DataError(f"{where}: expected an image id and 1, 0 or -1, got {line!r}; correct the line")
    return composed(parts[0]), parts[1]


def _tags_of_flags(flags: dict[int, set[str]], num_classes: int) -> Tags:
    """Return the tags of an image from the flags of each class; where lists differ, present wins, then unknown."""
    present = frozenset(class_id for class_id, found in flags.items() if "1" in found)
    absent = frozenset(class_id for class_id, found in flags.items() if found == {"-1"})
    return Tags(present, frozenset(range(1, num_classes + 1)) - present - absent)

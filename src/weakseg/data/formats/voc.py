"""PASCAL VOC layout: JPEGImages, ImageSets/Segmentation, Annotations, SegmentationClass."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from xml.etree.ElementTree import ParseError

from defusedxml import DefusedXmlException, ElementTree

from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.tags import read_tags
from weakseg.data.paths import find_image, inside, read_classes, read_lines
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.simulate import tags_from_mask
from weakseg.errors import DataError

VOC_CLASSES = (
    "aeroplane",
    "bicycle",
    "bird",
    "boat",
    "bottle",
    "bus",
    "car",
    "cat",
    "chair",
    "cow",
    "diningtable",
    "dog",
    "horse",
    "motorbike",
    "person",
    "pottedplant",
    "sheep",
    "sofa",
    "train",
    "tvmonitor",
)


def read(config: DataConfig, root: Path) -> tuple[Classes, dict[str, tuple[WeakSample, ...]]]:
    """Return classes and samples of a VOC folder; without ``classes.txt`` the 20 VOC classes are meant."""
    classes = Classes(read_classes(root, config.classes) or VOC_CLASSES)
    names = {"train": config.train, "val": config.val}
    ids = {split: _read_list(root, name, f"data.{split}") for split, name in names.items() if name}
    tag_of = _tag_source(config, root, classes)
    images = inside(root, config.images or "JPEGImages", "data.images")
    splits = {
        split: tuple(WeakSample(i, find_image(root, images, i, where), tag_of(i)) for i, where in members.items())
        for split, members in ids.items()
    }
    return classes, splits


def mask_path(config: DataConfig, root: Path, image_id: str) -> Path:
    """Return where the true class mask of an image lies."""
    return inside(root, f"{config.masks or 'SegmentationClass'}/{image_id}.png", "data.masks")


def _read_list(root: Path, name: str, setting: str) -> dict[str, str]:
    """Return the image ids of a list under ImageSets/Segmentation, each with its file and line."""
    path = inside(root, f"ImageSets/Segmentation/{name}.txt", setting)
    found: dict[str, str] = {}
    for number, line in read_lines(path, "list of images"):
        image_id = line.split()[0]
        if image_id in found:
            raise DataError(f"{path}:{number}: image {image_id!r} is already at {found[image_id]}; keep one entry")
        found[image_id] = f"{path}:{number}"
    return found


def _tag_source(config: DataConfig, root: Path, classes: Classes) -> Callable[[str], Tags]:
    """Return the function from image id to tags that ``config.tags`` names."""
    source = config.tags
    if source == "auto":
        source = "annotations" if (root / "Annotations").is_dir() else "main"
    if source == "annotations":
        return partial(_tags_from_xml, root, classes)
    if source == "main":
        return _tags_from_main(config, root, classes)
    if source == "masks":
        return lambda i: tags_from_mask(mask_path(config, root, i), len(classes), min_pixels=config.min_pixels)
    table = read_tags(inside(root, source, "data.tags"), classes)
    unmentioned = Tags(frozenset(), frozenset(range(1, len(classes) + 1)))
    return lambda i: table.get(i, unmentioned)


def _tags_from_xml(root: Path, classes: Classes, image_id: str) -> Tags:
    """Return the classes of all objects, difficult ones included."""
    path = inside(root, f"Annotations/{image_id}.xml", "ImageSets")
    try:
        tree = ElementTree.parse(path)
    except (OSError, ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise DataError(
            f"{path}: annotation of image {image_id!r} cannot be read ({error}); repair it, or set data.tags to "
            "another source"
        ) from error
    names = [node.findtext("name", "").strip() for node in tree.iter("object")]
    return Tags(frozenset(classes.id_of(name, str(path)) for name in names))


def _tags_from_main(config: DataConfig, root: Path, classes: Classes) -> Callable[[str], Tags]:
    """Read ``Main/CLASS_SPLIT.txt``: 1 present, -1 absent, 0 (difficult objects only) unknown, not listed unknown."""
    flags: dict[str, dict[int, set[str]]] = {}
    for class_id, name in enumerate(classes.names, start=1):
        for split in sorted({"train", "val", "trainval", "test", config.train, config.val} - {""}):
            path = inside(root, f"ImageSets/Main/{name}_{split}.txt", "data.tags")
            for number, line in read_lines(path, "list of images") if path.is_file() else ():
                image_id, flag = _main_entry(line, f"{path}:{number}")
                flags.setdefault(image_id, {}).setdefault(class_id, set()).add(flag)
    if not flags:
        raise DataError(
            f"{root}: no tags found (neither Annotations nor ImageSets/Main/CLASS_SPLIT.txt); set data.tags to a label "
            "file, or to 'masks' to simulate tags from the true masks"
        )
    return lambda i: _tags_of_flags(flags.get(i, {}), len(classes))


def _main_entry(line: str, where: str) -> tuple[str, str]:
    """Return image id and flag of one line."""
    parts = line.split()
    if len(parts) != 2 or parts[1] not in ("1", "-1", "0"):
        raise DataError(f"{where}: expected an image id and 1, 0 or -1, got {line!r}; correct the line")
    return parts[0], parts[1]


def _tags_of_flags(flags: dict[int, set[str]], num_classes: int) -> Tags:
    """Return the tags of an image from the flags of each class; where lists differ, present wins, then unknown."""
    present = frozenset(class_id for class_id, found in flags.items() if "1" in found)
    absent = frozenset(class_id for class_id, found in flags.items() if found == {"-1"})
    return Tags(present, frozenset(range(1, num_classes + 1)) - present - absent)

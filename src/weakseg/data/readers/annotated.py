"""Formats that are tables of annotated photographs: one reader for all; each format has its own way to a table."""

import logging
import posixpath
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable
from weakseg.data.binding import bind
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.catalogue import FORMATS
from weakseg.data.formats.foreign import refuse_foreign
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.paths import find_image, image_folder, image_id_of, inside, read_classes
from weakseg.data.reading import Reading
from weakseg.data.sample import WeakSample
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError

logger = logging.getLogger(__name__)


def read(config: DataConfig, root: Path, class_map: ClassMap) -> Reading:
    """Return classes and samples of a format that is a table of annotated photographs.

    Without given classes they are those that the files declare, in their order, else those that they use.

    Raises:
        DataError: If a file is missing or malformed, a class is unknown, or a path leads outside the root.
    """
    names = {split: name for split, name in (("train", config.train), ("val", config.val)) if name}
    tables = {split: _table(config, root, name, f"data.{split}") for split, name in names.items()}
    _warn_of_idle_names(class_map, tables)
    classes = _classes(read_classes(root, config.classes), tables, class_map)
    splits: dict[str, tuple[WeakSample, ...]] = {}
    dropped: dict[str, str] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for split, name in names.items():
        table, paths = _located(config, root, inside(root, name, f"data.{split}"), tables[split])
        table = replace(table, images=turn_upright(table.images, paths, table.path))
        bound = bind(table, classes, class_map)
        ids = [image_id_of(image.name) for image in table.images]
        splits[split] = tuple(WeakSample(i, path, *bound.labels[i]) for i, path in zip(ids, paths, strict=True))
        dropped |= bound.dropped
        sizes |= {i: image.size for i, image in zip(ids, table.images, strict=True) if image.size}
    check_ids(splits)
    return Reading(classes, splits, dropped, sizes)


def _table(config: DataConfig, root: Path, name: str, setting: str) -> AnnotationTable:
    known, path = FORMATS[config.format], inside(root, name, setting)
    if known.names_from == "photographs" and not path.exists():
        raise DataError(f"{setting}: {path} does not exist; give the folder of photographs, or a list of them")
    classes = read_classes(root, config.classes)
    start = _start(config, root, path)
    around = Surroundings(root, start, classes, None, config.yolo, config.voc_base, config.difficult)
    try:
        return known.parse(path, around)
    except DataError:
        refuse_foreign(path)
        raise


def _located(
    config: DataConfig, root: Path, labels: Path, table: AnnotationTable
) -> tuple[AnnotationTable, tuple[Path, ...]]:
    """Return the table with the names that its photographs have in the data set, and their files.

    Photographs whose names lead outside the root are left out.

    Where names start from the label files, ``..`` may lead to another folder inside the root; photographs there are
    named as below the folder of images.
    """
    start, folder = _start(config, root, labels), labels if labels.is_dir() else labels.parent
    below = f"{posixpath.normpath(config.images or 'images')}/"
    images: list[AnnotatedImage] = []
    paths: dict[str, Path] = {}
    skipped = dict(table.skipped)
    for image in table.images:
        name = ""
        if FORMATS[config.format].names_from == "labels" and image.name.startswith("../"):
            name = posixpath.normpath(posixpath.join(folder.relative_to(root).as_posix(), image.name))
        try:
            path = find_image(root, root if name else start, name or image.name, image.where)
            images.append(replace(image, name=name.removeprefix(below)) if name else image)
            paths.setdefault(image_id_of(images[-1].name), path)
        except DataError as error:
            skipped[image.where] = str(error).removeprefix(f"{image.where}: ")
    return replace(table, images=without_repeats(images), skipped=skipped), tuple(paths.values())


def _start(config: DataConfig, root: Path, labels: Path) -> Path:
    """Return the folder that names of photographs in ``labels`` start from."""
    names_from = FORMATS[config.format].names_from
    if names_from == "labels" and not config.images:
        return labels if labels.is_dir() else labels.parent
    folder = image_folder(root, config.images)
    if names_from == "photographs" and not labels.is_relative_to(folder):
        return root
    return folder


def _classes(given: tuple[str, ...] | None, tables: Mapping[str, AnnotationTable], class_map: ClassMap) -> Classes:
    """Return the given classes, else those that the first file declares, else all that any file uses."""
    declared = next((table.declared for table in tables.values() if table.declared), ())
    if given is None and declared:
        return Classes(tuple(name for name in class_map.names(declared) if name not in BACKGROUND_NAMES))
    used = set().union(*(_used(table) for table in tables.values()))
    return Classes.from_labels(given, class_map.names(used))


def _used(table: AnnotationTable) -> set[str]:
    """Return the class names that a table uses."""
    return set().union(*(image.labels for image in table.images))


def _warn_of_idle_names(class_map: ClassMap, tables: Mapping[str, AnnotationTable]) -> None:
    """Warn of names in the class map that occur nowhere; they may be misspelt."""
    there = set().union(*(_used(table) | set(table.declared) for table in tables.values()))
    mentioned = {*class_map.rename, *class_map.ignore, *(name for names in class_map.merge.values() for name in names)}
    if idle := sorted(mentioned - there - set(class_map.names(there))):
        logger.warning("data.class_map: no label is called %s", ", ".join(map(repr, idle)))


def check_ids(splits: Mapping[str, tuple[WeakSample, ...]]) -> None:
    """Refuse two photographs with one id in different splits; results are stored under it."""
    first: dict[str, WeakSample] = {}
    for sample in (sample for samples in splits.values() for sample in samples):
        other = first.setdefault(sample.id, sample)
        if other.image_path != sample.image_path:
            raise DataError(
                f"{sample.image_path} and {other.image_path} have one image id {sample.id!r} in two splits; set "
                "data.images to a folder that holds both, or rename one"
            )

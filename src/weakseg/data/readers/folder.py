"""A folder of images with a label file, or with one folder a class."""

import filecmp
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.catalogue import FORMATS, recognise_file
from weakseg.data.formats.foreign import refuse_foreign
from weakseg.data.formats.tag_table import TagRow, TagTable, long_table
from weakseg.data.formats.tags import read_table
from weakseg.data.paths import check_inside, find_image, image_folder, image_id_of, inside, read_classes
from weakseg.data.photographs import photographs_in
from weakseg.data.readers import annotated
from weakseg.data.reading import Reading
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.names import composed


@dataclass(frozen=True)
class _Source:
    """The labels of a split, and the image file of every image id in order."""

    table: TagTable
    paths: dict[str, Path]
    outside: dict[str, str] = field(default_factory=dict)

    @property
    def dropped(self) -> dict[str, str]:
        """Reason by file and line of all that is left out, also of photographs outside the root."""
        return {**self.table.dropped, **self.outside}


def read(config: DataConfig, root: Path, class_map: ClassMap) -> Reading:
    """Return classes and samples; without given classes they are those that the labels of all splits name.

    A CSV file whose header has the columns of points or boxes is read as such.

    Raises:
        DataError: If there are no labels, a label file is malformed, or a path leads outside the root.
    """
    known = {name: FORMATS[name] for name in ("csv", "tags")}
    if config.train and recognise_file(inside(root, config.train, "data.train"), known) == "csv":
        return annotated.read(replace(config, format="csv"), root, class_map)
    images = image_folder(root, config.images)
    if config.train:
        sources = {"train": _from_label_file(root, images, config.train, "data.train")}
    else:
        sources = {"train": _from_class_folders(config, root, images)}
    if config.val:
        sources["val"] = _from_label_file(root, images, config.val, "data.val")
    sources = {split: replace(source, table=source.table.mapped(class_map)) for split, source in sources.items()}
    found = frozenset().union(*(source.table.class_names for source in sources.values()))
    classes = Classes.from_labels(read_classes(root, config.classes), found)
    dropped = {where: why for source in sources.values() for where, why in source.dropped.items()}
    return Reading(classes, {split: _samples(source, classes) for split, source in sources.items()}, dropped)


def _samples(source: _Source, classes: Classes) -> tuple[WeakSample, ...]:
    tags = source.table.bind(classes)
    return tuple(WeakSample(image_id, path, tags[image_id]) for image_id, path in source.paths.items())


def _from_label_file(root: Path, images: Path, name: str, setting: str) -> _Source:
    path = inside(root, name, setting)
    refuse_foreign(path)
    table = read_table(path)
    paths: dict[str, Path] = {}
    outside: dict[str, str] = {}
    for row in table.rows:
        image_id = image_id_of(row.image)
        if image_id in paths:
            continue
        try:
            paths[image_id] = find_image(root, images, row.image, row.where)
        except DataError as error:
            outside[row.where] = str(error).removeprefix(f"{row.where}: ")
    if not paths:
        where, reason = next(iter(outside.items()))
        raise DataError(f"{where}: {reason}")
    return _Source(table, paths, outside)


def _from_class_folders(config: DataConfig, root: Path, images: Path) -> _Source:
    """Read ``CLASS/NAME.jpg``; one file name in several folders is one image with several tags."""
    masks = inside(root, config.truth, "data.truth") if config.truth else None
    rows: list[TagRow] = []
    paths: dict[str, Path] = {}
    for link in (path for path in images.iterdir() if path.is_symlink() and path.is_dir()):
        check_inside(root, link)
    found: dict[Path, list[Path]] = {}
    outside: dict[str, str] = {}
    for path in photographs_in(images):
        try:
            check_inside(root, path)
            found.setdefault(path.parent, []).append(path)
        except DataError as error:
            outside[str(path)] = str(error).removeprefix(f"{path}: ")
    if outside and not found:
        where, reason = next(iter(outside.items()))
        raise DataError(f"{where}: {reason}")
    for folder in sorted(path for path in found if path.parent == images and path.resolve() != masks):
        for path in found[folder]:
            _check_same_image(paths.setdefault(image_id_of(path.name), path), path)
            rows.append(TagRow(path.name, str(path), {} if folder.name in BACKGROUND_NAMES else {folder.name: True}))
    _check_layout(images, [path.name for path in found.get(images, ())], bool(rows))
    return _Source(long_table(images, rows), paths, outside)


def _check_same_image(first: Path, second: Path) -> None:
    """Refuse two different photographs with one name; the second would silently count as the first."""
    if (
        composed(first.name) == composed(second.name)
        and first.is_file()
        and not filecmp.cmp(first, second, shallow=False)
    ):
        raise DataError(
            f"{second}: another image than {first}, with the same name; rename one (one name in several class folders "
            "means one image with several tags)"
        )


def _check_layout(images: Path, loose: Sequence[str], class_folders: bool) -> None:
    """Refuse a folder without any label, and images that lie beside the class folders."""
    if loose and class_folders:
        raise DataError(
            f"{images}: {len(loose)} images such as {loose[0]!r} lie beside the class folders and have no label; move "
            "them into a class folder, or into one named 'background' if they show no class"
        )
    if loose:
        raise DataError(
            f"{images}: {len(loose)} images such as {loose[0]!r}, but no labels; set data.train to a label file (CSV, "
            "JSON, JSONL), or put the images into one folder a class"
        )
    if not class_folders:
        raise DataError(
            f"{images}: no images, and no class folders with images; set data.images to the folder of the class "
            "folders, or data.train to a label file"
        )

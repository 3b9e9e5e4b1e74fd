"""Drawn labels from a file or folder of their own join the samples of a data set."""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from weakseg.data.annotations import AnnotationTable, Drawn, LabelKind
from weakseg.data.binding import bind
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes
from weakseg.data.formats.catalogue import formats_for, recognise_file, recognise_folder
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.label_maps import read_mask, read_strokes
from weakseg.data.formats.mask_files import MaskRules, check_meaning
from weakseg.data.paths import files_inside, image_id_of, inside
from weakseg.data.reading import Reading
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError

logger = logging.getLogger(__name__)

ReadMap = Callable[[Path, MaskRules], tuple[Drawn, tuple[int, int]]]


@dataclass(frozen=True)
class _Found:
    """Drawn labels by image id."""

    drawn: Mapping[str, Drawn]
    dropped: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    tags: Mapping[str, Tags] = field(default_factory=dict)


def add_drawn(
    reading: Reading, path: Path, class_map: ClassMap, rules: MaskRules | None = None, *, regions: bool = False
) -> Reading:
    """Return the samples with the labels of a file or folder; images that it does not know stay as they are.

    Of each kind that it has for an image, its labels replace those that were there. Classes drawn are present, and
    those of what it leaves out at least unknown.

    Args:
        reading: What the data set holds.
        path: weakseg's own JSON, clicks of What's the Point, CSV of points or boxes, a folder of ScribbleSup XML, or
            a folder of masks (PNG).
        class_map: What becomes of class names.
        rules: What values and colours of PNGs mean; ``None``: values are class ids.
        regions: Whether PNGs are full masks; otherwise they are strokes, and 255 is unlabelled.

    Raises:
        DataError: If the labels are malformed, name an unknown class, are for none of the images, or contradict the
            size that another label file states.
    """
    photographs = {sample.id: sample.image_path for samples in reading.splits.values() for sample in samples}
    ids = set(photographs)
    if path.is_dir() and any(child.suffix.lower() == ".png" for child in path.rglob("*")):
        found = _from_label_maps(path, ids, rules or MaskRules(reading.classes), read_mask if regions else read_strokes)
    else:
        found = _from_table(_table(path), photographs, reading.classes, class_map)
    if not ids & set(found.drawn):
        example, own = next(iter(found.drawn), "none"), min(ids, default="none")
        raise DataError(
            f"{path}: labels for none of the images (it has {example!r}, the data set {own!r}); an id is the path "
            "below the folder of images, without suffix"
        )
    sizes = dict(reading.sizes)
    for image_id, size in found.sizes.items():
        if image_id in ids and sizes.setdefault(image_id, size) != size:
            raise DataError(
                f"{path}: image {image_id!r} has {size[0]} x {size[1]} pixels (rows x columns), but another label file "
                f"says {sizes[image_id][0]} x {sizes[image_id][1]}; correct one"
            )
    splits = {split: tuple(_joined(s, found) for s in samples) for split, samples in reading.splits.items()}
    _warn_of_new_classes(path, reading, splits)
    return replace(reading, splits=splits, dropped={**reading.dropped, **found.dropped}, sizes=sizes)


def keep_kind(reading: Reading, kind: LabelKind) -> Reading:
    """Return the samples with drawn labels of one kind alone, and all tags.

    Raises:
        DataError: If there are none of that kind.
    """
    splits = {s: tuple(replace(one, drawn=one.drawn.only(kind)) for one in m) for s, m in reading.splits.items()}
    if kind != "tags" and not any(sample.drawn.of_kind(kind) for samples in splits.values() for sample in samples):
        where, reason = next(iter(reading.dropped.items()), ("", ""))
        raise DataError(
            f"data.labels: {kind} are wanted, but no image has any; set data.drawn to a file or folder of {kind}, or "
            "data.labels to auto" + (f". What was there was left out: {where}: {reason}" if where else "")
        )
    return replace(reading, splits=splits)


def _table(path: Path) -> AnnotationTable:
    """Return the labels of a file, or of a folder with a file for each photograph, of whichever format."""
    known = formats_for("drawn")
    files = {name: one for name, one in known.items() if not one.one_each}
    name = None
    if path.is_dir():
        name = recognise_folder(path, known)
    elif path.is_file():
        name = recognise_file(path, files, "file of drawn labels")
    if name is None:
        titles = ", ".join(one.title for one in files.values())
        folders = ", ".join(one.title for one in known.values() if one.one_each)
        raise DataError(
            f"data.drawn: {path} is no file of drawn labels; give a file of {titles}, a folder of {folders}, or one of "
            "indexed PNGs"
        )
    return known[name].parse(path, Surroundings(path.parent, path.parent))


def _from_table(
    table: AnnotationTable, photographs: Mapping[str, Path], classes: Classes, class_map: ClassMap
) -> _Found:
    paths = [photographs.get(image_id_of(image.name)) for image in table.images]
    table = replace(table, images=turn_upright(table.images, paths, table.path))
    bound = bind(table, classes, class_map)
    return _Found(
        drawn={image_id: drawn for image_id, (_, drawn) in bound.labels.items()},
        dropped=bound.dropped,
        sizes={image_id_of(image.name): image.size for image in table.images if image.size},
        tags={image_id: tags for image_id, (tags, _) in bound.labels.items()},
    )


def _from_label_maps(folder: Path, ids: Iterable[str], rules: MaskRules, read: ReadMap) -> _Found:
    """Return the masks of the images that have one; a mask that cannot be read is left out."""
    files_inside(folder, {".png"}, "masks", deep=True)
    found: dict[str, tuple[Drawn, tuple[int, int]]] = {}
    dropped: dict[str, str] = {}
    paths: dict[str, Path] = {}
    for image_id in sorted(ids):
        place = str(folder / f"{image_id}.png")
        try:
            path = inside(folder, f"{image_id}.png", place)
            paths |= {image_id: path} if path.is_file() else {}
        except DataError as error:
            dropped[place] = str(error).removeprefix(f"{place}: ")
    check_meaning(paths.values(), rules, str(folder))
    for image_id, path in paths.items():
        try:
            found[image_id] = read(path, rules)
        except DataError as error:
            dropped[str(path)] = str(error).removeprefix(f"{path}: ")
    if dropped and not found:
        where, reason = next(iter(dropped.items()))
        raise DataError(f"{where}: {reason}; none of the masks can be used")
    return _Found({i: drawn for i, (drawn, _) in found.items()}, dropped, {i: size for i, (_, size) in found.items()})


def _joined(sample: WeakSample, found: _Found) -> WeakSample:
    drawn = found.drawn.get(sample.id)
    if drawn is None:
        return sample
    named = found.tags.get(sample.id, Tags(frozenset()))
    present = sample.tags.present | drawn.class_ids | named.present
    tags = Tags(present, (sample.tags.unknown | named.unknown) - present)
    return replace(sample, tags=tags, drawn=sample.drawn.replaced_by(drawn))


def _warn_of_new_classes(path: Path, reading: Reading, splits: Mapping[str, tuple[WeakSample, ...]]) -> None:
    """Warn where something was drawn of a class that the tags call absent: one of the two is wrong."""
    pairs = [pair for split in splits for pair in zip(reading.splits[split], splits[split], strict=True)]
    new = [(a.id, b.tags.present - a.tags.present - a.tags.unknown) for a, b in pairs]
    if denied := [(image_id, min(ids)) for image_id, ids in new if ids]:
        logger.warning(
            "%s: on %d images a class is drawn that their tags call absent, the first %r on %r; it counts as present",
            path,
            len(denied),
            reading.classes.name_of(denied[0][1]),
            denied[0][0],
        )

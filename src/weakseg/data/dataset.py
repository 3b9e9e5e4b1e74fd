"""A data set: its classes and its samples by split. Readers of layouts are here, formats in their catalogue."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from weakseg.data.class_map import ClassMap, open_class_map
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.formats.tags import read_table
from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.data.paths import find_image, image_id_of, inside
from weakseg.data.photographs import photographs_in
from weakseg.data.readers import annotated, coco, folder, voc
from weakseg.data.readers.drawn import add_drawn, keep_kind
from weakseg.data.readers.lists import cut_lists, keep_rejected, whole_lists
from weakseg.data.readers.masks import mask_rules
from weakseg.data.readers.saliency_maps import add_saliency
from weakseg.data.reading import Reading, Splits
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.lasting import lasting

_LAYOUTS: dict[str, Callable[[DataConfig, Path, ClassMap], Reading]] = {
    "voc": voc.read,
    "coco": coco.read,
    "folder": folder.read,
}


@dataclass(frozen=True)
class Dataset:
    """Classes and weakly labelled samples; ground truth is reached through ``evaluation`` alone.

    Attributes:
        classes: The foreground classes.
        splits: Samples of ``"train"`` and, where there is one, ``"val"``, in the order of the list.
        dropped: Reason by file and entry of labels that were left out.
        sizes: (rows, columns) by image id that label files state, of upright photographs, which need not agree.
        lists: Images by the name of each list that results are scored on; some may be in no split.
    """

    classes: Classes
    splits: Splits
    dropped: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lists: Splits = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse empty sets and repeated image ids."""
        if not self.splits.get("train"):
            raise DataError("data: no training images; check data.root, data.train and data.images")
        for split, samples in self.splits.items():
            if repeated := [image_id for image_id, n in Counter(s.id for s in samples).items() if n > 1]:
                raise DataError(f"data: image {repeated[0]!r} is listed more than once in {split}; keep one entry")

    def images_of(self, split: str, listed: str = "") -> tuple[WeakSample, ...]:
        """Return the images of a list, or of a split where none is named."""
        return self.lists[listed] if listed else self.splits.get(split, ())

    def lists_for(self, split: str) -> tuple[str, ...]:
        """Return the lists that share images with a split; an empty name, for the whole split, where none does."""
        ids = {sample.id for sample in self.splits.get(split, ())}
        found = (name for name, samples in self.lists.items() if not ids.isdisjoint(s.id for s in samples))
        return tuple(found) or ("",)

    def by_split(self, samples: Iterable[WeakSample], first: str) -> Splits:
        """Return those samples that are in a split by the split, which is ``first`` where that has them."""
        found: dict[str, list[WeakSample]] = {}
        ids = {split: {one.id for one in self.splits[split]} for split in sorted(self.splits, key=first.__ne__)}
        for sample in samples:
            if split := next((split for split, members in ids.items() if sample.id in members), None):
                found.setdefault(split, []).append(sample)
        return {split: tuple(members) for split, members in found.items()}


@lasting()
def open_dataset(config: DataConfig) -> Dataset:
    """Return the data set that ``config`` describes; of images at most the size and EXIF orientation are read yet.

    Raises:
        DataError: If the root or a label file is missing, a label is malformed or names an unknown class, an entry
            is repeated, or a path leads outside the root.
    """
    try:
        root = Path(config.root).expanduser()
    except RuntimeError as error:
        raise DataError(f"data.root: {config.root[:200]!r} names an unknown home; write the whole path") from error
    if not root.is_dir():
        raise DataError(f"data.root: {root} is not a folder; give the folder of the data set")
    root = root.resolve()
    class_map = open_class_map(root, config.class_map)
    reading = _LAYOUTS.get(config.format, annotated.read)(whole_lists(config), root, class_map)
    if config.drawn:
        path = inside(root, config.drawn, "data.drawn")
        rules = mask_rules(config, root, path, reading.classes, class_map)
        reading = add_drawn(reading, path, class_map, rules, regions=config.labels == "regions")
    if config.labels != "auto":
        reading = keep_kind(reading, config.labels)
    reading = cut_lists(config, root, reading)
    if config.only:
        reading = keep_rejected(inside(root, config.only, "data.only"), reading)
    if config.saliency:
        reading = add_saliency(reading, inside(root, config.saliency, "data.saliency"))
    return Dataset(reading.classes, reading.splits, reading.dropped, reading.sizes, reading.lists)


def open_labelled_folder(images: Path, labels: Path, classes: Classes | None = None) -> Dataset:
    """Return a folder of images with a label file that may lie elsewhere, as a data set with ``train`` alone.

    Args:
        images: Folder that the names in the label file start from.
        labels: CSV, JSON or JSONL.
        classes: The classes that labels may name; ``None``: those that they do name.

    Raises:
        DataError: As ``open_dataset``.
    """
    root = _existing(images)
    table = read_table(labels)
    classes = classes or Classes.from_labels(None, table.class_names)
    where = {image_id_of(row.image): (row.image, row.where) for row in table.rows}
    tags = table.bind(classes)
    samples = (WeakSample(i, find_image(root, root, *where[i]), tags[i]) for i in where)
    return Dataset(classes, {"train": tuple(samples)})


def open_plain_folder(images: Path) -> tuple[WeakSample, ...]:
    """Return every photograph below a folder, in order of its path, with nothing known of its tags.

    Raises:
        DataError: If there is none, or two differ only in their suffix.
    """
    root = _existing(images)
    files = photographs_in(root)
    found = [WeakSample(image_id_of(str(path.relative_to(root))), path, Tags(frozenset())) for path in files]
    if not found:
        raise DataError(f"{root}: no images; expected files such as *{' *'.join(sorted(IMAGE_SUFFIXES))}")
    if repeated := [image_id for image_id, n in Counter(s.id for s in found).items() if n > 1]:
        raise DataError(f"{root}: several images are called {repeated[0]!r} apart from their suffix; rename one")
    return tuple(found)


def _existing(folder: Path) -> Path:
    if not folder.expanduser().is_dir():
        raise DataError(f"{folder}: no such folder of images")
    return folder.expanduser().resolve()

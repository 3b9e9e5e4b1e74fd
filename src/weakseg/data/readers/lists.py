"""Lists of images beside those of the splits: parts that a keyed rule cuts, and what results are scored on."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from weakseg.data.config import DataConfig
from weakseg.data.formats.csv_files import read_csv
from weakseg.data.formats.drawn_record import VERDICTS, Verdict
from weakseg.data.paths import image_id_of, inside, read_lines
from weakseg.data.readers.image_list import list_path, read_image_list
from weakseg.data.readers.voc import photograph_folder
from weakseg.data.reading import Extras, Reading
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.rng import derive_seed

VERDICT_COLUMNS = ("image", "verdict")
logger = logging.getLogger(__name__)

Members = tuple[WeakSample, ...]


def whole_lists(config: DataConfig) -> DataConfig:
    """Return the settings with the lists that parts are cut from in place of the parts; one list is read once."""
    train, val = config.list_of("train"), config.list_of("val")
    return replace(config, train=train, val="" if config.parts and val == train else val) if config.parts else config


def cut_lists(config: DataConfig, root: Path, reading: Reading) -> Reading:
    """Return a reading of ``whole_lists`` with the splits cut, and with the lists that results are scored on.

    Raises:
        DataError: If there is no such list, a list has another number of images than its parts, or none of a list's
            images is in a split.
    """
    if not config.parts and not config.score:
        return reading
    whole = {config.list_of(split): samples for split, samples in reading.splits.items()}
    lists = _Lists(config, root, whole, Extras(dict(reading.dropped), dict(reading.sizes)))
    named = {"train": config.train, "val": config.val}
    splits = {split: lists.members(name, f"data.{split}") for split, name in named.items() if name or split == "train"}
    scored = {name: lists.members(name, "data.score") for name in config.score_lists}
    ids = {sample.id for samples in splits.values() for sample in samples}
    for name, samples in scored.items():
        if ids.isdisjoint(sample.id for sample in samples):
            raise DataError(
                f"data.score: none of the {len(samples)} images of {name!r} is in data.train or data.val, so nothing "
                "is made for them; name a list that has images of these"
            )
    return replace(reading, splits=splits, dropped=lists.extras.dropped, lists=scored)


def keep_rejected(path: Path, reading: Reading) -> Reading:
    """Return a reading whose training images are those that a list of verdicts rejects.

    Raises:
        DataError: If the file is no such list, or rejects no training image.
    """
    if not path.is_file():
        raise DataError(f"data.only: there is no file {path}; put the list that a report has saved below data.root")
    found, dropped = set(), {}
    known = {sample.id for sample in reading.splits["train"]}
    for where, image_id, verdict in read_verdicts(path):
        if image_id not in known:
            dropped[where] = f"image {image_id!r} is no training image"
        elif verdict == "rejected":
            found.add(image_id)
    if not found:
        raise DataError(f"{path}: rejects no training image; reject some in the report, or leave data.only out")
    logger.info("data.only: %d of %d training images take part, which %s rejects", len(found), len(known), path.name)
    kept = tuple(sample for sample in reading.splits["train"] if sample.id in found)
    return replace(reading, splits={**reading.splits, "train": kept}, dropped={**reading.dropped, **dropped})


def read_verdicts(path: Path) -> Iterator[tuple[str, str, Verdict]]:
    """Yield file and line, image id, and verdict of each row of a list that a report has saved.

    Raises:
        DataError: If the file is no such list.
    """
    file = read_csv(path, "expected the columns image and verdict, as reports save them")
    if file.first != VERDICT_COLUMNS:
        raise DataError(f"{path}:1: expected the columns {','.join(VERDICT_COLUMNS)}, got {','.join(file.first)[:80]}")
    for where, cells in file.rows[1:]:
        verdict: Verdict | None = next((one for one in VERDICTS if cells[1:] == (one,)), None)
        if verdict is None:
            raise DataError(
                f"{where}: expected an image id, and one of {', '.join(VERDICTS)}; got {','.join(cells)[:80]}"
            )
        yield where, cells[0], verdict


def part_ids(ids: Iterable[str], sizes: Mapping[str, int]) -> dict[str, frozenset[str]]:
    """Return the images of each part: in the order of keys of their ids, parts in the order of their names.

    Neither the order of the images nor that of the parts counts.
    """
    ordered = sorted(ids, key=lambda image_id: (derive_seed(0, image_id, "parts of a list"), image_id))
    found, start = {}, 0
    for name in sorted(sizes):
        found[name] = frozenset(ordered[start : start + sizes[name]])
        start += sizes[name]
    return found


@dataclass(frozen=True)
class _Lists:
    """Opens lists; ``whole`` are those that were read with their labels."""

    config: DataConfig
    root: Path
    whole: Mapping[str, Members]
    extras: Extras

    def members(self, name: str, setting: str) -> Members:
        """Return the images of a list or part."""
        whole_name = self.config.whole_of(name)
        whole = self.whole[whole_name] if whole_name in self.whole else self._read(whole_name, setting)
        if whole_name == name:
            return whole
        if (other := self._file(name, setting)).exists():
            raise DataError(f"data.parts: {name!r} names a part, but {other} exists, too; give the part another name")
        sizes = self.config.parts[whole_name]
        if sum(sizes.values()) != len(whole):
            parts = " + ".join(f"{part} {size}" for part, size in sizes.items())
            raise DataError(
                f"data.parts: {whole_name!r} has {len(whole)} images, but its parts are {parts}; correct it"
            )
        ids = part_ids((sample.id for sample in whole), sizes)[name]
        return tuple(sample for sample in whole if sample.id in ids)

    def _file(self, name: str, setting: str) -> Path:
        if self.config.format == "voc" and (path := list_path(self.root, name, setting)).is_file():
            return path
        return inside(self.root, name, setting)

    def _read(self, name: str, setting: str) -> Members:
        """Return the images of a list that no labels were read of."""
        path = self._file(name, setting)
        if not path.is_file():
            parts = [part for sizes in self.config.parts.values() for part in sizes]
            kind = "list under ImageSets/Segmentation" if self.config.format == "voc" else "text file of image ids"
            known = f"the parts {', '.join(parts)}, or a {kind}" if parts else f"a {kind}, or a part of data.parts"
            raise DataError(f"{setting}: there is no list {name!r}; name {known}")
        known_samples = {sample.id: sample for samples in self.whole.values() for sample in samples}
        if self.config.format == "voc":
            found = read_image_list(path, self.root, photograph_folder(self.config, self.root), self.extras)
            return tuple(known_samples.get(i, WeakSample(i, photo, Tags(frozenset()))) for i, photo in found.items())
        return self._known(path, known_samples)

    def _known(self, path: Path, known: Mapping[str, WeakSample]) -> Members:
        """Return the images of a text file; what is in no split, or there already, is left out."""
        found: dict[str, WeakSample] = {}
        for number, line in read_lines(path, "list of images"):
            image_id = image_id_of(line)
            if image_id not in known or image_id in found:
                why = (
                    "is there already; keep one entry" if image_id in found else "is in neither data.train nor data.val"
                )
                self.extras.dropped[f"{path}:{number}"] = f"image {image_id!r} {why}"
            else:
                found[image_id] = known[image_id]
        if not found:
            raise DataError(f"{path}: lists no image of data.train or data.val; write the id of one a line")
        return tuple(found.values())

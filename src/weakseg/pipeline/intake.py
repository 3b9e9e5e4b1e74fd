"""The first step of every run: decode each image once, remember what was seen, leave out what cannot be read."""

import logging
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, astuple, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from weakseg.data.annotations import NOTHING_DRAWN
from weakseg.data.check import DatasetReport, ImageRecord, check_labels_fit, probe_image, summarize_dataset
from weakseg.data.dataset import Dataset
from weakseg.data.file_state import FileState
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError, StoreError, WeaksegError, cut
from weakseg.files import read_json_object, write_json
from weakseg.lasting import lasting
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.keys import hash_of
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.share import Share
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob

STEP = "data"
MOST_PARTS = 8  # each reads anew what others have looked at meanwhile

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ProbeJob(ImageJob):
    """Decode one image and write its record; a record of an unchanged file is kept."""

    out: Path

    suffix: ClassVar[str] = ".json"

    def one(self, sample: WeakSample) -> None:
        """Decode and record."""
        write_json(self.output(sample.id), asdict(probe_image(sample)))


@dataclass(frozen=True)
class Intake:
    """A data set as it was found.

    Attributes:
        dataset: Without the images that cannot be read; each sample knows the file that was looked at, and loads no
            other.
        report: What it holds.
        failures: The images that cannot be read.
        content: Hash of each image's bytes and labels, by split and id; what results depend on.
    """

    dataset: Dataset
    report: DatasetReport
    failures: tuple[Failure, ...]
    content: Mapping[str, str]


def take_in(
    dataset: Dataset, folder: Path, *, engine: Engine, learns: bool = True, share: Share | None = None
) -> Intake:
    """Probe every image of a data set, keeping records of unchanged files in ``folder``.

    A shard needs to know all images. It looks at those of its share first, and then at what others have not yet.

    Args:
        dataset: The data set.
        folder: Of the records while they are made; their table lies beside it.
        engine: Spreads the work.
        learns: Whether something is learned of the data; else there is no warning of what cannot be.
        share: Which one this is of several processes that look at them; ``None``: it is the only one.

    Raises:
        DataError: If no training image can be read.
    """
    samples = list({s.id: s for split in dataset.splits.values() for s in split}.values())
    found = _described(dataset, samples, *_probed(samples, folder, engine, share))
    silent = () if learns else found.report.warnings_of_learning
    for warning in (warning for warning in found.report.warnings if warning not in silent):
        logger.warning("data: %s", warning)
    return found


@lasting()
def _described(
    dataset: Dataset, samples: Sequence[WeakSample], records: Mapping[str, ImageRecord], failed: Sequence[Failure]
) -> Intake:
    """Return a data set as it was found, of the records of its images and what failed."""
    failures = [*failed, *_misfits(dataset, samples, records)]
    reasons = {failure.image_id: failure.reason for failure in failures}
    records = {image_id: record for image_id, record in records.items() if image_id not in reasons}
    report = summarize_dataset(
        dataset,
        {s.image_path: records[s.id] for s in samples if s.id in records},
        {s.image_path: reasons[s.id] for s in samples if s.id in reasons},
    )
    kept = {
        name: tuple(replace(s, file=records[s.id].file) for s in split if s.id in records)
        for name, split in dataset.splits.items()
    }
    if not kept["train"]:
        first = failures[0].reason if failures else "the list is empty"
        raise DataError(f"data: none of the training images can be read; the first: {first}")
    content = {f"{name}/{s.id}": _fingerprint(s, records[s.id]) for name, split in kept.items() for s in split}
    lists = {name: tuple(s for s in members if s.id not in reasons) for name, members in dataset.lists.items()}
    return Intake(replace(dataset, splits=kept, lists=lists), report, tuple(failures), content)


def _probed(
    samples: Sequence[WeakSample], folder: Path, engine: Engine, share: Share | None
) -> tuple[dict[str, ImageRecord], list[Failure]]:
    """Return records and failures of images; those that have not changed since the last time are not read.

    Each image that is read leaves a file in ``folder``, so that a call that is stopped goes on where it was; at the end
    they are one table beside it, which shards leave to a run of the whole.
    """
    table, job = folder.with_name(f"{folder.name}.json"), ProbeJob(folder)
    known = _read_table(table)
    records = {s.id: known[s.id] for s in samples if s.id in known and _seems_same(known[s.id], s)}
    todo = [sample for sample in samples if sample.id not in records]
    for sample in todo:
        _drop_stale(job.output(sample.id), sample)
    failures: list[Failure] = []
    for part in _parts(todo, share):
        failures += run_units(job, job.units(part), title=STEP, engine=engine, share=share)
    unreadable = {failure.image_id for failure in failures}
    records |= {s.id: _read_record(job.output(s.id)) for s in todo if s.id not in unreadable}
    found = {sample.id: records[sample.id] for sample in samples if sample.id in records}
    if share:
        places = {sample.id: place for place, sample in enumerate(todo)}
        return found, sorted(failures, key=lambda failure: places[failure.image_id])
    if len(todo) > len(unreadable):
        rows = {i: [one.rows, one.columns, *astuple(one.file)] for i, one in (known | records).items()}
        write_json(table, {"digest": hash_of(rows), "images": rows})
    shutil.rmtree(folder, ignore_errors=True)
    return found, failures


@lasting()
def _read_table(path: Path) -> dict[str, ImageRecord]:
    """Return the records of a table; of one that is missing, damaged or of another version none, as it spares work."""
    if not path.exists():
        return {}
    try:
        found = read_json_object(path)
        if found["digest"] != hash_of(found["images"]):
            raise ValueError("its digest is another")
        return {i: _record_of(rows, columns, FileState(*file)) for i, (rows, columns, *file) in found["images"].items()}
    except (StoreError, AttributeError, KeyError, TypeError, ValueError) as error:
        logger.warning("%s: is no table of images (%s); they are looked at anew", path, cut(error))
        return {}


def _seems_same(record: ImageRecord, sample: WeakSample) -> bool:
    try:
        return record.file.seems_same(sample.image_path)
    except DataError:  # it fails by itself
        return False


def _parts(samples: Sequence[WeakSample], share: Share | None) -> list[Sequence[WeakSample]]:
    """Return the images in the order in which a shard looks at them: its own, then those of the next ones."""
    if share is None:
        return [samples]
    own, *others = share.all
    width = -(-len(others) // MOST_PARTS) or 1
    together = [others[start : start + width] for start in range(0, len(others), width)]
    return [own.part(samples), *([s for s in samples if any(one.takes(s.id) for one in group)] for group in together)]


def _misfits(dataset: Dataset, samples: Sequence[WeakSample], records: Mapping[str, ImageRecord]) -> list[Failure]:
    """Return the images of another size than their labels are for."""
    found = []
    for sample in (sample for sample in samples if sample.id in records):
        try:
            check_labels_fit(dataset, sample, records[sample.id])
        except DataError as error:
            found.append(Failure(sample.id, STEP, str(error)))
    return found


def _drop_stale(path: Path, sample: WeakSample) -> None:
    """Remove a record whose image has changed since, or that is none."""
    with suppress(OSError):  # no record, or a name that is too long for one
        try:
            fresh = not path.exists() or _read_record(path).file.seems_same(sample.image_path)
        except WeaksegError:
            fresh = False
        if not fresh:
            path.unlink()


def _read_record(path: Path) -> ImageRecord:
    """Return the record that ``ProbeJob`` wrote.

    Raises:
        StoreError: If it is damaged, or was written by a version that noted less.
    """
    value = read_json_object(path)
    file = value.get("file")
    try:
        return _record_of(value["rows"], value["columns"], FileState(**(file if isinstance(file, dict) else {})))
    except (KeyError, TypeError) as error:
        raise StoreError(f"{path}: is no record of an image; delete it") from error


def _record_of(rows: Any, columns: Any, file: FileState) -> ImageRecord:
    """Return a record of values that were read.

    Raises:
        TypeError: If one of them is of another type.
    """
    numbers = (rows, columns, file.num_bytes, file.mtime_ns, file.changed_ns)
    if not isinstance(file.content_hash, str) or not all(type(number) is int for number in numbers):
        raise TypeError("a value of another type")
    return ImageRecord(rows, columns, file)


def _fingerprint(sample: WeakSample, record: ImageRecord) -> str:
    labels = [sorted(sample.tags.present), sorted(sample.tags.unknown)]
    drawn = [repr(sample.drawn)] if sample.drawn != NOTHING_DRAWN else []
    return hash_of([record.file.content_hash, *labels, *drawn])[:16]

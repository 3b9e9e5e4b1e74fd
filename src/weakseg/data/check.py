"""What a data set holds, and what is wrong with it: every image decoded once, every class counted."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from weakseg.data.classes import Classes, odd_names
from weakseg.data.counts import DrawnCounts, count_drawn
from weakseg.data.crowded import crowded_warning, fullest_folder
from weakseg.data.dataset import Dataset
from weakseg.data.file_state import FileState
from weakseg.data.image import check_frame
from weakseg.data.learnable import ClassCount, learning_warnings
from weakseg.data.saliency_check import SaliencyReport, check_saliency
from weakseg.data.sample import WeakSample
from weakseg.data.stray import stray_marks
from weakseg.errors import DataError


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """What decoding one image told.

    Attributes:
        rows: Rows of the upright image.
        columns: Columns of the upright image.
        file: The file that was decoded, so that it can be told from one that takes its place.
    """

    rows: int
    columns: int
    file: FileState


@dataclass(frozen=True)
class UnreadableImage:
    """An image that cannot be used.

    Attributes:
        image_id: Its id.
        path: Its file.
        reason: Why, and what to do.
    """

    image_id: str
    path: Path
    reason: str


@dataclass(frozen=True)
class SplitCounts:
    """Tags of one split.

    Attributes:
        num_images: Number of images.
        num_untagged: Images that show no class, or of which no class is known to be shown.
        present: Number of images that show each class, in the order of the class names.
        unknown: Number of images of which it is not known whether they show each class.
    """

    num_images: int
    num_untagged: int
    present: tuple[int, ...]
    unknown: tuple[int, ...]


@dataclass(frozen=True)
class DatasetReport:
    """Summary of a data set.

    Attributes:
        class_names: Foreground class names.
        splits: Counts of each split.
        failures: Images that cannot be used, in the order of the data set.
        smallest: Fewest rows and fewest columns of any image; ``None`` if no image could be read.
        largest: Most rows and most columns of any image; ``None`` if no image could be read.
        duplicates: Groups of (split, image id) whose files hold the same bytes.
        drawn: What was drawn, by split.
        dropped: Reason by file and entry of labels that were left out.
        stray: Image and description of labels that lie outside of their photograph by more than a fifth.
        lists: Number of images of each split, and of no split (``""``), by list that results are scored on.
        saliency: Of the saliency maps, where there are any.
        fullest: The folder of the most images, and how many; ids tell, for what is made of images lies as they do.
        doubtful: Training images that show no class for certain, on which nothing is drawn, and that may show some.
    """

    class_names: tuple[str, ...]
    splits: dict[str, SplitCounts]
    failures: tuple[UnreadableImage, ...]
    smallest: tuple[int, int] | None
    largest: tuple[int, int] | None
    duplicates: tuple[tuple[tuple[str, str], ...], ...]
    drawn: Mapping[str, DrawnCounts] = field(default_factory=dict)
    dropped: Mapping[str, str] = field(default_factory=dict)
    stray: tuple[str, ...] = ()
    lists: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    saliency: SaliencyReport | None = None
    doubtful: tuple[str, ...] = ()
    fullest: tuple[str, int] = ("", 0)

    @property
    def num_images(self) -> int:
        """Number of images over all splits."""
        return sum(counts.num_images for counts in self.splits.values())

    @property
    def absent_classes(self) -> tuple[str, ...]:
        """Classes that no training image is known to show."""
        counts = self.splits["train"].present
        return tuple(name for name, count in zip(self.class_names, counts, strict=True) if count == 0)

    @property
    def leaks(self) -> tuple[tuple[tuple[str, str], ...], ...]:
        """Those duplicates that appear in more than one split."""
        return tuple(group for group in self.duplicates if len({split for split, _ in group}) > 1)

    @property
    def warnings_of_learning(self) -> tuple[str, ...]:
        """Those of ``warnings`` that say nothing to whom learns nothing of the data."""
        counts, drawn = self.splits["train"], self.drawn.get("train")
        each = zip(self.class_names, counts.present, counts.unknown, strict=True)
        doubts = [
            f"{len(self.doubtful)} training images show no class for certain but may show some, such as {image_id!r}: "
            "most methods take them for background; say which classes they show, or leave them out"
            for image_id in self.doubtful[:1]
        ]
        found = learning_warnings(
            [
                ClassCount(
                    name, present, counts.num_images - present - unknown, drawn.of_class(class_id) if drawn else 0
                )
                for class_id, (name, present, unknown) in enumerate(each, start=1)
            ]
        )
        return (*found, *doubts)

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each thing that is allowed but probably not meant."""
        number, strays = len(self.stray), self.stray[:1]
        outside = [f"{one}; {number} labels are outside; do labels and photographs belong together?" for one in strays]
        copies = [
            f"{_listed(group)} are the same image"
            + ("; remove one, or scores will be too good" if group in self.leaks else "; keep one")
            for group in self.duplicates
        ]
        maps = self.saliency.warnings if self.saliency else ()
        ours = (*outside, *copies, *self._unmade, *crowded_warning(*self.fullest))
        return (*self.warnings_of_learning, *ours, *maps, *odd_names(self.class_names))

    @property
    def _unmade(self) -> Iterator[str]:
        """Yield a sentence for each list with images that nothing is made for."""
        for name, counts in self.lists.items():
            if number := counts[""]:
                yield (
                    f"{number} of the {sum(counts.values())} images of {name!r} in data.score are in no split; with "
                    "nothing made for them, they count as undecided"
                )


def check_dataset(dataset: Dataset) -> DatasetReport:
    """Decode every image once and return the summary.

    Images that cannot be read, and those that are not the ones that were labelled, become failures.
    """
    records: dict[Path, ImageRecord] = {}
    failures: dict[Path, str] = {}
    for sample in (sample for samples in dataset.splits.values() for sample in samples):
        if sample.image_path not in records and sample.image_path not in failures:
            try:
                record = probe_image(sample)
                check_labels_fit(dataset, sample, record)
                records[sample.image_path] = record
            except DataError as error:
                failures[sample.image_path] = str(error)
    report = summarize_dataset(dataset, records, failures)
    readable = [s for samples in dataset.splits.values() for s in samples if s.image_path in records]
    mapped = any(sample.saliency for sample in readable)
    return replace(report, saliency=check_saliency(readable)) if mapped else report


def probe_image(sample: WeakSample) -> ImageRecord:
    """Decode one image and return its record.

    Raises:
        DataError: If it cannot be read, or changes meanwhile.
    """
    file = FileState.of(sample.image_path)
    rows, columns, _ = replace(sample, file=file).load_image().shape
    return ImageRecord(rows, columns, file)


def check_labels_fit(dataset: Dataset, sample: WeakSample, record: ImageRecord) -> None:
    """Refuse a photograph of another size than its labels are for.

    Raises:
        DataError: If they differ; labels of a photograph that was not upright get their own words.
    """
    actual = (record.rows, record.columns)
    painted = (*sample.drawn.regions, *sample.drawn.strokes)
    for size in {dataset.sizes.get(sample.id, actual), *(region.size for region in painted)}:
        check_frame(size, actual, f"image {sample.id!r} ({sample.image_path})")


def summarize_dataset(
    dataset: Dataset, records: Mapping[Path, ImageRecord], failures: Mapping[Path, str]
) -> DatasetReport:
    """Return the summary of a data set whose images have been probed.

    Args:
        dataset: The data set.
        records: Record of each readable image, by ``image_path``.
        failures: Reason of each failure, by ``image_path``.

    Raises:
        DataError: If an image is in neither.
    """
    entries = [(split, sample) for split, samples in dataset.splits.items() for sample in samples]
    if missing := [s.id for _, s in entries if s.image_path not in records and s.image_path not in failures]:
        raise DataError(f"image {missing[0]!r}: neither a record nor a failure; probe every image of the data set")
    failed = {s.image_path: s.id for _, s in entries if s.image_path in failures}
    sizes = np.array([(r.rows, r.columns) for _, s in entries if (r := records.get(s.image_path))]).reshape(-1, 2)
    return DatasetReport(
        class_names=dataset.classes.names,
        splits={split: _count_tags(samples, dataset.classes) for split, samples in dataset.splits.items()},
        failures=tuple(UnreadableImage(image_id, path, failures[path]) for path, image_id in failed.items()),
        smallest=(int(sizes[:, 0].min()), int(sizes[:, 1].min())) if len(sizes) else None,
        largest=(int(sizes[:, 0].max()), int(sizes[:, 1].max())) if len(sizes) else None,
        duplicates=_find_duplicates(entries, records),
        drawn={split: count_drawn(samples, len(dataset.classes)) for split, samples in dataset.splits.items()},
        dropped=dict(dataset.dropped),
        stray=tuple(_stray(dataset, records)),
        lists={name: _count_members(dataset, samples) for name, samples in dataset.lists.items()},
        fullest=fullest_folder(sample.id for _, sample in entries),
        doubtful=tuple(sample.id for sample in dataset.splits["train"] if _is_doubtful(sample)),
    )


def _is_doubtful(sample: WeakSample) -> bool:
    return bool(sample.tags.unknown) and not sample.tags.present and sample.drawn.strongest == "tags"


def _stray(dataset: Dataset, records: Mapping[Path, ImageRecord]) -> Iterator[str]:
    """Yield image and description of each label that lies outside of its photograph."""
    for sample in {s.id: s for samples in dataset.splits.values() for s in samples}.values():
        if (record := records.get(sample.image_path)) is not None:
            for _, what in stray_marks(sample.drawn, (record.rows, record.columns), dataset.classes.names):
                yield f"image {sample.id!r}: {what}"


def _count_tags(samples: Sequence[WeakSample], classes: Classes) -> SplitCounts:
    ids = range(1, len(classes) + 1)
    present = Counter(class_id for sample in samples for class_id in sample.tags.present)
    unknown = Counter(class_id for sample in samples for class_id in sample.tags.unknown)
    return SplitCounts(
        num_images=len(samples),
        num_untagged=sum(not sample.tags.present for sample in samples),
        present=tuple(present[class_id] for class_id in ids),
        unknown=tuple(unknown[class_id] for class_id in ids),
    )


def _count_members(dataset: Dataset, samples: Sequence[WeakSample]) -> dict[str, int]:
    ids = {sample.id for sample in samples}
    members = {split: ids & {sample.id for sample in every} for split, every in dataset.splits.items()}
    return {**{split: len(found) for split, found in members.items()}, "": len(ids.difference(*members.values()))}


def _find_duplicates(
    entries: Sequence[tuple[str, WeakSample]], records: Mapping[Path, ImageRecord]
) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Return the groups of entries whose files hold the same bytes, in the order of their first member."""
    groups: dict[str, list[tuple[str, str]]] = {}
    for split, sample in entries:
        if (record := records.get(sample.image_path)) is not None:
            groups.setdefault(record.file.content_hash, []).append((split, sample.id))
    return tuple(tuple(group) for group in groups.values() if len(group) > 1)


def _listed(group: Sequence[tuple[str, str]]) -> str:
    shown = " and ".join(f"{split} image {image_id!r}" for split, image_id in group[:4])
    return shown if len(group) <= 4 else f"{shown} and {len(group) - 4} more"

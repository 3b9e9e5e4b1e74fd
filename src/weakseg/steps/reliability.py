"""The step that says how far each mask is to be trusted, and the list of all masks."""

import csv
import io
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar, cast

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Drawn, LabelKind
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.regions import deciding, outlines_of
from weakseg.data.sample import WeakSample
from weakseg.errors import StoreError
from weakseg.files import read_json, write_bytes, write_json
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, result_of, way_to
from weakseg.pipeline.remembered import remembered
from weakseg.pipeline.units import ImageJob
from weakseg.settings.weak_seeds import Use
from weakseg.stages.mask_cues import Looked, mask_cues
from weakseg.stages.reliability import DOUBTFUL, OUTLINED, RUN_REGRESSIONS, reliability_in_run
from weakseg.stages.weak_seeds import counted
from weakseg.steps.base import over_images

RELIABILITY = "reliability"
LIST_FILE = "masks.csv"
COLUMNS = ("image", "class", "label", "share", "reliability", "reasons", "mask")


@dataclass(frozen=True, slots=True)
class MaskDoubt:
    """What is known of the mask of one class of an image.

    Attributes:
        class_id: The class.
        label: The strongest kind of label that it was made from.
        share: Of the photograph's pixels.
        reliability: In [0, 1]: an estimate of the probability that it has an IoU of 0.6 or more.
        reasons: What speaks against it.
    """

    class_id: int
    label: LabelKind
    share: float
    reliability: float
    reasons: tuple[str, ...] = ()

    @property
    def trusted(self) -> bool:
        """Whether it is more likely to be good than not."""
        return self.reliability >= DOUBTFUL


@dataclass(frozen=True)
class Sources:
    """Folders of what masks were made from; ``None`` where a plan has no such thing."""

    seeds: Path | None = None
    plain: Path | None = None


@dataclass(frozen=True)
class ReliabilityJob(ImageJob):
    """An image's mask, and what it was made from, to the reliability of each of its classes.

    ``use`` says which labels count; ``outlines`` whether what is outlined is in the masks as it is.
    """

    masks: Path
    out: Path
    sources: Sources
    use: Use
    outlines: bool = True
    suffix: ClassVar[str] = Kind.RELIABILITY.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save it."""
        found = [asdict(self._doubt(class_id, sample, cues)) for class_id, cues in self.cues(sample).items()]
        write_json(self.output(sample.id), found)

    def cues(self, sample: WeakSample) -> dict[int, Mapping[str, float]]:
        """Return the cues of each class that an image's mask shows, or its labels name."""
        mask, named = LabelMap.load(self.masks / f"{sample.id}.png"), counted(sample, self.use)
        wanted = sorted((mask.label_ids | named.tags.present | named.drawn.class_ids) - {0})
        if not wanted:
            return {}
        seeds, plain = (_labels(folder, sample.id) for folder in (self.sources.seeds, self.sources.plain))
        looked = Looked(sample.load_image(), mask, seeds, plain)
        return {one: mask_cues(one, looked) for one in wanted}

    def _doubt(self, class_id: int, sample: WeakSample, cues: Mapping[str, float]) -> MaskDoubt:
        drawn = counted(sample, self.use).drawn
        label = label_of(drawn if self.outlines else drawn.open, class_id)
        found = OUTLINED if label == "regions" and cues["area"] else reliability_in_run(label, cues)
        return MaskDoubt(class_id, label, cues["area"], found.value, found.reasons)


def _labels(folder: Path | None, image_id: str) -> LabelMap | None:
    """Return the label map of an image, where a folder has one."""
    path = (folder or Path()) / f"{image_id}.png"
    return LabelMap.load(path) if folder and path.exists() else None


def label_of(drawn: Drawn, class_id: int) -> LabelKind:
    """Return the kind of label that a class of an image is decided by.

    It is ``regions`` where all of it is outlined: nothing else is left open, or other classes alone are marked.
    """
    kind = deciding(drawn)
    if kind in ("regions", "tags"):
        return kind
    outlined = any(region.class_id == class_id for region in outlines_of(drawn))
    return "regions" if outlined and all(mark.class_id != class_id for mark in drawn.of_kind(kind)) else kind


def reliability_step(dataset: Dataset, plan: Sequence[Step], masks: Step, *, use: Use = "tags") -> Step:
    """Say of each class of each training image how far its mask is to be trusted.

    Args:
        dataset: Its training images.
        plan: What the masks are made by.
        masks: Which step makes them.
        use: Which labels they are made from.
    """
    way = way_to(plan, masks.name)
    seeds = [step.name for step in way if step.role == Role.SEEDS]
    plain = [step.name for step in plan if step.role == Role.PLAIN and masks is result_of(plan)]

    def make(context: StepContext) -> ReliabilityJob:
        folders = [context.inputs[names[-1]] if names else None for names in (seeds, plain)]
        return ReliabilityJob(
            context.inputs[masks.name], context.folder, Sources(*folders), use, masks.role == Role.RESULT
        )

    needs = {masks.name: Kind.LABELS}
    needs |= {names[-1]: Kind.LABELS for names in (seeds, plain) if names}
    work = over_images(ReliabilityJob, make, dataset.splits[TRAIN], source=(masks.name, Kind.LABELS))
    role = Role.PART if masks.role == Role.RESULT else masks.role
    weights = {label: asdict(found) for label, found in RUN_REGRESSIONS.items()}
    return Step(RELIABILITY, Kind.RELIABILITY, needs, {"use": use, "weights": weights}, work, role)


def doubts_of(folder: Path, image_id: str) -> tuple[MaskDoubt, ...]:
    """Return what the step in a folder says of the masks of an image; nothing where it does not know it.

    Raises:
        StoreError: If the file is damaged.
    """
    path = folder / f"{image_id}{Kind.RELIABILITY.suffix}"
    return read_doubts(path) if path.exists() else ()


def all_doubts(folder: Path) -> list[MaskDoubt]:
    """Return what the step in a folder says of the masks of all images."""
    return [one for found in doubts_by_image(folder).values() for one in found]


def doubts_by_image(folder: Path) -> dict[str, tuple[MaskDoubt, ...]]:
    """Return what the step in a folder says of the masks of all images, by image id.

    Raises:
        StoreError: If a file is damaged.
    """

    def read() -> dict[str, Any]:
        suffix = Kind.RELIABILITY.suffix
        paths = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob(f"*{suffix}"))}
        return {name.removesuffix(suffix): [_row(one) for one in read_doubts(path)] for name, path in paths.items()}

    rows = remembered(folder, "doubt_rows", read)
    try:
        return {image_id: tuple(_doubt(*row) for row in found) for image_id, found in rows.items()}
    except (TypeError, AttributeError) as error:
        raise StoreError(f"{folder}: what is kept of all masks is damaged; delete .doubt_rows.json there") from error


def read_doubts(path: Path) -> tuple[MaskDoubt, ...]:
    """Return what a file of the step ``reliability`` says of the masks of an image.

    Raises:
        StoreError: If the file is damaged.
    """
    try:
        return tuple(_doubt(**one) for one in read_json(path))
    except TypeError as error:
        raise StoreError(f"{path}: says nothing of masks; delete it, the next run makes it anew") from error


def _row(one: MaskDoubt) -> tuple[int, LabelKind, float, float, tuple[str, ...]]:
    return one.class_id, one.label, one.share, one.reliability, one.reasons


def _doubt(class_id: int, label: str, share: float, reliability: float, reasons: Sequence[str]) -> MaskDoubt:
    """Return what was written; words that many masks share are kept once."""
    kind = cast(LabelKind, sys.intern(label))
    return MaskDoubt(class_id, kind, share, reliability, tuple(map(sys.intern, reasons)))


def write_list(path: Path, classes: Classes, images: Iterable[str], doubts: Path, masks: Path) -> None:
    """Write one row for each class of each image: how much it covers, how far it is to be trusted, and why not.

    Args:
        path: Of the CSV file.
        classes: Their names.
        images: Image ids.
        doubts: Folder of the step ``reliability``.
        masks: Folder of the masks.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    known = doubts_by_image(doubts)
    for image_id in images:
        for one in known.get(image_id, ()):
            name, file = classes.names[one.class_id - 1], masks / f"{image_id}.png"
            told = (f"{one.share:.4f}", f"{one.reliability:.2f}", "; ".join(one.reasons))
            writer.writerow((image_id, name, one.label, *told, file.relative_to(path.parent).as_posix()))
    write_bytes(path, text.getvalue().encode())

"""What a finished run knows of its photographs, for what to draw next."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Drawn, LabelKind
from weakseg.data.binding import bind
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.drawn_json import read_judged, read_table
from weakseg.data.formats.drawn_record import Verdict
from weakseg.data.readers.lists import read_verdicts
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.methods import METHODS
from weakseg.methods.finished import FinishedRun
from weakseg.ops.resample import resize_labels
from weakseg.pipeline.plan import TRAIN, Role, way_to
from weakseg.progress import track
from weakseg.stages.known import MARK_KINDS, KnownClass, KnownPhotograph, MarkKind, State, count_parts, uncertain_region
from weakseg.steps.reliability import RELIABILITY, MaskDoubt, doubts_of
from weakseg.steps.segment import PREDICTIONS

logger = logging.getLogger(__name__)

MARKS: Mapping[LabelKind, MarkKind] = {"tags": "tag", "points": "click", "scribbles": "stroke", "boxes": "box"}


@dataclass(frozen=True)
class Since:
    """What people have said since a run.

    Attributes:
        labels: Tags and what is drawn, by image id.
        verdicts: Whether the masks of an image are accepted or rejected.
    """

    labels: Mapping[str, tuple[Tags, Drawn]] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)


def read_since(labels: Path | None, verdicts: Path | None, classes: Classes) -> Since:
    """Return what people have said since a run; entries that cannot be used are named in the log, and left out.

    Args:
        labels: weakseg's own file, as the page writes it: what is drawn, and accepted or rejected; ``None``: none.
        verdicts: List that a report has saved (image, verdict); ``None``: none.
        classes: Of the run.

    Raises:
        DataError: If a file is missing or malformed, or names a class that the run does not have.
    """
    found: Mapping[str, tuple[Tags, Drawn]] = {}
    said: dict[str, Verdict] = {}
    if labels is not None:
        bound = bind(read_table(labels), classes)
        found, said = bound.labels, read_judged(labels)
        for where, reason in bound.dropped.items():
            logger.warning("left out: %s: %s", where, reason)
    if verdicts is not None:
        said |= {image_id: verdict for _, image_id, verdict in read_verdicts(verdicts)}
    return Since(found, said)


@dataclass(frozen=True)
class _Folders:
    """Where a run's masks are, and what is known of them.

    Attributes:
        doubts: How far masks are to be trusted.
        masks: The masks.
        predicted: What the run's segmenter sees in the training images; ``None``: it was not asked.
        seeds: What the masks grew from; ``None``: they grew from none.
    """

    doubts: Path
    masks: Path
    predicted: Path | None = None
    seeds: Path | None = None


def known_photographs(run: FinishedRun, since: Since) -> list[KnownPhotograph]:
    """Return what is known of each training image of a run.

    Args:
        run: That has finished.
        since: What people have said since.

    Raises:
        ConfigError: If the method makes no masks of which it is known how far they are to be trusted.
        DataError: If the data set is gone, or what people have said is of none of its images.
    """
    dataset = open_dataset(run.recipe.data)
    folders = _folders(run, dataset)
    samples = dataset.splits[TRAIN]
    ids = {sample.id for sample in samples}
    for what, said in (("labels", since.labels), ("verdicts", since.verdicts)):
        strange = sorted(set(said) - ids)
        if said and len(strange) == len(said):
            raise DataError(f"{what}: of {len(said)} images none is a training image of {run.folder}; give its own")
        if strange:
            logger.warning("%s: %d of %d images are none of the run: %s", what, len(strange), len(said), strange[0])
    found = []
    with track("look at masks", len(samples)) as advance:
        for sample in samples:
            found.append(_photograph(sample, dataset.classes, folders, since))
            advance(1)
    return found


def _folders(run: FinishedRun, dataset: Dataset) -> _Folders:
    plan = METHODS[run.recipe.method].build(run.recipe, dataset)
    step = next((one for one in plan if one.name == RELIABILITY), None)
    if step is None or not run.step_folder(RELIABILITY).is_dir():
        raise ConfigError(
            f"{run.folder}: method {run.recipe.method!r} has left no reliability of masks; finish the run, or take one "
            "of a method that makes masks of weak labels"
        )
    masks = next(iter(step.needs))  # the masks are what it needs first
    seen = [one for one in plan if one.name.startswith(PREDICTIONS) and one.split == TRAIN]
    seeds = [one for one in way_to(plan, masks) if one.role == Role.SEEDS]
    last = [run.step_folder(steps[-1].name) if steps else None for steps in (seen, seeds)]
    return _Folders(run.step_folder(RELIABILITY), run.step_folder(masks), *last)


@dataclass(frozen=True)
class _Maps:
    """Label maps of one photograph: its mask, what the segmenter sees, and the seeds; those that there are."""

    mask: LabelMap | None
    predicted: LabelMap | None
    seeds: LabelMap | None

    @classmethod
    def load(cls, image_id: str, folders: _Folders) -> "_Maps":
        paths = [folder and folder / f"{image_id}.png" for folder in (folders.masks, folders.predicted, folders.seeds)]
        return cls(*(LabelMap.load(path) if path and path.exists() else None for path in paths))

    def known(self, name: str, class_id: int, doubt: MaskDoubt | None, drawn: MarkKind | None) -> KnownClass:
        """Return what is known of a class; of one without a mask, that it has none."""
        if self.mask is None or doubt is None:
            return KnownClass(name, drawn=drawn)
        own, seen = self.mask.labels == class_id, self._other(self.predicted, class_id)
        grown = seen if seen is not None else self._other(self.seeds, class_id)
        return KnownClass(
            name,
            doubt.reliability,
            doubt.share,
            count_parts(own),
            MARKS.get(doubt.label, "tag"),
            drawn,
            None if seen is None else 1 - float((own & seen).sum() / max(1, (own | seen).sum())),
            None if grown is None else uncertain_region(own, grown),
            doubt.reasons,
        )

    def _other(self, found: LabelMap | None, class_id: int) -> NDArray[np.bool_] | None:
        """Return where another label map shows a class, in the size of the mask."""
        if found is None or self.mask is None:
            return None
        there: NDArray[np.bool_] = resize_labels(found.labels, self.mask.labels.shape) == class_id
        return there


def _photograph(sample: WeakSample, classes: Classes, folders: _Folders, since: Since) -> KnownPhotograph:
    tags, drawn = since.labels.get(sample.id, (Tags(frozenset()), Drawn()))
    doubts = {one.class_id: one for one in doubts_of(folders.doubts, sample.id)}
    shown = {*doubts, *sample.tags.present, *sample.drawn.class_ids, *tags.present, *drawn.class_ids}
    outlined = {class_id for class_id, one in doubts.items() if one.label == "regions"}
    maps = _Maps.load(sample.id, folders)
    found = tuple(
        maps.known(classes.names[class_id - 1], class_id, doubts.get(class_id), _kind(drawn, class_id))
        for class_id in sorted(shown - outlined)
    )
    state: State = "tags"
    if not shown:
        state = "nothing" if sample.tags.unknown else "tags"
    elif drawn != Drawn() or sample.drawn != Drawn():
        state = "drawn"
    return KnownPhotograph(sample.id, since.verdicts.get(sample.id, state), found)


def _kind(drawn: Drawn, class_id: int) -> MarkKind | None:
    """Return the strongest kind of what is drawn on a class; ``None`` where nothing is."""
    kinds = [MARKS[kind] for kind in MARKS if any(one.class_id == class_id for one in drawn.of_kind(kind))]
    return max(kinds, key=MARK_KINDS.index, default=None)

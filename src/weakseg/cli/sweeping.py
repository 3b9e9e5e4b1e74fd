"""What ``weakseg sweep`` does: masks at several thresholds against checked ones."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from jsonargparse import Namespace

from weakseg.artifacts import Activations
from weakseg.cli.scores import mask_rules, true_masks
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_dataset
from weakseg.data.paths import read_classes
from weakseg.data.truth import EvalSample
from weakseg.errors import ConfigError, DataError
from weakseg.evaluation.confusion import Confusion
from weakseg.methods.finished import FinishedRun, open_finished
from weakseg.pipeline.plan import TRAIN
from weakseg.progress import track
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SPREAD, SeedConfig
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import seed_image

logger = logging.getLogger(__name__)

SCORES = tuple(step / 20 for step in range(1, 14))  # of the background
NEAR = 0.151  # the CRF is tried at scores that are no further from the best without it
FEW = 10  # checked masks, under which differences are mostly chance


@dataclass(frozen=True)
class _Tried:
    """Settings that are tried."""

    seeds: SeedConfig
    masks: RefineConfig

    @property
    def flags(self) -> str:
        """What asks for them on the command line."""
        strict, lenient = self.seeds.numbers
        said = [f"--seeds.strict {strict:g} --seeds.lenient {lenient:g}"]
        for name, section in (("seeds", self.seeds), ("masks", self.masks)):
            said.append(f"--{name}.check_crf false" if section.crf.iterations else f"--{name}.crf.iterations 0")
        return " ".join(said)


@dataclass(frozen=True)
class _Checked:
    """Images of a run that have a checked mask.

    Attributes:
        images: The photograph of each, and its mask.
        activations: Folder of the run's.
        num_classes: K.
    """

    images: Sequence[EvalSample]
    activations: Path
    num_classes: int

    def score(self, tried: Sequence[_Tried], title: str) -> list[float]:
        """Return the mean IoU (percent) of all images for each of what is tried."""
        found = [Confusion.empty(self.num_classes) for _ in tried]
        with track(title, len(self.images)) as advance:
            for truth in self.images:
                image, true = truth.sample.load_image(), truth.load_truth()
                activations = Activations.load(self.activations / f"{truth.id}.safetensors")
                for index, one in enumerate(tried):
                    mask = refine_image(seed_image(activations, image, one.seeds), image, one.masks)
                    found[index] += Confusion.of(true, mask.labels, self.num_classes)
                advance(1)
        return [100 * float(confusion.mean_iou()) for confusion in found]


def sweep(given: Namespace) -> str:
    """Return a table of what each threshold makes of the checked images, and what to set.

    Raises:
        ConfigError: If the method does not read seeds off activations by thresholds.
        DataError: If no image of the run has a checked mask.
    """
    run = open_finished(given.run, given.method)
    seeds, masks = getattr(run.recipe, "seeds", None), getattr(run.recipe, "masks", None)
    if not isinstance(seeds, SeedConfig) or not isinstance(masks, RefineConfig) or seeds.background != "threshold":
        raise ConfigError(
            f"{given.run}: method {run.recipe.method!r} has no masks of seeds that thresholds read off activations; "
            "sweep is for cam, group, oaa and mlgcn with seeds.background 'threshold'"
        )
    own = _Tried(*(getattr(run.decided_recipe, name) for name in ("seeds", "masks")))
    if "auto" in (own.seeds.strict, own.seeds.lenient):
        raise ConfigError(f"{given.run}: the run has not come to its seeds, which decide thresholds; finish it first")
    checked = _checked(given, run)
    pairs = [_pair(seeds, masks, score) for score in SCORES]
    plain = checked.score([without for _, without in pairs], "without CRF")
    best = SCORES[int(np.argmax(plain))]
    near = [index for index, score in enumerate(SCORES) if abs(score - best) < NEAR]
    *with_crf, of_run = checked.score([*(pairs[index][0] for index in near), own], "with CRF")
    found = dict(zip(near, with_crf, strict=True))
    rows = [f"{score:10.2f}  {plain[i]:11.2f}  {found.get(i, np.nan):8.2f}" for i, score in enumerate(SCORES)]
    values = {pairs[i][1]: value for i, value in enumerate(plain)} | {pairs[i][0]: v for i, v in found.items()}
    first = max(values, key=values.__getitem__)
    return "\n".join(
        (
            "background  without CRF  with CRF   (mIoU % of checked images)",
            *(row.replace("nan", "  -") for row in rows),
            f"the run's own settings, {own.flags}: {of_run:.2f}",
            f"the best of these, {first.flags}: {values[first]:.2f}",
            *_cautions(len(checked.images), values[first] - of_run),
        )
    )


def _cautions(images: int, gain: float) -> list[str]:
    """Return what is to be known before the best is believed."""
    said = [f"of {images} checked images, which these settings were chosen on: expect less elsewhere"]
    if images < FEW:
        said.append(f"with fewer than {FEW} checked images small differences are chance; check more")
    if gain <= 0:
        said.append("nothing tried is better than the run's own settings; keep them")
    return said


def _pair(seeds: SeedConfig, masks: RefineConfig, score: float) -> tuple[_Tried, _Tried]:
    """Return a background score with a CRF, and without."""
    read = replace(seeds.with_numbers(round(score + SPREAD, 3), round(score - SPREAD, 3)), check_crf=False)
    kept = replace(masks, check_crf=False)
    return _Tried(read, kept), _Tried(read.without_crf, replace(kept, crf=replace(kept.crf, iterations=0)))


def _checked(given: Namespace, run: FinishedRun) -> _Checked:
    """Return the training images of a run that have a checked mask and activations."""
    classes = Classes(read_classes(given.run, ()) or ())
    masks = true_masks(given.checked, None, mask_rules(given, classes, given.checked))
    samples = {sample.id: sample for sample in open_dataset(run.recipe.data).splits[TRAIN]}
    folder = run.step_folder("activations")
    known = [m for m in masks if m.id in samples and (folder / f"{m.id}.safetensors").exists()]
    if not known:
        raise DataError(
            f"{given.checked}: of {len(masks)} masks none is of a training image of {given.run} that has activations; "
            "call each by its image's id, ID.png"
        )
    if len(known) < len(masks):
        logger.warning(
            "%s: %d of %d masks are of no training image", given.checked, len(masks) - len(known), len(masks)
        )
    return _Checked([replace(mask, sample=samples[mask.id]) for mask in known], folder, len(classes))

"""The step ``features``: what a network that does not learn makes of images, once for all graphs that take it."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.features import check_features, feature_backbone, feature_maps
from weakseg.stages.weak_seeds import counted
from weakseg.steps.base import over_images

FEATURES, STROKE_FEATURES = "features", "stroke_features"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FeaturesJob(ImageJob):
    """Image to maps of features, in half precision."""

    out: Path
    config: FreeGraphConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.FEATURES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the maps."""
        backbone = feature_backbone(self.config.features, self.device)
        feature_maps(backbone, sample.load_image(), self.config).save(self.output(sample.id))


def features_step(dataset: Dataset, config: FreeGraphConfig) -> Step:
    """Return the step that makes the features of a graph; photographs that show nothing get none, as none is made.

    Raises:
        ConfigError: If there is no such network.
    """
    samples = dataset.splits[TRAIN]
    shown = [sample for sample in samples if not sample.shows_nothing]
    return _step(FEATURES, config, shown, f"{len(samples) - len(shown)} of {len(samples)} photographs show nothing")


def with_stroke_features(
    dataset: Dataset, config: WeakSeedConfig, seeds: Sequence[Step], *, graph: FreeGraphConfig | None = None
) -> list[Step]:
    """Return steps that make seeds, after the one that makes the features of the graph that their strokes walk on.

    Where these are the embedded network's, or nothing is followed by a walk, there is none, and seeds are as they were.

    Args:
        dataset: Its training images.
        config: Of the seeds.
        seeds: All of them have the same walk.
        graph: That of the plan whose ``features_step`` comes before, if there is any: the same features are made once.

    Raises:
        ConfigError: If there is no such network.
    """
    samples, walked = dataset.splits[TRAIN], config.walk.graph
    marked = [sample for sample in samples if _has_strokes(counted(sample, config.use))]
    if not (seeds and marked and config.strokes_as == "walk" and walked.features.outside):
        return list(seeds)
    shared = graph is not None and _settings(graph) == _settings(walked)
    said = f"{len(samples) - len(marked)} of {len(samples)} photographs have no points or scribbles"
    made = [] if shared else [_step(STROKE_FEATURES, walked, marked, said)]
    name = FEATURES if shared else STROKE_FEATURES
    return [*made, *(replace(step, needs={**step.needs, name: Kind.FEATURES}) for step in seeds)]


def stroke_features_of(context: StepContext) -> Path | None:
    """Return the folder of the features that strokes walk on, where the plan makes any."""
    return context.inputs.get(STROKE_FEATURES, context.inputs.get(FEATURES))


def kept_of(folder: Path | None, image_id: str) -> Path | None:
    """Return the file of an image's features, where there is one: others are made when they are needed."""
    path = folder / f"{image_id}{Kind.FEATURES.suffix}" if folder else None
    return path if path and path.exists() else None


def _has_strokes(sample: WeakSample) -> bool:
    return bool(sample.drawn.points or sample.drawn.scribbles) and not sample.shows_nothing


def _step(name: str, config: FreeGraphConfig, samples: Sequence[WeakSample], left_out: str) -> Step:
    """Return a step over some photographs, which says that it leaves the others out."""
    check_features(config.features)

    def make(context: StepContext) -> FeaturesJob:
        return FeaturesJob(context.folder, config, context.device)

    work = over_images(FeaturesJob, make, samples)

    def run(context: StepContext) -> StepResult:
        if not left_out.startswith("0 "):
            logger.info("%s: %s, and are left out", name, left_out)
        return work.run(context)

    return Step(name, Kind.FEATURES, {}, _settings(config), replace(work, run=run), Role.PART)


def _settings(config: FreeGraphConfig) -> dict[str, Any]:
    """Return what features depend on."""
    counts = {name: getattr(config, name) for name in ("levels", "max_side", "stride")}
    return {**asdict(config.features), **counts}

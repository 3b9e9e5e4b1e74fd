"""The step ``features``: what a network that does not learn makes of images, once for all graphs that take it."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.graph import FeaturesConfig, FreeGraphConfig
from weakseg.stages.features import check_features, feature_backbone, feature_maps
from weakseg.steps.base import over_images

FEATURES = "features"


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


def are_outside(config: FreeGraphConfig) -> bool:
    """Return whether a graph takes features of another network than the embedded one, which are kept."""
    return config.features != FeaturesConfig()


def features_step(dataset: Dataset, config: FreeGraphConfig) -> Step:
    """Return the step that makes the features of a graph.

    Raises:
        ConfigError: If there is no such network.
    """
    check_features(config.features)

    def make(context: StepContext) -> FeaturesJob:
        return FeaturesJob(context.folder, config, context.device)

    counted = {name: getattr(config, name) for name in ("levels", "max_side", "stride")}
    settings = {**asdict(config.features), **counted}
    return Step(FEATURES, Kind.FEATURES, {}, settings, over_images(FeaturesJob, make, dataset.splits[TRAIN]), Role.PART)

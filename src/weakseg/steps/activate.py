"""The steps to activations: from a classifier and tags, or from files that another program wrote."""

import logging
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.activate import ActivateConfig, ActivationsConfig, ExternalConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import load_classifier
from weakseg.stages.external import ExternalMaps
from weakseg.steps.base import cached, over_images

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ActivateJob(ImageJob):
    """Image and tags to activations; ``model`` is a classifier file."""

    model: Path
    out: Path
    config: ActivateConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.ACTIVATIONS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the activations of the tagged classes."""
        model, _ = cached(load_classifier, self.model, self.device)
        class_ids = tuple(sorted(sample.tags.present))
        activate_image(model, sample.load_image(), class_ids, self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class ExternalJob(ImageJob):
    """Another program's file of an image to activations of the tagged classes."""

    maps: ExternalMaps
    out: Path
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.ACTIVATIONS.suffix

    def one(self, sample: WeakSample) -> None:
        """Check and save the activations."""
        rows, columns, _ = sample.load_image().shape
        self.maps.load(sample, (rows, columns)).save(self.output(sample.id))


def external_step(dataset: Dataset, config: ActivationsConfig) -> Step:
    """Take activations of the tagged classes of the training images from a folder of files."""
    maps = ExternalMaps(
        Path(config.from_folder).expanduser(),
        dataset.classes,
        ExternalConfig(config.from_values, config.from_ids),
        config.stride,
    )

    def make(context: StepContext) -> ExternalJob:
        logger.info(
            "activations: of %s; settings of the classifier, and of activations that it would compute, have no effect",
            maps.folder,
        )
        return ExternalJob(maps, context.folder, context.device)

    work = over_images(ExternalJob, make, dataset.splits[TRAIN])
    settings = {**asdict(maps.config), "stride": config.stride, "from_folder": config.from_folder}
    return Step("activations", Kind.ACTIVATIONS, {}, settings, work, Role.START)


def activations_step(dataset: Dataset, config: ActivateConfig, *, role: Role = Role.START) -> Step:
    """Compute activations of the tagged classes of the training images with the plan's classifier.

    Raises:
        ConfigError: If settings name a folder of activations instead.
    """
    if isinstance(config, ActivationsConfig) and config.from_folder:
        raise ConfigError(
            "activations.from_folder: these activations are those of a classifier; leave it out, or use a method that "
            "starts from any"
        )
    config = ActivateConfig(**{one.name: getattr(config, one.name) for one in fields(ActivateConfig)})

    def make(context: StepContext) -> ActivateJob:
        return ActivateJob(context.inputs["classifier"] / MODEL_FILE, context.folder, config, context.device)

    work = over_images(ActivateJob, make, dataset.splits[TRAIN])
    return Step("activations", Kind.ACTIVATIONS, {"classifier": Kind.MODEL}, asdict(config), work, role)

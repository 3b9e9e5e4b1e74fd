"""The steps to activations: from a classifier and tags, or from files that another program wrote."""

import logging
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.activate import ActivateConfig, ActivationsConfig, ExternalConfig
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps
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
class AccumulatedJob(ImageJob):
    """What was accumulated of an image to activations; ``store`` is the file of a training."""

    store: Path
    out: Path
    config: ActivateConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.ACTIVATIONS.suffix

    def one(self, sample: WeakSample) -> None:
        """Read and save the activations."""
        store = _opened(self.store, self.store.stat().st_mtime_ns)
        found = store.activations(sample.id, self.config.stride, by=self.config.normalize)
        found.save(self.output(sample.id))


@lru_cache(maxsize=1)
def _opened(path: Path, _written_ns: int) -> AccumulatedMaps:
    return AccumulatedMaps.open(path)


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


def activations_step(
    dataset: Dataset,
    config: ActivateConfig,
    *,
    role: Role = Role.START,
    model: str = "classifier",
    accumulated: bool = False,
) -> Step:
    """Compute activations of the tagged classes of the training images with a classifier of the plan.

    Args:
        dataset: Images and tags.
        config: How activations are computed.
        role: In the plan.
        model: Which step has trained the classifier.
        accumulated: Take those that the classifier's training has accumulated. Where the classifier was not trained on
            the images, but is given, they are computed.

    Raises:
        ConfigError: If settings name a folder of activations instead.
    """
    if isinstance(config, ActivationsConfig) and config.from_folder:
        raise ConfigError(
            "activations.from_folder: these activations are those of a classifier; leave it out, or use a method that "
            "starts from any"
        )
    config = ActivateConfig(**{one.name: getattr(config, one.name) for one in fields(ActivateConfig)})

    def make(context: StepContext) -> ActivateJob | AccumulatedJob:
        classifier = context.inputs[model]
        store = classifier / ACCUMULATED_FILE
        if accumulated and store.exists():
            logger.info(
                "activations: those that were accumulated; scales, max_side, align and roots have no effect on them, "
                "but on those of new photographs (weakseg label), which a trained classifier looks at"
            )
            AccumulatedMaps.open(store, dataset.classes, dataset.splits[TRAIN])  # refuse it before any image is done
            return AccumulatedJob(store, context.folder, config, context.device)
        if accumulated:
            logger.info("activations: the classifier was not trained on these images; its activations are computed")
        return ActivateJob(classifier / MODEL_FILE, context.folder, config, context.device)

    work = over_images(AccumulatedJob if accumulated else ActivateJob, make, dataset.splits[TRAIN])
    return Step("activations", Kind.ACTIVATIONS, {model: Kind.MODEL}, asdict(config), work, role)

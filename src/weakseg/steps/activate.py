"""The step from a classifier and tags to activations."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import ImageJob
from weakseg.settings.activate import ActivateConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import load_classifier
from weakseg.steps.base import cached, over_images


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


def activations_step(dataset: Dataset, config: ActivateConfig, *, role: Role = Role.START) -> Step:
    """Compute activations of the tagged classes of the training images with the plan's classifier."""

    def make(context: StepContext) -> ActivateJob:
        return ActivateJob(context.inputs["classifier"] / MODEL_FILE, context.folder, config, context.device)

    work = over_images(ActivateJob, make, dataset.splits[TRAIN])
    return Step("activations", Kind.ACTIVATIONS, {"classifier": Kind.MODEL}, asdict(config), work, role)

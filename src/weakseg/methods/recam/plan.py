"""The plan of the ``recam`` method."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.data.dataset import Dataset
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.methods.plans import boundary_walk_plan, saliency_steps
from weakseg.methods.recam.config import RecamRecipe
from weakseg.methods.recam.train import train_recam
from weakseg.nn.classifiers import RecamClassifier
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Step, StepContext, StepResult
from weakseg.pipeline.units import ImageJob
from weakseg.settings.recam import RecamActivationsConfig, RecamConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import load_classifier
from weakseg.steps.base import cached, over_images, training
from weakseg.steps.classify import classifier_step, hold_out, trained_classifier
from weakseg.training.loop import FitPlace


@dataclass(frozen=True)
class RecamActivateJob(ImageJob):
    """Image and tags to activations; ``model`` is the file of a ReCAM classifier."""

    model: Path
    out: Path
    config: RecamActivationsConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.ACTIVATIONS.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the activations of the tagged classes."""
        model, _ = cached(load_classifier, self.model, self.device)
        assert isinstance(model, RecamClassifier)
        model.weights = self.config.weights
        class_ids = tuple(sorted(sample.tags.present))
        activate_image(model, sample.load_image(), class_ids, self.config).save(self.output(sample.id))


def build_plan(recipe: RecamRecipe, dataset: Dataset) -> list[Step]:
    """Return the steps from tags to a scored segmenter: those of ``irnet`` with a second training of the classifier.

    Raises:
        ConfigError: If the weights of a layer are asked for that learns nothing, for there is one class.
    """
    if recipe.activations.weights == "recam" and len(dataset.classes) == 1:
        raise ConfigError(
            "activations.weights: softmax over one class teaches the second linear layer nothing; set 'cls' or "
            "'product', which are the same then"
        )
    start = [
        *saliency_steps(recipe, dataset),
        classifier_step(dataset, recipe.classifier, recipe.seed),
        recam_step(dataset, recipe.recam, recipe.seed, warn_below=recipe.classifier.warn_below),
        recam_activations_step(dataset, recipe.activations),
    ]
    return boundary_walk_plan(recipe, dataset, start)


def recam_step(dataset: Dataset, config: RecamConfig, seed: int, *, warn_below: float) -> Step:
    """Train the classifier of the plan on, on the same images."""

    def run(context: StepContext, place: FitPlace) -> StepResult:
        learned, measured = hold_out(dataset, seed)
        classifier = context.inputs["classifier"] / MODEL_FILE
        records = train_recam(learned, measured, dataset.classes, config=config, place=place, classifier=classifier)
        return trained_classifier(records, warn_below)

    settings = {**asdict(config), "seed": seed}
    return Step("recam", Kind.MODEL, {"classifier": Kind.MODEL}, settings, training(train_recam, run, seed))


def recam_activations_step(dataset: Dataset, config: RecamActivationsConfig) -> Step:
    """Compute activations of the tagged classes of the training images."""

    def make(context: StepContext) -> RecamActivateJob:
        return RecamActivateJob(context.inputs["recam"] / MODEL_FILE, context.folder, config, context.device)

    work = over_images(RecamActivateJob, make, dataset.splits[TRAIN])
    settings = {name: value for name, value in asdict(config).items() if not name.startswith("from_")}
    return Step("activations", Kind.ACTIVATIONS, {"recam": Kind.MODEL}, settings, work)

"""The steps of groups: the classifier, and the activations of images that share classes."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from weakseg.data.dataset import Dataset
from weakseg.data.groups import TagGroups
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.graph.image_group import group_edges
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.nn.weights import MODEL_FILE
from weakseg.pipeline.plan import TRAIN, Kind, Role, Step, StepContext
from weakseg.pipeline.units import Unit
from weakseg.rng import derive_seed
from weakseg.settings.group_classify import GroupActivateConfig, GroupClassifierConfig, GroupDrawConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.activate_group import activate_group
from weakseg.stages.classify import load_classifier
from weakseg.stages.group import train_group
from weakseg.steps.activate import activations_step
from weakseg.steps.base import cached, over_images
from weakseg.steps.classify import classifier_step


@dataclass(frozen=True)
class GroupActivateJob:
    """Groups of images and their tags to activations; each image is in one group.

    Attributes:
        model: File of the classifier.
        out: Folder of the activations.
        config: Scales, stride, and of which head.
        num_classes: K.
        groups: How many images, and whether they share classes.
        device: Where the classifier runs.
    """

    model: Path
    out: Path
    config: GroupActivateConfig
    num_classes: int
    groups: GroupDrawConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.ACTIVATIONS.suffix

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        """Return the groups of images, see ``group_units``."""
        return group_units(samples, self.groups)

    def output(self, name: str) -> Path:
        """Return the file of an image."""
        return self.out / f"{name}{self.suffix}"

    def run(self, unit: Unit) -> None:
        """Compute and save the activations of the tagged classes of a group."""
        images = [sample.load_image() for sample in unit.samples]
        if not unit.samples[0].tags.present:
            found = [activate_image(None, image, (), self.config) for image in images]
        else:
            model, _ = cached(load_classifier, self.model, self.device)
            assert isinstance(model, GroupClassifier)
            targets = unit_targets(unit, self.num_classes)
            found = activate_group(model, images, targets, unit_edges(targets, self.groups), self.config)
        for sample, activations in zip(unit.samples, found, strict=True):
            activations.save(self.output(sample.id))


def group_units(samples: Sequence[WeakSample], groups: GroupDrawConfig) -> list[Unit]:
    """Return groups of images that share classes, or of any in the random control; those without a tag alone."""
    ordered = sorted(samples, key=lambda sample: sample.id)
    tagged = [sample for sample in ordered if sample.tags.present]
    alone = [Unit((sample,)) for sample in ordered if not sample.tags.present]
    if groups.draw == "random":
        mixed = sorted(tagged, key=lambda sample: derive_seed(0, sample.id, "group/partition"))
        places = range(0, len(mixed), groups.size)
        return [*(Unit(tuple(mixed[i : i + groups.size]), whole=True) for i in places), *alone]
    parts = TagGroups(tagged, groups.size).partition() if tagged else ()
    return [*(Unit(tuple(tagged[index] for index in members), whole=True) for members in parts), *alone]


def unit_targets(unit: Unit, num_classes: int) -> Tensor:
    """Return the ``(n, K)`` tags of a group: 1 present, 0 absent, NaN unknown."""
    return torch.from_numpy(np.stack([sample.tags.targets(num_classes) for sample in unit.samples]))


def unit_edges(targets: Tensor, groups: GroupDrawConfig) -> Tensor:
    """Return which image of a group tells which: ``(2, E)``; in the random control all with a tag tell all."""
    return group_edges(targets, torch.zeros(len(targets), dtype=torch.long), any_class=groups.draw == "random")


def from_groups(
    dataset: Dataset, classifier: GroupClassifierConfig, activations: GroupActivateConfig, seed: int
) -> list[Step]:
    """Return the steps from tags to the activations of the classifier of groups."""
    train = classifier_step(dataset, classifier, seed, train=train_group, accumulating=train_group, role=Role.PART)
    if classifier.accumulate:
        if activations.size or activations.draw:
            raise ConfigError(
                "activations: accumulated activations are those of the training's groups; leave size and draw out"
            )
        if activations.output != "average":
            raise ConfigError(
                f"activations.output: accumulated activations are the average of both heads, got "
                f"{activations.output!r}; leave one of them out"
            )
        return [train, activations_step(dataset, activations, role=Role.PART, accumulated=True)]
    groups, senders = activations.groups(classifier.groups), classifier.head.graph.senders
    if senders and senders < groups.size - 1:
        raise ConfigError(
            f"activations.size: groups of {groups.size} images, but the graph has room for {senders} messages; set it "
            f"to {senders + 1} at most"
        )
    return [train, group_activations_step(dataset, activations, groups)]


def group_activations_step(dataset: Dataset, config: GroupActivateConfig, groups: GroupDrawConfig) -> Step:
    """Compute activations of the tagged classes of the training images, in groups of images that share classes.

    Args:
        dataset: Its images and tags.
        config: How they are computed.
        groups: How images are looked at.
    """

    def make(context: StepContext) -> GroupActivateJob:
        model = context.inputs["classifier"] / MODEL_FILE
        return GroupActivateJob(model, context.folder, config, len(dataset.classes), groups, context.device)

    work = over_images(GroupActivateJob, make, dataset.splits[TRAIN])
    own = {name: value for name, value in asdict(config).items() if not name.startswith("from_")}
    settings = {**own, "size": groups.size, "draw": groups.draw}
    return Step("activations", Kind.ACTIVATIONS, {"classifier": Kind.MODEL}, settings, work)

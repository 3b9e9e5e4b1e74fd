"""Train the tag classifier."""

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.classifiers import (
    CLASS_GRAPH_CLASSIFIER,
    CLASSIFIER,
    CLASSIFIERS,
    ClassGraphClassifier,
    TagClassifier,
)
from weakseg.nn.losses import focal_loss, tag_loss
from weakseg.nn.models import load_model
from weakseg.nn.weights import read_header
from weakseg.ops.ranking import mean_average_precision
from weakseg.ops.resample import image_tensor, resize_image
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.stages.class_nodes import KnownClasses, known_classes
from weakseg.stages.frozen import KEPT_BY_ONE, FrozenFeatures
from weakseg.training.augment import View, draw_view, plain_size
from weakseg.training.batches import EpochData
from weakseg.training.loop import FitPlace, Records
from weakseg.training.train import Training, train_model

logger = logging.getLogger(__name__)


@dataclass
class TagData:
    """Augmented images with tag targets, keyed by (seed, image id, epoch); where features are kept, these of them."""

    samples: Sequence[WeakSample]
    num_classes: int
    config: AugmentConfig
    seed: int
    features: FrozenFeatures | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255, or its features, and ``(K,)`` targets (NaN: unknown)."""
        if self.features:
            found = self.features.get(index, epoch, lambda: self.seen(index, epoch)[0])
            return found, torch.from_numpy(self.samples[index].tags.targets(self.num_classes))
        image, targets, _ = self.seen(index, epoch)
        return image, targets

    def seen(self, index: int, epoch: int) -> tuple[Tensor, Tensor, View]:
        """Return what ``load`` returns, and the view of the image that it is."""
        sample = self.samples[index]
        rng = numpy_generator_for(self.seed, sample.id, f"classifier/augment/{self.config.variant(epoch)}")
        image = sample.load_image()
        view = draw_view((image.shape[0], image.shape[1]), self.config, rng)
        return image_tensor(view.image(image)), torch.from_numpy(sample.tags.targets(self.num_classes)), view


def train_classifier(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: ClassifierConfig,
    place: FitPlace,
) -> list[dict[str, Any]]:
    """Train on ``train``, measure mAP on ``val``, and write ``model.safetensors`` into the place's folder.

    Returns:
        One record an epoch: loss, seconds, and on the last ``mAP`` in percent (NaN where ``val`` shows no class).

    Reference:
        [zhou2016cam]; settings in the cam card, section 3.
    """
    config = config.for_images(len(train))
    data = tag_data(train, classes, config, place)
    kept = config.frozen is True and config.augment.variants > 0 and not config.convolutions
    training = classifier_training(data, val, classes, config, are_features=kept)
    if config.class_graph.weight:
        known = known_classes(config.class_graph, classes, data.samples, seed=place.seed)
        training = with_class_graph(training, known, config, are_features=kept)
    if kept:
        if config.fit.loader_workers:
            logger.info("classifier: features are kept by this process alone; fit.loader_workers has no effect")
        build = training.build
        alone = replace(config.fit, loader_workers=0)
        training = replace(training, build=lambda: _with_features(build(), data, place), fit=alone, alone=KEPT_BY_ONE)
    return train_model(training, place)


def _with_features(model: TagClassifier, data: TagData, place: FitPlace) -> TagClassifier:
    """Return a classifier whose examples are from now on the features that its backbone makes, each computed once."""
    variants = data.config.variants
    data.features = FrozenFeatures(model.backbone, len(data), place.folder, variants=variants, pooled=True)
    return model


def classifier_training(
    data: EpochData,
    val: Sequence[WeakSample],
    classes: Classes,
    config: ClassifierConfig,
    *,
    are_features: bool = False,
) -> Training[TagClassifier]:
    """Return the training of the classifier on examples that begin with images and tags; it measures mAP on ``val``.

    With ``are_features`` they begin with features of images.
    """

    build = classifier_builder(config, functools.partial(TagClassifier, num_classes=len(classes)))

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        return tag_loss(module(batch[0], are_features=are_features).logits, batch[1])

    header = classifier_header(classes, config.backbone, config.convolutions)
    measure = measured(val, classes, config)
    return Training("classifier", build, data, loss, config.fit, header, complete=measure)


def with_class_graph(
    training: Training[TagClassifier], known: KnownClasses, config: ClassifierConfig, *, are_features: bool = False
) -> Training[TagClassifier]:
    """Return the training of a classifier beside which a graph of classes makes a second set of classifiers.

    The loss is that of tags and lambda times the focal loss of these.

    Reference:
        [zhang2023grm], section 3, and its code.
    """
    head = config.class_graph
    network = functools.partial(ClassGraphClassifier, nodes=known.nodes, config=head)

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        found = module(batch[0], further=("class_logits",), are_features=are_features)
        focal = focal_loss(found.further["class_logits"].float(), batch[1], head.gamma)
        return tag_loss(found.logits, batch[1]) + head.weight * focal

    told = {"hidden": head.hidden, "last_activation": head.last_activation, "combine": head.combine}
    header = {**training.header, "kind": CLASS_GRAPH_CLASSIFIER, "class_graph": known.header, "class_head": told}
    return replace(training, build=classifier_builder(config, network), loss=loss, header=header)


def classifier_builder(config: ClassifierConfig, network: Callable[..., TagClassifier]) -> Callable[[], TagClassifier]:
    """Return what builds a classifier on its backbone, which may be frozen.

    Args:
        config: The classifier.
        network: Gets the backbone, and ``dropout`` and ``convolutions`` by name.
    """

    def build() -> TagClassifier:
        backbone = build_backbone(config.backbone)
        model = network(backbone, dropout=config.dropout, convolutions=config.convolutions)
        model.backbone.requires_grad_(config.frozen is not True)
        return model

    return build


def classifier_header(classes: Classes, backbone: BackboneConfig, convolutions: int) -> dict[str, Any]:
    """Return what the file of a classifier says of itself."""
    return {
        "kind": CLASSIFIER,
        "classes": classes.names,
        "backbone": asdict(backbone),
        "convolutions": convolutions,
    }


def tag_data(train: Sequence[WeakSample], classes: Classes, config: ClassifierConfig, place: FitPlace) -> TagData:
    """Return the examples of a classifier; batches do not depend on the order of the list."""
    return TagData(sorted(train, key=lambda sample: sample.id), len(classes), config.augment, place.seed)


def measured(
    val: Sequence[WeakSample], classes: Classes, config: ClassifierConfig
) -> Callable[[TagClassifier, Records], dict[str, Any]]:
    """Return a function that measures a classifier's mAP on ``val`` and puts it into the last record."""

    def complete(model: TagClassifier, records: Records) -> dict[str, Any]:
        records[-1]["mAP"] = 100.0 * tag_map(model, val, len(classes), config.augment)
        return {"mAP": records[-1]["mAP"]}

    return complete


def tag_map(model: TagClassifier, samples: Sequence[WeakSample], num_classes: int, config: AugmentConfig) -> float:
    """Return the mean average precision in [0, 1] of whole images and their mirror images, seen as in training."""
    model.eval()
    scores = np.zeros((len(samples), num_classes))
    for row, sample in enumerate(samples):
        image = sample.load_image()
        image = resize_image(image, plain_size((image.shape[0], image.shape[1]), config))
        batch = image_tensor(image)[None].to(model.device)
        with torch.inference_mode():
            scores[row] = model(torch.cat([batch, batch.flip(-1)])).logits.mean(0).cpu().numpy()
    targets = np.stack([s.tags.targets(num_classes) for s in samples]) if samples else np.zeros((0, num_classes))
    return mean_average_precision(scores, targets)


def start_backbone(start: str, config: BackboneConfig, classifier: Path | None) -> Backbone:
    """Return the backbone of a trained classifier, or a new one with its pretrained weights.

    Args:
        start: Which.
        config: For ``pretrained``.
        classifier: Model file, for ``classifier``.

    Raises:
        ConfigError: If a classifier is asked for and none is given.
    """
    if start == "pretrained":
        return build_backbone(config)
    return load_classifier(_needed(classifier))[0].backbone


def start_config(start: str, config: BackboneConfig, classifier: Path | None) -> BackboneConfig:
    """Return the configuration of what ``start_backbone`` returns; arguments and errors as there."""
    if start == "pretrained":
        return config
    return BackboneConfig(**read_header(_needed(classifier), kinds=CLASSIFIERS)["backbone"])


def load_classifier(path: Path) -> tuple[TagClassifier, Classes]:
    """Return a trained classifier, of the kind that its file says, in evaluation mode, and its classes.

    Raises:
        CheckpointError: If the file is missing, truncated, or no classifier of weakseg.
    """
    model, header = load_model(path, CLASSIFIERS)
    return model, classes_of(header, path)


def classes_of(header: Mapping[str, Any], path: Path) -> Classes:
    """Return the classes that the header of a model file names.

    Raises:
        CheckpointError: If they are no classes.
    """
    try:
        return Classes(tuple(header["classes"]))
    except (TypeError, DataError) as error:
        raise CheckpointError(f"{path}: the header names no classes ({error}); train it again") from error


def _needed(classifier: Path | None) -> Path:
    if classifier is None:
        raise ConfigError("start: 'classifier' needs a trained classifier; use 'pretrained'")
    return classifier

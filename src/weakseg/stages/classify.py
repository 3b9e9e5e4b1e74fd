"""Train the tag classifier."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.classifier import TagClassifier
from weakseg.nn.losses import tag_loss
from weakseg.nn.seam import SeamClassifier
from weakseg.nn.weights import MODEL_FILE, load_into, load_weights, read_header, save_model
from weakseg.ops.ranking import mean_average_precision
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.training.augment import augment
from weakseg.training.loop import Fit, FitPlace, Loss


@dataclass(frozen=True)
class TagData:
    """Augmented images with tag targets, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    num_classes: int
    config: AugmentConfig
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255 and ``(K,)`` targets with NaN for unknown tags."""
        sample = self.samples[index]
        rng = numpy_generator_for(self.seed, sample.id, f"classifier/augment/{epoch}")
        image, _ = augment(sample.load_image(), None, self.config, rng)
        return image_tensor(image), torch.from_numpy(sample.tags.targets(self.num_classes))


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

    def build(backbone: Backbone) -> TagClassifier:
        return TagClassifier(backbone, len(classes), dropout=config.dropout)

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        return tag_loss(module(batch[0]), batch[1])

    return fit_classifier(build, loss, train, val, classes, config=config, place=place)


def fit_classifier(
    build: Callable[[Backbone], TagClassifier],
    loss: Loss,
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: ClassifierConfig,
    place: FitPlace,
    header: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Build a classifier of any kind, train it with a loss, measure it and write its file; return the records.

    Args:
        build: From the backbone to the classifier.
        loss: From classifier and a batch of ``TagData`` to a scalar.
        train: Images to train on.
        val: Images to measure mAP on.
        classes: The classes.
        config: Backbone, augmentation and optimisation.
        place: Folder, seed and device.
        header: What the file says beyond kind, classes and backbone.
    """
    torch.manual_seed(numpy_generator_for(place.seed, "", "classifier/init").integers(2**62))
    model = build(build_backbone(config.backbone))
    if config.frozen:
        model.backbone.requires_grad_(requires_grad=False)
    train = sorted(train, key=lambda sample: sample.id)  # batches must not depend on the order of the list
    data = TagData(train, len(classes), config.augment, place.seed)
    records = Fit(model, data, loss, config.fit, place, "classifier").run()
    records[-1]["mAP"] = 100.0 * tag_map(model, val, len(classes), long_side=config.augment.middle_side)
    common = {"kind": "classifier", "classes": classes.names, "backbone": asdict(config.backbone)}
    save_model(place.folder / MODEL_FILE, model, {**common, **(header or {}), "mAP": records[-1]["mAP"]})
    return records


def tag_map(model: TagClassifier, samples: Sequence[WeakSample], num_classes: int, *, long_side: int | None) -> float:
    """Return the mean average precision in [0, 1] of whole images and their mirror images, scaled to ``long_side``."""
    model.eval()
    scores = np.zeros((len(samples), num_classes))
    for row, sample in enumerate(samples):
        image = sample.load_image()
        if long_side:
            image = resize_image(image, scaled_size(image.shape[:2], long_side / max(image.shape[:2])))
        batch = image_tensor(image)[None].to(model.device)
        with torch.inference_mode():
            scores[row] = model(torch.cat([batch, batch.flip(-1)])).mean(0).cpu().numpy()
    targets = np.stack([s.tags.targets(num_classes) for s in samples]) if samples else np.zeros((0, num_classes))
    return mean_average_precision(scores, targets)


def start_backbone(
    start: Literal["classifier", "pretrained"], config: BackboneConfig, classifier: Path | None
) -> tuple[Backbone, BackboneConfig]:
    """Return the backbone of a trained classifier, or a new one with its pretrained weights, and its configuration.

    Args:
        start: Which.
        config: For ``pretrained``.
        classifier: Model file, for ``classifier``.

    Raises:
        ConfigError: If a classifier is asked for and none is given.
    """
    if start == "pretrained":
        return build_backbone(config), config
    if classifier is None:
        raise ConfigError("start: 'classifier' needs a trained classifier; use 'pretrained'")
    return load_classifier(classifier)[0].backbone, BackboneConfig(**read_header(classifier)["backbone"])


def load_classifier(path: Path) -> tuple[TagClassifier, Classes]:
    """Return a trained classifier, of SEAM's kind where its file says so, in evaluation mode, and its classes.

    Raises:
        CheckpointError: If the file is missing, truncated, or no classifier of weakseg.
    """
    header = read_header(path, kind="classifier")
    try:
        config, classes = BackboneConfig(**header["backbone"]), Classes(tuple(header["classes"]))
        published = header["correlation"]["published"] if "correlation" in header else None
    except (KeyError, TypeError, ConfigError, DataError) as error:
        raise CheckpointError(f"{path}: the header does not describe a classifier ({error}); train it again") from error
    backbone = build_backbone(config, pretrained=False)
    if published is None:
        model = TagClassifier(backbone, len(classes))
    else:
        model = SeamClassifier(backbone, len(classes), published=published)
    load_into(model, load_weights(path), str(path))
    return model.eval(), classes

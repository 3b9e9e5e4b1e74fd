"""ReCAM's second training of a classifier."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.nn.classifiers import CLASS_GRAPH_CLASSIFIER, CLASSIFIER, RECAM_CLASSIFIER, RecamClassifier
from weakseg.nn.classifiers.tag import read_convolutions
from weakseg.nn.losses import reactivation_loss, tag_loss
from weakseg.nn.weights import read_header
from weakseg.settings.recam import RecamConfig
from weakseg.stages.classify import TagData, load_classifier, tag_map
from weakseg.stages.networks import by_id
from weakseg.training.loop import FitPlace, Records
from weakseg.training.train import Training, train_model

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RecamLoss:
    """The loss of a batch: ``L = L_bce + lambda L_sce``; what is present is what is known to be.

    Attributes:
        weight: lambda; 0: the second linear layer is not asked.

    Reference:
        [chen2022recam], and its code.
    """

    weight: float

    def __call__(self, module: nn.Module, batch: list[Tensor]) -> Tensor:
        """Return the loss of ``(B, 3, H, W)`` images with ``(B, K)`` targets: 1 present, 0 absent, NaN unknown."""
        images, targets = batch
        if not self.weight:
            return tag_loss(module(images).logits, targets)
        present = targets == 1
        found = module(images, further=("reactivated",), present=present)
        return tag_loss(found.logits, targets) + self.weight * reactivation_loss(found.further["reactivated"], present)


def train_recam(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: RecamConfig,
    place: FitPlace,
    classifier: Path,
) -> list[dict[str, Any]]:
    """Train a classifier on, measure mAP on ``val``, and write ``model.safetensors`` into the place's folder.

    The file is that of a classifier: ``load_classifier`` reads it, and its evidence is that of the product of both
    linear layers. With one class, or weight 0, nothing is to be learned by softmax: the second layer is all ones, and
    the product is the first.

    Args:
        train: Images to learn from.
        val: Images to measure mAP on.
        classes: Their classes.
        config: The training.
        place: Folder, seed and device.
        classifier: File of the trained classifier.

    Returns:
        One record an epoch: loss, seconds, and on the last ``mAP`` in percent (NaN where ``val`` shows no class).

    Reference:
        [chen2022recam]; settings of its code.
    """
    trained = read_header(classifier, kinds=(CLASSIFIER, CLASS_GRAPH_CLASSIFIER))
    header = {
        "kind": RECAM_CLASSIFIER,
        "classes": trained["classes"],
        "backbone": trained["backbone"],
        "convolutions": read_convolutions(trained),
    }
    learns = config.weight > 0 and len(classes) > 1
    if config.weight and not learns:
        logger.warning("recam: softmax over one class teaches nothing; the classifier trains on as it is")

    def build() -> RecamClassifier:
        before, _ = load_classifier(classifier)
        model = RecamClassifier(
            before.backbone,
            len(classes),
            convolutions=header["convolutions"],
            lr_factor=config.lr_factor,
            detach_mask=config.detach_mask,
        )
        model.convolutions = before.convolutions
        model.head.weight.data.copy_(before.exported())
        model.backbone.requires_grad_(requires_grad=not config.frozen)
        if not learns:
            nn.init.ones_(model.reactivation.weight)
            model.reactivation.requires_grad_(requires_grad=False)
        return model

    def complete(model: RecamClassifier, records: Records) -> dict[str, Any]:
        records[-1]["mAP"] = 100.0 * tag_map(model, val, len(classes), config.augment)
        return {"mAP": records[-1]["mAP"]}

    data = TagData(by_id(train), len(classes), config.augment, place.seed)
    loss = RecamLoss(config.weight if learns else 0.0)
    return train_model(Training("recam", build, data, loss, config.fit, header, complete=complete), place)

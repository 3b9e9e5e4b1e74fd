"""Train SEAM's classifier: on tags, and so that a photograph and its reduced copy are seen alike."""

import logging
from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import Backbone
from weakseg.nn.pcm import stretched
from weakseg.nn.seam import SeamClassifier
from weakseg.nn.seam_losses import seam_loss, second_view
from weakseg.settings.seam import SeamConfig, SeamLossConfig
from weakseg.stages.classify import fit_classifier
from weakseg.training.loop import FitPlace

logger = logging.getLogger(__name__)


def train_seam(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: SeamConfig,
    place: FitPlace,
) -> list[dict[str, Any]]:
    """Train on ``train``, measure mAP on ``val``, and write ``model.safetensors`` into the place's folder.

    The file is that of a classifier: ``load_classifier`` reads it, and its evidence is the refined one.

    Returns:
        One record an epoch: loss, seconds, and on the last ``mAP`` in percent (NaN where ``val`` shows no class).

    Reference:
        [wang2020seam], section 3.
    """
    if config.backbone.weights == "none":
        logger.warning(
            "classifier: the backbone starts at random; constant maps satisfy SEAM's losses, so it may collapse"
        )

    def build(backbone: Backbone) -> SeamClassifier:
        backbone.freeze_finest(config.frozen_levels)
        if config.frozen_norms:
            backbone.freeze_norms()
        return SeamClassifier(backbone, len(classes), dropout=config.dropout, published=config.published)

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        return siamese_loss(module, batch[0], batch[1], config.loss)

    header = {"correlation": {"published": config.published}}
    return fit_classifier(build, loss, train, val, classes, config=config, place=place, header=header)


def siamese_loss(module: nn.Module, images: Tensor, targets: Tensor, config: SeamLossConfig) -> Tensor:
    """Return SEAM's loss of ``(B, 3, H, W)`` images on 0..255 and of their reduced copies, for ``(B, K)`` targets."""
    views = (images, second_view(images, config.scale))
    large, small = (stretched(module(view, targets == 1).float(), (view.shape[2], view.shape[3])) for view in views)
    return seam_loss(large, small, targets, config)

"""Train SEAM's classifier: on tags, and so that a photograph and its reduced copy are seen alike."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import SEAM_CLASSIFIER, SeamClassifier
from weakseg.nn.classifiers.pcm import stretched
from weakseg.nn.classifiers.seam_losses import seam_loss, second_view
from weakseg.settings.seam import SeamConfig, SeamLossConfig
from weakseg.stages.classify import measured, tag_data
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model

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

    def build() -> SeamClassifier:
        backbone = build_backbone(config.backbone)
        model = SeamClassifier(backbone, len(classes), dropout=config.dropout, published=config.published)
        if config.frozen:
            backbone.requires_grad_(requires_grad=False)
        return model

    def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
        return siamese_loss(module, batch[0], batch[1], config.loss)

    header = {
        "kind": SEAM_CLASSIFIER,
        "classes": classes.names,
        "backbone": asdict(config.backbone),
        "published": config.published,
    }
    data, measure = tag_data(train, classes, config, place), measured(val, classes, config)
    return train_model(Training("classifier", build, data, loss, config.fit, header, complete=measure), place)


def siamese_loss(module: nn.Module, images: Tensor, targets: Tensor, config: SeamLossConfig) -> Tensor:
    """Return SEAM's loss of ``(B, 3, H, W)`` images on 0..255 and of their reduced copies, for ``(B, K)`` targets."""
    large, small = (_maps(module, view, targets == 1) for view in (images, second_view(images, config.scale)))
    return seam_loss(large, small, targets, config)


def _maps(module: nn.Module, view: Tensor, present: Tensor) -> Tensor:
    """Return ``(B, 2 K + 1, H, W)``: raw and refined evidence at the size of a view."""
    found = module(view, further=("raw", "refined"), present=present).further
    maps = torch.cat([found["raw"], found["refined"]], dim=1).float()
    return stretched(maps, (view.shape[2], view.shape[3]))

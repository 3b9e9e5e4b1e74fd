"""Train the segmenter on masks."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weakseg.crew import crew
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.nn.exported.described import SUFFIX
from weakseg.nn.exported.segmenter import ExportedSegmenter
from weakseg.nn.losses import map_loss
from weakseg.nn.models import load_model
from weakseg.nn.segmenters import (
    HEADS,
    SEGMENTERS,
    Segmenter,
    check_training,
    completed,
    trained_on,
)
from weakseg.nn.segmenters.pspnet import AUXILIARY_WEIGHT
from weakseg.nn.segmenters.start import start_segmenter
from weakseg.ops.resample import image_tensor
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.segment import SegmentConfig, SegmenterTrainingConfig
from weakseg.stages.class_nodes import known_classes
from weakseg.stages.classify import classes_of
from weakseg.stages.frozen import KEPT_BY_ONE, FrozenFeatures
from weakseg.stages.mask_counts import count_masks, load_mask
from weakseg.training.augment import draw_view
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model


@dataclass
class MaskData:
    """Augmented images with masks, keyed by (seed, image id, variant).

    Attributes:
        samples: The images.
        masks: Folder of their masks.
        num_classes: Without the background.
        config: How images are varied.
        seed: Of what is drawn.
        features: Of the images, where the backbone is frozen.
    """

    samples: Sequence[WeakSample]
    masks: Path
    num_classes: int
    config: AugmentConfig
    seed: int
    features: FrozenFeatures | None = None

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255, or its features, and ``(crop, crop)`` int64 labels."""
        sample = self.samples[index]
        labels = load_mask(self.masks, sample.id, self.num_classes)
        rng = numpy_generator_for(self.seed, sample.id, f"segmenter/augment/{self.config.variant(epoch)}")
        view = draw_view((labels.shape[0], labels.shape[1]), self.config, rng)

        def seen() -> Tensor:
            image = sample.load_image()
            if image.shape[:2] != labels.shape:
                raise DataError(
                    f"mask of image {sample.id!r} is {labels.shape}, the image {image.shape[:2]}; make it anew"
                )
            return image_tensor(view.image(image))

        found = self.features.get(index, epoch, seen) if self.features else seen()
        return found, torch.from_numpy(view.labels(labels).astype(np.int64))


def train_segmenter(
    samples: Sequence[WeakSample],
    masks: Path,
    classes: Classes,
    *,
    config: SegmentConfig,
    place: FitPlace,
) -> list[dict[str, Any]]:
    """Train on the masks in ``masks`` and write ``model.safetensors`` into the place's folder; return the records.

    Reference:
        [chen2018deeplabv2]; settings in the card of the segmentation stage.
    """

    check_training(config, len(samples))
    samples = sorted(samples, key=lambda sample: sample.id)  # batches must not depend on the order of the list
    counts = crew().made_once(lambda: count_masks(samples, masks, classes))
    counts.tell()
    data = MaskData(samples, masks, len(classes), config.augment, place.seed)
    start, header = segmenter_start(config, classes, samples, seed=place.seed)
    header = {**header, "masks": counts.as_json()}

    def build() -> Segmenter:
        model = start()
        if config.frozen:
            model.backbone.requires_grad_(requires_grad=False)
            variants = config.augment.variants
            data.features = FrozenFeatures(model.backbone, len(samples), place.folder, variants=variants)
        return model

    loss, alone = functools.partial(segmenter_loss, config=config), KEPT_BY_ONE if config.frozen else ""
    return train_model(Training("segmenter", build, data, loss, config.fit, header, alone=alone), place)


def segmenter_start(
    config: SegmenterTrainingConfig, classes: Classes, samples: Sequence[WeakSample], *, seed: int
) -> tuple[Callable[[], Segmenter], dict[str, Any]]:
    """Return what builds a segmenter that is to be trained, and what the header of its file begins with.

    Args:
        config: The segmenter.
        classes: Its classes.
        samples: Its training images; a graph of classes may be made of their tags.
        seed: Of the training.
    """
    header = {
        "kind": "segmenter",
        "classes": classes.names,
        "model": asdict(completed(config.model)),
        "init": config.initial,
    }
    if config.model.reasoning.kind == "none":
        return functools.partial(start_segmenter, config, len(classes)), header
    known = known_classes(config.model.reasoning.class_graph, classes, samples, seed=seed)
    build = functools.partial(start_segmenter, config, len(classes), known.nodes)
    return build, {**header, "class_graph": known.header}


def segmenter_loss(module: torch.nn.Module, batch: list[Tensor], *, config: SegmentConfig) -> Tensor:
    """Return the loss of a batch of images and labels.

    With reduced copies (``multi_scale``) it is the sum of the losses of the logits of each scale and of their maximum,
    as in DeepLab-v2; with an auxiliary head that of the head and 0.4 times that of the auxiliary one, as in PSPNet.

    Args:
        module: A ``Segmenter``, or what accelerate made of it.
        batch: ``(B, 3, H, W)`` images on 0..255, or ``(B, C, h, w)`` features where the backbone is frozen, and
            ``(B, H, W)`` int64 labels in {0..K, 255}.
        config: The model that it is, and which loss.

    Returns:
        Scalar; 0 where every pixel is undecided.

    Reference:
        [chen2018deeplabv2], section 4.1; [zhao2017pspnet], section 3.3.
    """
    images, labels = batch
    found = module(images, further=trained_on(config.model), are_features=config.frozen)
    compared = functools.partial(
        map_loss, labels=labels, config=config, corners=HEADS[config.model.head].corners_aligned
    )
    loss = torch.stack([compared(maps.float()) for maps in (*found.further.get("scales", ()), found.logits)]).sum()
    if "auxiliary" in found.further:
        loss = loss + AUXILIARY_WEIGHT * compared(found.further["auxiliary"].float())
    return loss


def load_segmenter(path: Path) -> tuple[Segmenter, Classes]:
    """Return a trained segmenter in evaluation mode and its classes.

    Raises:
        CheckpointError: If the file is missing, truncated, or no segmenter of weakseg.
    """
    model, header = load_model(path, SEGMENTERS)
    return model, classes_of(header, path)


def load_predictor(path: Path) -> tuple[Segmenter | ExportedSegmenter, Classes]:
    """Return what ``predict_image`` applies, and its classes: a trained segmenter, or its ONNX file by onnxruntime.

    Raises:
        CheckpointError: As ``load_segmenter``; or if an ONNX file is no segmenter that weakseg has written.
        ConfigError: If it is ONNX, and onnx or onnxruntime is not installed.
    """
    if path.suffix.lower() != SUFFIX:
        return load_segmenter(path)
    model = ExportedSegmenter(path)
    return model.eval(), classes_of({"classes": model.described.classes}, path)

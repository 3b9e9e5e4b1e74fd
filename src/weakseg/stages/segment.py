"""Train the segmenter on masks, and predict with it."""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.nn.losses import segmentation_loss
from weakseg.nn.models import load_model
from weakseg.nn.segmenters import SEGMENTERS, Segmenter, build_segmenter
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.resample import image_tensor, resize_image, resize_labels, resize_maps, scaled_size
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.segment import PredictConfig, SegmentConfig
from weakseg.stages.classify import classes_of
from weakseg.training.augment import augment
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model


@dataclass(frozen=True)
class MaskData:
    """Augmented images with masks, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    masks: Path
    num_classes: int
    config: AugmentConfig
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255 and ``(crop, crop)`` int64 labels."""
        sample = self.samples[index]
        image, labels = sample.load_image(), load_mask(self.masks, sample.id, self.num_classes)
        if image.shape[:2] != labels.shape:
            raise DataError(f"mask of image {sample.id!r} is {labels.shape}, the image {image.shape[:2]}; make it anew")
        rng = numpy_generator_for(self.seed, sample.id, f"segmenter/augment/{epoch}")
        image, labels = augment(image, labels, self.config, rng)
        return image_tensor(image), torch.from_numpy(labels.astype(np.int64))


def load_mask(folder: Path, image_id: str, num_classes: int) -> NDArray[np.uint8]:
    """Return the ``(H, W)`` mask of an image, checked against the number of classes.

    Raises:
        DataError: If it is missing, unreadable, or holds a value above ``num_classes`` other than 255.
    """
    path = folder / f"{image_id}.png"
    labels = LabelMap.load(path).labels
    top = int(labels[labels != UNDECIDED].max(initial=0))
    if top > num_classes:
        raise DataError(f"{path}: label {top} but there are {num_classes} classes; is it a mask of another data set?")
    return labels


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

    def loss(module: torch.nn.Module, batch: list[Tensor]) -> Tensor:
        logits = F.interpolate(module(batch[0]).logits, size=batch[1].shape[1:], mode="bilinear", align_corners=False)
        return segmentation_loss(logits.float(), batch[1], balanced=config.balanced)

    samples = sorted(samples, key=lambda sample: sample.id)  # batches must not depend on the order of the list
    data = MaskData(samples, masks, len(classes), config.augment, place.seed)
    header = {"kind": "segmenter", "classes": classes.names, "model": asdict(config.model)}
    build = functools.partial(build_segmenter, config.model, len(classes))
    return train_model(Training("segmenter", build, data, loss, config.fit, header), place)


def load_segmenter(path: Path) -> tuple[Segmenter, Classes]:
    """Return a trained segmenter in evaluation mode and its classes.

    Raises:
        CheckpointError: If the file is missing, truncated, or no segmenter of weakseg.
    """
    model, header = load_model(path, SEGMENTERS)
    return model, classes_of(header, path)


def predict_image(model: torch.nn.Module, image: NDArray[np.uint8], config: PredictConfig) -> LabelMap:
    """Return the mask of an image: averaged probabilities, optionally a CRF, arg-max.

    Args:
        model: A ``Segmenter``, or what returns logits as it does.
        image: ``(H, W, 3)`` uint8.
        config: Scales, mirror image and CRF.

    Returns:
        ``(H, W)`` labels in {0..K}.
    """
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=config.mask_side)
    base = scaled_size(size, 1.0, max_side=config.max_side)
    sizes = [scaled_size(base, scale) for scale in config.scales]
    maps = (_probabilities(model, resize_image(image, scaled), config.flip, working) for scaled in sizes)
    probs = functools.reduce(torch.add, maps) / len(sizes)
    if config.crf:
        pixels = torch.from_numpy(np.array(resize_image(image, working))).to(probs.device)
        probs = dense_crf(unary_from_scores(probs), pixels, config.crf_params)
    labels = probs.argmax(0).to(torch.uint8).cpu().numpy()
    return LabelMap(labels if working == size else resize_labels(labels, size))


def _probabilities(model: torch.nn.Module, image: NDArray[np.uint8], flip: bool, size: tuple[int, int]) -> Tensor:
    batch = image_tensor(image)[None].to(next(model.parameters()).device)
    with torch.inference_mode():
        logits = model(torch.cat([batch, batch.flip(-1)]) if flip else batch).logits.float()
        logits = torch.stack([logits[0], logits[1].flip(-1)]) if flip else logits
        return torch.stack([resize_maps(m, size).softmax(0) for m in logits]).mean(0)

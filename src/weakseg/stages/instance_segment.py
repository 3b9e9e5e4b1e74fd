"""Train Mask R-CNN on instances, and find objects with it."""

import functools
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torchvision.models.detection.roi_heads import paste_masks_in_image

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.instances import SUFFIX, Extent, Instances
from weakseg.nn.exported.described import SUFFIX as ONNX_SUFFIX
from weakseg.nn.exported.detector import ExportedDetector
from weakseg.nn.models import load_model
from weakseg.nn.segmenters.instance import (
    INSTANCE_SEGMENTERS,
    KIND,
    Detected,
    InstanceSegmenter,
    Targets,
    build_instance_segmenter,
)
from weakseg.ops.crf import DenseCrf, build_crf
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.ops.runs import encode_masks
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.instance_segment import InstancePredictConfig, InstanceSegmentConfig
from weakseg.stages.classify import classes_of
from weakseg.training.augment import draw_view
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model

CERTAIN = 1e-5  # probabilities are kept this far from 0 and 1 before the CRF


@dataclass(frozen=True)
class InstanceData:
    """Augmented images with objects, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    instances: Path
    num_classes: int
    config: AugmentConfig
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return a ``(3, crop, crop)`` image on 0..255, and boxes, class ids and masks of the N objects in it."""
        sample = self.samples[index]
        image, found = sample.load_image(), load_instances(self.instances, sample.id, self.num_classes)
        if image.shape[:2] != found.image_size:
            raise DataError(
                f"instances of image {sample.id!r} are of {found.image_size}, the image {image.shape[:2]}; make it anew"
            )
        rng = numpy_generator_for(self.seed, sample.id, f"instances/augment/{self.config.variant(epoch)}")
        view = draw_view(found.image_size, self.config, rng)
        boxes = view.boxes(np.array(found.boxes, np.float64).reshape(-1, 4), found.image_size)
        masks = [view.labels(mask.astype(np.uint8)) == 1 for mask in found.masks]  # 255 outside of the image
        shown = [n for n, mask in enumerate(masks) if mask.any() and np.diff(boxes[n].reshape(2, 2), axis=0).min() >= 1]
        crops = np.stack([masks[n] for n in shown]) if shown else np.zeros((0, view.crop, view.crop))
        return (
            image_tensor(view.image(image)),
            torch.from_numpy(boxes[shown][:, [1, 0, 3, 2]]).float(),
            torch.tensor([found.class_ids[n] for n in shown], dtype=torch.long),
            torch.from_numpy(crops.astype(np.uint8)),
        )


def join_examples(examples: list[tuple[Tensor, ...]]) -> list[Tensor]:
    """Return images, objects of each image, and boxes, class ids and masks of all objects in one row."""
    images, boxes, class_ids, masks = zip(*examples, strict=True)
    counts = torch.tensor([len(found) for found in boxes])
    return [torch.stack(images), counts, torch.cat(boxes), torch.cat(class_ids), torch.cat(masks)]


def load_instances(folder: Path, image_id: str, num_classes: int) -> Instances:
    """Return the instances of an image, checked against the number of classes.

    Raises:
        StoreError: If the file is missing or damaged.
        DataError: If an object is of a class above ``num_classes``.
    """
    path = folder / f"{image_id}{SUFFIX}"
    found = Instances.load(path)
    if (top := max(found.class_ids, default=0)) > num_classes:
        raise DataError(f"{path}: class {top} but there are {num_classes} classes; is it of another data set?")
    return found


def train_instance_segmenter(
    samples: Sequence[WeakSample],
    instances: Path,
    classes: Classes,
    *,
    config: InstanceSegmentConfig,
    place: FitPlace,
) -> list[dict[str, Any]]:
    """Train on the files in ``instances`` and write ``model.safetensors`` into the place's folder; return the records.

    Reference:
        [he2017maskrcnn]; on instances from boxes it is the last stage of [zhang2021a2gnn]. Differs from the latter: an
        embedded backbone instead of ResNet-101.
    """

    def loss(module: torch.nn.Module, batch: list[Tensor]) -> Tensor:
        total: Tensor = module(batch[0], Targets(*batch[1:]))
        return total

    samples = sorted(samples, key=lambda sample: sample.id)  # batches must not depend on the order of the list
    data = InstanceData(samples, instances, len(classes), config.augment, place.seed)
    header = {"kind": KIND, "classes": classes.names, "model": asdict(config.model)}
    build = functools.partial(build_instance_segmenter, config.model, len(classes))
    return train_model(Training(KIND, build, data, loss, config.fit, header, join_examples), place)


def load_instance_segmenter(path: Path) -> tuple[InstanceSegmenter, Classes]:
    """Return a trained instance segmenter in evaluation mode and its classes.

    Raises:
        CheckpointError: If the file is missing, truncated, or no instance segmenter of weakseg.
    """
    model, header = load_model(path, INSTANCE_SEGMENTERS)
    return model, classes_of(header, path)


def load_detector(path: Path) -> tuple[InstanceSegmenter | ExportedDetector, Classes]:
    """Return what ``predict_instances`` applies, and its classes: an instance segmenter, or its ONNX file.

    Raises:
        CheckpointError: As ``load_instance_segmenter``; or if an ONNX file is none that weakseg has written of one.
        ConfigError: If it is ONNX, and onnx or onnxruntime is not installed.
    """
    if path.suffix.lower() != ONNX_SUFFIX:
        return load_instance_segmenter(path)
    model = ExportedDetector(path)
    return model.eval(), classes_of({"classes": model.described.classes}, path)


def predict_instances(
    model: InstanceSegmenter | ExportedDetector, image: NDArray[np.uint8], config: InstancePredictConfig
) -> Instances:
    """Return the objects of an ``(H, W, 3)`` uint8 image, the surest first; masks that are empty are left out."""
    found = detect(model, image, config)
    return _pasted(found, image, config)


def detect(
    model: InstanceSegmenter | ExportedDetector, image: NDArray[np.uint8], config: InstancePredictConfig
) -> Detected:
    """Return the objects of an ``(H, W, 3)`` uint8 image, boxes in its pixels and masks on their cells."""
    size = (image.shape[0], image.shape[1])
    scale = config.short_side / min(size) if config.short_side else 1.0
    working = scaled_size(size, scale, max_side=config.max_side)
    pixels = image_tensor(resize_image(image, working)).to(next((own.device for own in model.parameters()), "cpu"))
    with torch.inference_mode():
        found = model.find(pixels, score=config.score, nms=config.nms, most=config.most)
    factors = found.boxes.new_tensor([size[1] / working[1], size[0] / working[0]]).repeat(2)
    return replace(found, boxes=found.boxes * factors)


def _pasted(found: Detected, image: NDArray[np.uint8], config: InstancePredictConfig) -> Instances:
    """Return the objects with boxes and masks at the size of the image, made one after the other to save memory."""
    size = (image.shape[0], image.shape[1])
    crf = build_crf(torch.from_numpy(np.array(image)).to(found.boxes.device), config.crf_params) if config.crf else None
    runs: list[bytes] = []
    kept: list[int] = []
    extents: list[Extent] = []
    for number, (box, mask) in enumerate(zip(found.boxes, found.masks, strict=True)):
        left, top, right, bottom = (float(edge) for edge in box)
        probs = paste_masks_in_image(mask[None], box[None], size)[0, 0]
        inside = (refine_mask(probs, crf) if crf is not None else probs) >= config.mask
        if bool(inside.any()) and top < bottom and left < right:
            runs += encode_masks(inside.cpu().numpy()[None])
            kept.append(number)
            extents.append((top, left, bottom, right))
    scores = [min(max(score, 0.0), 1.0) for score in found.scores[kept].tolist()]
    return Instances(tuple(runs), tuple(found.class_ids[kept].tolist()), tuple(scores), tuple(extents), size)


def refine_mask(probs: Tensor, crf: DenseCrf) -> Tensor:
    """Return the ``(H, W)`` probabilities of an object after a dense CRF of two labels on the whole image.

    Reference:
        [zhang2021a2gnn], test-time refinement. Differs from the paper: its weights of 0.005 and 0.05 belong to other
        kernels; with the normalised ones here they would change nothing.
    """
    sure = probs.clamp(CERTAIN, 1 - CERTAIN)
    return crf.infer(torch.stack([-torch.log1p(-sure), -torch.log(sure)]))[1]

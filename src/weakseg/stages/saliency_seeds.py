"""From activations and a saliency map to seeds, and what each rule of their fusion has done."""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.checks import check_same_size, check_within
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError, ShapeError, StoreError
from weakseg.files import read_json_object, write_json
from weakseg.ops.labels import best_label
from weakseg.ops.resample import resize_labels, resize_maps, scaled_size
from weakseg.settings.saliency import FusionConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.mask_counts import named

EPSILON = 1e-8

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class FusionEffects:
    """How many pixels of an image each rule has changed, in the order of the rules.

    Attributes:
        pixels: All.
        floor: Another label is best because low scores count as 0.
        conflict: Undecided because several scores are high.
        attended: Background that is undecided because it is salient or an activation is high.
        small: Decided before the whole image became undecided, because too few pixels were of a class.
        voided: Whether that was so.
        flat: Class ids whose activations are the same everywhere, which therefore cannot appear.
    """

    pixels: int
    floor: int
    conflict: int
    attended: int
    small: int
    voided: bool
    flat: tuple[int, ...] = ()


@dataclass(frozen=True)
class SaliencySeeds:
    """Seeds of an image, and what the rules have done."""

    labels: LabelMap
    effects: FusionEffects


def saliency_seeds(activations: Activations, saliency: NDArray[np.float32], config: SeedConfig) -> SaliencySeeds:
    """Return the seeds that activations and a saliency map make together.

    Maps are resized bilinearly to the image, or both to ``max_side``; then ``fuse_saliency``. An image without a class
    is background, whatever draws the eye in it, as with every kind of background; the rules of the code, which meets
    none, would leave it undecided.

    Args:
        activations: Of the classes that are present.
        saliency: ``(H, W)`` float32 in [0, 1] on the image's pixels; 1 draws the eye.
        config: ``background`` has to be ``saliency``; ``fusion`` and ``max_side`` count.

    Raises:
        ConfigError: If the background is another.
        ShapeError: If the map is of another size or type, or leaves [0, 1].
    """
    if config.background != "saliency":
        raise ConfigError(f"seeds.background: 'saliency' is wanted here, got {config.background!r}")
    if saliency.dtype != np.float32:
        raise ShapeError(f"saliency: expected float32 in [0, 1], got {saliency.dtype}; divide levels by the highest")
    check_same_size("saliency", saliency.shape, "image", activations.image_size)
    check_within("saliency", torch.from_numpy(saliency), 0, 1)
    working = scaled_size(activations.image_size, 1.0, max_side=config.max_side)
    if not activations.class_ids:
        effects = FusionEffects(math.prod(working), 0, 0, 0, 0, voided=False)
        return SaliencySeeds(LabelMap(np.zeros(activations.image_size, np.uint8)), effects)
    shown = resize_maps(torch.from_numpy(saliency)[None], working)[0]
    maps = resize_maps(activations.values, working)
    labels, effects = fuse_saliency(maps, activations.class_ids, shown, config.fusion)
    return SaliencySeeds(LabelMap(resize_labels(labels.numpy(), activations.image_size)), effects)


def fuse_saliency(
    maps: Tensor, class_ids: Sequence[int], saliency: Tensor, config: FusionConfig
) -> tuple[Tensor, FusionEffects]:
    """Return the labels of pixels by activations ``M_c`` and saliency ``S``.

    Scores are ``1 - S`` of the background and ``a_c = (M_c - min M_c) / (max M_c - min M_c)`` of each class; those
    below ``floor`` count as 0. The label of a pixel is the best one, of equal ones the first. Then, in this order,
    undecided (255) is where more than one score is above ``conflict``; where the label is 0, and ``S`` is not below
    ``saliency_below`` or some ``a_c`` is above ``attention``; and all, if less than ``min_foreground`` is of a class.

    Args:
        maps: ``(K, H, W)``; K may be 0.
        class_ids: K class ids.
        saliency: ``(H, W)`` in [0, 1].
        config: The thresholds.

    Returns:
        ``(H, W)`` uint8 in {0..K, 255}, and how many pixels each rule has changed.

    Reference:
        [jiang2019oaa], pseudo-labels of its code, with ``floor`` 0.3 in one of the two and 0 in the other;
        [li2021groupwsss], 0.
    """
    spans = maps.amax((1, 2)) - maps.amin((1, 2)) if len(maps) else maps.new_zeros(0)
    stretched = (maps - maps.amin((1, 2), keepdim=True)) / (spans[:, None, None] + EPSILON) if len(maps) else maps
    scores = torch.cat([1 - saliency[None], stretched])
    label_ids = (0, *class_ids)
    best = best_label(scores, label_ids)
    scores = torch.where(scores < config.floor, 0.0, scores)
    labels = best_label(scores, label_ids)
    floored = int((labels != best).sum())
    conflict = (scores > config.conflict).sum(0) > 1
    labels[conflict] = UNDECIDED
    high = (stretched > config.attention).any(0) if len(maps) else torch.zeros_like(conflict)
    attended = (labels == 0) & ((saliency >= config.saliency_below) | high)
    labels[attended] = UNDECIDED
    decided, foreground = labels != UNDECIDED, (labels > 0) & (labels != UNDECIDED)
    voided = int(foreground.sum()) / labels.numel() < config.min_foreground
    if voided:
        labels = torch.full_like(labels, UNDECIDED)
    flat = tuple(class_id for class_id, span in zip(class_ids, spans.tolist(), strict=True) if span <= EPSILON)
    counts = (floored, int(conflict.sum()), int(attended.sum()), int(decided.sum()) if voided else 0)
    return labels, FusionEffects(labels.numel(), *counts, voided, flat)


def effects_of(folder: Path, image_id: str) -> Path:
    """Return the file that says what the rules have done to an image."""
    return folder / "fusion" / f"{image_id}.json"


def save_effects(folder: Path, image_id: str, effects: FusionEffects) -> None:
    """Write what the rules have done to an image."""
    write_json(effects_of(folder, image_id), asdict(effects))


def load_effects(path: Path) -> FusionEffects:
    """Return what ``save_effects`` wrote.

    Raises:
        StoreError: If the file says something else.
    """
    told = read_json_object(path)
    try:
        found = FusionEffects(**{**told, "flat": tuple(told["flat"])})
    except (TypeError, KeyError) as error:
        raise StoreError(
            f"{path}: does not say what the rules have done; delete it, and the seeds beside it"
        ) from error
    return found


def tell_effects(samples: Sequence[WeakSample], folder: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """Log what the rules have done to the seeds of some images; return their sums, and what is worth a warning.

    Args:
        samples: Images that have seeds.
        folder: Of the seeds.
        name: What they are called.

    Raises:
        StoreError: As ``load_effects``.
    """
    found = {sample.id: load_effects(effects_of(folder, sample.id)) for sample in samples}
    parts = ("pixels", "floor", "conflict", "attended", "small", "voided")
    sums = {"images": len(found), **{part: sum(getattr(one, part) for one in found.values()) for part in parts}}
    logger.info("%s", described_effects(name, sums))
    voided = [image_id for image_id, one in found.items() if one.voided]
    flat = [image_id for image_id, one in found.items() if one.flat]
    warnings = [f"{name}: too little of a class, so that nothing is decided: {named(voided)}"] if voided else []
    if flat:
        warnings.append(f"{name}: a class with the same activation everywhere, which cannot appear: {named(flat)}")
    for text in warnings:
        logger.warning("%s", text)
    return {**sums, "flat": len(flat)}, warnings


def described_effects(name: str, sums: Mapping[str, Any]) -> str:
    """Return in a sentence what ``tell_effects`` has summed of the seeds that are called so."""
    parts = ("floor", "conflict", "attended", "small")
    floor, conflict, attended, small = (f"{100 * sums[part] / max(sums['pixels'], 1):.2g} %" for part in parts)
    return (
        f"{name}: of all pixels the floor has relabelled {floor}, undecided by conflicts are {conflict}, as salient or "
        f"attended background {attended}, for want of objects {small}, on {sums['voided']} of {sums['images']} images"
    )

"""Sparse seeds: a share of each class's strongest activation, and background where little speaks for an object."""

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.data.saliency_check import LEAST
from weakseg.ops.resample import resize_labels, resize_maps, scaled_size
from weakseg.settings.area_seeds import AreaSeedConfig

MAX_SIDE = 1024  # larger images are worked on reduced to this, which bounds memory


def area_seeds(
    activations: Activations, config: AreaSeedConfig, *, saliency: NDArray[np.float32] | None, all_known: bool
) -> LabelMap:
    """Return the seeds of an image: of each class, of the background, and 255 elsewhere.

    ``F_c = {u : A_c(u) > share * max A_c}``; a pixel of several belongs to the smallest of them, of equal ones to the
    first. Background is what is in none and has ``(S - min S) / (max S - min S) < saliency_below``, or without a map
    ``max_c A_c / max A_c < activations_below``. A map without contrast, black or white, is taken as it is.

    Args:
        activations: Of the classes that are present.
        config: The thresholds.
        saliency: ``(H, W)`` in [0, 1], 1 draws the eye; ``None``: low activations are the background.
        all_known: Whether all other classes are absent. If so an image without a class is all background. If not,
            nothing but saliency speaks for the background of such an image.

    Returns:
        ``(H, W)`` labels in {0..K, 255}. Without saliency an image with a class whose activations are all 0 has no
        background seeds: nothing tells where it is not.

    Reference:
        [feng2021dgcn] and [huang2018dsrg], seeds; [kolesnikov2016sec] for overlaps.
    Differs from the papers:
        Background without a saliency map; they have one of each image.
    """
    size = activations.image_size
    working = scaled_size(size, 1.0, max_side=MAX_SIDE)
    if not activations.class_ids and all_known:
        return LabelMap(np.zeros(size, np.uint8))
    maps = resize_maps(activations.values, working)
    peaks = maps.amax((1, 2), keepdim=True)
    seeds = smallest_area(maps > config.share * peaks, activations.class_ids)
    if saliency is not None:
        background = _stretched(resize_maps(torch.from_numpy(saliency)[None], working)[0]) < config.saliency_below
    elif len(maps) and (peaks > 0).all():
        background = (maps / peaks).amax(0) < config.activations_below
    else:
        background = torch.zeros(working, dtype=torch.bool)
    seeds[background & (seeds == UNDECIDED)] = 0
    return LabelMap(resize_labels(seeds.numpy(), size))


def smallest_area(claimed: Tensor, class_ids: Sequence[int]) -> Tensor:
    """Return for each pixel the class with the smallest area of those that claim it; the first of equal ones.

    Args:
        claimed: ``(K, H, W)`` bool; K may be 0.
        class_ids: K class ids.

    Returns:
        ``(H, W)`` uint8; 255 where no class claims a pixel.
    """
    seeds = torch.full(claimed.shape[1:], UNDECIDED, dtype=torch.uint8)
    areas = claimed.sum((1, 2)).tolist()
    for index in sorted(range(len(areas)), key=lambda one: (-areas[one], -one)):  # smaller areas overwrite larger ones
        seeds[claimed[index]] = class_ids[index]
    return seeds


def _stretched(saliency: Tensor) -> Tensor:
    """Return a map with its lowest value at 0 and its highest at 1; one without contrast is taken as it is."""
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low) if high - low > LEAST else saliency

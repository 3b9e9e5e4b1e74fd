"""Class activation maps from class evidence at several scales."""

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_same_size
from weakseg.ops.resample import resize_maps


def grid_size(image_size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Return (rows, columns) of a grid with one cell for ``stride`` pixels: ``ceil(H / stride), ceil(W / stride)``."""
    return math.ceil(image_size[0] / stride), math.ceil(image_size[1] / stride)


def merge_evidence(maps: Sequence[Tensor], size: tuple[int, int]) -> Tensor:
    """Return the sum of the maps of several scales, each resized bilinearly to ``size``.

    Args:
        maps: Each ``(2, K, h_s, w_s)``: evidence of the image, and of its mirror image as seen in the mirror; K may
            be 0.
        size: (rows, columns) of the result.

    Returns:
        ``(K, rows, columns)``, >= 0.

    Reference:
        Activations of IRNet (strided product): the mirrored map is added at feature size, then scales are summed.
    """
    for index, pair in enumerate(maps):
        check_rank(f"maps[{index}]", pair, 4, "(2, K, h, w)")
    return torch.stack([resize_maps(pair[0] + pair[1].flip(-1), size) for pair in maps]).sum(0)


def normalize_evidence(evidence: Tensor, *, by: Literal["max", "range"] = "max", eps: float = 1e-5) -> Tensor:
    """Return ``S_c / (max S_c + eps)`` for each class; a map of zeros stays zero.

    Args:
        evidence: ``(K, h, w)``, >= 0; K may be 0.
        by: ``range``: ``(S_c - min S_c - eps) / (max S_c - min S_c + eps)`` instead, at least 0; constants become 0.
        eps: Guard against division by zero.

    Returns:
        ``(K, h, w)`` in [0, 1]; float32 rounds the peak of strong evidence to 1.

    Reference:
        [wang2020seam], inference of its code, for ``range``.
    """
    check_rank("evidence", evidence, 3, "(K, h, w)")
    if by == "range":
        low, high = evidence.amin((1, 2), keepdim=True), evidence.amax((1, 2), keepdim=True)
        return ((evidence - low - eps) / (high - low + eps)).clamp(0, 1)
    return evidence / (evidence.amax((1, 2), keepdim=True) + eps)


def class_features(masks: Tensor, features: Tensor) -> Tensor:
    """Return ``f_c = (1 / h w) sum_p a_c(p) f(p)``: features of each class, seen through its mask.

    One product of matrices an image; nothing is repeated for a class.

    Args:
        masks: ``(B, P, h, w)`` float: a, of P classes; P may be 0.
        features: ``(B, C, h, w)`` float: f.

    Returns:
        ``(B, P, C)``: the mean over all cells, not one weighted by the mask: small masks give small features.

    Raises:
        ShapeError: If masks and features are of different numbers of images, or of different grids.

    Reference:
        [chen2022recam], its code.
    """
    check_rank("masks", masks, 4, "(B, P, h, w)")
    check_rank("features", features, 4, "(B, C, h, w)")
    check_same_size("masks", (masks.shape[0], *masks.shape[2:]), "features", (features.shape[0], *features.shape[2:]))
    return masks.flatten(2) @ features.flatten(2).transpose(1, 2) / (masks.shape[2] * masks.shape[3])

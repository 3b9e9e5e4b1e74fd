"""Checks at the door of public functions; every message names the array, what was wanted and what was got."""

import math

import numpy as np
import torch
from torch import Tensor

from weakseg.errors import ShapeError

Array = np.ndarray | Tensor


def check_rank(name: str, array: Array, rank: int, layout: str) -> None:
    """Raise ``ShapeError`` unless ``array`` has ``rank`` axes; ``layout`` spells them, as in ``"(K, h, w)"``."""
    if array.ndim != rank:
        raise ShapeError(f"{name}: expected shape {layout}, got {tuple(array.shape)}")


def check_same_size(name: str, size: tuple[int, ...], other_name: str, other: tuple[int, ...]) -> None:
    """Raise ``ShapeError`` unless two sizes (rows, columns) are equal."""
    if tuple(size) != tuple(other):
        raise ShapeError(f"{name} is {tuple(size)} but {other_name} is {tuple(other)}; resize one of them first")


def check_finite(name: str, array: Array) -> None:
    """Raise ``ShapeError`` if ``array`` holds NaN or infinity."""
    if isinstance(array, Tensor):
        extremes = torch.stack(torch.aminmax(array.detach())) if array.numel() else array  # NaN is both of them
        finite = bool(torch.isfinite(extremes).all())
    else:
        finite = bool(np.isfinite(array).all())
    if not finite:
        raise ShapeError(f"{name}: holds NaN or infinite values; expected finite numbers")


def check_within(name: str, array: Tensor, low: float, high: float) -> None:
    """Raise ``ShapeError`` if ``array`` holds NaN, infinity or a value outside of [low, high]."""
    if not array.numel():
        return
    least, most = (float(bound) for bound in torch.aminmax(array.detach()))
    if not (math.isfinite(least) and math.isfinite(most) and low <= least and most <= high):
        raise ShapeError(f"{name}: expected finite values in [{low}, {high}], got {least:.6g} to {most:.6g}")


def check_rgb_uint8(name: str, image: Array) -> None:
    """Raise ``ShapeError`` unless ``image`` is ``(H, W, 3)`` uint8."""
    if image.ndim != 3 or image.shape[2] != 3 or str(image.dtype).rpartition(".")[2] != "uint8":
        raise ShapeError(
            f"{name}: expected RGB uint8 of shape (H, W, 3), got {image.dtype} {tuple(image.shape)}; "
            "weakseg.data.image.as_rgb converts other kinds"
        )

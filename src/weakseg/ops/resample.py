"""Resizing of images, maps and label maps; one convention (no corner alignment) everywhere."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


def scaled_size(size: tuple[int, int], scale: float, *, max_side: int | None = None) -> tuple[int, int]:
    """Return ``(rows, columns)`` times ``scale`` (half to even), at least 1, the long side at most ``max_side``."""
    if max_side is not None:
        scale = min(scale, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resize_image(image: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(H, W, 3)`` uint8 resized to (rows, columns) by antialiased bicubic interpolation."""
    if image.shape[:2] == tuple(size):
        return image
    return np.asarray(Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(H, W)`` labels resized to (rows, columns) by nearest neighbour."""
    if labels.shape == tuple(size):
        return labels
    return np.asarray(Image.fromarray(labels).resize((size[1], size[0]), Image.Resampling.NEAREST))


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``(K, h, w)`` float maps resized bilinearly to (rows, columns); K may be 0."""
    if maps.shape[1:] == tuple(size) or not len(maps):
        return maps if len(maps) else maps.new_zeros(0, *size)
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def block_means(maps: Tensor, block: int) -> Tensor:
    """Return ``(C, ceil(H / block), ceil(W / block))`` means of ``(C, H, W)`` maps; cut blocks over what they have."""
    if not len(maps):
        return maps.new_zeros(0, -(-maps.shape[1] // block), -(-maps.shape[2] // block))
    return F.avg_pool2d(maps, block, ceil_mode=True, count_include_pad=False)


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return ``(3, H, W)`` float32 on the scale 0..255 of an ``(H, W, 3)`` uint8 image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()

"""Resizing of images, maps and label maps; one convention (no corner alignment) everywhere."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.nn import functional as F


class Cells(NamedTuple):
    """Where the cells of a network's feature map lie in its image.

    Attributes:
        first: Pixel that the first cell is centred on; pixel 0 is centred on 0.
        stride: Pixels from one cell to the next.
    """

    first: float
    stride: int


def scaled_size(size: tuple[int, int], scale: float, *, max_side: int | None = None) -> tuple[int, int]:
    """Return ``(rows, columns)`` times ``scale`` (half to even), at least 1, the long side at most ``max_side``."""
    if max_side is not None:
        scale = min(scale, max_side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def same_form(grid: tuple[int, int], size: tuple[int, int]) -> bool:
    """Return whether square cells, or an image reduced or enlarged in proportion, can have (rows, columns) of a grid.

    With ``h = H/s + a`` and ``w = W/s + b``, |a| and |b| below 1 by rounding, ``|h - H w / W| < 1 + h / w``.

    Args:
        grid: (h, w).
        size: (H, W) of the image.
    """
    (h, w), (rows, columns) = grid, size
    return abs(h - rows * w / columns) < 1 + h / w


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


def grid_labels(labels: NDArray[np.uint8], size: tuple[int, int], stride: int) -> NDArray[np.uint8]:
    """Return the ``size`` labels in the middle of each cell of ``stride`` pixels, or on the border of cut cells."""
    rows, columns = (
        np.minimum(np.arange(count) * stride + stride // 2, length - 1)
        for count, length in zip(size, labels.shape, strict=True)
    )
    return labels[np.ix_(rows, columns)]


def resize_maps(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``(K, h, w)`` float maps resized bilinearly to (rows, columns); K may be 0."""
    if maps.shape[1:] == tuple(size) or not len(maps):
        return maps if len(maps) else maps.new_zeros(0, *size)
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def bilinear_taps(pixels: int, cells: int, device: str | torch.device = "cpu") -> tuple[Tensor, Tensor]:
    """Return between which cells each pixel lies along an axis that the cells cover exactly, and how near to each.

    Returns:
        ``(pixels, k)`` int64 cells, increasing, and their float64 weights, which sum to one; k is 2, or 1 for one cell.
    """
    index = torch.arange(pixels, dtype=torch.float64, device=device)
    position = ((index + 0.5) * cells / pixels - 0.5).clamp(0, cells - 1)
    first = position.long().clamp(max=max(cells - 2, 0))[:, None]
    share = position[:, None] - first
    if cells == 1:
        return first, torch.ones_like(share)
    return torch.cat([first, first + 1], 1), torch.cat([1 - share, share], 1)


def resample_cells(
    maps: Tensor, size: tuple[int, int], image_size: tuple[int, int], cells: Cells, corner: tuple[int, int] = (0, 0)
) -> Tensor:
    """Return maps of a network on another grid, each cell where it lies in the image; bilinear, edges repeated.

    Args:
        maps: ``(..., h, w)``: cell (i, j) looks at the pixel (first + stride i, first + stride j) of the image.
        size: (rows, columns) of the grid, which covers the image exactly.
        image_size: (rows, columns) of the image that the network saw.
        cells: Where the network's cells lie.
        corner: First pixel (row, column) of the image on the canvas that the network saw, where it is but a part.

    Returns:
        ``(..., rows, columns)``.
    """
    places = []
    for count, length, first in zip(size, image_size, corner, strict=True):
        pixel = (torch.arange(count, device=maps.device, dtype=maps.dtype) + 0.5) * (length / count) - 0.5 + first
        places.append((pixel - cells.first) / cells.stride)
    return sample_maps(maps, places[0], places[1])


def sample_maps(maps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Return maps where rows and columns cross; bilinear, edges repeated.

    Args:
        maps: ``(..., h, w)`` float.
        rows: ``(n,)`` float, in cells; 0 is the middle of the first.
        columns: ``(m,)``, the same of columns.

    Returns:
        ``(..., n, m)``.
    """
    for axis, place in ((-2, rows), (-1, columns)):
        last = maps.shape[axis] - 1
        place = place.clamp(0, last)
        before = place.floor().long()
        share = (place - before).reshape([-1] + [1] * (-1 - axis))
        after = (before + 1).clamp(max=last)
        maps = maps.index_select(axis, before) * (1 - share) + maps.index_select(axis, after) * share
    return maps


def block_means(maps: Tensor, block: int) -> Tensor:
    """Return ``(C, ceil(H / block), ceil(W / block))`` means of ``(C, H, W)`` maps; cut blocks over what they have."""
    if not len(maps):
        return maps.new_zeros(0, -(-maps.shape[1] // block), -(-maps.shape[2] // block))
    return F.avg_pool2d(maps, block, ceil_mode=True, count_include_pad=False)


def padded_to(images: Tensor, side: int, multiple: int, fill: Tensor) -> Tensor:
    """Return ``(B, 3, H, W)`` images with ``fill`` on the right and below, to ``side`` or the next multiple."""
    height, width = (max(side, -(-length // multiple) * multiple) for length in images.shape[2:])
    return on_canvas(images, (height, width), fill)


def on_canvas(images: Tensor, size: tuple[int, int], fill: Tensor) -> Tensor:
    """Return ``(B, 3, *size)``: images in the upper left corner of canvases that are ``fill`` elsewhere."""
    canvas = fill.expand(len(images), 3, *size).clone()
    canvas[..., : images.shape[2], : images.shape[3]] = images
    return canvas


def image_tensor(image: NDArray[np.uint8]) -> Tensor:
    """Return ``(3, H, W)`` float32 on the scale 0..255 of an ``(H, W, 3)`` uint8 image."""
    return torch.from_numpy(np.array(image)).permute(2, 0, 1).float()

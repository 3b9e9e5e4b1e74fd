"""From a classifier and tags to class activation maps."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import Activations
from weakseg.ops.blend import Tile, blend_tiles
from weakseg.ops.cam import grid_size, merge_evidence, normalize_evidence
from weakseg.ops.resample import Cells, image_tensor, resample_cells, resize_image, scaled_size
from weakseg.settings.activate import ActivateConfig
from weakseg.stages.tiled import say_tiles


class Evidence(Protocol):
    """A model that gives class evidence."""

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        ...

    @property
    def cells(self) -> Cells:
        """Where the cells of the evidence lie in an image."""
        ...

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        """Return ``(B, K, h, w)`` evidence >= 0 for ``(B, 3, H, W)`` images on 0..255."""
        ...


def activate_image(
    model: Evidence | None, image: NDArray[np.uint8], class_ids: tuple[int, ...], config: ActivateConfig
) -> Activations:
    """Return activations of some classes: evidence over scales and mirror images, each map normalised.

    Args:
        model: Gives class evidence; ``None`` is enough where no class is present.
        image: ``(H, W, 3)`` uint8.
        class_ids: The classes that are present, in increasing order; may be empty.
        config: Scales and stride.

    Returns:
        Activations ``(len(class_ids), ceil(H / stride), ceil(W / stride))``.

    Reference:
        [zhou2016cam]; multi-scale form of [ahn2019irnet].
    """
    height, width = image.shape[:2]
    size = grid_size((height, width), config.stride)
    if model is None or not class_ids:
        return Activations(torch.zeros(0, *size), (), (height, width), config.stride)
    sizes = seen_sizes((height, width), config)
    maps = [_evidence_with_mirror(model, resize_image(image, scaled), class_ids) for scaled in sizes]
    near = None
    if config.tiles.covers((height, width)):
        say_tiles("evidence of classes is looked for", (height, width), config.tiles)
        near = _evidence_in_tiles(model, image, class_ids, config)
    return merged_scales(maps, class_ids, (height, width), model.cells, config, near=near)


def seen_sizes(image_size: tuple[int, int], config: ActivateConfig) -> list[tuple[int, int]]:
    """Return the (rows, columns) in which an image is seen, one for each scale."""
    base = scaled_size(image_size, 1.0, max_side=config.max_side)
    return [scaled_size(base, scale) for scale in config.scales]


def merged_scales(
    maps: Sequence[Tensor],
    class_ids: tuple[int, ...],
    image_size: tuple[int, int],
    cells: Cells,
    config: ActivateConfig,
    *,
    near: Tensor | None = None,
) -> Activations:
    """Return the activations that evidence at all scales gives.

    Args:
        maps: ``(2, K, h_s, w_s)`` evidence >= 0 at each scale, of the image and of its mirror image.
        class_ids: The K classes.
        image_size: (rows, columns).
        cells: Where cells of the evidence lie.
        config: Stride, alignment, and how maps are normalised.
        near: ``(K, rows, columns)`` evidence on the grid of the result that is added, as of tiles.
    """
    size = grid_size(image_size, config.stride)
    if config.roots:
        maps = [found.sqrt() for found in maps]
    if config.align == "cells":
        seen = seen_sizes(image_size, config)
        maps = [resample_cells(found, size, scaled, cells) for found, scaled in zip(maps, seen, strict=True)]
    merged = merge_evidence(maps, size)
    values = normalize_evidence(merged if near is None else merged + near, by=config.normalize)
    return Activations(values, class_ids, image_size, config.stride)


def _evidence_in_tiles(
    model: Evidence, image: NDArray[np.uint8], class_ids: tuple[int, ...], config: ActivateConfig
) -> Tensor:
    """Return ``(K, rows, columns)`` evidence on the grid of the result, of the image and its mirror image, by tiles."""
    tiles, height, width = config.tiles, image.shape[0], image.shape[1]
    grid, (side, overlap) = grid_size((height, width), config.stride), tiles.on_cells(config.stride)

    def find(tile: Tile) -> Tensor:
        rows, columns = (
            slice(span.start * config.stride, min(span.stop * config.stride, length))
            for span, length in zip(tile, (height, width), strict=True)
        )
        pair = _evidence_with_mirror(model, np.ascontiguousarray(image[rows, columns]), class_ids)
        pair = pair.sqrt() if config.roots else pair
        if config.align == "cells":
            seen = rows.stop - rows.start, columns.stop - columns.start
            pair = resample_cells(pair, tile.size, seen, model.cells)
        return merge_evidence([pair], tile.size)

    return torch.cat([found.clone() for _, found in blend_tiles(grid, side, overlap, find)], 1)


def _evidence_with_mirror(model: Evidence, image: NDArray[np.uint8], class_ids: tuple[int, ...]) -> Tensor:
    """Return ``(2, K, h, w)``: evidence of the image and of its mirror image."""
    batch = image_tensor(image)[None].to(model.device)
    with torch.inference_mode():
        return model.evidence(torch.cat([batch, batch.flip(-1)]), class_ids).float().cpu()

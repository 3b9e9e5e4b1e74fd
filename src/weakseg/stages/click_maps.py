"""What cues of clicks are read from: colours, features, classes and costs of paths of a photograph's cells.

Nothing here depends on where somebody clicks.
"""

import math
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.nn.backbones import embedded_backbone, embedded_classes
from weakseg.ops.cam import grid_size
from weakseg.ops.resample import block_means, image_tensor, resample_cells, resize_image, resize_maps, scaled_size
from weakseg.settings.click_odds import ClickOddsConfig
from weakseg.stages.build_graph import standardized

STEPS = ((0, 1), (1, 0), (1, 1), (1, -1))  # to the neighbours of a cell, each pair once
FINE, MIDDLE, COARSE, DEEP = 1, 2, 3, 4  # levels of the backbone
LEVELS = (COARSE, DEEP)  # whose likeness to a click is a cue
LEAST_COST = {"colour": 0.5, "features": 0.05, "both": 0.03}  # of a step between cells that are equal
COLOUR_UNIT = 10.0  # CIELAB distance that counts as much as a mean absolute difference of 1 of features

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class CellGrid:
    """Where the cells lie: (rows, columns) of them, and of the reduced photograph; pixels a cell."""

    grid: tuple[int, int]
    pixels: tuple[int, int]
    stride: int


@dataclass(frozen=True)
class Steps:
    """``(2, E)`` neighbouring cells, and the ``(E,)`` cost of a step between them by what it is of, in the median 1."""

    pairs: NDArray[np.int64]
    costs: dict[str, Floats]


@dataclass(frozen=True)
class CellMaps:
    """What is known of the N cells of a photograph.

    Attributes:
        where: Where they lie.
        lab: ``(N, 3)`` CIELAB colours.
        features: ``(N, C)`` standardised features of a level, each cell's of norm one, by level.
        classes: ``(K, h, w)`` square roots of the probabilities of ImageNet's classes, on the backbone's own cells.
        clear: ``(N,)`` how strong the strongest class is, standardised.
        steps: Between neighbours.
    """

    where: CellGrid
    lab: Floats
    features: dict[int, Floats]
    classes: Floats
    clear: Floats
    steps: Steps

    @property
    def grid(self) -> tuple[int, int]:
        """(rows, columns) of the cells."""
        return self.where.grid

    @property
    def pixels(self) -> tuple[int, int]:
        """(rows, columns) of the reduced photograph."""
        return self.where.pixels

    @property
    def stride(self) -> int:
        """Pixels a cell."""
        return self.where.stride

    @property
    def pairs(self) -> NDArray[np.int64]:
        """``(2, E)`` neighbouring cells."""
        return self.steps.pairs

    @property
    def costs(self) -> dict[str, Floats]:
        """``(E,)`` costs of steps."""
        return self.steps.costs

    @property
    def places(self) -> Floats:
        """``(N, 2)`` middle of each cell, in pixels of the reduced photograph."""
        rows, columns = np.mgrid[: self.grid[0], : self.grid[1]]
        return (np.stack([rows.ravel(), columns.ravel()], 1) * self.stride + self.stride / 2).astype(np.float32)

    @property
    def frame(self) -> NDArray[np.bool_]:
        """``(N,)`` cells at the photograph's border."""
        inside = np.zeros(self.grid, np.bool_)
        inside[1:-1, 1:-1] = True
        return ~inside.ravel()


@torch.no_grad()
def cell_maps(image: NDArray[np.uint8], config: ClickOddsConfig) -> CellMaps:
    """Return what is known of the cells of an ``(H, W, 3)`` uint8 photograph, from one pass of the backbone."""
    pixels = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side)
    grid = grid_size(pixels, config.stride)
    colors = block_means(image_tensor(resize_image(image, pixels)), config.stride).permute(1, 2, 0).numpy() / 255
    lab: Floats = np.asarray(cv2.cvtColor(colors, cv2.COLOR_RGB2LAB), np.float32).reshape(-1, 3)
    backbone, seen = embedded_backbone(), resize_image(image, scaled_size(pixels, config.enlarged))
    deep, found = backbone.features_and_levels(image_tensor(seen)[None].to(backbone.mean.device))
    size, strides = (seen.shape[0], seen.shape[1]), [stride for _, stride in backbone.level_shapes()]
    levels = {
        level: standardized(resample_cells(found[level][0].cpu(), grid, size, backbone.cells(strides[level])))
        for level in (FINE, MIDDLE, COARSE, DEEP)
    }
    flat = {level: maps.flatten(1).T.contiguous().numpy() for level, maps in levels.items()}
    pairs, lengths = neighbours(grid)
    classes, clear = _classes(deep[0].cpu())
    return CellMaps(
        CellGrid(grid, pixels, config.stride),
        lab,
        {level: flat[level] / np.linalg.norm(flat[level], axis=1, keepdims=True).clip(1e-6) for level in LEVELS},
        classes,
        standardized(resize_maps(clear[None], grid))[0].flatten().numpy(),
        Steps(pairs, _costs(lab, flat, pairs, lengths)),
    )


def neighbours(grid: tuple[int, int]) -> tuple[NDArray[np.int64], Floats]:
    """Return ``(2, E)`` pairs of neighbouring cells, each once, and ``(E,)`` how far apart they are."""
    index = np.arange(grid[0] * grid[1]).reshape(grid)
    parts, lengths = [], []
    for down, right in STEPS:
        one = index[: grid[0] - down, max(0, -right) : grid[1] - max(0, right)]
        other = index[down:, max(0, right) : grid[1] - max(0, -right)]
        parts.append(np.stack([one.ravel(), other.ravel()]))
        lengths.append(np.full(one.size, math.hypot(down, right), np.float32))
    return np.concatenate(parts, 1), np.concatenate(lengths)


def _costs(lab: Floats, flat: dict[int, Floats], pairs: NDArray[np.int64], lengths: Floats) -> dict[str, Floats]:
    """Return what a step between neighbours costs: by colours, by features, by both."""
    one, other = pairs
    colour = np.linalg.norm(lab[one] - lab[other], axis=1)
    apart = {level: np.abs(flat[level][one] - flat[level][other]).mean(1) for level in (FINE, MIDDLE, COARSE)}
    found = {
        "colour": colour,
        "features": apart[FINE] + apart[MIDDLE],
        "both": colour / COLOUR_UNIT + apart[MIDDLE] + apart[COARSE],
    }
    costs = {name: (steps + LEAST_COST[name]) * lengths for name, steps in found.items()}
    usual = {name: float(np.median(cost)) if len(cost) else 1.0 for name, cost in costs.items()}
    return {name: (cost / max(usual[name], 1e-6)).astype(np.float32) for name, cost in costs.items()}


def _classes(deep: Tensor) -> tuple[Floats, Tensor]:
    """Return roots of the classes' probabilities at each cell of ``(C, h, w)`` features, and the largest logits."""
    weights, biases = embedded_classes()
    logits = torch.addmm(biases[:, None], weights, deep.flatten(1)).reshape(-1, *deep.shape[1:])
    return torch.softmax(logits, 0).sqrt().numpy(), logits.amax(0)

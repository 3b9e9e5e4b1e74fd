"""The artefact of features: what a network that does not learn makes of one image; validated, with save and load."""

import json
import math
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from weakseg.artifacts import MAX_STRIDE, stored, stored_size
from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.files import write_bytes
from weakseg.ops.resample import Cells


@dataclass(frozen=True)
class FeatureMaps:
    """Maps of features of one image.

    Attributes:
        levels: L maps ``(C_l, h_l, w_l)`` float, L >= 1.
        cells: Where the cells of each lie in the image that the network saw.
        image_size: (rows, columns) of that image.
    """

    levels: tuple[Tensor, ...]
    cells: tuple[Cells, ...]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check number, rank and values."""
        if not self.levels or len(self.levels) != len(self.cells):
            raise ShapeError(f"features: {len(self.levels)} maps with cells of {len(self.cells)}; want one each")
        for level in self.levels:
            check_rank("features", level, 3, "(C, h, w)")
            check_finite("features", level)

    def in_half(self) -> "FeatureMaps":
        """Return the maps with the precision that a file keeps."""
        return replace(self, levels=tuple(level.half().float() for level in self.levels))

    def save(self, path: Path) -> None:
        """Write as float16 safetensors.

        Raises:
            ShapeError: If a value is too large for float16, so that it would be read as infinite.
        """
        tensors = {f"level{number}": level.half().contiguous() for number, level in enumerate(self.levels)}
        for name, level in tensors.items():
            check_finite(f"features in half precision, {name}", level)
        header = {"cells": self.cells, "image_size": self.image_size}
        write_bytes(path, save(tensors, {"weakseg": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "FeatureMaps":
        """Read what ``save`` wrote, as float32.

        Raises:
            StoreError: If the file is missing, truncated or of another kind.
        """
        with stored(path, "features", "weakseg run") as (header, tensors):
            levels = tuple(tensors[f"level{number}"].to(torch.float32) for number in range(len(tensors)))
            return cls(levels, tuple(map(_cells, header["cells"])), stored_size(header["image_size"]))


def _cells(value: object) -> Cells:
    if not isinstance(value, list) or len(value) != 2:
        raise ValueError("cells are a first pixel and a stride")
    first, stride = value
    if not isinstance(first, float | int) or not math.isfinite(first):
        raise ValueError("the first pixel of cells is a number")
    if type(stride) is not int or not 1 <= stride <= MAX_STRIDE:
        raise ValueError(f"a stride is an integer in 1..{MAX_STRIDE}")
    return Cells(float(first), stride)

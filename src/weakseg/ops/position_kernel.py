"""A Gaussian kernel between the positions of pixels."""

import math
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from weakseg.ops.permutohedral import Order
from weakseg.ops.workspace import Workspace

TRUNCATE_SIGMAS = 4.0
BLOCK = 48  # pixels of an axis that are blurred by one matrix product


@dataclass(frozen=True)
class PositionKernel:
    """The Gaussian of positions: two one-dimensional convolutions, cut off at four standard deviations.

    A block of rows times a small banded matrix is many times faster than a convolution with one channel.
    """

    sizes: tuple[tuple[int, int], ...]
    sigma_px: float

    def apply(self, values: Tensor, scale: Tensor, order: Order, space: Workspace) -> Tensor:
        """Return ``K diag(scale) values``, in the workspace, for ``(L, N)`` values, the pixels in row-major order.

        Whatever the ``order``, which is that of another kernel's axes.
        """
        scaled = torch.mul(values, scale, out=space.take("scaled", values, *values.shape))
        found = space.take("found", values, *values.shape)
        areas = [height * width for height, width in self.sizes]
        parts = zip(self.sizes, torch.split(scaled, areas, 1), torch.split(found, areas, 1), strict=True)
        for size, source, target in parts:
            rows = source.reshape(-1, size[1])
            across = space.take("across", rows, *rows.shape)
            _blur(rows.T[None], self.sigma_px, across.T[None])
            _blur(across.view(-1, *size), self.sigma_px, target.view(-1, *size))
        return found


def _blur(planes: Tensor, sigma: float, out: Tensor) -> None:
    """Convolve ``(B, H, W)`` planes with a Gaussian along H, zero outside."""
    count, length, _ = planes.shape
    band = _band(length, sigma, planes.dtype, planes.device).expand(count, -1, -1)
    block, reach = band.shape[1], (band.shape[2] - band.shape[1]) // 2
    for first in range(0, length, block):
        last = min(first + block, length)
        low, high = max(0, first - reach), min(length, last + reach)
        weights = band[:, : last - first, low - first + reach : high - first + reach]
        torch.bmm(weights, planes[:, low:high], out=out[:, first:last])


@lru_cache(maxsize=64)
@torch.inference_mode(False)
def _band(length: int, sigma: float, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Return ``(B, B + 2 R)``: what B neighbouring pixels receive from those up to R away from them."""
    reach = min(math.ceil(TRUNCATE_SIGMAS * sigma), length - 1)
    block = math.ceil(length / math.ceil(length / max(BLOCK, reach)))
    where = torch.arange(block + 2 * reach, device=device)
    distance = where[None, :] - reach - where[:block, None]
    return torch.exp(-0.5 * (distance.to(dtype) / sigma) ** 2) * (distance.abs() <= reach)

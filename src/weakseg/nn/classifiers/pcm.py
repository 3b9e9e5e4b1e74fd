"""The pixel correlation module: class evidence refined by how alike the pixels look."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.checks import check_rank, check_same_size

EPS = 1e-5
WIDTHS = (64, 128)  # channels that two levels of the backbone are reduced to, the finer first
GAIN = 4.0  # of the last convolution's initial weights
BLOCK_ENTRIES = 1 << 23  # correlations that are held at once


def pixel_correlation(theta: Tensor, maps: Tensor, *, block: int = 0) -> Tensor:
    """Return ``y_c[j] = sum_i n_c[i] S_ij / (sum_i S_ij + eps)``, ``S_ij = relu(cos(theta_i, theta_j))``.

    Args:
        theta: ``(B, D, h, w)`` float, signed.
        maps: ``(B, C, h, w)``: n.
        block: Pixels j whose correlations with all pixels are held at once; 0: as many as take some 32 MB. The result
            does not depend on it.

    Returns:
        ``(B, C, h, w)`` within the range of each input map and 0.

    Raises:
        ShapeError: If the grids differ.

    Reference:
        [wang2020seam], equation 6; normalised over i as in its code.
    """
    check_rank("theta", theta, 4, "(B, D, h, w)")
    check_rank("maps", maps, 4, "(B, C, h, w)")
    check_same_size("theta", theta.shape[-2:], "maps", maps.shape[-2:])
    pixels = math.prod(maps.shape[-2:])
    unit = theta.flatten(2)
    unit = unit / (torch.linalg.vector_norm(unit, dim=1, keepdim=True) + EPS)
    if not block and not torch.compiler.is_compiling():  # exporters know no number of blocks
        block = max(1, BLOCK_ENTRIES // max(1, pixels * len(maps)))
    parts = []
    for some in unit.split(block, dim=2) if block else [unit]:
        alike = F.relu(unit.transpose(1, 2) @ some)  # (B, N, block)
        parts.append(maps.flatten(2) @ (alike / (alike.sum(1, keepdim=True) + EPS)))
    return torch.cat(parts, dim=2).reshape(maps.shape)


@torch.no_grad()
def correlation_input(evidence: Tensor, present: Tensor | None = None) -> Tensor:
    """Return background and classes in [0, 1], of the classes only the best of each pixel.

    Args:
        evidence: ``(B, K, h, w)`` float, signed, K >= 1.
        present: ``(B, K)`` bool: classes that take part; ``None``: all, as published, where an absent class with any
            evidence is stretched to one and may win pixels.

    Returns:
        ``(B, K + 1, h, w)``; the background is one less the best class. No derivatives.

    Reference:
        [wang2020seam], input of the pixel correlation module in its code.
    """
    positive = F.relu(evidence)
    if present is not None:
        positive = positive * present[:, :, None, None]
    scaled = F.relu(positive - EPS) / (positive.amax((2, 3), keepdim=True) + EPS)
    best = scaled.amax(1, keepdim=True)
    return torch.cat([1 - best, torch.where(scaled == best, scaled, 0)], dim=1)


class PixelCorrelation(nn.Module):
    """Colours and two levels of a backbone as features, whose correlations spread class evidence.

    Reference:
        [wang2020seam], section 3.3; widths and initial weights are those of its code. Differs from it: levels of other
        strides are resized.
    """

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.fine = nn.Conv2d(fine, WIDTHS[0], 1, bias=False)
        self.coarse = nn.Conv2d(coarse, WIDTHS[1], 1, bias=False)
        self.theta = nn.Conv2d(3 + sum(WIDTHS), sum(WIDTHS), 1, bias=False)
        for reduction in (self.fine, self.coarse):
            nn.init.kaiming_normal_(reduction.weight)
        nn.init.xavier_uniform_(self.theta.weight, gain=GAIN)

    def forward(self, images: Tensor, fine: Tensor, coarse: Tensor, maps: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` refined maps.

        Args:
            images: ``(B, 3, H, W)``, normalised.
            fine: ``(B, C_f, h_f, w_f)``, a level of the backbone; no derivative flows into it.
            coarse: The next one.
            maps: ``(B, C, h, w)``, from ``correlation_input``.
        """
        size = (maps.shape[2], maps.shape[3])
        levels = [
            F.relu(stretched(self.fine(fine.detach()), size)),
            F.relu(stretched(self.coarse(coarse.detach()), size)),
        ]
        return pixel_correlation(self.theta(torch.cat([stretched(images, size), *levels], dim=1)), maps)


def stretched(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return ``(B, C, *size)`` maps, interpolated bilinearly between aligned corners."""
    if maps.shape[2:] == tuple(size):
        return maps
    return F.interpolate(maps, size=size, mode="bilinear", align_corners=True)

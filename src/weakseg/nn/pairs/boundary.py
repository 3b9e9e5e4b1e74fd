"""Class boundaries and displacements towards object centres, learned from pairs of pixels."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from weakseg.nn.backbones import Backbone
from weakseg.nn.pairs.branches import Branch, concatenated, pooled_to

GRID_STRIDE = 4
WIDTH = 32  # channels of a boundary branch
FIELD_WIDTHS = (64, 128, 256)  # channels of a displacement branch: finer than the grid's own level, that level, coarser


@dataclass(frozen=True)
class BoundaryMaps:
    """What a boundary network sees, on a grid of one cell for four pixels.

    Attributes:
        logits: ``(B, 1, h, w)``; the sigmoid is the boundary map.
        features: ``(B, 32 L, h, w)``, >= 0: the branches before the last convolution.
        field: ``(B, 2, h, w)``: displacement (rows, columns) in cells.
    """

    logits: Tensor
    features: Tensor
    field: Tensor


class BoundaryNet(nn.Module):
    """A frozen backbone with a boundary branch (``head``) and a displacement branch (``field``) on all its levels.

    Attributes:
        rate_factors: Multiples of the head's learning rate, by part.

    Reference:
        [ahn2019irnet], section 4; widths are those of its code.
    """

    rate_factors: ClassVar[dict[str, float]] = {"field.": 10.0}

    def __init__(self, backbone: Backbone) -> None:
        super().__init__()
        self.backbone = backbone.requires_grad_(requires_grad=False)
        shapes = backbone.level_shapes()
        self.strides = [stride for _, stride in shapes]
        self.head = BoundaryHead([channels for channels, _ in shapes])
        self.field = DisplacementField(shapes)

    def forward(self, images: Tensor) -> BoundaryMaps:
        """Return the maps of ``(B, 3, H, W)`` images on the scale 0..255, ``(ceil(H / 4), ceil(W / 4))`` cells."""
        size = (-(-images.shape[2] // GRID_STRIDE), -(-images.shape[3] // GRID_STRIDE))
        with torch.no_grad():
            levels = self.backbone.levels(images)
        pooled = [pooled_to(x, stride, GRID_STRIDE) for x, stride in zip(levels, self.strides, strict=True)]
        features = self.head(pooled, self.strides, size)
        return BoundaryMaps(self.head.last(features), features, self.field(pooled, size))

    def feature_weights(self) -> Tensor:
        """Return ``(32 L,)``: the weight of each feature in the boundary logit."""
        return self.head.last.weight.detach().flatten()


class BoundaryHead(nn.Module):
    """A branch for each level, concatenated, and a 1x1 convolution with bias."""

    def __init__(self, channels: list[int]) -> None:
        super().__init__()
        self.branches = nn.ModuleList(Branch(number, WIDTH, 4) for number in channels)
        self.last = nn.Conv2d(WIDTH * len(channels), 1, 1)

    def forward(self, levels: list[Tensor], strides: list[int], size: tuple[int, int]) -> Tensor:
        """Return ``(B, 32 L, h, w)`` features."""
        found = zip(self.branches, levels, strides, strict=True)
        return concatenated([branch(level, stride, GRID_STRIDE) for branch, level, stride in found], size)


class DisplacementField(nn.Module):
    """Coarse levels are merged at twice the grid's stride, then joined by the fine ones; two channels come out.

    In evaluation the mean displacement of the training images, ``mean_shift``, is subtracted.
    """

    mean_shift: Tensor

    def __init__(self, shapes: list[tuple[int, int]]) -> None:
        super().__init__()
        self.coarse_strides = [stride for _, stride in shapes if stride > GRID_STRIDE]
        fine, own, coarse = FIELD_WIDTHS
        num_fine = len(shapes) - len(self.coarse_strides)
        widths = [fine] * (num_fine - 1) + [own] * (num_fine > 0)
        self.fine = nn.ModuleList(Branch(c, w, w // 8) for (c, _), w in zip(shapes, widths, strict=False))
        self.coarse = nn.ModuleList(Branch(c, coarse, 16) for c, _ in shapes[num_fine:])
        self.merge = Branch(coarse * len(self.coarse), coarse, 16)
        self.join = Branch(sum(widths) + coarse, coarse, 16)
        self.last = nn.Conv2d(coarse, 2, 1, bias=False)
        self.register_buffer("mean_shift", torch.zeros(2))

    def forward(self, levels: list[Tensor], size: tuple[int, int]) -> Tensor:
        """Return the ``(B, 2, h, w)`` field."""
        fine, coarse = levels[: len(self.fine)], levels[len(self.fine) :]
        half = (-(-size[0] // 2), -(-size[1] // 2))
        found = zip(self.coarse, coarse, self.coarse_strides, strict=True)
        merged = concatenated([branch(level, stride, 2 * GRID_STRIDE) for branch, level, stride in found], half)
        joined = [b(x) for b, x in zip(self.fine, fine, strict=True)] + [self.merge(merged, 2)]
        field: Tensor = self.last(self.join(concatenated(joined, size)))
        return field if self.training else field - self.mean_shift[:, None, None]

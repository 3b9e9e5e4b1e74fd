"""Features whose differences tell how alike neighbouring cells are, learned from pairs of cells."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone
from weakseg.nn.pairs.branches import concatenated, enlarged, pooled_to
from weakseg.settings.affinity import GRID_STRIDE

WIDTHS = (64, 128, 256)  # channels that the last three levels give, the finest first
GROUPS = 8  # of channels; so many of each group norm
GAIN = 4.0  # of the last convolution's initial weights; fits the mean over channels in ``feature_affinity``


class AffinityNet(nn.Module):
    """A trained backbone and a head on its last three levels; ``feature_affinity`` compares the features.

    Attributes:
        rate_factors: Multiples of the head's learning rate, by part; with ``fit.head_lr_factor`` 10 group norms learn
            as fast as the backbone, as published.

    Args:
        backbone: The feature extractor.
        norms: Whether group norms of eight channels follow the reduced levels.

    Raises:
        ConfigError: If the backbone has fewer than three levels.

    Reference:
        [ahn2018affinitynet], section 3.2; widths and initial weights are those of its code. Differs from the paper:
        levels coarser than the grid are upsampled, where its backbones have dilated convolutions to stride 8;
        ``output_stride`` 8 gives that.
    """

    def __init__(self, backbone: Backbone, *, norms: bool = False) -> None:
        super().__init__()
        shapes = backbone.level_shapes()[-len(WIDTHS) :]
        if len(shapes) < len(WIDTHS):
            raise ConfigError(f"affinity.backbone: has {len(shapes)} levels, {len(WIDTHS)} are needed; choose another")
        self.backbone = backbone
        self.strides = [stride for _, stride in shapes]
        self.head = AffinityHead([channels for channels, _ in shapes], norms=norms)
        self.rate_factors = {"head.norms.": 0.1} if norms else {}

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, 448, ceil(H / 8), ceil(W / 8))`` features of ``(B, 3, H, W)`` images on the scale 0..255."""
        size = (-(-images.shape[2] // GRID_STRIDE), -(-images.shape[3] // GRID_STRIDE))
        levels = self.backbone.levels(images)[-len(WIDTHS) :]
        pooled = [pooled_to(x, stride, GRID_STRIDE) for x, stride in zip(levels, self.strides, strict=True)]
        features: Tensor = self.head(pooled, lambda maps, level: self._placed(maps, level, size))
        return features

    def _placed(self, maps: Tensor, level: int, size: tuple[int, int]) -> Tensor:
        """Return maps of one level on the grid."""
        return concatenated([enlarged(maps, self.strides[level], GRID_STRIDE)], size)


class AffinityHead(nn.Module):
    """A 1x1 convolution for each level, concatenated, and one that mixes them; ELU after each, no biases.

    With ``norms`` a group norm stands between the convolution of a level and its ELU.
    """

    def __init__(self, channels: list[int], widths: tuple[int, ...] = WIDTHS, *, norms: bool = False) -> None:
        super().__init__()
        self.taps = nn.ModuleList(nn.Conv2d(n, w, 1, bias=False) for n, w in zip(channels, widths, strict=True))
        self.last = nn.Conv2d(sum(widths), sum(widths), 1, bias=False)
        self.norms = nn.ModuleList(nn.GroupNorm(width // GROUPS, width) for width in widths if norms)
        for tap in self.taps:
            nn.init.kaiming_normal_(tap.weight)  # type: ignore[arg-type]
        nn.init.xavier_uniform_(self.last.weight, gain=GAIN)

    def forward(self, levels: list[Tensor], place: Callable[[Tensor, int], Tensor]) -> Tensor:
        """Return ``(B, sum of widths, h, w)`` features of levels ``(B, C_l, h_l, w_l)``.

        Args:
            levels: As many as there are widths.
            place: From reduced maps and the number of their level to maps on the grid; linear, so that it may come
                after the reduction.
        """
        mixed = [tap(level) for tap, level in zip(self.taps, levels, strict=True)]
        if self.norms:
            mixed = [norm(found) for norm, found in zip(self.norms, mixed, strict=True)]
        placed = [F.elu(place(found, number)) for number, found in enumerate(mixed)]
        return F.elu(self.last(torch.cat(placed, dim=1)))

"""Networks as exporters take them: layers whose work is arranged in Python become plain ones of the same sums."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.backbones.backbone import Backbone
from weakseg.nn.backbones.depthwise import PhasedConv2d
from weakseg.nn.backbones.strided import PickedConv2d
from weakseg.nn.exported.lone import LoneImages, LoneSelfEdge
from weakseg.nn.exported.vision import open_sizes
from weakseg.nn.graphs.image_graph import ImageGraph, SelfEdge
from weakseg.nn.segmenters.tree import TreeHead
from weakseg.ops.tree_rounds import filter_in_rounds, spanning_parents


def make_exportable(model: nn.Module) -> None:
    """Change layers of a network in place; weights, their names and, up to rounding, outputs stay.

    Convolutions that are arranged for torch's CPU kernels become those that they were, and pooling to a number of
    regions, which exporters fix at one size of image, becomes products of matrices. Trees are spanned in
    rounds, and images of groups are alone.
    """
    for module in list(model.modules()):
        module.__class__ = PLAIN.get(type(module), type(module))
        open_sizes(module)
        if isinstance(module, Backbone):
            module.padded = padded
        for name, child in module.named_children():
            if isinstance(child, nn.AdaptiveAvgPool2d):
                setattr(module, name, RegionMeans(int(child.output_size)))  # type: ignore[arg-type]


def padded(images: Tensor, stride: int) -> Tensor:
    """Return images padded to whole cells; torch.export bounds padding wrongly whose size depends on the image's."""
    height, width = ((side + stride - 1) // stride * stride for side in images.shape[2:])
    larger = F.pad(images, (0, stride - 1, 0, stride - 1))
    rows, columns = (torch.arange(side, device=images.device) for side in (height, width))
    return larger.index_select(2, rows).index_select(3, columns)


class RegionMeans(nn.Module):
    """Means over ``bins`` x ``bins`` regions: ``nn.AdaptiveAvgPool2d``, for maps of any size.

    Region i of n cells reaches from ``floor(i n / bins)`` to ``ceil((i + 1) n / bins)``.
    """

    def __init__(self, bins: int) -> None:
        super().__init__()
        self.bins = bins

    def forward(self, maps: Tensor) -> Tensor:
        """Return ``(B, C, bins, bins)`` of ``(B, C, h, w)``."""
        rows, columns = self._weights(maps, maps.shape[2]), self._weights(maps, maps.shape[3])
        return rows @ maps @ columns.T

    def _weights(self, maps: Tensor, length: int) -> Tensor:
        """Return ``(bins, length)`` weights; rows sum to one."""
        cell = torch.arange(length, device=maps.device)
        region = torch.arange(self.bins, device=maps.device)[:, None]
        first, past = region * length // self.bins, ((region + 1) * length + self.bins - 1) // self.bins
        inside = ((cell >= first) & (cell < past)).to(maps.dtype)
        return inside / inside.sum(1, keepdim=True)


class TreeInRounds(TreeHead):
    """The head ``tree``, whose steps do not depend on the image."""

    def filtered(self, maps: Tensor, embedded: Tensor, guide: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` maps, filtered along the trees of the guide."""
        parents = spanning_parents(guide)
        values, places = (self._by_node(x) for x in (maps, embedded))
        distances = (places - places[parents]).square().sum(-1)
        found = filter_in_rounds(values, distances, parents).flatten(1)
        return found.reshape(maps.shape[0], -1, maps.shape[1]).transpose(1, 2).reshape(maps.shape)

    def _by_node(self, maps: Tensor) -> Tensor:
        """Return ``(B h w, G, C / G)`` of ``(B, C, h, w)``."""
        return maps.permute(0, 2, 3, 1).reshape(-1, self.groups, maps.shape[1] // self.groups)


PLAIN: dict[type[nn.Module], type[nn.Module]] = {
    PhasedConv2d: nn.Conv2d,
    PickedConv2d: nn.Conv2d,
    TreeHead: TreeInRounds,
    SelfEdge: LoneSelfEdge,
    ImageGraph: LoneImages,
}  # of the same attributes

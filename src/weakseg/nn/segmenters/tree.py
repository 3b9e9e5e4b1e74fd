"""Tree-FCN's head: features averaged along a tree that fine features span."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.segmenters.deeplab import start_small
from weakseg.ops.tree_filter import SpanningTree, minimum_spanning_tree, tree_filter

GROUPS = 16
GUIDE_STRIDE = 4  # pixels of a cell of the features that span the tree, at least


class TreeHead(nn.Module):
    """Reduced features, plus what they are when filtered along the minimum spanning tree of a fine level, to logits.

    The fine level is brought to the cells of the features; edges of the tree are neighbours of like fine features. How
    far a feature travels is learned: in each of 16 groups distances are those of a 1x1 convolution of the reduced
    features.

    Attributes:
        takes_levels: It sees the levels of the backbone.

    Args:
        channels: Of the features.
        hidden: Of the reduced features.
        num_labels: Of the logits.
        guide: Which level spans the tree, from 0, the finest.

    Reference:
        [song2019treefilter], tree filtering module. Differs from the paper: its text leaves widths, strides and the
        order of layers of the decoder around the modules open; here is one module at the stride of the backbone, whose
        output is added to its input, and no global pooling beside it.
    """

    takes_levels = True

    def __init__(self, channels: int, hidden: int, num_labels: int, guide: int) -> None:
        super().__init__()
        self.guide, self.groups = guide, GROUPS if hidden % GROUPS == 0 else 1
        self.reduce = nn.Conv2d(channels, hidden, 1)
        self.embed = nn.Conv2d(hidden, hidden, 1)
        self.score = nn.Conv2d(hidden, num_labels, 1)
        start_small(self.embed)

    def forward(self, features: Tensor, levels: list[Tensor]) -> Tensor:
        """Return ``(B, L, h, w)`` logits."""
        size = features.shape[2:]
        guide = F.interpolate(levels[self.guide].detach().float(), size, mode="bilinear", align_corners=False)
        reduced = F.relu(self.reduce(features))
        embedded = self.embed(reduced).float()
        filtered = self.filtered(reduced.float(), embedded, guide)
        logits: Tensor = self.score(reduced + filtered.to(reduced.dtype))
        return logits

    def filtered(self, maps: Tensor, embedded: Tensor, guide: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` maps, filtered along the trees of the guide."""
        trees = [minimum_spanning_tree(one) for one in guide]
        return torch.stack([self._filtered(*one) for one in zip(maps, embedded, trees, strict=True)])

    def _filtered(self, maps: Tensor, embedded: Tensor, tree: SpanningTree) -> Tensor:
        """Return the ``(C, h, w)`` maps of one image, filtered in groups of channels."""
        values, places = (x.flatten(1).T.reshape(-1, self.groups, len(x) // self.groups) for x in (maps, embedded))
        distances = (places - places[tree.parents]).square().sum(-1)
        return tree_filter(values, distances, tree).flatten(1).T.reshape(maps.shape)


def guide_of(shapes: list[tuple[int, int]]) -> int:
    """Return which level spans the tree: the finest whose cells have at least four pixels."""
    return next((number for number, (_, stride) in enumerate(shapes) if stride >= GUIDE_STRIDE), 0)

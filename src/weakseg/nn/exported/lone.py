"""The graph of images, of images that have no neighbours: as exporters take it, for any number of them."""

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.nn.graphs.image_graph import ImageGraph, SelfEdge


class LoneSelfEdge(SelfEdge):
    """What an image tells itself, of whole images at once."""

    def forward(self, states: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return ``(n, C, H, W)``; there is no mask."""
        query, key, value = (layer(states).flatten(2).mT[:, None] for layer in (self.query, self.key, self.value))
        told = F.scaled_dot_product_attention(query, key, value, scale=1.0)[:, 0]
        return told.mT.reshape(states.shape) + states


class LoneImages(ImageGraph):
    """The same rounds without messages."""

    def forward(self, states: Tensor, edges: Tensor, cell_mask: Tensor | None = None) -> Tensor:
        """Return the states after all rounds; there are no edges, and there is no mask."""
        if self.gru is None:
            return states  # of images that get no message
        none = torch.zeros_like(states)
        heard = none
        for index in range(self.config.rounds):
            if self.mixing is not None and (index or self.config.timing == "synchronous"):
                bias = self.mixing.conv.bias
                heard = none if bias is None else none + bias[:, None, None]
            told = heard if self.self_edge is None else heard + self.self_edge(states)
            states = self.gru(told, states)
        return states

"""Node classifiers with a network of its own for each image, computed for many images at once.

All take the same graphs, so that they differ in the propagation alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.nn.graphs.per_image import ImageDropout
from weakseg.ops.tile_attention import additive_attention, cosine_attention, mix
from weakseg.ops.tiles import Tiles
from weakseg.settings.graph_network import Adjacency, NetworkConfig, Normalization


@dataclass(frozen=True)
class Graphs:
    """The graphs of B images.

    Attributes:
        features: ``(B, n, D)`` of places, zero in empty ones.
        tiles: Their edges.
        affinity: ``(M,)`` >= 0, of the edges of all images.
    """

    features: Tensor
    tiles: Tiles
    affinity: Tensor

    @cached_property
    def affinity_map(self) -> Tensor:
        """``(T, ROWS, m)`` affinities, zero where there is no edge."""
        return self.tiles.spread(self.affinity)


class Parameter(NamedTuple):
    """Shape of a weight of one image, drawn uniformly from [low, high]; labels, if any, are the last axis."""

    shape: tuple[int, ...]
    low: float
    high: float


class Output(NamedTuple):
    """What networks say of ``B n`` places: ``(B n, F)`` hidden units before the last layer, ``(B n, C)`` logits."""

    hidden: Tensor
    logits: Tensor


class Network(Protocol):
    """Networks of one architecture; the weights are given, ``(B, ...)`` each."""

    def parameters(self, channels: int, labels: int) -> list[Parameter]:
        """Return the weights of an image."""
        ...

    def __call__(self, weights: Sequence[Tensor], graphs: Graphs, dropout: ImageDropout | None) -> Output:
        """Return hidden units and logits; ``dropout`` is ``None`` after training."""
        ...


@dataclass(frozen=True)
class AttentionNetwork:
    """``H = dropout(relu(X W0))``, propagated by cosine attention, then ``H W1``: A2GNN, AGNN and MLP.

    Reference:
        [zhang2021a2gnn], equations 16 to 19; beta = 0: [thekumparampil2018agnn], all ``w`` learned.
    """

    config: NetworkConfig

    @property
    def propagations(self) -> int:
        """Layers that propagate."""
        return 0 if self.config.kind == "mlp" else self.config.propagations

    def parameters(self, channels: int, labels: int) -> list[Parameter]:
        """Return W0 ``(D, F)``, w ``(L,)``, W1 ``(F, C)``."""
        hidden = self.config.hidden
        return [xavier(channels, hidden), Parameter((self.propagations,), 0, 1), xavier(hidden, labels)]

    def __call__(self, weights: Sequence[Tensor], graphs: Graphs, dropout: ImageDropout | None) -> Output:
        """Return hidden units and logits."""
        first, scale, last = weights
        beta = self.config.beta if self.config.kind == "a2gnn" else 0.0
        scale = scale if self.config.cosine or self.config.kind == "agnn" else torch.zeros_like(scale)
        hidden = _dropped(F.relu(torch.bmm(graphs.features, first)), dropout)
        values, edges = hidden.flatten(0, 1), beta * graphs.affinity_map
        for layer in range(self.propagations):
            values = cosine_attention(graphs.tiles, values, scale[:, layer], edges)
        return Output(values, torch.bmm(values.reshape(hidden.shape), last).flatten(0, 1))


@dataclass(frozen=True)
class ConvolutionNetwork:
    """``Z = A dropout(H) W1 + b1``, ``H = relu(A dropout(X) W0 + b0)``, A the normalised affinity.

    Reference:
        [kipf2017gcn], equation 9, with biases as in its code.
    """

    config: NetworkConfig

    def parameters(self, channels: int, labels: int) -> list[Parameter]:
        """Return W0 ``(D, F)``, b0, W1 ``(F, C)``, b1; biases are 0."""
        hidden = self.config.hidden
        biases = [Parameter((1, units), 0, 0) for units in (hidden, labels)]
        return [xavier(channels, hidden), biases[0], xavier(hidden, labels), biases[1]]

    def __call__(self, weights: Sequence[Tensor], graphs: Graphs, dropout: ImageDropout | None) -> Output:
        """Return hidden units and logits."""
        w0, b0, w1, b1 = weights
        matrix = normalized_map(graphs, self.config.normalization, self.config.adjacency)

        def convolved(values: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            inner = torch.bmm(_dropped(values, dropout), weight)
            return mix(graphs.tiles, matrix, inner.flatten(0, 1)).reshape(inner.shape) + bias

        hidden = F.relu(convolved(graphs.features, w0, b0))
        return Output(hidden.flatten(0, 1), convolved(hidden, w1, b1).flatten(0, 1))


@dataclass(frozen=True)
class SplitAttentionNetwork:
    """Two layers of additive attention: several heads, concatenated, ELU; then one head.

    Reference:
        [velickovic2018gat], section 2; dropout 0.5 for comparison with the other networks.
    """

    config: NetworkConfig

    def parameters(self, channels: int, labels: int) -> list[Parameter]:
        """Return for both layers W ``(inputs, heads F)``, a_src and a_dst ``(heads, F)``, b; biases are 0."""
        heads, hidden = self.config.heads, self.config.hidden

        def layer(inputs: int, heads: int, units: int) -> list[Parameter]:
            bound = (6 / (units + 1)) ** 0.5
            whole = heads * units
            return [xavier(inputs, whole), *[Parameter((heads, units), -bound, bound)] * 2, Parameter((1, whole), 0, 0)]

        return [*layer(channels, heads, hidden // heads), *layer(hidden, 1, labels)]

    def __call__(self, weights: Sequence[Tensor], graphs: Graphs, dropout: ImageDropout | None) -> Output:
        """Return hidden units and logits."""
        edges = graphs.affinity_map.clamp(min=1e-30).log() if self.config.edge_bias else None
        hidden = F.elu(self._layer(weights[:4], graphs, graphs.features, edges, dropout))
        logits = self._layer(weights[4:], graphs, hidden, edges, dropout)
        return Output(hidden.flatten(0, 1), logits.flatten(0, 1))

    @staticmethod
    def _layer(
        weights: Sequence[Tensor], graphs: Graphs, values: Tensor, edges: Tensor | None, dropout: ImageDropout | None
    ) -> Tensor:
        weight, source, target, bias = weights
        mapped = torch.bmm(_dropped(values, dropout), weight)
        heads = mapped.reshape(*mapped.shape[:2], *source.shape[1:])  # (B, n, heads, F)
        by_row, by_column = ((heads * vector[:, None]).sum(3).flatten(0, 1) for vector in (source, target))
        kept = _kept_edges(graphs.tiles, values, source.shape[1], dropout)
        out = additive_attention(graphs.tiles, heads.flatten(0, 1), by_row, by_column, edges, kept)
        return out.reshape(mapped.shape) + bias


def build_network(config: NetworkConfig) -> Network:
    """Return the architecture."""
    if config.kind == "gcn":
        return ConvolutionNetwork(config)
    return SplitAttentionNetwork(config) if config.kind == "gat" else AttentionNetwork(config)


def initial_weights(
    network: Network, channels: int, labels: Sequence[int], generators: Sequence[torch.Generator]
) -> list[Tensor]:
    """Return the weights ``(B, ...)`` of B images, each drawn by its own generator; missing labels have zeros.

    Args:
        network: The architecture.
        channels: D.
        labels: Number of labels of each image.
        generators: One an image, on the CPU.
    """
    most = network.parameters(channels, max(labels))
    weights = [torch.zeros(len(labels), *parameter.shape) for parameter in most]
    for index, (count, generator) in enumerate(zip(labels, generators, strict=True)):
        for weight, (shape, low, high) in zip(weights, network.parameters(channels, count), strict=True):
            weight[index, ..., : shape[-1]] = torch.empty(shape).uniform_(low, high, generator=generator)
    return weights


def xavier(inputs: int, outputs: int) -> Parameter:
    """Return a matrix, uniform in ``+-sqrt(6 / (inputs + outputs))``."""
    bound = (6 / (inputs + outputs)) ** 0.5
    return Parameter((inputs, outputs), -bound, bound)


def normalized_map(graphs: Graphs, normalization: Normalization, adjacency: Adjacency) -> Tensor:
    """Return the ``(T, ROWS, m)`` map of ``D^-1/2 A D^-1/2`` or ``D^-1 A``; a node whose edges are all 0 stays 0.

    Reference:
        [kipf2017gcn], equation 2; self-loops are those of the graph.
    """
    tiles, matrix = graphs.tiles, graphs.affinity_map
    if adjacency == "binary":
        matrix = (matrix > 0).to(matrix.dtype)
    sums = matrix.sum(2).reshape(-1, 1)
    sums = torch.where(sums > 0, sums, 1)
    if normalization == "rows":
        return matrix / tiles.at_rows(sums)
    return matrix / (tiles.at_rows(sums) * tiles.at_columns(sums).mT).sqrt()


def _dropped(units: Tensor, dropout: ImageDropout | None) -> Tensor:
    return units if dropout is None else dropout(units)


def _kept_edges(tiles: Tiles, like: Tensor, heads: int, dropout: ImageDropout | None) -> Tensor | None:
    """Return ``(heads, T, ROWS, m)`` factors of dropout, or ``None`` without."""
    if dropout is None:
        return None
    drawn = [dropout.factors(like, tiles.widths) for _ in range(heads)]  # (B, n, m) each
    kept = [factors.reshape(tiles.outside.shape) for factors in drawn if factors is not None]
    return torch.stack(kept) if kept else None

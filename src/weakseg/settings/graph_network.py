"""The graph network of an image."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError

NetworkKind = Literal["a2gnn", "agnn", "gcn", "gat", "mlp"]
Normalization = Literal["symmetric", "rows"]
Adjacency = Literal["soft", "binary"]


@dataclass(frozen=True)
class NetworkConfig:
    """The network of an image.

    Attributes:
        kind: ``a2gnn`` (cosine and affinity), ``agnn`` (cosine), ``gcn``, ``gat``, or ``mlp`` (no edges, a control).
        hidden: Hidden units.
        dropout: Of hidden units, in ``gcn`` and ``gat`` also of inputs, in ``gat`` also of attention (there 0.6).
        propagations: Of ``a2gnn`` and ``agnn``.
        beta: What an edge of affinity 1 adds to a score, in ``a2gnn``.
        cosine: Whether cosines count in ``a2gnn``, with a learned weight; otherwise edges alone do.
        normalization: Of ``gcn``: ``symmetric`` or ``rows``.
        adjacency: Of ``gcn``: ``soft`` affinities, or ``binary``, one for each positive affinity.
        heads: Of the first layer of ``gat``; they share the hidden units.
        edge_bias: Whether the logarithm of the affinity is added to the scores of ``gat``.
    """

    kind: NetworkKind = "a2gnn"
    hidden: int = 256
    dropout: float = 0.5
    propagations: int = 3
    beta: float = 10.0
    cosine: bool = True
    normalization: Normalization = "symmetric"
    adjacency: Adjacency = "soft"
    heads: int = 8
    edge_bias: bool = False

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.kind not in get_args(NetworkKind) or self.hidden < 1 or not 0 <= self.dropout <= 0.99:
            raise ConfigError(
                f"network: a kind of {get_args(NetworkKind)}, hidden >= 1, dropout in [0, 0.99]; got {self}"
            )
        if self.propagations < 0 or not self.beta >= 0 or self.heads < 1 or self.hidden % self.heads:
            raise ConfigError(f"network: need propagations, beta >= 0 and heads that divide hidden; got {self}")
        if self.normalization not in get_args(Normalization) or self.adjacency not in get_args(Adjacency):
            choices = f"{get_args(Normalization)} and {get_args(Adjacency)}"
            raise ConfigError(f"network: normalization and adjacency of {choices}; got {self}")

"""The graph network of an image."""

from dataclasses import dataclass
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

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
        check_settings("network", self, kind=get_args(NetworkKind), hidden=">= 1", dropout="in [0, 0.99]")
        check_settings("network", self, propagations=">= 0", beta=">= 0", heads=">= 1")
        check_settings("network", self, normalization=get_args(Normalization), adjacency=get_args(Adjacency))
        if self.hidden % self.heads:
            raise ConfigError(f"network.heads: need a divisor of hidden, which is {self.hidden}, got {self.heads}")

"""Graphs whose nodes are classes: where relations and word vectors come from, and what a network makes of them."""

from typing import Literal

AdjacencyKind = Literal["symmetric", "raw", "no_loops", "reweighted", "mlgcn", "identity"]

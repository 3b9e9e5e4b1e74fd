"""Graphs of concepts in words: who leads where, how strongly, and which concepts a word means."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Concepts:
    """A directed graph of concepts.

    Attributes:
        node_of: Node of each term.
        edges: ``(2, E)`` int64: from, to; an edge may be there more than once, and its weights are added.
        weights: ``(E,)`` float64, > 0.
        num_nodes: N.
        source: What the graph is, in words.
    """

    node_of: Mapping[str, int]
    edges: NDArray[np.int64]
    weights: NDArray[np.float64]
    num_nodes: int
    source: str

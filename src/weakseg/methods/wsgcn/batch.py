"""The graphs of several images as one: padded to equally many nodes, so that one product serves all networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED, PixelGraph
from weakseg.checks import check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, block_diagonal


@dataclass(frozen=True)
class GcnProblem:
    """What one image's network is trained on.

    Attributes:
        graph: Node features and affinity, with the diagonal that a walk rests on.
        smoothness: ``(N, N)`` symmetric, >= 0: how strongly two nodes should have equal labels.
        labels: ``(N,)`` int64 in {0..C - 1, 255}: index of a label; 0 is the background.
        num_labels: C >= 1.
        seed: Of initial weights and dropout.
    """

    graph: PixelGraph
    smoothness: SparseMatrix
    labels: Tensor
    num_labels: int
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse parts of other nodes, and labels that do not exist."""
        check_same_size("labels", tuple(self.labels.shape), "nodes", (self.num_nodes,))
        check_same_size("smoothness", self.smoothness.shape, "affinity", self.graph.affinity.shape)
        used = self.labels[self.labels != UNDECIDED]
        if self.labels.dtype != torch.int64 or self.num_labels < 1:
            raise ShapeError(f"labels: expected int64 of 1 or more labels, got {self.labels.dtype}, {self.num_labels}")
        if len(used) and not 0 <= int(used.min()) <= int(used.max()) < self.num_labels:
            raise ShapeError(f"labels: expected 0..{self.num_labels - 1} or 255, got {used.min()}..{used.max()}")

    @property
    def num_nodes(self) -> int:
        """N."""
        return len(self.graph.features)


@dataclass(frozen=True)
class GcnBatch:
    """Problems of one device, padded to N nodes and C labels.

    Attributes:
        problems: The problems.
        device: Where all tensors are.
    """

    problems: Sequence[GcnProblem]
    device: str = "cpu"

    @property
    def num_nodes(self) -> int:
        """N: of the largest graph."""
        return max(problem.num_nodes for problem in self.problems)

    @property
    def num_labels(self) -> int:
        """C: the most labels of any image."""
        return max(problem.num_labels for problem in self.problems)

    @cached_property
    def features(self) -> Tensor:
        """``(B, N, D)``, zero for padding."""
        return torch.stack([self._padded(problem.graph.features.to(self.device)) for problem in self.problems])

    @cached_property
    def labels(self) -> Tensor:
        """``(B, N)`` int64, 255 for padding."""
        return torch.stack([self._padded(problem.labels, UNDECIDED) for problem in self.problems]).to(self.device)

    @cached_property
    def sizes(self) -> Tensor:
        """``(B,)`` int64: nodes of each image."""
        return torch.tensor([problem.num_nodes for problem in self.problems], device=self.device)

    @cached_property
    def possible(self) -> Tensor:
        """``(B, 1, C)`` bool: the labels of each image."""
        counts = torch.tensor([problem.num_labels for problem in self.problems], device=self.device)
        return (torch.arange(self.num_labels, device=self.device) < counts[:, None])[:, None]

    def blocks(self, matrices: Sequence[SparseMatrix]) -> SparseMatrix:
        """Return one matrix an image as a block-diagonal one of ``B N`` nodes; padding has empty rows."""
        return block_diagonal([_enlarged(matrix.to(self.device), self.num_nodes) for matrix in matrices])

    def _padded(self, values: Tensor, fill: float = 0) -> Tensor:
        missing = self.num_nodes - len(values)
        return F.pad(values, (0, 0) * (values.ndim - 1) + (0, missing), value=fill) if missing else values


def _enlarged(matrix: SparseMatrix, nodes: int) -> SparseMatrix:
    """Return a square matrix with empty rows and columns added at the end."""
    starts = matrix.pattern.row_starts
    more = starts[-1:].expand(nodes - matrix.shape[0])
    return SparseMatrix.of_checked(Pattern(torch.cat([starts, more]), matrix.pattern.columns, nodes), matrix.values)

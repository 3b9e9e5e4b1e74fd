"""The propagation matrix of the graph convolutions, in four readings, for the graphs of one image or of several."""

from dataclasses import dataclass
from typing import Literal, Protocol, get_args

import torch
from torch import Tensor

from weakseg.errors import ConfigError, ShapeError
from weakseg.ops.normalize import add_self_loops, normalize_rows
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.walk import Walk, build_walk

PropagationKind = Literal["walk", "walk_maxsym", "affinity", "affinity_plain"]


@dataclass(frozen=True)
class PropagationConfig:
    """Which propagation matrix.

    Attributes:
        kind: ``walk``: ``(I + R^t) / 2``, R the transition matrix of the affinity A, never formed. ``walk_maxsym``:
            rows of ``max(G, G^T) + I`` normalised, ``G = (R^t)^T``, as in the official code; dense. ``affinity``: rows
            of ``A + I`` normalised. ``affinity_plain``: ``A + I``, the paper's formula.
        walk_steps: t.
        walk_error: Largest error of the walk, see ``weakseg.ops.walk.walk``; 0 takes all steps.
        max_nodes: Nodes of an image up to which a dense matrix is formed.
    """

    kind: PropagationKind = "walk"
    walk_steps: int = 256
    walk_error: float = 1e-3
    max_nodes: int = 20_000

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.kind not in get_args(PropagationKind):
            raise ConfigError(f"propagation.kind: one of {get_args(PropagationKind)}, got {self.kind!r}")
        if self.walk_steps < 0 or not 0 <= self.walk_error < 1:
            raise ConfigError(f"propagation: need walk_steps >= 0 and walk_error in [0, 1), got {self}")


class Propagation(Protocol):
    """A fixed matrix, rows summing to one, for the nodes of all images of a batch."""

    def apply(self, values: Tensor) -> Tensor:
        """Return ``(M, C)`` values, each node's mixed with those of its neighbours; differentiable."""
        ...


@dataclass(frozen=True)
class OneStep:
    """A sparse matrix."""

    matrix: SparseMatrix

    def apply(self, values: Tensor) -> Tensor:
        """Return the product."""
        return self.matrix @ values


@dataclass(frozen=True)
class LazyWalk:
    """``(I + R^t) / 2`` without the matrix.

    Reference:
        [pan2021wsgcn], as in its code but for factors ``max(1, s_i / s_j)`` and the row rescaling; equal on signals
        that are constant within regions.
    """

    walk: Walk

    def apply(self, values: Tensor) -> Tensor:
        """Return the mean of the values and of those after the walk."""
        return 0.5 * (values + self.walk.apply(values))


@dataclass(frozen=True)
class DenseBlocks:
    """One dense matrix an image, ``(B, N, N)``."""

    matrices: Tensor

    def apply(self, values: Tensor) -> Tensor:
        """Return the products of the images."""
        blocks = values.reshape(len(self.matrices), -1, values.shape[1])
        return torch.bmm(self.matrices, blocks).reshape(values.shape)


def build_propagation(affinity: SparseMatrix, config: PropagationConfig, *, images: int = 1) -> Propagation:
    """Return the propagation matrix of ``images`` graphs of equally many nodes.

    Args:
        affinity: ``(images N, images N)`` block-diagonal, symmetric, >= 0, with its diagonal; empty rows are no nodes.
        config: Kind and steps.
        images: Number of blocks.

    Raises:
        ShapeError: If a dense matrix would have more than ``config.max_nodes`` nodes.

    Reference:
        [pan2021wsgcn], equation of the graph convolution, and its code.
    """
    if config.kind == "walk":
        return LazyWalk(build_walk(affinity, config.walk_steps, error=config.walk_error))
    if config.kind == "walk_maxsym":
        return DenseBlocks(_maxsym_walks(affinity, config, images))
    looped = add_self_loops(affinity)
    return OneStep(normalize_rows(looped) if config.kind == "affinity" else looped)


def max_symmetrized(walked: Tensor) -> Tensor:
    """Return ``D^-1 (max(G, G^T) + I)`` of ``(..., N, N)`` G, D its row sums: rows sum to one.

    >>> max_symmetrized(torch.tensor([[1.0, 0.5], [0.0, 1.0]]))
    tensor([[0.8000, 0.2000],
            [0.2000, 0.8000]])
    """
    looped = torch.maximum(walked, walked.mT) + torch.eye(walked.shape[-1], dtype=walked.dtype, device=walked.device)
    return looped / looped.sum(-1, keepdim=True)


def _maxsym_walks(affinity: SparseMatrix, config: PropagationConfig, images: int) -> Tensor:
    nodes = affinity.shape[0] // images
    if nodes > config.max_nodes:
        raise ShapeError(
            f"propagation 'walk_maxsym': {nodes} nodes would need {nodes**2 * 4 / 1e9:.0f} GB; reduce the image, raise "
            f"max_nodes ({config.max_nodes}), or use 'walk'"
        )
    place = affinity.pattern.rows * nodes + affinity.pattern.columns % nodes  # row by row, block by block
    blocks = affinity.values.new_zeros(images * nodes * nodes).index_put((place,), affinity.values)
    blocks = blocks.reshape(images, nodes, nodes)
    sums = blocks.sum(1, keepdim=True)
    return max_symmetrized(torch.linalg.matrix_power(blocks / torch.where(sums > 0, sums, 1), config.walk_steps))

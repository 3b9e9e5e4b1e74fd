"""The propagation matrix of the graph convolutions, in four readings, for the graphs of one image or of several."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.methods.wsgcn.config import PropagationConfig
from weakseg.ops.normalize import add_self_loops, normalize_rows
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.walk import Walk, build_walk


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
        return self.matrix.times(values)


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
    looped = add_self_loops(affinity) if config.diagonal == "twice" else affinity
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

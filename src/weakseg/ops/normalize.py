"""Sums, normalisations and Laplacians of sparse affinity matrices."""

from typing import Literal

import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges


def normalize_rows(matrix: SparseMatrix) -> SparseMatrix:
    """Return ``D^-1 A``, rows that sum to one: each node averages over its neighbours. Empty rows stay zero."""
    return SparseMatrix(matrix.pattern, matrix.values / _nonzero(matrix.row_sums())[matrix.pattern.rows])


def normalize_columns(matrix: SparseMatrix) -> SparseMatrix:
    """Return ``A D^-1``, columns that sum to one: each node hands out what it has. Empty columns stay zero."""
    return SparseMatrix(matrix.pattern, matrix.values / _nonzero(matrix.transpose().row_sums())[matrix.pattern.columns])


def normalize_symmetric(matrix: SparseMatrix) -> SparseMatrix:
    """Return ``D^-1/2 A D^-1/2`` of a symmetric matrix; nodes without edges stay zero.

    Reference:
        [kipf2017gcn], equation 2, without the self-loops; see ``add_self_loops``.
    """
    _check_square(matrix)
    root = _nonzero(matrix.row_sums()).sqrt()
    return SparseMatrix(matrix.pattern, matrix.values / root[matrix.pattern.rows] / root[matrix.pattern.columns])


def add_self_loops(matrix: SparseMatrix, weight: float = 1.0) -> SparseMatrix:
    """Return ``A + weight I``."""
    _check_square(matrix)
    nodes = torch.arange(matrix.shape[0], device=matrix.values.device)
    return _add(matrix, torch.stack([nodes, nodes]), matrix.values.new_full((len(nodes),), weight), "sum")


def symmetrize(matrix: SparseMatrix, how: Literal["mean", "max"] = "mean") -> SparseMatrix:
    """Return ``(A + A^T) / 2``, or the larger of A and its transposed, entry by entry, a missing entry being zero.

    ``max`` is meant for affinities: negative values raise ``ShapeError``.
    """
    _check_square(matrix)
    if how == "max" and bool((matrix.values < 0).any()):
        raise ShapeError("symmetrize: 'max' needs values >= 0")
    flipped = matrix.transpose()
    half = 0.5 if how == "mean" else 1.0
    halved = SparseMatrix(matrix.pattern, half * matrix.values)
    return _add(halved, edges_of(flipped), half * flipped.values, "sum" if how == "mean" else "amax")


def laplacian(matrix: SparseMatrix) -> SparseMatrix:
    """Return ``D - A``: rows sum to zero, positive semi-definite for symmetric non-negative A."""
    _check_square(matrix)
    nodes = torch.arange(matrix.shape[0], device=matrix.values.device)
    negative = SparseMatrix(matrix.pattern, -matrix.values)
    return _add(negative, torch.stack([nodes, nodes]), matrix.row_sums(), "sum")


def edges_of(matrix: SparseMatrix) -> Tensor:
    """Return the ``(2, M)`` int64 rows and columns of the entries."""
    return torch.stack([matrix.pattern.rows, matrix.pattern.columns.long()])


def _add(matrix: SparseMatrix, edges: Tensor, weights: Tensor, duplicates: Literal["sum", "amax"]) -> SparseMatrix:
    """Return a matrix with further entries, merged with those that it has."""
    merged = torch.cat([edges_of(matrix), edges], dim=1)
    return matrix_from_edges(merged, torch.cat([matrix.values, weights]), matrix.shape, duplicates=duplicates)


def _nonzero(sums: Tensor) -> Tensor:
    """Return sums to divide by, 1 where they are 0; a negative sum cannot be normalised."""
    if bool((sums < 0).any()):
        raise ShapeError(f"matrix: a row sums to {float(sums.min()):.3g}; normalisation needs sums >= 0")
    return torch.where(sums > 0, sums, 1)


def _check_square(matrix: SparseMatrix) -> None:
    if matrix.shape[0] != matrix.shape[1]:
        raise ShapeError(f"matrix: expected as many rows as columns, got {matrix.shape}")

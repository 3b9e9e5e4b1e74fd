"""From affinity maps and features to a pixel graph."""

import math

import torch
from torch import Tensor

from weakseg.artifacts import PixelGraph
from weakseg.checks import check_rank, check_same_size, check_within
from weakseg.ops.stencil import Offset, stencil_matrix
from weakseg.settings.graph import Norm

SMALLEST_NORM = 1e-12


def build_pixel_graph(
    features: Tensor, affinity: Tensor, offsets: tuple[Offset, ...], *, self_affinity: float = 1.0
) -> PixelGraph:
    """Return the graph of one image.

    Args:
        features: ``(D, h, w)`` float.
        affinity: ``(P, h, w)`` in [0, 1]: of each cell and its neighbour at each offset; the graph is symmetric.
        offsets: P offsets of a half plane.
        self_affinity: Of each cell and itself.

    Raises:
        ShapeError: If the grids differ, or a value is negative or not finite.
    """
    check_rank("features", features, 3, "(D, h, w)")
    check_same_size("features", features.shape[1:], "affinity", affinity.shape[1:])
    matrix = stencil_matrix(affinity, offsets, diagonal=self_affinity)
    return PixelGraph(features.flatten(1).T, (features.shape[1], features.shape[2]), matrix)


def normalize_nodes(features: Tensor, norm: Norm) -> Tensor:
    """Return ``(N, D)`` features of nodes, each divided by its sum (``l1``) or by its length (``l2``); zeros stay.

    Raises:
        ShapeError: If ``l1`` is asked for and a feature is negative.

    Reference:
        [zhang2021a2gnn], equation 14, for ``l1``.
    """
    check_rank("features", features, 2, "(N, D)")
    if norm == "l1":
        check_within("features (norm 'l1'; use 'l2' for signed ones)", features, 0, math.inf)
    sizes = torch.linalg.vector_norm(features, ord=1 if norm == "l1" else 2, dim=1, keepdim=True)
    normalized: Tensor = features / sizes.clamp(min=SMALLEST_NORM)
    return normalized

"""From affinity maps and features to a pixel graph."""

from torch import Tensor

from weakseg.artifacts import PixelGraph
from weakseg.checks import check_rank, check_same_size
from weakseg.ops.stencil import Offset, stencil_matrix


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

"""Graphs of an image: which nodes there are, which of them are joined, and how strongly."""

from typing import TYPE_CHECKING

from weakseg.lazy import imported_late

__all__ = [
    "boundary_affinity",
    "build_pixel_graph",
    "color_position_weights",
    "feature_distance",
    "knn_graph",
    "nearest_neighbors",
]

if TYPE_CHECKING:
    from weakseg.graph.boundary import boundary_affinity
    from weakseg.graph.feature_affinity import color_position_weights, feature_distance
    from weakseg.graph.knn import knn_graph, nearest_neighbors
    from weakseg.graph.pixel_graph import build_pixel_graph

__getattr__ = imported_late(
    __name__,
    {
        "boundary_affinity": "boundary",
        "build_pixel_graph": "pixel_graph",
        "color_position_weights": "feature_affinity",
        "feature_distance": "feature_affinity",
        "knn_graph": "knn",
        "nearest_neighbors": "knn",
    },
)

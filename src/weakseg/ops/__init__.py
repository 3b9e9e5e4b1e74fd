"""Pure tensor functions: no files, no configuration, no modules, nothing in place."""

from typing import TYPE_CHECKING

from weakseg.lazy import imported_late

__all__ = [
    "GridReadout",
    "RegionReadout",
    "additive_attention",
    "block_diagonal",
    "build_crf",
    "build_tiles",
    "confident_trimap",
    "cosine_attention",
    "dense_crf",
    "dense_crf_energy",
    "edge_cosine",
    "edge_dot",
    "edge_softmax",
    "fuse_scores",
    "gated_crf_energy",
    "grid_places",
    "half_disc",
    "half_square",
    "laplacian_energy",
    "matrix_from_edges",
    "merge_confident",
    "neighborhood_attention",
    "stencil_matrix",
    "stencil_weights",
    "suppress_boundaries",
    "walk_maps",
    "walk_scores",
]

if TYPE_CHECKING:
    from weakseg.ops.crf import build_crf, dense_crf
    from weakseg.ops.fuse import fuse_scores
    from weakseg.ops.labels import merge_confident
    from weakseg.ops.laplacian import dense_crf_energy, gated_crf_energy, laplacian_energy
    from weakseg.ops.neighborhood import edge_cosine, edge_softmax, neighborhood_attention
    from weakseg.ops.readout import GridReadout, RegionReadout
    from weakseg.ops.sparse import block_diagonal, matrix_from_edges
    from weakseg.ops.sparse_product import edge_dot
    from weakseg.ops.stencil import half_disc, half_square, stencil_matrix, stencil_weights
    from weakseg.ops.tile_attention import additive_attention, cosine_attention
    from weakseg.ops.tiles import build_tiles, grid_places
    from weakseg.ops.trimap import confident_trimap
    from weakseg.ops.walk import suppress_boundaries, walk_maps, walk_scores

__getattr__ = imported_late(
    __name__,
    {
        "GridReadout": "readout",
        "RegionReadout": "readout",
        "additive_attention": "tile_attention",
        "block_diagonal": "sparse",
        "build_crf": "crf",
        "build_tiles": "tiles",
        "confident_trimap": "trimap",
        "cosine_attention": "tile_attention",
        "dense_crf": "crf",
        "dense_crf_energy": "laplacian",
        "edge_cosine": "neighborhood",
        "edge_dot": "sparse_product",
        "edge_softmax": "neighborhood",
        "fuse_scores": "fuse",
        "gated_crf_energy": "laplacian",
        "grid_places": "tiles",
        "half_disc": "stencil",
        "half_square": "stencil",
        "laplacian_energy": "laplacian",
        "matrix_from_edges": "sparse",
        "merge_confident": "labels",
        "neighborhood_attention": "neighborhood",
        "stencil_matrix": "stencil",
        "stencil_weights": "stencil",
        "suppress_boundaries": "walk",
        "walk_maps": "walk",
        "walk_scores": "walk",
    },
)

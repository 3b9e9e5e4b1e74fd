"""IRNet's propagation: activations walk within the boundaries."""

import torch
from torch import Tensor

from weakseg.artifacts import Activations, Scores
from weakseg.graph.boundary import boundary_affinity
from weakseg.ops.resample import resize_maps
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import suppress_boundaries, walk_scores
from weakseg.settings.walk import BoundaryWalkConfig


def walk_activations(activations: Activations, boundary: Tensor, config: BoundaryWalkConfig) -> Scores:
    """Return scores of the background and of the classes after the walk.

    Args:
        activations: ``(K, h, w)``; without any class all is background.
        boundary: ``(h, w)`` in [0, 1].
        config: Walk and background.

    Returns:
        ``(K + 1, h, w)``: the constant background, and ``walk(M (1 - B))`` divided by its maximum at full size; all
        divided by the largest where that is above 1, as a cell may be more than any pixel between cells.

    Reference:
        [ahn2019irnet], section 5.1 and its code.
    """
    size = (boundary.shape[0], boundary.shape[1])
    if not activations.class_ids:
        return Scores(torch.ones(1, *size), (0,), activations.image_size)
    offsets = half_disc(config.radius_cells)
    affinity = boundary_affinity(boundary, offsets)
    start = suppress_boundaries(activations.values, boundary)
    walked = walk_scores(start, affinity, offsets, beta=config.beta, steps=config.steps, error=config.error)
    peak = resize_maps(walked, activations.image_size).amax((1, 2), keepdim=True)
    scaled = walked / ((peak if config.scaled_by == "class" else peak.max()) + 1e-5)
    stack = torch.cat([torch.full_like(scaled[:1], config.background), scaled])
    return Scores(stack / stack.max().clamp(min=1), (0, *activations.class_ids), activations.image_size)

"""From activations, class boundaries and displacements to objects."""

import torch
from torch import Tensor

from weakseg.artifacts import Activations
from weakseg.checks import check_same_size
from weakseg.graph.boundary import boundary_affinity
from weakseg.nn.pairs.boundary import GRID_STRIDE, BoundaryMaps
from weakseg.ops.cam import grid_size
from weakseg.ops.centroids import Detections, detections, find_centroids, group_cells, split_by_groups
from weakseg.ops.resample import resize_maps
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import suppress_boundaries, walk_scores
from weakseg.settings.instances import InstanceConfig


def find_instances(
    activations: Activations, maps: BoundaryMaps, config: InstanceConfig, *, device: str = "cpu"
) -> Detections:
    """Return the objects of an image: activations, split by the centre they point to, walk up to the boundaries.

    Args:
        activations: Of the classes that are present, on a grid of one cell for four pixels; without any there are no
            objects.
        maps: Of the same image alone: B = 1.
        config: Centres, walk and background.
        device: Where the walk runs.

    Returns:
        Objects with ``(H, W)`` masks, on the CPU. Scores are relative to the image's best: the walked maps are divided
        by the one largest value of all of them.

    Raises:
        ShapeError: If activations and maps are of different grids.

    Reference:
        [ahn2019irnet], instance labels; one scale for all classes is that of its code.
    """
    check_same_size("activations", activations.values.shape[1:], "boundary maps", maps.field.shape[2:])
    check_same_size("grid", maps.field.shape[2:], "image in cells", grid_size(activations.image_size, GRID_STRIDE))
    field = maps.field[0].detach().float().to(device)
    centroids = find_centroids(field, iterations=config.iterations)
    groups = group_cells(field, centroids, weak_below=config.weak_below)
    split = split_by_groups(activations.values.to(device), groups)
    class_ids = torch.tensor(activations.class_ids, dtype=torch.long).repeat_interleave(int(groups.max()) + 1)
    boundary = torch.sigmoid(maps.logits[0, 0].detach().float().to(device))
    shown = split.amax((1, 2)) > 0  # a map of zeros stays one
    walked = _walked(split[shown], boundary, config)
    enlarged, chosen = _enlarged(walked, activations.image_size, config.background)
    ids = class_ids[shown.cpu()][chosen].tolist()
    return detections(enlarged, ids, background=config.background, min_fraction=config.min_fraction)


def _walked(maps: Tensor, boundary: Tensor, config: InstanceConfig) -> Tensor:
    """Return ``(M, h, w)`` maps after the walk, on the CPU."""
    offsets = half_disc(config.radius_cells)
    inside = suppress_boundaries(maps, boundary)
    affinity = boundary_affinity(boundary, offsets)
    return walk_scores(inside, affinity, offsets, beta=config.beta, steps=config.steps, error=config.error).cpu()


def _enlarged(maps: Tensor, size: tuple[int, int], background: float) -> tuple[Tensor, Tensor]:
    """Return those of ``(M, h, w)`` maps that can win anywhere, at the image's size over their maximum, and which.

    Interpolation adds no maximum, so what stays below the background of the best map's maximum on the grid never wins;
    a photograph may have hundreds of groups.
    """
    if not maps.numel() or float(maps.max()) <= 0:
        return maps.new_zeros(0, *size), torch.zeros(0, dtype=torch.long)
    peaks = maps.amax((1, 2))
    top = _at_image_size(maps[peaks.argmax()][None], size).max()
    chosen = (peaks >= background * top).nonzero().flatten()
    enlarged = _at_image_size(maps[chosen], size).clamp(min=0)
    return enlarged / enlarged.max().clamp(min=torch.finfo(enlarged.dtype).tiny), chosen


def _at_image_size(maps: Tensor, size: tuple[int, int]) -> Tensor:
    grid = (GRID_STRIDE * maps.shape[1], GRID_STRIDE * maps.shape[2])
    return resize_maps(maps, grid)[:, : size[0], : size[1]]

"""Superpixels as nodes: their outlines, who touches whom, the mean of a feature map in each, and painting back."""

import numpy as np
import torch
from torch import Tensor

from weakseg.checks import check_rank, check_rgb_uint8
from weakseg.errors import ShapeError
from weakseg.ops.resample import bilinear_taps
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges

INTEGERS = (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64)


def slic_regions(image: Tensor, num_regions: int = 400, *, compactness: float = 10.0) -> Tensor:
    """Return the SLIC superpixels of an image: connected regions of similar colour.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        num_regions: About how many; >= 1.
        compactness: How much nearness counts against likeness of colour; > 0.

    Returns:
        ``(H, W)`` int64 in {0..R-1}, each at least once.

    Raises:
        ShapeError: If ``image`` is no RGB uint8 image or a parameter is out of range.

    Reference:
        [achanta2012slic], in scikit-image.
    """
    check_rgb_uint8("image", image)
    if 0 in image.shape or num_regions < 1 or not compactness > 0:
        got = f"{tuple(image.shape)}, {num_regions}, {compactness}"
        raise ShapeError(f"image, num_regions, compactness: expected pixels, >= 1 and > 0, got {got}")
    from skimage.segmentation import slic  # with scipy a second, which boxes can do without

    labels = slic(image.cpu().numpy(), n_segments=num_regions, compactness=compactness, start_label=0)
    _, regions = np.unique(labels, return_inverse=True)
    return torch.from_numpy(regions.reshape(labels.shape)).long().to(image.device)


def region_adjacency(regions: Tensor) -> SparseMatrix:
    """Return which regions touch in the 8-neighbourhood.

    Args:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.

    Returns:
        ``(R, R)``, float32 ones, symmetric, no diagonal.

    Raises:
        ShapeError: If ``regions`` is not as above.

    Reference:
        [pu2018graphnet], as described in [zhang2021a2gnn].
    """
    count = len(_region_sizes(regions))
    labels = regions.long()
    pairs = (
        (labels[:, 1:], labels[:, :-1]),
        (labels[1:], labels[:-1]),
        (labels[1:, 1:], labels[:-1, :-1]),
        (labels[1:, :-1], labels[:-1, 1:]),
    )
    edges = torch.cat([torch.stack([first.flatten(), second.flatten()]) for first, second in pairs], dim=1)
    edges = edges[:, edges[0] != edges[1]]
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    return matrix_from_edges(edges, torch.ones(edges.shape[1], device=edges.device), (count, count), duplicates="amax")


def region_pooling(regions: Tensor, grid: tuple[int, int], *, dtype: torch.dtype = torch.float32) -> SparseMatrix:
    """Return the matrix M for which ``M @ F`` is the mean, over each region's pixels, of F resized to the image.

    F is ``(h * w, C)``, resized bilinearly without corner alignment; the resized map itself is never made.

    Args:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.
        grid: ``(h, w)`` of F, each at least 1.
        dtype: float32 or float64, that of F.

    Returns:
        ``(R, h * w)``, non-negative; rows sum to one.

    Raises:
        ShapeError: If ``regions`` or ``grid`` is not as above.

    Reference:
        [pu2018graphnet], node features; exact as an average of bilinear weights.
    """
    sizes = _region_sizes(regions)
    if min(grid) < 1:
        raise ShapeError(f"grid: expected at least (1, 1), got {grid}")
    (row, row_weight), (column, column_weight) = (
        bilinear_taps(regions.shape[axis], grid[axis], regions.device) for axis in (0, 1)
    )
    cells = row[:, None, :, None] * grid[1] + column[None, :, None, :]  # (H, W, k, k)
    weights = row_weight[:, None, :, None] * column_weight[None, :, None, :] / sizes[regions.long()][:, :, None, None]
    owners = regions.long()[:, :, None, None].expand_as(cells)
    kept = weights > 0
    edges = torch.stack([owners[kept], cells[kept]])
    pooled = matrix_from_edges(edges, weights[kept], (len(sizes), grid[0] * grid[1]))
    return SparseMatrix(pooled.pattern, pooled.values.to(dtype))


def paint_regions(regions: Tensor, values: Tensor) -> Tensor:
    """Return ``(C, H, W)``: every pixel with the values of its region; gradients flow through them.

    Args:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.
        values: ``(R, C)``.

    Raises:
        ShapeError: If ``values`` is not one row a region.
    """
    count = len(_region_sizes(regions))
    if values.ndim != 2 or len(values) != count:
        raise ShapeError(f"values: expected one row for each of {count} regions, got {tuple(values.shape)}")
    return values.T[:, regions.long()]


def _region_sizes(regions: Tensor) -> Tensor:
    """Return the number of pixels ``(R,)`` of each region, checked to be at least one."""
    check_rank("regions", regions, 2, "(H, W)")
    if regions.dtype not in INTEGERS or not regions.numel() or int(regions.min()) < 0:
        raise ShapeError(f"regions: expected labels from 0 up, got {regions.dtype} {tuple(regions.shape)}")
    sizes = regions.long().flatten().bincount()
    if bool((sizes == 0).any()):
        missing = int((sizes == 0).int().argmax())
        raise ShapeError(f"regions: label {missing} has no pixel; number them 0..R-1")
    return sizes

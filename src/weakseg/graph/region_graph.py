"""Which of the superpixels that touch are alike enough for an edge, and what seeds say of whole superpixels."""

import torch
from torch import Tensor

from weakseg.checks import check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.labels import UNDECIDED
from weakseg.ops.normalize import add_self_loops, symmetrize
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.settings.graph import EdgeRule


def region_affinity(features: Tensor, adjacency: SparseMatrix) -> SparseMatrix:
    """Return ``w_ij = exp(-|f_i - f_j|_1 / (2 D))`` for regions that touch.

    Args:
        features: ``(R, D)`` float.
        adjacency: ``(R, R)``, see ``weakseg.graph.superpixel.region_adjacency``.

    Returns:
        ``(R, R)`` in (0, 1], no diagonal.

    Reference:
        [pu2018graphnet], as left over in the code of [zhang2021a2gnn].
    """
    check_same_size("adjacency", adjacency.shape, "regions", (len(features),) * 2)
    pattern = adjacency.pattern
    apart = (features[pattern.rows] - features[pattern.columns.long()]).abs().mean(1)
    return SparseMatrix(pattern, torch.exp(-apart / 2))


def region_distance(features: Tensor, adjacency: SparseMatrix) -> SparseMatrix:
    """Return ``E_ij = exp(-mean_d |f_id - f_jd|)`` for regions that touch, and 1 for a region and itself.

    What ``weakseg.graph.feature_affinity`` is for cells; arguments as for ``region_affinity``.

    Reference:
        [zhang2021a2gnn], superpixels with feature distance in its table of graphs; equation 8 on their mean features.
    """
    alike = region_affinity(features, adjacency)
    return add_self_loops(SparseMatrix(alike.pattern, alike.values.square()))


def select_edges(affinity: SparseMatrix, rule: EdgeRule = "threshold", *, least: float = 0.0) -> SparseMatrix:
    """Return the kept edges as ones, both ways, with self-loops.

    Args:
        affinity: ``(R, R)`` of regions that touch, symmetric.
        rule: ``threshold``: an affinity of ``least`` or more. ``helper``: one of ``|mean - std|`` of all R x R entries,
            zeros included, or the largest of its row.
        least: For ``threshold``.

    Returns:
        ``(R, R)`` float ones.

    Reference:
        [pu2018graphnet], as described in [zhang2021a2gnn]; ``helper`` as left over in its code.
    """
    values, rows, size = affinity.values, affinity.pattern.rows, affinity.shape[0]
    if rule == "threshold":
        kept = values >= least
    else:
        mean = values.sum() / size**2
        deviation = (values.square().sum() / size**2 - mean.square()).clamp(min=0).sqrt()
        largest = values.new_zeros(size).scatter_reduce(0, rows, values, "amax")
        kept = (values >= (mean - deviation).abs()) | (values == largest[rows])
    edges = torch.stack([rows[kept], affinity.pattern.columns.long()[kept]])
    return add_self_loops(symmetrize(matrix_from_edges(edges, torch.ones_like(values[kept]), affinity.shape), "max"))


def majority_labels(regions: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the label that most labelled pixels of each region have, 255 where none has one or two are as many.

    Args:
        regions: ``(H, W)`` integer in {0..R-1}, each at least once.
        labels: ``(H, W)`` uint8, 255 undecided.

    Returns:
        ``(R,)`` uint8, and the number ``(R,)`` int64 of pixels that say so, 0 where it is 255.
    """
    check_same_size("labels", labels.shape, "regions", regions.shape)
    if labels.dtype != torch.uint8:
        raise ShapeError(f"labels: expected uint8, got {labels.dtype}")
    known = labels != UNDECIDED
    count = int(regions.max()) + 1
    votes = torch.bincount(regions[known].long() * 256 + labels[known].long(), minlength=count * 256).reshape(
        count, 256
    )
    best = votes.argmax(1)
    most = votes.amax(1)
    decided = (most > 0) & ((votes == most[:, None]).sum(1) == 1)
    return torch.where(decided, best, UNDECIDED).to(torch.uint8), torch.where(decided, most, 0)

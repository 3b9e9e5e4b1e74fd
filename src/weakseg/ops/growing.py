"""Labels of cells that grow from seeds: what cells are told apart by, and who claims which of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.ndimage import label as connected_regions
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.harmonic import harmonic_labels
from weakseg.ops.mincut import min_cut, terminal_links
from weakseg.ops.sparse import SparseMatrix

UNDECIDED = 255
Claims = Mapping[int, Tensor]


class Thresholds(NamedTuple):
    """What the confidence of a cell that is no seed has to exceed, in [0, 1].

    Attributes:
        foreground: For a class.
        background: For the background.
    """

    foreground: float
    background: float

    def of(self, label: int) -> float:
        """Return that of a label."""
        return self.foreground if label else self.background


def node_features(
    levels: Sequence[Tensor],
    size: tuple[int, int],
    *,
    norm: Literal["per_stage", "none", "global"] = "per_stage",
    position_weight: float = 0.0,
) -> Tensor:
    """Return one feature vector a cell: all levels, each resized bilinearly to ``size``, one behind the other.

    Args:
        levels: ``(B, C_l, h_l, w_l)`` feature maps of the stages of a backbone.
        size: (rows, columns) of the cells; N is their product.
        norm: The features of each level at a cell get length one, all together get it, or nothing does.
        position_weight: Two more features are x and y of the cell, divided by the longer side, times this; 0: none.

    Returns:
        ``(B, N, sum of C_l, and 2)`` float32, without gradient.

    Reference:
        [feng2021dgcn], the node features. The norm is our reading: raw stages differ by orders of magnitude.
    """
    resized = [F.interpolate(x.detach().float(), size, mode="bilinear", align_corners=False) for x in levels]
    if norm == "per_stage":
        resized = [F.normalize(x, dim=1) for x in resized]
    maps = torch.cat(resized, 1)
    if norm == "global":
        maps = F.normalize(maps, dim=1)
    if position_weight:
        places = [torch.arange(count, device=maps.device) * (position_weight / max(size)) for count in size]
        y, x = torch.meshgrid(*places, indexing="ij")
        maps = torch.cat([maps, torch.stack([x, y]).to(maps.dtype).expand(len(maps), -1, -1, -1)], 1)
    return maps.flatten(2).transpose(1, 2).contiguous()


def cell_seeds(labels: Tensor, size: tuple[int, int], *, corners: bool = False) -> Tensor:
    """Return the seed of each cell: what most of its pixels have; undecided counts as one, and yields to equals.

    A label that has pixels but would have no cell gets the cell where it has most, the rarest label first; no cell is
    given twice.

    Args:
        labels: ``(H, W)`` int64 in {0..K, 255}.
        size: (rows, columns) of the cells.
        corners: Whether corner cells lie on corner pixels, or cells cover the image.

    Returns:
        ``size`` int64 in {0..K, 255}.
    """
    rows, columns = (_cell_of(length, count, corners) for length, count in zip(labels.shape, size, strict=True))
    pixels = labels.cpu().numpy()
    found = np.flatnonzero(np.bincount(pixels.ravel()))
    which = np.zeros(UNDECIDED + 1, np.int64)
    which[found] = np.arange(len(found))
    cells = rows[:, None] * size[1] + columns
    codes = (cells * len(found) + which[pixels]).ravel()
    counts = np.bincount(codes, minlength=size[0] * size[1] * len(found)).reshape(-1, len(found))
    best = counts.argmax(1)
    missing = [i for i in range(len(found)) if found[i] != UNDECIDED and not (best == i).any()]
    for index in sorted(missing, key=lambda i: int(counts[:, i].sum())):
        cell = counts[:, index].argmax()
        if counts[cell, index]:
            best[cell] = index
            counts[cell] = 0  # no other takes it
    return torch.from_numpy(found[best].reshape(size)).to(labels.device)


def cut_claims(
    graph: SparseMatrix, confidence: Tensor, seeds: Tensor, label_ids: Iterable[int], *, as_printed: bool = False
) -> Claims:
    """Return for each label the nodes on its side of a minimum cut, where its seeds hang on one terminal, all others'
    on the other.

    Args:
        graph: ``(N, N)`` capacities between neighbours.
        confidence: ``(L, N)`` float in [0, 1]: H.
        seeds: ``(N,)`` int64 in {0..L - 1, 255}.
        label_ids: Labels to make a cut for, each with a seed.
        as_printed: See ``terminal_links``.

    Returns:
        ``(N,)`` bool of each label.

    Raises:
        ShapeError: If a label has no seed: its cut would be that of the probabilities alone.

    Reference:
        [feng2021dgcn], the graph cut.
    """
    claims = {}
    for label in label_ids:
        own = seeds == label
        if not own.any():
            raise ShapeError(f"seeds: label {label} has none, so nothing holds its side of the cut; leave it out")
        others = (seeds != UNDECIDED) & ~own
        links = terminal_links(confidence[label], own, others, graph, as_printed=as_printed)
        claims[label] = min_cut(graph, *links).foreground
    return claims


def harmonic_claims(graph: SparseMatrix, seeds: Tensor) -> Claims:
    """Return for each seeded label the nodes from which random walks meet it first most often.

    Nodes of parts of the graph without a seed are nobody's; of equal labels the lower one wins.

    Args:
        graph: ``(N, N)`` symmetric, non-negative.
        seeds: ``(N,)`` int64 in {0..K, 255}, one seed at least.

    Reference:
        [grady2006randomwalks], equation 8.
    """
    arrays = (graph.values, graph.pattern.columns, graph.pattern.row_starts)
    links = csr_array(tuple(array.cpu().numpy() for array in arrays), shape=graph.shape)
    _, part = connected_components(links, directed=False)
    reached = torch.from_numpy(np.isin(part, part[(seeds != UNDECIDED).cpu().numpy()])).to(seeds.device)
    label_ids, own = torch.unique(seeds[seeds != UNDECIDED], return_inverse=True)
    numbers = torch.full_like(seeds, UNDECIDED)
    numbers[seeds != UNDECIDED] = own
    kept = reached.nonzero().flatten()
    winner = torch.full_like(seeds, UNDECIDED)
    winner[kept] = label_ids[harmonic_labels(_among(graph, kept), numbers[kept], len(label_ids)).argmax(1)]
    return {int(label): winner == label for label in label_ids}


def accepted(claims: Claims, confidence: Tensor, seeds: Tensor, thresholds: Thresholds) -> Tensor:
    """Return the seeds, and the nodes that a label claims with a confidence above its threshold.

    A seed keeps its label whoever claims it. Of several claims the most confident counts.

    Args:
        claims: ``(N,)`` bool of each label.
        confidence: ``(L, N)`` float in [0, 1].
        seeds: ``(N,)`` int64 in {0..L - 1, 255}.
        thresholds: Of background and classes; at 1 nothing is added to the seeds.

    Returns:
        ``(N,)`` int64 in {0..L - 1, 255}.

    Reference:
        [feng2021dgcn], the two conditions. Differs from the paper: seeds are exempt, or nothing could start.
    """
    labels, most = seeds.clone(), confidence.new_zeros(len(seeds))
    for label, claimed in claims.items():
        sure = confidence[label]
        better = (seeds == UNDECIDED) & claimed & (sure > thresholds.of(label)) & (sure > most)
        labels, most = torch.where(better, label, labels), torch.where(better, sure, most)
    return labels


def region_labels(refined: Tensor, seeds: Tensor, present: Iterable[int], thresholds: Thresholds) -> Tensor:
    """Return the seeds, and regions of confident cells of one label that touch or hold a seed of it.

    Among the labels ``present`` and the background, a cell whose best one is above its threshold has that label, else
    its seed's. Of the cells that have a label, less the seeds of others, each 8-connected region with a seed is kept.

    Args:
        refined: ``(L, h, w)`` float in [0, 1].
        seeds: ``(h, w)`` int64 in {0..L - 1, 255}.
        present: Classes of the image.
        thresholds: Of background and classes.

    Returns:
        ``(h, w)`` int64 in {0..L - 1, 255}.

    Reference:
        [huang2018dsrg], section 3.2, in the order of its code. A cell has one seed here, where several could be had.
    """
    check_rank("refined", refined, 3, "(L, h, w)")
    check_same_size("refined", refined.shape[1:], "seeds", seeds.shape)
    label_ids = torch.tensor([0, *sorted(set(present) - {0})], device=refined.device)
    sure, best = refined[label_ids].max(0)
    best = label_ids[best]
    limits = torch.where(best == 0, thresholds.background, thresholds.foreground)
    candidates, grown = torch.where(sure > limits, best, seeds), seeds.clone()
    for label in label_ids.tolist():
        own = seeds == label
        free = (candidates == label) & (own | (seeds == UNDECIDED))
        regions, _ = connected_regions(free.cpu().numpy(), np.ones((3, 3)))
        kept = np.isin(regions, regions[own.cpu().numpy() & (regions > 0)])
        grown[torch.from_numpy(kept).to(grown.device)] = label
    return grown


def _cell_of(length: int, count: int, corners: bool) -> NDArray[np.int64]:
    """Return the cell that each pixel along an axis belongs to."""
    pixels = np.arange(length)
    if not corners:
        return pixels * count // length
    return (pixels * ((count - 1) / max(length - 1, 1)) + 0.5).astype(np.int64)


def _among(graph: SparseMatrix, nodes: Tensor) -> SparseMatrix:
    """Return the graph of some of the nodes, in increasing order, which have no edge to others."""
    if len(nodes) == graph.shape[0]:
        return graph
    rows = graph.take_rows(nodes)
    place = torch.full((graph.shape[0],), -1, dtype=torch.int32, device=nodes.device)
    place[nodes] = torch.arange(len(nodes), dtype=torch.int32, device=nodes.device)
    columns = place[rows.pattern.columns.long()]
    return SparseMatrix(type(rows.pattern)(rows.pattern.row_starts, columns, len(nodes)), rows.values)

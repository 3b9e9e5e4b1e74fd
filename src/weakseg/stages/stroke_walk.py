"""From points and scribbles to seeds: where a random walk from them leads, and what has the colours of that.

Not from a paper: walks are those of [grady2006randomwalks], colour models those of [rother2004grabcut].
"""

from dataclasses import replace

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, LabelMap, PixelGraph
from weakseg.checks import check_rgb_uint8
from weakseg.data.annotations import Drawn
from weakseg.feature_maps import FeatureMaps
from weakseg.ops.raster import raster_lines
from weakseg.ops.resample import block_means, image_tensor, resize_image, resize_labels, resize_maps, scaled_size
from weakseg.settings.stroke_seeds import StrokeSeedConfig
from weakseg.settings.stroke_walk import StrokeWalkConfig
from weakseg.stages.build_graph import free_graph
from weakseg.stages.grab_cut import LIKELY_OBJECT, LIKELY_REST, SURE_OBJECT, SURE_REST, grab_cut
from weakseg.stages.stroke_seeds import raster_strokes

CLUSTER_SEED = 0  # of the k-means of colours
CELLS_A_GAUSSIAN = 10  # fewer cells get fewer Gaussians
COLOR_NOISE = 20.0  # variance of CIELAB colours that every Gaussian has at least
CLUSTERING = (cv2.TERM_CRITERIA_MAX_ITER | cv2.TERM_CRITERIA_EPS, 10, 0.1)
RATIO_LIMIT = 6.0  # colours say no more than exp(6) : 1
UNSURE = 0.02  # added to the probabilities of walks
SWEEPS = 5  # over neighbours, for each fit of the colours


def walk_seeds(
    drawn: Drawn,
    image: NDArray[np.uint8],
    strokes: StrokeSeedConfig,
    config: StrokeWalkConfig,
    *,
    graph: PixelGraph | None = None,
) -> LabelMap:
    """Return the label of every pixel that strokes, walks from them, and cuts around what these reach say.

    Args:
        drawn: Points and scribbles; without any in the photograph nothing is decided.
        image: ``(H, W, 3)`` uint8.
        strokes: Width of scribbles, and what contested pixels are.
        config: Walk, colours and cuts.
        graph: From ``walk_graph_of`` the same image and settings, where it is used again.
    """
    check_rgb_uint8("image", image)
    size = (image.shape[0], image.shape[1])
    small = resize_image(image, scaled_size(size, 1.0, max_side=config.graph.max_side))
    working = (small.shape[0], small.shape[1])
    annotated = mark_strokes(drawn, size, strokes, config)
    label_ids = sorted({0, *np.unique(annotated).tolist()} - {UNDECIDED})
    if (annotated == UNDECIDED).all():
        return LabelMap(annotated)
    graph = graph or walk_graph_of(image, config)
    if not drawn.scribbles:
        config = replace(config, background_share=config.point_share)
    seeds = cell_seeds(annotated, label_ids, graph.size, config.graph.stride * size[0] / working[0])
    probs = walk_labels(graph, block_means(image_tensor(small), config.graph.stride), seeds, len(label_ids), config)
    maps = resize_maps(probs.T.reshape(len(label_ids), *graph.size).float(), working)
    reached = cut_labels(maps, small, resize_labels(annotated, working), label_ids, config.cuts)
    labels = resize_labels(reached, size)
    return LabelMap(np.where(annotated == UNDECIDED, labels, annotated).astype(np.uint8))


def cut_labels(
    maps: Tensor, image: NDArray[np.uint8], annotated: NDArray[np.uint8], label_ids: list[int], iterations: int
) -> NDArray[np.uint8]:
    """Return the ``(H, W)`` labels after a cut of each object's most probable pixels against the rest.

    A pixel in several cuts, or in none, is of the most probable of their labels, or background.

    Args:
        maps: ``(L, H, W)`` probabilities.
        image: ``(H, W, 3)`` uint8.
        annotated: ``(H, W)`` labels that are sure, 255 elsewhere.
        label_ids: L labels, the background first.
        iterations: Of GrabCut; 0: the most probable label of each pixel.
    """
    ids, best = np.array(label_ids, np.uint8), maps.argmax(0).numpy()
    if not iterations or len(ids) == 1:
        return np.asarray(ids[best])
    pixels, chances = np.ascontiguousarray(image[..., ::-1]), maps.numpy().copy()
    for index, label in list(enumerate(label_ids))[1:]:
        marks = np.where(best == index, LIKELY_OBJECT, LIKELY_REST)
        marks[annotated != UNDECIDED] = SURE_REST
        marks[annotated == label] = SURE_OBJECT
        if 0 < np.isin(marks, (SURE_OBJECT, LIKELY_OBJECT)).sum() < marks.size:  # there is something to cut
            chances[index][~grab_cut(pixels, marks.astype(np.uint8), iterations)] = -1
    objects = ids[chances[1:].argmax(0) + 1]
    return np.where(chances[1:].max(0) > -1, objects, 0).astype(np.uint8)


def walk_graph_of(image: NDArray[np.uint8], config: StrokeWalkConfig, *, maps: FeatureMaps | None = None) -> PixelGraph:
    """Return the graph of an ``(H, W, 3)`` uint8 image that strokes walk on; ``maps`` as of ``free_graph``."""
    return free_graph(image, config.graph, maps=maps)


def mark_strokes(
    drawn: Drawn, size: tuple[int, int], strokes: StrokeSeedConfig, config: StrokeWalkConfig
) -> NDArray[np.uint8]:
    """Return the ``(H, W)`` labels of strokes, of discs around points, and of the photograph's border; 255 elsewhere.

    The border is background where it is far from the strokes of objects; strokes lie on top.
    """
    lines, side = raster_strokes(drawn, size, strokes), max(size)
    inside = [point for point in drawn.points if point.pixel(size) is not None]
    places, classes = [[(point.row, point.column)] for point in inside], [point.class_id for point in inside]
    discs = raster_lines(places, classes, size, width=max(1.0, 2 * config.point_radius * side), contested="undecided")
    marks = np.where(lines == UNDECIDED, discs, lines)
    objects = (marks != UNDECIDED) & (marks != 0)
    if config.border and objects.any():
        border = np.ones(size, np.bool_)
        border[1:-1, 1:-1] = False
        away = cv2.distanceTransform((~objects).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
        marks[border & (away > config.border_gap * side) & (marks == UNDECIDED)] = 0
    return marks.astype(np.uint8)


def cell_seeds(
    annotated: NDArray[np.uint8], label_ids: list[int], size: tuple[int, int], stride: float
) -> NDArray[np.int64]:
    """Return ``(N,)`` index of the label of each cell with annotated pixels, the most frequent; 255 for all others.

    Args:
        annotated: ``(H, W)`` labels, 255 where there is none.
        label_ids: All of them, in order.
        size: (rows, columns) of the cells.
        stride: Pixels a cell.
    """
    rows, columns = np.nonzero(annotated != UNDECIDED)
    label = np.searchsorted(label_ids, annotated[rows, columns])
    place = [
        np.minimum((at / stride).astype(int), length - 1) for at, length in zip((rows, columns), size, strict=True)
    ]
    counts = np.zeros((size[0] * size[1], len(label_ids)), np.int64)
    np.add.at(counts, (place[0] * size[1] + place[1], label), 1)
    return np.where(counts.any(1), counts.argmax(1), UNDECIDED)


def walk_labels(
    graph: PixelGraph, colors: Tensor, seeds: NDArray[np.int64], num_labels: int, config: StrokeWalkConfig
) -> Tensor:
    """Return the probability of each label at each cell.

    With p the probabilities of walks, c_l the likelihood of a cell's colour among those of the cells of label l, and W
    the graph's weights, ``q_l ~ exp(log p_l + a log c_l + b sum_j w_ij q_jl)`` is iterated, colour models and all.

    Args:
        graph: N cells.
        colors: ``(3, h, w)`` RGB on the scale 0..255.
        seeds: ``(N,)`` index of a label, 255 where there is none; index 0 is the background.
        num_labels: L.
        config: Weights.

    Returns:
        ``(N, L)`` float64; rows sum to one.
    """
    from weakseg.ops.harmonic import harmonic_labels  # scipy takes a while, which boxes can do without

    known = torch.from_numpy(seeds)
    prior = torch.log(harmonic_labels(graph.affinity, known, num_labels) + UNSURE)
    prior[:, 0] += np.log(config.background_share / (1 - config.background_share))
    fixed, given = known != UNDECIDED, torch.nn.functional.one_hot(known.clamp(max=num_labels - 1), num_labels).double()
    neighbors, own = graph.affinity, graph.affinity.diagonal().double()[:, None]
    lab = cv2.cvtColor(colors.permute(1, 2, 0).numpy() / 255, cv2.COLOR_RGB2LAB).reshape(-1, 3).astype(np.float64)
    probs = torch.where(fixed[:, None], given, torch.softmax(prior, 1))
    for _ in range(config.iterations):
        evidence = prior + config.color_weight * color_evidence(lab, probs.argmax(1).numpy(), num_labels, config)
        for _ in range(SWEEPS):
            agreed = (neighbors @ probs.to(neighbors.values)).double() - own * probs
            probs = torch.where(fixed[:, None], given, torch.softmax(evidence + config.coherence * agreed, 1))
    return probs


def color_evidence(
    lab: NDArray[np.float64], labels: NDArray[np.int64], num_labels: int, config: StrokeWalkConfig
) -> Tensor:
    """Return ``(N, L)`` log-likelihoods of each colour among those of each label, less that of the likeliest, bounded.

    A label of no cell has the bound.
    """
    found = np.full((len(lab), num_labels), -np.inf)
    for label in np.unique(labels):
        found[:, label] = log_likelihood(lab, lab[labels == label], config.components)
    best = found.max(1, keepdims=True)
    return torch.from_numpy(np.maximum(found - best, -RATIO_LIMIT))


def log_likelihood(colors: NDArray[np.float64], sample: NDArray[np.float64], components: int) -> NDArray[np.float64]:
    """Return the ``(N,)`` log-likelihoods of colours under Gaussians of the clusters of ``(M, 3)`` sample colours."""
    count = max(1, min(components, len(sample) // CELLS_A_GAUSSIAN))
    cluster_of = np.zeros(len(sample), np.int64)
    if count > 1:
        cv2.setRNGSeed(CLUSTER_SEED)
        start = np.zeros((len(sample), 1), np.int32)
        found = cv2.kmeans(sample.astype(np.float32), count, start, CLUSTERING, 1, cv2.KMEANS_PP_CENTERS)[1]
        cluster_of = found[:, 0].astype(np.int64)
    parts = []
    for cluster in range(count):
        own = sample[cluster_of == cluster]
        covariance = np.cov(own.T, bias=True) if len(own) > 1 else np.zeros((3, 3))
        factor = np.linalg.cholesky(covariance + COLOR_NOISE * np.eye(3))
        apart = np.linalg.solve(factor, (colors - own.mean(0)).T)
        share = len(own) / len(sample)
        parts.append(np.log(share) - 0.5 * (apart**2).sum(0) - np.log(np.diag(factor)).sum())
    return np.asarray(np.logaddexp.reduce(parts))

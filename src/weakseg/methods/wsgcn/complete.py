"""From activations and a pixel graph to scores of every cell: partial labels, smoothness, network."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, PixelGraph, Scores
from weakseg.checks import check_same_size
from weakseg.graph.feature_affinity import color_position_weights
from weakseg.methods.wsgcn.batch import GcnProblem
from weakseg.methods.wsgcn.config import GcnConfig, SmoothnessConfig, WsgcnConfig
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.methods.wsgcn.partial import grid_image
from weakseg.nn.graphs.per_image import plan_batches
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.stencil import half_square, stencil_matrix


def build_gcn_problem(
    partial: Tensor,
    image: NDArray[np.uint8],
    graph: PixelGraph,
    label_ids: tuple[int, ...],
    config: SmoothnessConfig,
    *,
    seed: int = 0,
) -> GcnProblem:
    """Return what an image's network is trained on.

    Args:
        partial: ``(h, w)`` uint8 partial labels.
        image: ``(H, W, 3)`` uint8.
        graph: Of the same grid.
        label_ids: Labels that a cell can have, 0 first.
        config: Smoothness.
        seed: Of the image.

    Raises:
        ShapeError: If the grids differ.
    """
    check_same_size("partial labels", tuple(partial.shape), "graph", graph.size)
    index_of = torch.full((256,), UNDECIDED, dtype=torch.int64)
    index_of[list(label_ids)] = torch.arange(len(label_ids))
    labels = index_of[partial.flatten().long()]
    return GcnProblem(graph, smoothness_matrix(image, graph, config), labels, len(label_ids), seed)


def smoothness_matrix(image: NDArray[np.uint8], graph: PixelGraph, config: SmoothnessConfig) -> SparseMatrix:
    """Return the symmetric weights of the Laplacian loss, ``(N, N)``.

    Reference:
        [pan2021wsgcn], section 3.4; constants of its code.
    """
    if config.source == "affinity":
        return graph.affinity
    offsets = half_square(config.window_cells)
    small = torch.from_numpy(grid_image(image, graph.size, config.reduced))
    colors = small.permute(2, 0, 1).to(graph.features.dtype) / 255.0
    weights = color_position_weights(
        colors,
        offsets,
        color_denominator=config.color_denominator,
        position_denominator=config.position_denominator,
    )
    return stencil_matrix(weights, offsets)


class GcnTask(NamedTuple):
    """An image to complete.

    Attributes:
        problem: Its problem.
        label_ids: What the labels of the problem are.
        image_size: (rows, columns) of the photograph.
        decoded: Which of them scores are wanted of; ``None``: all.
    """

    problem: GcnProblem
    label_ids: tuple[int, ...]
    image_size: tuple[int, int]
    decoded: tuple[int, ...] | None = None


def complete_by_gcn(tasks: Sequence[GcnTask], config: WsgcnConfig, *, device: str = "cpu") -> list[Scores]:
    """Return the scores of every cell of some images; their networks are trained together as memory allows."""
    scores: dict[int, Scores] = {}
    for members in choose_batches([task.problem for task in tasks], config.gcn, config.memory_mb):
        solutions = train_gcn([tasks[member].problem for member in members], config.gcn, device=device)
        for member, solution in zip(members, solutions, strict=True):
            scores[member] = _scores(tasks[member], solution.probs)
    return [scores[member] for member in range(len(tasks))]


def _scores(task: GcnTask, probs: Tensor) -> Scores:
    """Return the ``(N, C)`` probabilities of the labels that are wanted; they sum to one where all are."""
    label_ids = task.label_ids if task.decoded is None else task.decoded
    kept = probs[:, [task.label_ids.index(label_id) for label_id in label_ids]]
    return Scores(kept.T.reshape(-1, *task.problem.graph.size).clamp(0, 1), label_ids, task.image_size)


def choose_batches(problems: Sequence[GcnProblem], config: GcnConfig, memory_mb: float) -> list[list[int]]:
    """Return which problems are trained at once: of similar size, within the memory, largest first."""
    return plan_batches([gcn_memory(problem, config) for problem in problems], memory_mb)


def gcn_memory(problem: GcnProblem, config: GcnConfig) -> float:
    """Return the MB, estimated, that a problem takes in training."""
    nodes, labels = problem.num_nodes, problem.num_labels
    numbers = nodes * (2 * problem.graph.features.shape[1] + 6 * config.hidden + 12 * labels)
    entries = 6 * (problem.graph.affinity.pattern.num_entries + problem.smoothness.pattern.num_entries)
    dense = 4 * nodes**2 if config.propagation.kind == "walk_maxsym" else 0
    return 4e-6 * (numbers + entries + dense)

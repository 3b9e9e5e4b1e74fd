"""What A2GNN's networks are trained on in tests: grids with random features, affinities, seeds and boxes."""

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weakseg.artifacts import LabelMap, PixelGraph
from weakseg.data.annotations import Box, Drawn
from weakseg.data.sample import Tags, WeakSample
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.methods.a2gnn.config import A2gnnConfig
from weakseg.methods.a2gnn.problem import A2gnnProblem, build_cell_problem, image_cells
from weakseg.ops.stencil import half_square
from weakseg.settings.graph_network import NetworkConfig, NetworkKind

DOUBLE = torch.float64
KINDS: tuple[NetworkKind, ...] = ("a2gnn", "agnn", "gcn", "gat", "mlp")
SMALL = NetworkConfig(hidden=8, heads=2, dropout=0.0)
STEPS = A2gnnConfig(SMALL, first_steps=10, second_steps=10)
BOXES = (Box(1, 2, 1, 11, 14), Box(2, 5, 9, 40, 40))


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = DOUBLE) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=DOUBLE).to(dtype)


def sample_of(boxes: Sequence[Box] = (), present: Sequence[int] = (1, 2), image_id: str = "a") -> WeakSample:
    return WeakSample(image_id, Path(f"{image_id}.png"), Tags(frozenset(present)), Drawn(tuple(boxes)))


def graph_of(size: tuple[int, int], *, radius: int = 1, seed: int = 0, dtype: torch.dtype = DOUBLE) -> PixelGraph:
    """Return the window graph of a grid, with random features and affinities."""
    features = uniform(6, *size, seed=seed, dtype=dtype)
    offsets = half_square(radius)
    return build_pixel_graph(features, feature_affinity(features, offsets), offsets)


def problem(
    size: tuple[int, int] = (20, 27),
    boxes: Sequence[Box] = (),
    *,
    present: Sequence[int] = (1, 2),
    labels: Sequence[int] = (0, 1, 2, 255, 255),
    config: A2gnnConfig = STEPS,
    seed: int = 0,
    dtype: torch.dtype = DOUBLE,
) -> A2gnnProblem:
    """Return a random problem; ``labels`` are those that occur among its seeds."""
    rng = np.random.default_rng(seed)
    image = rng.integers(100, 140, (*size, 3), dtype=np.uint8)
    seeds = LabelMap(rng.choice(labels, size).astype(np.uint8))
    graph = graph_of((math.ceil(size[0] / 8), math.ceil(size[1] / 8)), seed=seed, dtype=dtype)
    cells = image_cells(image, graph, config)
    return build_cell_problem(sample_of(boxes, present, str(seed)), cells, seeds, config, num_classes=3)

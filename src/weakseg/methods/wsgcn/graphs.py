"""Where WSGCN's graph of an image comes from: learned boundaries, or learned affinities."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import PixelGraph
from weakseg.nn.pairs.boundary import GRID_STRIDE as BOUNDARY_STRIDE
from weakseg.settings.affinity import GRID_STRIDE as AFFINITY_STRIDE
from weakseg.settings.graph import GraphConfig
from weakseg.stages.affinity import load_affinity
from weakseg.stages.boundary import load_boundary
from weakseg.stages.build_graph import affinity_graph, boundary_graph
from weakseg.steps.base import cached


@dataclass(frozen=True)
class GraphSource:
    """A trained network that makes graphs.

    Attributes:
        step: The step that trains it.
        stride: Pixels a cell.
        build: From model file, device, ``(H, W, 3)`` uint8 image and settings to the graph.
    """

    step: str
    stride: int
    build: Callable[[Path, str, NDArray[np.uint8], GraphConfig], PixelGraph]


def _on_boundaries(model: Path, device: str, image: NDArray[np.uint8], config: GraphConfig) -> PixelGraph:
    network, side = cached(load_boundary, model, device)
    return boundary_graph(network, side, image, config)


def _on_affinities(model: Path, device: str, image: NDArray[np.uint8], config: GraphConfig) -> PixelGraph:
    return affinity_graph(cached(load_affinity, model, device), image, config)


BOUNDARY = GraphSource("boundary", BOUNDARY_STRIDE, _on_boundaries)
AFFINITY = GraphSource("affinity", AFFINITY_STRIDE, _on_affinities)

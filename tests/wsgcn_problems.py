"""What WSGCN's networks are trained on in tests: grids with random boundaries, features and labels."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weakseg.artifacts import PixelGraph
from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.methods.wsgcn.batch import GcnProblem
from weakseg.methods.wsgcn.complete import build_gcn_problem
from weakseg.methods.wsgcn.config import SmoothnessConfig
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import affinity_power

FIVE = half_disc(5)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def boundary_graph(boundary: Tensor, *, channels: int = 6, beta: float = 3, seed: int = 0) -> PixelGraph:
    """Return IRNet's graph of a boundary map, with random features."""
    generator = torch.Generator().manual_seed(seed + 100)
    features = torch.randn(channels, *boundary.shape, generator=generator, dtype=torch.float64).to(boundary.dtype)
    return build_pixel_graph(features, affinity_power(boundary_affinity(boundary, FIVE), beta), FIVE)


def problem(
    size: tuple[int, int] = (4, 5),
    num_labels: int = 3,
    *,
    labels: Sequence[int] = (),
    seed: int = 0,
    channels: int = 6,
    dtype: torch.dtype = torch.float32,
) -> GcnProblem:
    """Return a random problem; ``labels`` are those that occur."""
    rng = np.random.default_rng(seed)
    graph = boundary_graph(0.8 * uniform(*size, seed=seed).to(dtype), channels=channels, seed=seed)
    partial = torch.from_numpy(rng.choice([*(labels or (*range(num_labels), 255, 255))], size).astype(np.uint8))
    image = rng.integers(0, 256, (*size, 3), dtype=np.uint8)
    return build_gcn_problem(partial, image, graph, tuple(range(num_labels)), SmoothnessConfig(), seed=seed)

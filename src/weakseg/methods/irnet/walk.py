"""IRNet's propagation: activations walk within the boundaries."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import torch
from torch import Tensor

from weakseg.artifacts import Activations, Scores
from weakseg.data.sample import WeakSample
from weakseg.graph.boundary import boundary_affinity
from weakseg.methods.irnet.config import BoundaryWalkConfig
from weakseg.nn.pairs.boundary import GRID_STRIDE
from weakseg.ops.resample import resize_maps
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import suppress_boundaries, walk_scores
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.stages.boundary import find_boundary, load_boundary
from weakseg.stages.build_graph import activations_on
from weakseg.steps.base import cached


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


@dataclass(frozen=True)
class BoundaryWalkJob(ImageJob):
    """Image and activations to walked scores; ``model`` is a boundary network."""

    model: Path
    activations: Path
    out: Path
    config: BoundaryWalkConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def one(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        model, side = cached(load_boundary, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        maps = find_boundary(model, sample.load_image(), side=side, align_mirror=self.config.align_mirror)
        boundary = torch.sigmoid(maps.logits[0, 0])
        walk_activations(activations_on(activations, GRID_STRIDE), boundary, self.config).save(self.output(sample.id))

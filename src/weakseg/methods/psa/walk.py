"""PSA's propagation: background and activations walk on learned affinities."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from weakseg.artifacts import Activations, Scores
from weakseg.data.sample import WeakSample
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.methods.psa.config import WalkConfig
from weakseg.nn.affinity import GRID_STRIDE
from weakseg.ops.labels import background_score
from weakseg.ops.resample import block_means, resize_maps
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import walk_scores
from weakseg.pipeline.jobs import cached
from weakseg.stages.affinity import find_features, load_affinity


def walk_activations(activations: Activations, features: Tensor, config: WalkConfig) -> Scores:
    """Return scores of the background and of the classes after the walk.

    Args:
        activations: ``(K, h, w)``; without any class all is background.
        features: ``(C, rows, columns)`` of the affinity network, on the grid of the result.
        config: Walk and background.

    Returns:
        ``(K + 1, rows, columns)``: ``(1 - max M)^power`` and M, averaged over the cells of the grid, after the walk.

    Reference:
        [ahn2018affinitynet], section 3.3 and its code; blocks at the border are averaged over the pixels that exist.
    """
    size = (features.shape[1], features.shape[2])
    if not activations.class_ids:
        return Scores(torch.ones(1, *size), (0,), activations.image_size)
    maps = resize_maps(activations.values, activations.image_size)
    stack = torch.cat([background_score(maps, "power", config.background_power), maps])
    start = block_means(stack, GRID_STRIDE)
    offsets = half_disc(config.radius_cells)
    affinity = feature_affinity(features, offsets)
    if config.border == "official":
        affinity = without_border(affinity, config.radius_cells)
    walked = walk_scores(start, affinity, offsets, beta=config.beta, steps=config.steps, error=config.error)
    return Scores(walked.clamp(0, 1), (0, *activations.class_ids), activations.image_size)


def without_border(affinity: Tensor, radius_cells: float) -> Tensor:
    """Return ``(P, h, w)`` affinities without the pairs whose first cell is near the left, right or lower border.

    Reference:
        Code of [ahn2018affinitynet]: cells of the last ``r - 1`` rows and the outer ``r - 1`` columns start no pair.
    """
    margin = -int(-radius_cells // 1) - 1
    height, width = affinity.shape[1:]
    kept = torch.zeros_like(affinity)
    rows, columns = slice(0, max(0, height - margin)), slice(margin, max(margin, width - margin))
    kept[:, rows, columns] = affinity[:, rows, columns]
    return kept


@dataclass(frozen=True)
class WalkJob:
    """Image and activations to walked scores; ``model`` is an affinity network."""

    model: Path
    activations: Path
    out: Path
    config: WalkConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the scores file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        model = cached(load_affinity, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        features = find_features(model, sample.load_image())
        walk_activations(activations, features, self.config).save(self.output(sample.id))

"""Work on one image whose device can be chosen, and trainings, that a GPU has to do as the processor does."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from device_cases import Case, towards_centres
from generated import draw
from sparse_graphs import noise
from tiny import CONFIG, NoisyLine, TinyModel, squared_error
from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.nn.pairs.boundary import BoundaryMaps
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.instances import InstanceConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.tag_seeds import TagSeedConfig
from weakseg.settings.tiles import TileConfig
from weakseg.stages.decode import decode_image
from weakseg.stages.instances import find_instances
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import reading_scores, seed_image
from weakseg.stages.tag_seeds import tag_seeds
from weakseg.training.loop import Fit, FitPlace

STAGES: dict[str, Case] = {}
CRF = CrfParams(iterations=3)
CALM = replace(CONFIG, lr=0.005)  # without dropout 0.05 diverges, and rounding with it


def stage(function: Case) -> Case:
    """Enter a stage by its name."""
    STAGES[function.__name__] = function
    return function


def scene() -> tuple[NDArray[np.uint8], Activations, LabelMap]:
    """Return a photograph of a disc and a square, activations that are high on them, and seeds of parts of them."""
    image, mask = draw(3)
    grid = torch.from_numpy(mask[::4, ::4].copy())
    shown = torch.stack([grid == 1, grid == 2]).float() * 0.7 + 0.2 * torch.rand(
        2, *grid.shape, generator=torch.Generator().manual_seed(0)
    )
    known = np.random.default_rng(0).random(mask.shape) < 0.5
    size = (mask.shape[0], mask.shape[1])
    return image, Activations(shown, (1, 2), size, 4), LabelMap(np.where(known, mask, 255).astype(np.uint8))


@stage
def seeds_of_activations(device: str) -> Any:
    image, activations, _ = scene()
    configs = SeedConfig(crf=CRF), SeedConfig("power", 4.0, 24.0, unary="scores", crf=CRF)
    found = [torch.from_numpy(seed_image(activations, image, one, device=device).labels) for one in configs]
    return found, reading_scores(activations, image, configs[1], 4.0, device=device).values


@stage
def seeds_of_tags(device: str) -> Any:
    image, activations, _ = scene()
    found = tag_seeds(activations, image, TagSeedConfig(crf=CRF), device=device)
    return [torch.from_numpy(part.labels) for part in (found.trimap, found.confident)]


@stage
def refined_seeds(device: str) -> Any:
    image, _, seeds = scene()
    tiled = TileConfig(tile=32, overlap=8, beyond=1)
    configs = RefineConfig(crf=CRF), RefineConfig(crf=CRF, max_side=32, tiles=tiled)
    return [torch.from_numpy(refine_image(seeds, image, config, device=device).labels) for config in configs]


@stage
def decoded_scores(device: str) -> Any:
    image, activations, _ = scene()
    values = torch.cat([1 - activations.values.amax(0, keepdim=True), activations.values])
    scores = Scores(values / values.sum(0), (0, 1, 2), activations.image_size)
    return torch.from_numpy(decode_image(scores, image, DecodeConfig(crf=CRF), device=device).labels)


@stage
def objects_of_an_image(device: str) -> Any:
    _, activations, _ = scene()
    size = activations.values.shape[1:]
    maps = BoundaryMaps(noise(1, 1, *size) - 2, noise(1, 4, *size).relu(), towards_centres(*size)[None])
    found = find_instances(activations, maps, InstanceConfig(steps=8, background=0.3), device=device)
    assert len(found) > 1
    return (found.class_ids[:, None, None] * found.masks).amax(0)  # of what class each pixel's object is


def train_tiny(folder: Path, device: str, config: FitConfig = CALM, **data: Any) -> dict[str, torch.Tensor]:
    """Train a tiny model without dropout; return its weights on the processor."""
    model = TinyModel(dropout=0.0)
    Fit(model, NoisyLine(**data), squared_error, config, FitPlace(folder, 0, device)).run()
    return {name: value.detach().cpu() for name, value in model.state_dict().items()}


def train_tiny_in_two(folder: Path, device: str, config: FitConfig = CALM) -> dict[str, torch.Tensor]:
    """Do the same, interrupted in the second epoch and taken up again."""
    config = replace(config, epochs=3)
    try:
        train_tiny(folder, device, config, stop=(1, 3))
    except KeyboardInterrupt:
        return train_tiny(folder, device, config)
    raise AssertionError("nothing was interrupted")

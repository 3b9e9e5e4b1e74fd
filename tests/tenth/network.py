"""The made-up method's own network, loss and training."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate, normalize, softplus

from tenth.config import PairConfig
from weakseg.artifacts import Activations
from weakseg.data.sample import WeakSample
from weakseg.nn.models import ModelFile, load_model
from weakseg.ops.resample import image_tensor
from weakseg.rng import numpy_generator_for
from weakseg.training.loop import FitPlace
from weakseg.training.train import Training, train_model

KIND = "tenth-pairs"


class PairNet(nn.Module):
    """Features of an image, and how much a pair counts."""

    def __init__(self, channels: int, mix: float) -> None:
        super().__init__()
        self.encoder = nn.Conv2d(3, channels, 3, padding=1)
        self.mix = nn.Parameter(torch.tensor(mix))
        self.rate_factors = {"encoder.": 1.0, "mix": 0.1}

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` features of length one of ``(B, 3, H, W)`` images on 0..255."""
        found: Tensor = normalize(self.encoder(images / 255), dim=1)
        return found

    def scores(self, features: Tensor, own: Tensor, prototype: Tensor) -> Tensor:
        """Return ``(H, W)`` in [0, 1]: activations mixed with likeness to the prototype ``(C,)`` of both images."""
        likeness = (torch.einsum("chw,c->hw", features, prototype) + 1) / 2
        weight = self.mix.clamp(0, 1)
        return weight * likeness + (1 - weight) * own


def prototype(features: Tensor, weights: Tensor) -> Tensor:
    """Return the ``(C,)`` mean of ``(C, H, W)`` features under ``(H, W)`` weights, of length one."""
    return normalize((features * weights).sum((1, 2)), dim=0)


def partner(sample: WeakSample, samples: Sequence[WeakSample], seed: int, purpose: str) -> WeakSample | None:
    """Return another image with a class of this one, drawn by (seed, id) alone; ``None`` where there is none."""
    others = sorted((s for s in samples if s.id != sample.id and s.tags.present & sample.tags.present), key=_id)
    return others[numpy_generator_for(seed, sample.id, purpose).integers(len(others))] if others else None


def load_activations(folder: Path, sample: WeakSample, size: tuple[int, int]) -> dict[int, Tensor]:
    """Return the ``(H, W)`` activations of an image by class."""
    found = Activations.load(folder / f"{sample.id}.safetensors")
    values = interpolate(found.values[None], size, mode="bilinear")[0].clamp(0, 1) if len(found.values) else ()
    return dict(zip(found.class_ids, values, strict=True))


@dataclass(frozen=True)
class PairData:
    """Each image with another of a class in common."""

    samples: Sequence[WeakSample]
    activations: Path
    size: int
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return ``(2, 3, S, S)`` images and the ``(2, S, S)`` activations of a class that both show."""
        sample = self.samples[index]
        other = partner(sample, self.samples, self.seed, f"tenth/{epoch}") or sample
        class_id = min(sample.tags.present & other.tags.present)
        size = (self.size, self.size)
        images = [interpolate(image_tensor(s.load_image())[None], size)[0] for s in (sample, other)]
        maps = [load_activations(self.activations, s, size)[class_id] for s in (sample, other)]
        return torch.stack(images), torch.stack(maps)


def pair_loss(model: nn.Module, batch: list[Tensor]) -> Tensor:
    """Return how unlike a class is in two images, and how like its surroundings; mean over pairs."""
    images, maps = batch
    features = model(images.flatten(0, 1)).unflatten(0, images.shape[:2])
    losses = []
    for found, weights in zip(features, maps, strict=True):
        inside = [prototype(one, weight) for one, weight in zip(found, weights, strict=True)]
        around = [prototype(one, 1 - weight) for one, weight in zip(found, weights, strict=True)]
        losses.append(softplus(-(inside[0] @ inside[1])) + softplus(inside[0] @ around[1]))
    return torch.stack(losses).mean() + (model.mix - 0.5).square()


def train_pairs(
    samples: Sequence[WeakSample], activations: Path, *, config: PairConfig, place: FitPlace
) -> list[dict[str, Any]]:
    """Train on images with activations, and write the model file."""
    data = PairData(sorted(samples, key=_id), activations, config.size, place.seed)
    header = {"kind": KIND, "pairs": asdict(config)}
    training = Training("tenth", lambda: PairNet(config.channels, config.mix), data, pair_loss, config.fit, header)
    return train_model(training, place)


def load_pairs(path: Path) -> tuple[PairNet, dict[str, Any]]:
    """Return a trained network, and the header of its file."""

    def build(file: ModelFile) -> PairNet:
        return PairNet(file.header["pairs"]["channels"], file.header["pairs"]["mix"])

    return load_model(path, {KIND: build})


def _id(sample: WeakSample) -> str:
    return sample.id

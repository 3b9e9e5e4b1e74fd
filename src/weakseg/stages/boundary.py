"""Train a boundary network on seeds, and apply it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.data.sample import WeakSample
from weakseg.graph.boundary import boundary_affinity
from weakseg.nn.backbones import Backbone
from weakseg.nn.pairs.boundary import GRID_STRIDE, BoundaryMaps, BoundaryNet
from weakseg.nn.pairs.pair_losses import affinity_loss, displacement_loss, label_pairs
from weakseg.ops.cam import grid_size
from weakseg.ops.resample import grid_labels, image_tensor, padded_to
from weakseg.ops.stencil import half_disc
from weakseg.progress import track
from weakseg.rng import numpy_generator_for
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.boundary import PAD_MULTIPLE, BoundaryConfig
from weakseg.stages.networks import by_id, load_network, load_seeded, started_training
from weakseg.training.augment import augment
from weakseg.training.loop import FitPlace, Records
from weakseg.training.train import train_model


@dataclass(frozen=True)
class SeedData:
    """Augmented images with their seeds on the grid, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    seeds: Path
    config: AugmentConfig
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255 and ``(crop / 4, crop / 4)`` int64 labels."""
        sample = self.samples[index]
        image, labels = load_seeded(sample, self.seeds)
        rng = numpy_generator_for(self.seed, sample.id, f"boundary/augment/{self.config.variant(epoch)}")
        image, labels = augment(image, labels, self.config, rng)
        cells = grid_labels(labels, grid_size((self.config.crop, self.config.crop), GRID_STRIDE), GRID_STRIDE)
        return image_tensor(image), torch.from_numpy(cells.astype(np.int64))


def train_boundary(
    samples: Sequence[WeakSample],
    seeds: Path,
    *,
    config: BoundaryConfig,
    place: FitPlace,
    classifier: Path | None = None,
) -> list[dict[str, Any]]:
    """Train on seeds and write ``model.safetensors`` into the place's folder; return one record an epoch.

    Args:
        samples: Images with seeds.
        seeds: Folder of the seeds, full size.
        config: Network and training.
        place: Folder, seed and device.
        classifier: Model file, for ``config.start`` ``classifier``.

    Reference:
        [ahn2019irnet], section 4.2.
    """
    samples = by_id(samples)
    offsets = half_disc(config.radius_cells)

    def loss(module: torch.nn.Module, batch: list[Tensor]) -> Tensor:
        maps: BoundaryMaps = module(batch[0])
        pairs = label_pairs(batch[1], offsets)
        affinity = boundary_affinity(torch.sigmoid(maps.logits[:, 0].float()), offsets)
        return affinity_loss(affinity, pairs) + displacement_loss(maps.field.float(), pairs, offsets)

    data = SeedData(samples, seeds, config.augment, place.seed)

    def complete(model: BoundaryNet, records: Records) -> dict[str, Any]:
        _set_mean_shift(model.to(place.device), samples, config.augment.crop)
        return {"pad": config.augment.crop}

    training = started_training("boundary", BoundaryNet, data, loss, config, classifier)
    return train_model(replace(training, complete=complete), place)


def load_boundary(path: Path) -> tuple[BoundaryNet, int]:
    """Return a trained boundary network in evaluation mode, and the side that images are padded to.

    Raises:
        CheckpointError: If the file is missing, truncated, or no boundary network of weakseg.
    """

    def build(backbone: Backbone, header: dict[str, Any]) -> BoundaryNet:
        int(header["pad"])  # a side that is missing or no number is a fault of the header
        return BoundaryNet(backbone)

    model, header = load_network(path, "boundary", build)
    return model, int(header["pad"])


@torch.no_grad()
def find_boundary(
    model: BoundaryNet, image: NDArray[np.uint8], *, side: int, align_mirror: bool = False
) -> BoundaryMaps:
    """Return the maps of an image: logits and features averaged with those of its mirror image, the field from one.

    Args:
        model: In evaluation mode.
        image: ``(H, W, 3)`` uint8.
        side: Images are padded (mean colour, right and below) to this, or to a multiple of 16 if they are larger; group
            norms see the padding, so it has to be as in training.
        align_mirror: Pad to whole cells before mirroring, so that cells of both fall together; IRNet's code mirrors
            first, and is off by up to three pixels where the width is no multiple of four.

    Returns:
        Maps of one image, ``(ceil(H / 4), ceil(W / 4))`` cells, batch axis 1, on the CPU.

    Reference:
        [ahn2019irnet], inference of its code.
    """
    height, width = grid_size((image.shape[0], image.shape[1]), GRID_STRIDE)
    backbone = model.backbone
    fill = 255.0 * backbone.mean
    batch = image_tensor(image)[None].to(fill.device)
    if align_mirror:
        batch = padded_to(batch, 0, GRID_STRIDE, fill)
    both = padded_to(torch.cat([batch, batch.flip(-1)]), side, PAD_MULTIPLE, fill)
    maps = model(both)

    def merged(found: Tensor) -> Tensor:
        own, mirrored = found[..., :height, :width]
        mean: Tensor = 0.5 * (own + mirrored.flip(-1))
        return mean[None].cpu()

    return BoundaryMaps(merged(maps.logits), merged(maps.features), maps.field[:1, :, :height, :width].cpu())


@torch.inference_mode()
def _set_mean_shift(model: BoundaryNet, samples: Sequence[WeakSample], side: int) -> None:
    """Store the mean displacement of the upper left crops of the images, which says nothing about objects."""
    model.eval()
    model.field.mean_shift.zero_()
    total = torch.zeros_like(model.field.mean_shift)
    with track("mean displacement", len(samples)) as advance:
        for sample in samples:
            batch = image_tensor(sample.load_image()[:side, :side])[None].to(total.device)
            total += model(padded_to(batch, side, PAD_MULTIPLE, 255.0 * model.backbone.mean)).field.mean((0, 2, 3))
            advance(1)
    model.field.mean_shift.copy_(total / max(1, len(samples)))

"""Train an affinity network on refined class scores, and apply it."""

import functools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Scores
from weakseg.checks import check_rank, check_same_size
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError, ShapeError
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.pair_losses import affinity_loss, label_pairs
from weakseg.ops.resample import block_means, image_tensor, padded_to
from weakseg.ops.stencil import half_disc
from weakseg.rng import numpy_generator_for
from weakseg.settings.affinity import GRID_STRIDE, AffinityConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.stages.networks import by_id, load_network, started_training
from weakseg.training.augment import draw_view
from weakseg.training.loop import FitPlace
from weakseg.training.train import train_model

KIND = "affinity"
NO_SCORE = 1e-5  # below this for every label, a cell lies outside of the image


@dataclass(frozen=True)
class ScoreData:
    """Augmented images with labels on the grid from two folders of scores, keyed by (seed, image id, epoch)."""

    samples: Sequence[WeakSample]
    strict: Path
    lenient: Path
    config: AugmentConfig
    seed: int

    def __len__(self) -> int:
        return len(self.samples)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        """Return a ``(3, crop, crop)`` float image on 0..255 and ``(crop / 8, crop / 8)`` int64 labels."""
        sample = self.samples[index]
        image = sample.load_image()
        size = (image.shape[0], image.shape[1])
        strict, lenient = (_load_scores(folder, sample.id, size) for folder in (self.strict, self.lenient))
        if strict.label_ids != lenient.label_ids:
            raise DataError(
                f"scores of image {sample.id!r}: labels {strict.label_ids} in {self.strict} but {lenient.label_ids} in "
                f"{self.lenient}; make both from the same activations"
            )
        rng = numpy_generator_for(self.seed, sample.id, f"affinity/augment/{self.config.variant(epoch)}")
        view = draw_view(size, self.config, rng)
        labels = merge_labels(view.maps(strict.values), view.maps(lenient.values))
        return image_tensor(view.image(image)), labels


def merge_labels(strict: Tensor, lenient: Tensor) -> Tensor:
    """Return the labels of cells that two sets of scores agree on, from means over blocks of 8 x 8 pixels.

    A cell is of a class where that is best even against a strong background, background where that is best even when
    it is weak, undecided in between and where there are no scores (outside of the image).

    Args:
        strict: ``(L, H, W)`` float, scores of background and L - 1 classes; the background is strong (exponent 4).
        lenient: ``(L, H, W)`` float; the background is weak (exponent 32).

    Returns:
        ``(ceil(H / 8), ceil(W / 8))`` int64: 0 background, 1..L-1 positions of the classes, 255 undecided. Of equal
        scores the first counts.

    Raises:
        ShapeError: If the shapes differ, or there is no label.

    Reference:
        [ahn2018affinitynet], section 3.2, confident areas; the order of means and maxima is that of its code.
    """
    check_rank("strict scores", strict, 3, "(L, H, W)")
    check_same_size("strict scores", strict.shape, "lenient scores", lenient.shape)
    if not len(strict):
        raise ShapeError(f"scores: expected at least the background, got {tuple(strict.shape)}")
    against_strong, against_weak = (block_means(scores, GRID_STRIDE) for scores in (strict, lenient))
    labels = against_strong.argmax(0)
    labels[labels == 0] = UNDECIDED
    labels[against_weak.argmax(0) == 0] = 0
    labels[torch.maximum(against_strong, against_weak).amax(0) < NO_SCORE] = UNDECIDED
    return labels


def train_affinity(
    samples: Sequence[WeakSample],
    strict: Path,
    lenient: Path,
    *,
    config: AffinityConfig,
    place: FitPlace,
    classifier: Path | None = None,
) -> list[dict[str, Any]]:
    """Train on scores and write ``model.safetensors`` into the place's folder; return one record an epoch.

    Args:
        samples: Images with scores.
        strict: Folder of ``Scores`` of background and tagged classes, full size, made with a strong background.
        lenient: The same, with a weak background.
        config: Network and training.
        place: Folder, seed and device.
        classifier: Model file, for ``config.start`` ``classifier``.

    Reference:
        [ahn2018affinitynet], section 3.2.
    """
    offsets = half_disc(config.radius_cells)

    def loss(module: torch.nn.Module, batch: list[Tensor]) -> Tensor:
        affinity = feature_affinity(module(batch[0]).float(), offsets)
        return affinity_loss(affinity, label_pairs(batch[1], offsets))

    data = ScoreData(by_id(samples), strict, lenient, config.augment, place.seed)
    build = functools.partial(AffinityNet, norms=config.norms)
    training = started_training(KIND, build, data, loss, config, classifier)
    return train_model(replace(training, header={**training.header, "norms": config.norms}), place)


def load_affinity(path: Path) -> AffinityNet:
    """Return a trained affinity network in evaluation mode.

    Raises:
        CheckpointError: If the file is missing, truncated, or no affinity network of weakseg.
    """
    return load_network(path, KIND, lambda b, header: AffinityNet(b, norms=bool(header.get("norms"))))[0]


@torch.no_grad()
def find_features(model: AffinityNet, image: NDArray[np.uint8]) -> Tensor:
    """Return the features of an image, at one scale, for ``feature_affinity``.

    Args:
        model: In evaluation mode.
        image: ``(H, W, 3)`` uint8; padded to whole cells (mean colour, right and below).

    Returns:
        ``(448, ceil(H / 8), ceil(W / 8))`` float32, on the CPU.

    Reference:
        [ahn2018affinitynet], inference of its code.
    """
    fill = 255.0 * model.backbone.mean
    batch = padded_to(image_tensor(image)[None].to(fill.device), 0, GRID_STRIDE, fill)
    features: Tensor = model(batch)[0].float().cpu()
    return features


def _load_scores(folder: Path, image_id: str, size: tuple[int, int]) -> Scores:
    """Return the scores of background and classes of an image, one for each pixel."""
    path = folder / f"{image_id}.safetensors"
    scores = Scores.load(path)
    if tuple(scores.values.shape[1:]) != size or scores.label_ids[0] != 0:
        raise DataError(
            f"{path}: expected scores of size {size} with the background first, "
            f"got {tuple(scores.values.shape[1:])} and labels {scores.label_ids}"
        )
    return scores

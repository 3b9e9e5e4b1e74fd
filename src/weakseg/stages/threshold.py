"""What is decided for all images of a run without a true mask: the background score, and whether a CRF follows."""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.sample import WeakSample
from weakseg.errors import WeaksegError, cut
from weakseg.nn.backbones.embedded import embedded_backbone
from weakseg.ops.resample import image_tensor, resize_image, scaled_size
from weakseg.ops.separability import separability
from weakseg.progress import track
from weakseg.rng import derive_seed
from weakseg.settings.seed import SeedConfig
from weakseg.stages.seed import seed_image

THRESHOLDS = torch.arange(1, 14) / 20  # 0.05 to 0.65
PLATEAU = 0.9  # of the largest separability: the threshold is the middle of those that reach it
MAX_IMAGES = 200  # that the background score is read off
TRIED = 40  # images that a CRF is tried on
MAX_SIDE = 512
SUFFIX = ".safetensors"
LOST = 0.5  # of its area: what a CRF may take from a class
TOO_MANY = 1 / 3  # of the classes of the images, and one, may lose more

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Background:
    """A background score, and what it was read off.

    Attributes:
        score: In [0, 1]; ``None``: no image says anything.
        images: That it was read off.
        separability: Mean over these, at each of ``THRESHOLDS``.
    """

    score: float | None
    images: int
    separability: tuple[float, ...] = ()


def background_of(samples: Sequence[WeakSample], folder: Path) -> Background:
    """Return the background score at which what is above it looks most unlike what is below.

    Features are those of the built-in backbone, which has not seen the images. The score is the mean of all thresholds
    whose separability, the mean over images, is 0.9 of the largest or more.

    Args:
        samples: Tagged images; of more than 200 so many are drawn.
        folder: Of their activations.
    """
    seen = drawn(samples, folder, MAX_IMAGES, SUFFIX)
    curves = []
    with track("background", len(seen)) as advance:
        for sample in seen:
            with left_out(sample):
                activations = Activations.load(folder / f"{sample.id}{SUFFIX}")
                if activations.class_ids:
                    curves.append(image_separability(sample.load_image(), activations).numpy())
            advance(1)
    said = [curve for curve in curves if np.isfinite(curve).any()]
    if not said or not np.nanmax(said):
        return Background(None, 0)
    stacked = np.stack(said)
    counts = np.isfinite(stacked).sum(0)
    means = np.where(counts, np.nansum(stacked, 0) / np.maximum(counts, 1), 0.0)
    score = float(THRESHOLDS.numpy()[means >= PLATEAU * means.max()].mean())
    return Background(round(score, 3), len(said), tuple(round(float(value), 4) for value in means))


def image_separability(image: NDArray[np.uint8], activations: Activations) -> Tensor:
    """Return the ``separability`` of an image's features by its largest activation, at each of ``THRESHOLDS``."""
    size = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=MAX_SIDE)
    with torch.inference_mode():
        features = embedded_backbone()(image_tensor(resize_image(image, size))[None])[0]
    cells = functional.adaptive_avg_pool2d(activations.values.amax(0, keepdim=True), features.shape[1:])
    return separability(features.flatten(1), cells.flatten(), THRESHOLDS)


def crf_takes(samples: Sequence[WeakSample], folder: Path, config: SeedConfig) -> tuple[int, int]:
    """Return from how many classes of images the CRF of seeds takes more than half of their area, and of how many.

    Args:
        samples: Tagged images; of more than 40 so many are tried.
        folder: Of their activations.
        config: Of seeds, with numbers for both thresholds; the strict one is tried.
    """
    one = config.with_numbers(config.numbers[0], config.numbers[0])

    def both(sample: WeakSample) -> tuple[LabelMap, LabelMap]:
        activations, image = Activations.load(folder / f"{sample.id}{SUFFIX}"), sample.load_image()
        return seed_image(activations, image, one.without_crf), seed_image(activations, image, one)

    return counted_losses(drawn(samples, folder, TRIED, SUFFIX), both)


def counted_losses(
    samples: Sequence[WeakSample], both: Callable[[WeakSample], tuple[LabelMap, LabelMap]]
) -> tuple[int, int]:
    """Return from how many classes of images more than half of their area is taken, and of how many.

    Args:
        samples: The images.
        both: Makes the labels of an image without a CRF and with it.
    """
    lost = shown = 0
    with track("CRF tried", len(samples)) as advance:
        for sample in samples:
            with left_out(sample):
                taken = losses(*both(sample))
                lost, shown = lost + sum(taken), shown + len(taken)
            advance(1)
    return lost, shown


@contextmanager
def left_out(sample: WeakSample) -> Iterator[None]:
    """Leave an image out of what is decided, and say so, if something of it cannot be read; its own step names it."""
    try:
        yield
    except (WeaksegError, OSError, MemoryError) as error:
        logger.warning("%s: left out of what is decided for all images: %s", sample.id, cut(error))


def losses(before: LabelMap, after: LabelMap) -> list[bool]:
    """Return of each class before, but the background, whether more than half of its area is gone."""
    classes = sorted(before.label_ids - {0})
    return [bool((after.labels == c).sum() < LOST * (before.labels == c).sum()) for c in classes]


def takes_too_much(lost: int, shown: int) -> bool:
    """Return whether a CRF that takes so many of the classes shown is to be left out."""
    return lost > TOO_MANY * shown + 1


def drawn(samples: Sequence[WeakSample], folder: Path, count: int, suffix: str) -> list[WeakSample]:
    """Return so many tagged images that have a file in a folder, by chance that depends on their ids alone."""
    tagged = [s for s in samples if s.tags.present and (folder / f"{s.id}{suffix}").exists()]
    ranked = sorted(tagged, key=lambda sample: derive_seed(0, sample.id, "threshold"))
    return sorted(ranked[:count], key=lambda sample: sample.id)

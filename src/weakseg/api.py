"""Masks of one photograph from tags, with no training."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.image import as_rgb, load_rgb
from weakseg.errors import DataError
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.stages.activate import ActivateConfig, activate_image
from weakseg.stages.refine import RefineConfig, refine_image
from weakseg.stages.seed import SeedConfig, seed_image


@dataclass(frozen=True)
class SegmentOptions:
    """Settings of the three stages that ``segment`` goes through.

    Attributes:
        activations: Scales and size.
        seeds: Background and CRF.
        masks: The CRF that decides every pixel.
    """

    activations: ActivateConfig = field(default_factory=ActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    masks: RefineConfig = field(default_factory=RefineConfig)


@dataclass(frozen=True)
class Segmentation:
    """A photograph's mask, and how it came about.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        tags: The tags; ``tags[i]`` is label ``i + 1`` of the mask.
        activations: Class evidence.
        seeds: Confident labels, 255 = undecided.
        labels: The mask.
    """

    image: NDArray[np.uint8]
    tags: tuple[str, ...]
    activations: Activations
    seeds: LabelMap
    labels: LabelMap

    @property
    def mask(self) -> NDArray[np.uint8]:
        """``(H, W)`` uint8: 0 background, i + 1 the i-th tag."""
        return self.labels.labels

    def save(self, path: str | Path) -> None:
        """Write the mask as indexed PNG with the VOC palette."""
        self.labels.save(Path(path))


def segment(
    image: str | Path | NDArray[np.generic], tags: Sequence[str], *, options: SegmentOptions | None = None
) -> Segmentation:
    """Return the mask of one photograph from tags in the vocabulary of ImageNet, with no training.

    Args:
        image: A file, or an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` of uint8, uint16, bool or float in [0, 1].
        tags: What the photograph shows, such as ``["tabby cat"]``; a general word such as ``"cat"`` works too. Without
            any tag all is background.
        options: Settings of the stages.

    Raises:
        DataError: If the image cannot be used, or a tag is repeated or no word of ImageNet.
    """
    options = options or SegmentOptions()
    pixels = load_rgb(Path(image)) if isinstance(image, str | Path) else as_rgb(image)
    if repeated := [tag for tag in tags if list(tags).count(tag) > 1]:
        raise DataError(f"tags: {repeated[0]!r} is given more than once; give it once")
    class_ids = tuple(range(1, len(tags) + 1))
    model = build_word_classifier(tags) if tags else None
    activations = activate_image(model, pixels, class_ids, options.activations)
    seeds = seed_image(activations, pixels, options.seeds)
    labels = refine_image(seeds, pixels, options.masks, with_background=options.seeds.background != "none")
    return Segmentation(pixels, tuple(tags), activations, seeds, labels)

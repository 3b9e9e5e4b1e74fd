"""What seeds hold, counted over images, and what is probably not meant."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from weakseg.artifacts import UNDECIDED
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.stages.mask_counts import load_mask, named

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedCounts:
    """What seeds hold, and where their background comes from.

    Attributes:
        background: What the background is read off: ``activations`` or ``saliency``.
        pixels: How many pixels each label has, by its name.
        undecided: How many have none.
        images: How many images there are.
        without_map: Images whose background comes from activations though it should from saliency.
        without_background: Images without a background seed.
        without_seed: How many images show a class and have no seed of it, by the class's name.
        unknown: Images with classes of which nobody knows: they have no seeds, and may lie in the background's.
    """

    background: str
    pixels: Mapping[str, int]
    undecided: int
    images: int
    without_map: tuple[str, ...] = ()
    without_background: tuple[str, ...] = ()
    without_seed: Mapping[str, int] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()

    @property
    def warnings(self) -> list[str]:
        """One sentence for each thing that is probably not meant."""
        said = []
        if self.without_map:
            said.append(f"no saliency map, so that low activations are background: {named(self.without_map)}")
        if self.without_background:
            said.append(f"images without background seeds: {named(self.without_background)}")
        if self.without_seed:
            counts = ", ".join(f"{name} on {count}" for name, count in self.without_seed.items())
            said.append(f"images that show a class and have no seed of it: {counts}")
        if self.unknown:
            said.append(
                f"images with classes of which nobody knows, which background seeds may hide: {named(self.unknown)}"
            )
        return [f"seeds: {text}" for text in said]

    def tell(self) -> None:
        """Log the counts and the warnings."""
        total = sum(self.pixels.values()) + self.undecided
        shares = ", ".join(f"{name} {100 * count / total:.2g} %" for name, count in self.pixels.items())
        logger.info(
            "seeds of %d images, background where %s: %s; undecided %.2g %%",
            self.images,
            "saliency is low" if self.background == "saliency" else "activations are low",
            shares,
            100 * self.undecided / total,
        )
        for text in self.warnings:
            logger.warning("%s", text)

    def as_json(self) -> dict[str, Any]:
        """Return the counts; images by their number."""
        return {
            "background": self.background,
            "images": self.images,
            "pixels": dict(self.pixels),
            "undecided": self.undecided,
            "without_map": len(self.without_map),
            "without_background": len(self.without_background),
            "without_seed": dict(self.without_seed),
            "unknown": len(self.unknown),
        }


def count_seeds(
    samples: Sequence[WeakSample], folder: Path, classes: Classes, background: str, *, without_map: Sequence[str] = ()
) -> SeedCounts:
    """Count the seeds of images; reads each of them once.

    Args:
        samples: The images.
        folder: Of the seeds.
        classes: Their names.
        background: What the background is read off.
        without_map: Images whose background comes from activations though it should from saliency.

    Raises:
        DataError: As ``load_mask``.
    """
    counts = np.zeros(UNDECIDED + 1, np.int64)
    without_background, without_seed = [], dict.fromkeys(classes.names, 0)
    for sample in samples:
        found = np.bincount(load_mask(folder, sample.id, len(classes)).ravel(), minlength=UNDECIDED + 1)
        counts += found
        without_background += [] if found[0] else [sample.id]
        for class_id in sample.tags.present:
            without_seed[classes.name_of(class_id)] += not found[class_id]
    names = ("background", *classes.names)
    return SeedCounts(
        background,
        {name: int(count) for name, count in zip(names, counts, strict=False)},
        int(counts[UNDECIDED]),
        len(samples),
        tuple(without_map),
        tuple(without_background),
        {name: count for name, count in without_seed.items() if count},
        tuple(sample.id for sample in samples if sample.tags.unknown),
    )

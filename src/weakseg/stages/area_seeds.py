"""Sparse seeds: a share of each class's strongest activation, and background where little speaks for an object."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.saliency_check import LEAST
from weakseg.data.sample import WeakSample
from weakseg.ops.resample import resize_labels, resize_maps, scaled_size
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.stages.mask_counts import load_mask, named

MAX_SIDE = 1024  # larger images are worked on reduced to this, which bounds memory

logger = logging.getLogger(__name__)


def area_seeds(
    activations: Activations, config: AreaSeedConfig, *, saliency: NDArray[np.float32] | None, all_known: bool
) -> LabelMap:
    """Return the seeds of an image: of each class, of the background, and 255 elsewhere.

    ``F_c = {u : A_c(u) > share * max A_c}``; a pixel of several belongs to the smallest of them, of equal ones to the
    first. Background is what is in none and has ``(S - min S) / (max S - min S) < saliency_below``, or without a map
    ``max_c A_c / max A_c < activations_below``. A map without contrast, black or white, is taken as it is.

    Args:
        activations: Of the classes that are present.
        config: The thresholds.
        saliency: ``(H, W)`` in [0, 1], 1 draws the eye; ``None``: low activations are the background.
        all_known: Whether all other classes are absent. If so an image without a class is all background. If not,
            nothing but saliency speaks for the background of such an image.

    Returns:
        ``(H, W)`` labels in {0..K, 255}. Without saliency an image with a class whose activations are all 0 has no
        background seeds: nothing tells where it is not.

    Reference:
        [feng2021dgcn] and [huang2018dsrg], seeds; [kolesnikov2016sec] for overlaps.
    Differs from the papers:
        Background without a saliency map; they have one of each image.
    """
    size = activations.image_size
    working = scaled_size(size, 1.0, max_side=MAX_SIDE)
    if not activations.class_ids and all_known:
        return LabelMap(np.zeros(size, np.uint8))
    maps = resize_maps(activations.values, working)
    peaks = maps.amax((1, 2), keepdim=True)
    seeds = smallest_area(maps > config.share * peaks, activations.class_ids)
    if saliency is not None:
        background = _stretched(resize_maps(torch.from_numpy(saliency)[None], working)[0]) < config.saliency_below
    elif len(maps) and (peaks > 0).all():
        background = (maps / peaks).amax(0) < config.activations_below
    else:
        background = torch.zeros(working, dtype=torch.bool)
    seeds[background & (seeds == UNDECIDED)] = 0
    return LabelMap(resize_labels(seeds.numpy(), size))


def smallest_area(claimed: Tensor, class_ids: Sequence[int]) -> Tensor:
    """Return for each pixel the class with the smallest area of those that claim it; the first of equal ones.

    Args:
        claimed: ``(K, H, W)`` bool; K may be 0.
        class_ids: K class ids.

    Returns:
        ``(H, W)`` uint8; 255 where no class claims a pixel.
    """
    seeds = torch.full(claimed.shape[1:], UNDECIDED, dtype=torch.uint8)
    areas = claimed.sum((1, 2)).tolist()
    for index in sorted(range(len(areas)), key=lambda one: (-areas[one], -one)):  # smaller areas overwrite larger ones
        seeds[claimed[index]] = class_ids[index]
    return seeds


def _stretched(saliency: Tensor) -> Tensor:
    """Return a map with its lowest value at 0 and its highest at 1; one without contrast is taken as it is."""
    low, high = saliency.min(), saliency.max()
    return (saliency - low) / (high - low) if high - low > LEAST else saliency


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


def count_seeds(samples: Sequence[WeakSample], folder: Path, classes: Classes, config: AreaSeedConfig) -> SeedCounts:
    """Count the seeds of images; reads each of them once.

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
    wanted = config.background == "saliency"
    return SeedCounts(
        config.background,
        {name: int(count) for name, count in zip(names, counts, strict=False)},
        int(counts[UNDECIDED]),
        len(samples),
        tuple(sample.id for sample in samples if wanted and sample.saliency is None),
        tuple(without_background),
        {name: count for name, count in without_seed.items() if count},
        tuple(sample.id for sample in samples if sample.tags.unknown),
    )

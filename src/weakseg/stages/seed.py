"""From activations to seeds: confident labels, and 255 where two readings of the activations disagree."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.errors import ConfigError
from weakseg.ops.crf import DenseCrf, build_crf, unary_from_labels, unary_from_scores
from weakseg.ops.labels import background_score, best_label, merge_confident
from weakseg.ops.resample import resize_image, resize_labels, resize_maps, scaled_size
from weakseg.settings.seed import BackgroundKind, SeedConfig


@dataclass(frozen=True)
class Scene:
    """Activations and image at one working size, the background's map apart.

    Attributes:
        image: ``(H, W, 3)`` uint8 tensor.
        scores: ``(K, H, W)`` activations without the background's.
        class_ids: K class ids.
        own_background: ``(1, H, W)``: the map of the background class; ``None`` where the background is no class.
    """

    image: Tensor
    scores: Tensor
    class_ids: tuple[int, ...]
    own_background: Tensor | None

    @property
    def label_ids(self) -> tuple[int, ...]:
        """Labels of the maps of ``stack``."""
        return (0, *self.class_ids)

    def to(self, device: str) -> "Scene":
        """Return the same scene on a device."""
        own = self.own_background if self.own_background is None else self.own_background.to(device)
        return Scene(self.image.to(device), self.scores.to(device), self.class_ids, own)

    def stack(self, kind: BackgroundKind, value: float) -> Tensor:
        """Return ``(K + 1, H, W)`` scores with the background in front."""
        background = self.own_background
        if background is None:
            background = background_score(self.scores, kind, value)
        return torch.cat([background, self.scores])


def build_scene(
    activations: Activations, image: NDArray[np.uint8], *, background_id: int = 0, max_side: int = 1024
) -> Scene:
    """Return image and activations at the image's size, or reduced to ``max_side``; ``background_id`` 0 means none."""
    size = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=max_side)
    maps = resize_maps(activations.values, size)
    keep = [index for index, class_id in enumerate(activations.class_ids) if class_id != background_id]
    own = None
    if background_id:
        shown = background_id in activations.class_ids
        own = maps[activations.class_ids.index(background_id)][None] if shown else torch.full((1, *size), -1.0)
    pixels = torch.from_numpy(np.array(resize_image(image, size)))
    return Scene(pixels, maps[keep], tuple(activations.class_ids[index] for index in keep), own)


def seed_image(
    activations: Activations,
    image: NDArray[np.uint8],
    config: SeedConfig,
    *,
    background_id: int = 0,
    device: str = "cpu",
) -> LabelMap:
    """Return seeds: foreground from a strict run, background from a lenient run, 255 between.

    Args:
        activations: Of the classes that are present; without any, all is background (255 if there is none).
        image: ``(H, W, 3)`` uint8 of the size that the activations were made for.
        config: Background, thresholds and CRF.
        background_id: Class id of ``config.background_class``; 0 if there is none.
        device: Where the CRF runs.

    Returns:
        ``(H, W)`` labels in {0..K, 255}.

    Raises:
        ConfigError: If the background is ``saliency``; ``saliency_seeds`` does that.

    Reference:
        [ahn2019irnet], confident areas (``threshold``, ``labels``); [ahn2018affinitynet] (``power``, ``scores``).
    """
    size = (image.shape[0], image.shape[1])
    if config.background == "saliency":
        raise ConfigError("seeds.background: 'saliency' needs a map, which there is none of here; choose another")
    if not activations.class_ids:
        return LabelMap(np.full(size, 255 if config.background == "none" else 0, np.uint8))
    scene = build_scene(activations, image, background_id=background_id, max_side=config.max_side).to(device)
    crf = build_crf(scene.image, config.crf)
    first, second = config.numbers if config.background in ("threshold", "power") else (0.0, 0.0)
    strict = _labels(scene, config, crf, first)
    lenient = strict if first == second else _labels(scene, config, crf, second)
    return LabelMap(resize_labels(merge_confident(strict, lenient).cpu().numpy(), size))


def reading_scores(
    activations: Activations,
    image: NDArray[np.uint8],
    config: SeedConfig,
    value: float,
    *,
    device: str = "cpu",
) -> Scores:
    """Return the CRF's marginals of one reading of the activations, at the image's size or reduced to ``max_side``.

    Args:
        activations: Of the classes that are present; without any all is background.
        image: ``(H, W, 3)`` uint8 of the size that the activations were made for.
        config: Kind of background, which is no class, and CRF; ``unary`` has to be ``scores``.
        value: Background score or exponent of the reading.
        device: Where the CRF runs.

    Reference:
        [ahn2018affinitynet], section 3.2: labels of the affinity network.
    """
    size = (image.shape[0], image.shape[1])
    if config.background not in ("threshold", "power") or config.unary != "scores":
        raise ConfigError(f"seeds: marginals need background 'threshold' or 'power' and unary 'scores', got {config}")
    scene = build_scene(activations, image, max_side=config.max_side).to(device)
    stack = scene.stack(config.background, value)
    probs = build_crf(scene.image, config.crf).infer(unary_from_scores(stack)) if len(stack) > 1 else stack
    return Scores(probs.clamp(0, 1).cpu(), scene.label_ids, size)


def _labels(scene: Scene, config: SeedConfig, crf: DenseCrf, value: float) -> Tensor:
    """Return ``(H, W)`` class ids of one run."""
    stack = scene.stack(config.background, value)
    if not config.crf.iterations:
        return best_label(stack, scene.label_ids)
    if config.unary == "labels":
        unary = unary_from_labels(stack.argmax(0), len(stack), confidence=config.label_confidence)
    else:
        unary = unary_from_scores(stack)
    return best_label(crf.infer(unary), scene.label_ids)

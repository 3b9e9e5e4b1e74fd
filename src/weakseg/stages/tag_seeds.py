"""From activations to a trimap and its most confident part, as the affinity networks of SEAM and A2GNN learn from."""

import math
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.errors import ConfigError
from weakseg.ops.crf import PRESETS, CrfParams, build_crf, unary_from_scores
from weakseg.ops.labels import best_label
from weakseg.ops.resample import resize_labels
from weakseg.stages.seed import Scene, build_scene


@dataclass(frozen=True)
class TagSeedConfig:
    """How a trimap and its confident part are read off activations; the background's score is ``(1 - max)^exponent``.

    Attributes:
        strict: Exponent of the reading that decides foreground.
        lenient: Exponent of the reading that decides background, at least ``strict``.
        crf: The CRF of both readings; 0 iterations: none.
        fraction: Share of the pixels of each class that is confident, those of highest activation, in (0, 1).
        min_activation: Pixels of lower activation do not count among those of a class.
        background_confidence: Confident background has a higher score than this, read with ``lenient``.
        crf_confidence: Confident pixels have a marginal of at least this.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
    """

    strict: float = 4.0
    lenient: float = 24.0
    crf: CrfParams = field(default_factory=lambda: PRESETS["psa"])
    fraction: float = 0.4
    min_activation: float = 0.01
    background_confidence: float = 0.8
    crf_confidence: float = 0.8
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        shares = (self.min_activation, self.background_confidence, self.crf_confidence)
        if not 0 < self.strict <= self.lenient or not 0 < self.fraction < 1 or self.max_side < 32:
            raise ConfigError(
                "tag seeds: need 0 < strict <= lenient, fraction in (0, 1) and max_side >= 32, got "
                f"{self.strict}, {self.lenient}, {self.fraction}, {self.max_side}"
            )
        if not all(0 <= share <= 1 for share in shares):
            raise ConfigError(f"tag seeds: activation and confidences must be in [0, 1], got {shares}")


@dataclass(frozen=True)
class TagSeeds:
    """What activations say of one image.

    Attributes:
        trimap: ``M_I``: a class, background, or 255.
        confident: ``M'_I``: the same where it is confident, else 255.
    """

    trimap: LabelMap
    confident: LabelMap


def tag_seeds(
    activations: Activations, image: NDArray[np.uint8], config: TagSeedConfig, *, device: str = "cpu"
) -> TagSeeds:
    """Return the trimap of two readings of activations, and the part of it that both readings and activations trust.

    Background is what the lenient reading says it is; elsewhere a pixel has the class of the strict reading, or 255.
    Confident is a pixel among the ``fraction`` of highest activation of a class, or of high background score, whose
    larger marginal of both readings is high too; it keeps the trimap's label.

    Args:
        activations: Of the classes that are present; without any, all is background.
        image: ``(H, W, 3)`` uint8 of the size that the activations were made for.
        config: Exponents, CRF and confidence.
        device: Where the CRF runs.

    Reference:
        [zhang2021a2gnn], seeds ``M_I`` and ``M'_I``; rules of its code, where they are per class and within the pixels
        that the class wins.
    """
    size = (image.shape[0], image.shape[1])
    scene = build_scene(activations, image, max_side=config.max_side).to(device)
    crf = build_crf(scene.image, config.crf)
    stacks = [scene.stack("power", exponent) for exponent in (config.strict, config.lenient)]
    strict, lenient = (crf.infer(unary_from_scores(stack)) for stack in stacks)
    label = best_label(strict, scene.label_ids)
    undecided = torch.full_like(label, UNDECIDED)
    trimap = torch.where(lenient.argmax(0) == 0, 0, torch.where(label == 0, undecided, label))
    marginal = torch.cat([lenient[:1], strict[1:]]).amax(0)
    sure = _sure_pixels(scene, stacks[1], label, config) & (marginal >= config.crf_confidence)
    confident = torch.where(sure, trimap, undecided)
    maps = [LabelMap(resize_labels(found.cpu().numpy(), size)) for found in (trimap, confident)]
    return TagSeeds(*maps)


def _sure_pixels(scene: Scene, stack: Tensor, label: Tensor, config: TagSeedConfig) -> Tensor:
    """Return ``(H, W)`` bool: high background, or among the highest activations of a class that the image shows."""
    best = stack.argmax(0)
    sure = (best == 0) & (stack[0] > config.background_confidence) & (label == 0).any()
    for index, class_id in enumerate(scene.class_ids, start=1):
        if not (label == class_id).any():
            continue
        own = best == index
        values = stack[index][own & (stack[index] > config.min_activation)].sort().values
        rank = math.floor((1 - config.fraction) * len(values))
        if rank:
            sure |= own & (stack[index] > values[rank])
    return sure

"""From activations to a trimap and its most confident part, as the affinity networks of SEAM and A2GNN learn from."""

from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.errors import ConfigError
from weakseg.ops.crf import PRESETS, CrfParams, build_crf, unary_from_scores
from weakseg.ops.resample import resize_labels
from weakseg.ops.trimap import confident_trimap, trimap
from weakseg.stages.seed import build_scene


@dataclass(frozen=True)
class TagSeedConfig:
    """How a trimap and its confident part are read off activations; the background's score is ``(1 - max)^exponent``.

    Attributes:
        strict: Exponent of the reading that decides foreground.
        lenient: Exponent of the reading that decides background, at least ``strict``.
        crf: The CRF of both readings; 0 iterations: none.
        fraction: Share of the pixels of each class that is confident, those of highest activation, in (0, 1).
        crf_confidence: Confident pixels have a marginal of at least this.
        max_side: Larger images are reduced to this for the CRF; bounds memory.
    """

    strict: float = 4.0
    lenient: float = 24.0
    crf: CrfParams = field(default_factory=lambda: PRESETS["psa"])
    fraction: float = 0.4
    crf_confidence: float = 0.8
    max_side: int = 1024

    def __post_init__(self) -> None:
        """Refuse what contradicts itself."""
        if not 0 < self.strict <= self.lenient or not 0 < self.fraction < 1 or self.max_side < 32:
            raise ConfigError(
                "tag seeds: need 0 < strict <= lenient, fraction in (0, 1) and max_side >= 32, got "
                f"{self.strict}, {self.lenient}, {self.fraction}, {self.max_side}"
            )
        if not 0 <= self.crf_confidence <= 1:
            raise ConfigError(f"tag seeds: crf_confidence must be in [0, 1], got {self.crf_confidence}")


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
    readings = [scene.stack("power", exponent) for exponent in (config.strict, config.lenient)]
    strict, lenient = (crf.infer(unary_from_scores(reading)) for reading in readings)
    sure = confident_trimap(
        scene.scores, strict, lenient, share=config.fraction, least=config.crf_confidence, power=config.lenient
    )
    return TagSeeds(*(_labels(positions, scene.label_ids, size) for positions in (trimap(strict, lenient), sure)))


def _labels(positions: Tensor, label_ids: tuple[int, ...], size: tuple[int, int]) -> LabelMap:
    """Return the label map of ``(h, w)`` positions in ``label_ids``, 255 kept, at the image's size."""
    lookup = torch.full((UNDECIDED + 1,), UNDECIDED, dtype=torch.uint8, device=positions.device)
    lookup[: len(label_ids)] = torch.tensor(label_ids, dtype=torch.uint8)
    return LabelMap(resize_labels(lookup[positions.long()].cpu().numpy(), size))

"""From activations to a trimap and its most confident part, as the affinity networks of SEAM and A2GNN learn from."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations, LabelMap
from weakseg.ops.crf import build_crf, unary_from_scores
from weakseg.ops.resample import resize_labels
from weakseg.ops.trimap import confident_trimap, trimap
from weakseg.settings.tag_seeds import TagSeedConfig
from weakseg.stages.seed import build_scene


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

"""Three-valued label maps of two readings of activations, and the part of them that is beyond doubt."""

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.labels import UNDECIDED

SEEN = 0.01  # activations up to this do not count when a class is ranked
SURE_BACKGROUND = 0.8


def trimap(strict: Tensor, lenient: Tensor) -> Tensor:
    """Return the best label against a strong background; background where even a weak one is best; else undecided.

    Unlike ``merge_confident``, a class that wins against the strong background but not against the weak one, which a
    CRF may bring about, becomes background.

    Args:
        strict: ``(K + 1, H, W)`` scores, the background first and strong (exponent 4).
        lenient: ``(K + 1, H, W)`` scores, the background weak (exponent 24).

    Returns:
        ``(H, W)`` uint8 positions in {0..K, 255}.

    Reference:
        [ahn2018affinitynet], section 3.2; [wang2020seam], as there.
    """
    check_rank("strict", strict, 3, "(K + 1, H, W)")
    check_same_size("strict", strict.shape, "lenient", lenient.shape)
    labels = strict.argmax(0).to(torch.uint8)
    labels[labels == 0] = UNDECIDED
    labels[lenient.argmax(0) == 0] = 0
    return labels


def confident_trimap(
    activations: Tensor, strict: Tensor, lenient: Tensor, *, share: float = 0.4, least: float = 0.8, power: float = 24.0
) -> Tensor:
    """Return the trimap where it is beyond doubt: in the top of some class, or where the background is sure.

    A pixel counts where it is sure for any label, and both readings are: the strong one of a class, or the weak one of
    the background, with a score of ``least``. It may keep another label than the one that it is sure for.

    Args:
        activations: ``(K, H, W)`` in [0, 1].
        strict: ``(K + 1, H, W)`` scores after the CRF, the background strong.
        lenient: ``(K + 1, H, W)`` scores after the CRF, the background weak.
        share: Of the pixels where a class is best, the share with the highest activations is sure.
        least: Score that the CRF has to give.
        power: Exponent of the background that classes compete with, ``(1 - max M)^power``.

    Returns:
        ``(H, W)`` uint8 positions in {0..K, 255}.

    Reference:
        [zhang2021a2gnn], confident seeds of image tags ("top 40 %").
    """
    wanted = (len(activations) + 1, *activations.shape[1:])
    check_same_size("strict", strict.shape, "activations with a background", wanted)
    if not 0 < share <= 1:
        raise ShapeError(f"share: expected in (0, 1], got {share}")
    labels = trimap(strict, lenient)
    top = activations.amax(0) if len(activations) else activations.new_zeros(activations.shape[1:])
    background = (1 - top).clamp(min=0) ** power
    best = torch.cat([background[None], activations]).argmax(0)
    occurring = torch.unique(strict.argmax(0)).tolist()
    sure = (best == 0) & (background > SURE_BACKGROUND) & (0 in occurring)
    for position in (label for label in occurring if label):
        sure |= _top_of_class(activations[position - 1], best == position, share)
    confidence = torch.cat([lenient[:1], strict[1:]]).amax(0)
    return torch.where(sure & (confidence >= least), labels, UNDECIDED)


def _top_of_class(activation: Tensor, region: Tensor, share: float) -> Tensor:
    """Return which pixels of a class's region lie above the value that all but a share of them reach."""
    ranked = activation[region & (activation > SEEN)].sort().values
    index = int((1 - share) * len(ranked))
    if not index:
        return torch.zeros_like(region)
    return region & (activation > ranked[index])

"""From scores to label maps: kinds of background, and the merging of confident labels."""

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError
from weakseg.settings.seed import BackgroundKind

UNDECIDED = 255


def background_score(scores: Tensor, kind: BackgroundKind, value: float) -> Tensor:
    """Return the score that competes with the classes for each cell.

    ``threshold``: the constant ``value``. ``power``: ``(1 - max_c M_c)^value`` (PSA). ``none``: -1, so that the
    background never wins; for data where every pixel has a class. ``class``: the background is itself one of the
    classes and its activation is the score; that map is the caller's, so it is refused here, as ``saliency`` is.

    Args:
        scores: ``(K, h, w)`` in [0, 1]; K may be 0.
        kind: One of these.
        value: Threshold in [0, 1], or exponent > 0.

    Returns:
        ``(1, h, w)``.

    Raises:
        ShapeError: If ``kind`` is ``class`` or ``saliency``.

    Reference:
        [ahn2018affinitynet], equation 2, for ``power``; [ahn2019irnet] for ``threshold``.
    """
    check_rank("scores", scores, 3, "(K, h, w)")
    if kind == "class":
        raise ShapeError("background_score: with kind 'class' the activation of that class is the score")
    if kind == "saliency":
        raise ShapeError("background_score: with kind 'saliency' the score is 1 less a map of the image's saliency")
    top = scores.amax(0, keepdim=True) if len(scores) else scores.new_zeros(1, *scores.shape[1:])
    if kind == "power":
        return (1 - top).clamp(min=0) ** value
    return torch.full_like(top, value if kind == "threshold" else -1.0)


def best_label(stack: Tensor, label_ids: tuple[int, ...]) -> Tensor:
    """Return the label of the best map at each cell; the first of equal maps wins.

    Args:
        stack: ``(L, h, w)`` scores, the background first where there is one.
        label_ids: The L labels that the maps stand for.

    Returns:
        ``(h, w)`` uint8.
    """
    lookup = torch.tensor(label_ids, dtype=torch.uint8, device=stack.device)
    return lookup[stack.argmax(0)]


def merge_confident(foreground: Tensor, background: Tensor) -> Tensor:
    """Return the labels on which a strict and a lenient run agree; the rest is undecided.

    A pixel takes the class that the strict-foreground run gives it; it is background where both runs say so; where
    only the lenient run sees a class it is 255.

    Args:
        foreground: ``(H, W)`` uint8 labels of the run with a high background score.
        background: ``(H, W)`` uint8 labels of the run with a low background score.

    Reference:
        [ahn2019irnet], confident areas.
    """
    check_same_size("foreground", foreground.shape, "background", background.shape)
    undecided = (foreground == 0) & (background != 0)
    return torch.where(undecided, torch.full_like(foreground, UNDECIDED), foreground)

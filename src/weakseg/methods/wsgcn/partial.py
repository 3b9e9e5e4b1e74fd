"""Partial labels of an image's grid: sure where activations, two CRF runs and their confidence agree."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from weakseg.artifacts import UNDECIDED, Activations
from weakseg.methods.wsgcn.config import PartialConfig, Reduced
from weakseg.ops.crf import build_crf, unary_from_scores
from weakseg.ops.labels import background_score

FILTERS = {"lanczos": Image.Resampling.LANCZOS, "bilinear": Image.Resampling.BILINEAR}


def partial_labels(activations: Activations, image: NDArray[np.uint8], config: PartialConfig) -> Tensor:
    """Return labels of the cells that can be trusted; the rest is 255.

    A cell is labelled if the raw activations are sure (among the strongest of its class, or background beyond doubt),
    the better of the two CRF runs is confident, and both name the same label.

    Args:
        activations: ``(K, h, w)``; without any class all is background.
        image: ``(H, W, 3)`` uint8.
        config: All constants.

    Returns:
        ``(h, w)`` uint8 in {0} and the class ids and 255.

    Reference:
        [pan2021wsgcn], section 3.2, as in its code.
    """
    maps = activations.values
    size = (maps.shape[1], maps.shape[2])
    if not len(maps):
        return torch.zeros(size, dtype=torch.uint8)
    crf = build_crf(torch.from_numpy(grid_image(image, size, config.reduced)), config.crf, dtype=maps.dtype)
    strict, lenient = (
        crf.infer(unary_from_scores(torch.cat([background_score(maps, "power", power), maps])))
        for power in (config.strict, config.lenient)
    )
    chosen, background = strict.argmax(0), lenient.argmax(0) == 0
    wanted = torch.where(background, 0, torch.where(chosen == 0, -1, chosen))  # index of a label; -1: none
    mixed = torch.cat([lenient[:1], strict[1:]])
    probs, best = mixed.max(0)
    sure = sure_cells(maps, chosen, config) & (probs >= config.confidence) & (wanted == best)
    index = torch.where(sure, wanted, -1)
    lookup = torch.tensor([*(0, *activations.class_ids), UNDECIDED], dtype=torch.uint8)
    return lookup[_with_enough(index, maps, config.min_seeds)]  # -1 is the last entry


def sure_cells(maps: Tensor, chosen: Tensor, config: PartialConfig) -> Tensor:
    """Return ``(h, w)`` bool: whether the raw activations are sure of whatever is the best label of a cell.

    A class is ranked among the cells that it wins, ``n`` of them above ``floor``: sure are those strictly above the
    value at position ``floor((1 - kept) n)``, so none of equal values, and none for n <= 3 at the default.

    Args:
        maps: ``(K, h, w)`` activations.
        chosen: ``(h, w)`` index of the strict run's label; a label that it never gives is never sure.
        config: ``lenient``, ``kept``, ``floor`` and ``confidence``.
    """
    scores = torch.cat([background_score(maps, "power", config.lenient), maps])
    best = scores.argmax(0)
    sure = torch.zeros_like(best, dtype=torch.bool)
    for index in torch.unique(chosen).tolist():
        if index == 0:
            sure |= (best == 0) & (scores[0] > config.confidence)
            continue
        won = best == index
        ranked = scores[index][won & (scores[index] > config.floor)].sort().values
        if len(ranked) and (position := int((1 - config.kept) * len(ranked) + 1e-9)) < len(ranked):
            sure |= won & (scores[index] > ranked[position])
    return sure


def grid_image(image: NDArray[np.uint8], size: tuple[int, int], reduced: Reduced = "lanczos") -> NDArray[np.uint8]:
    """Return an RGB uint8 image reduced to (rows, columns); both ways take in all pixels of a cell."""
    return np.array(Image.fromarray(image).resize((size[1], size[0]), FILTERS[reduced]))


def _with_enough(index: Tensor, maps: Tensor, least: int) -> Tensor:
    """Return label indices in which each class has ``least`` cells: its strongest where no other is stronger."""
    winner = maps.argmax(0)
    for number in range(len(maps)):
        if int((index == number + 1).sum()) >= least:
            continue
        strength = torch.where((winner == number) & (maps[number] > 0), maps[number], -1).flatten()
        top = strength.topk(min(least, len(strength)))
        cells = top.indices[top.values >= 0]
        index = index.flatten().index_fill(0, cells, number + 1).reshape(index.shape)
    return index

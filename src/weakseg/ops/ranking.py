"""Average precision of tag scores."""

import numpy as np
from numpy.typing import NDArray


def average_precision(scores: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the area under the precision-recall steps of one class: the mean precision at each present image.

    Args:
        scores: ``(n,)`` classifier scores; equal scores share one step.
        targets: ``(n,)`` 1 present, 0 absent, NaN unknown (left out).

    Returns:
        In [0, 1]; NaN where no image shows the class.
    """
    known = ~np.isnan(targets)
    scores, targets = scores[known], targets[known]
    if not targets.sum():
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(targets[order])
    last_of_tie = np.append(np.diff(scores[order]) != 0, True)
    found, shown = hits[last_of_tie], np.flatnonzero(last_of_tie) + 1
    return float(np.sum(np.diff(found, prepend=0.0) * found / shown) / found[-1])


def mean_average_precision(scores: NDArray[np.floating], targets: NDArray[np.floating]) -> float:
    """Return the mean average precision over the classes that some image shows.

    Args:
        scores: ``(n, K)``.
        targets: ``(n, K)``: 1 present, 0 absent, NaN unknown.

    Returns:
        In [0, 1]; NaN where no class occurs.
    """
    values = [average_precision(scores[:, k], targets[:, k]) for k in range(scores.shape[1])]
    shown = [value for value in values if not np.isnan(value)]
    return float(np.mean(shown)) if shown else float("nan")

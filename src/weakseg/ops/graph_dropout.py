"""Graph dropout: states lose what stands out in them, so that a network looks elsewhere, too."""

import torch
from torch import Tensor

from weakseg.checks import check_rank, check_same_size
from weakseg.settings.group import DropMask, DropOutput


def graph_dropout(
    states: Tensor,
    dropped: Tensor,
    *,
    threshold: float = 0.7,
    mask: DropMask = "binary",
    output: DropOutput = "average",
    cell_mask: Tensor | None = None,
) -> Tensor:
    """Return states weighted by s: ``[a < threshold max a]`` where cells are dropped, else ``sigmoid(a)``.

    a is the mean of a cell over its channels. A node whose greatest mean is negative loses nothing.

    Args:
        states: ``(n, C, H, W)`` float: h.
        dropped: ``(n,)`` bool: nodes that lose the cells which stand out; the others are weighted by importance.
        threshold: Share of the greatest mean of a node from which cells are dropped.
        mask: ``binary``, or ``times_mean``: where cells are dropped, s times a.
        output: ``average``: ``(h s + h) / 2``; ``product``: ``h s``.
        cell_mask: ``(n, H, W)`` bool: cells that count for the maximum; ``None``: all.

    Returns:
        ``(n, C, H, W)``.

    Raises:
        ShapeError: If shapes do not fit.

    Reference:
        [li2021groupwsss], equations 9 to 11. Differs from the paper unless ``times_mean`` and ``product`` are chosen.
    """
    check_rank("states", states, 4, "(n, C, H, W)")
    check_same_size("dropped", dropped.shape, "nodes", states.shape[:1])
    mean = states.mean(1, keepdim=True)
    counted = mean
    if cell_mask is not None:
        check_same_size("cell_mask", cell_mask.shape, "states (n, H, W)", mean[:, 0].shape)
        counted = mean.masked_fill(~cell_mask[:, None], -torch.inf)
    kept = (mean < threshold * counted.amax((2, 3), keepdim=True)).to(states.dtype)
    if mask == "times_mean":
        kept = kept * mean
    weighted = states * torch.where(dropped[:, None, None, None], kept, torch.sigmoid(mean))
    return weighted if output == "product" else (weighted + states) / 2

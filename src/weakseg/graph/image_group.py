"""Graphs whose nodes are images: which of a group are joined, and images of several sizes as one array."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError


def group_edges(targets: Tensor, groups: Tensor, *, any_class: bool = False) -> Tensor:
    """Return an edge both ways between images of a group that share a class.

    Args:
        targets: ``(n, K)``: 1 present, 0 absent, NaN unknown, which is shared with nobody.
        groups: ``(n,)`` int64: the group of each image.
        any_class: Join all that show some class, shared or not: a control.

    Returns:
        ``(2, E)`` int64: senders, receivers; in order of receivers, then senders. An image has no edge to itself.

    Raises:
        ShapeError: If shapes do not fit.

    Reference:
        [li2021groupwsss], section on the graph.
    """
    check_rank("targets", targets, 2, "(n, K)")
    check_same_size("groups", groups.shape, "images", targets.shape[:1])
    shown = (targets == 1).float()
    if any_class:
        shown = shown.amax(1, keepdim=True)
    return _edges((shown @ shown.T > 0) & _together(groups))


def complete_edges(groups: Tensor) -> Tensor:
    """Return an edge both ways between all images of a group, for images without labels.

    Args:
        groups: ``(n,)`` int64: the group of each image.

    Returns:
        ``(2, E)`` int64, as ``group_edges``.
    """
    check_rank("groups", groups, 1, "(n,)")
    return _edges(_together(groups))


def stack_states(states: Sequence[Tensor]) -> tuple[Tensor, Tensor | None]:
    """Return states of images as one array, and which of its cells are theirs.

    Args:
        states: ``(C, h, w)`` of each image; sizes may differ.

    Returns:
        ``(n, C, H, W)``, zero beyond an image, which lies in the upper left; and ``(n, H, W)`` bool, or ``None`` where
        all have one size.

    Raises:
        ShapeError: If there is none, or channels differ.
    """
    if not states or len({state.shape[0] for state in states}) > 1 or any(state.ndim != 3 for state in states):
        raise ShapeError(f"states: expected (C, h, w) with one C, got {[tuple(state.shape) for state in states]}")
    sizes = [(state.shape[1], state.shape[2]) for state in states]
    if len(set(sizes)) == 1:
        return torch.stack(list(states)), None
    height, width = (max(size[axis] for size in sizes) for axis in (0, 1))
    padded = [F.pad(state, (0, width - w, 0, height - h)) for state, (h, w) in zip(states, sizes, strict=True)]
    mask = torch.zeros(len(states), height, width, dtype=torch.bool, device=states[0].device)
    for index, (h, w) in enumerate(sizes):
        mask[index, :h, :w] = True
    return torch.stack(padded), mask


def unstack_maps(maps: Tensor, cell_mask: Tensor | None) -> list[Tensor]:
    """Return ``(..., h, w)`` of each image, without what is not its own: the opposite of ``stack_states``.

    Args:
        maps: ``(n, ..., H, W)``.
        cell_mask: As ``stack_states`` gives it.
    """
    if cell_mask is None:
        return list(maps)
    sizes = [(int(one.any(1).sum()), int(one.any(0).sum())) for one in cell_mask]
    return [one[..., :h, :w] for one, (h, w) in zip(maps, sizes, strict=True)]


def _together(groups: Tensor) -> Tensor:
    same: Tensor = groups[:, None] == groups
    return same.fill_diagonal_(False)


def _edges(joined: Tensor) -> Tensor:
    """Return the edges of a symmetric matrix of receivers and senders."""
    return joined.nonzero().T.flip(0)

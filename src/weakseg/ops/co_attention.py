"""Messages between images: each cell of one attends to all cells of another."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_rank, check_same_size
from weakseg.errors import ShapeError

BLOCK_ENTRIES = 1 << 20  # scores that are held at once


def co_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    edges: Tensor,
    *,
    key_mask: Tensor | None = None,
    chunk: int = BLOCK_ENTRIES,
) -> Tensor:
    """Return the sum of the messages that each node gets: ``m_i = sum_j softmax(q_i k_j^T) v_j``.

    The softmax is over the cells of one sender, in float32 at least; there is no scaling. No array has N x N entries
    for each edge: blocks of scores are computed anew on the way back.

    Args:
        query: ``(n, M, w)`` float, of receiving cells.
        key: ``(n, N, w)``, of sending cells.
        value: ``(n, N, C)``, what they send.
        edges: ``(2, E)`` int64: senders j, receivers i.
        key_mask: ``(n, N)`` bool: cells that send; ``None``: all.
        chunk: Scores that are held at once. The result does not depend on it but for rounding.

    Returns:
        ``(n, M, C)`` in the data type of ``value``, zero for nodes that get none. First derivatives.

    Raises:
        ShapeError: If shapes do not fit, an edge names no node, or a sender has no cell that sends.

    Reference:
        [li2021groupwsss], equations 4 to 7.
    """
    senders, receivers = _checked(query, key, value, edges, key_mask)
    return _sent(query, key, value, _Routes(senders, receivers, receivers, len(query), key_mask, chunk))


def edge_messages(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    edges: Tensor,
    *,
    key_mask: Tensor | None = None,
    chunk: int = BLOCK_ENTRIES,
) -> Tensor:
    """Return the message ``(E, M, C)`` of each edge; all else as in ``co_attention``, which sums them up."""
    senders, receivers = _checked(query, key, value, edges, key_mask)
    own = list(range(len(senders)))
    return _sent(query, key, value, _Routes(senders, receivers, own, len(own), key_mask, chunk))


def attention(query: Tensor, key: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return ``softmax(q k^T)`` over cells, in float32 at least.

    Args:
        query: ``(B, M, w)`` float.
        key: ``(B, N, w)``.
        key_mask: ``(B, N)`` bool: cells that send; ``None``: all.

    Returns:
        ``(B, M, N)``; rows sum to one.
    """
    scores = torch.bmm(_wide(query), _wide(key).mT)
    if key_mask is not None:
        scores = scores.masked_fill(~key_mask[:, None], -torch.inf)
    return torch.softmax(scores, -1)


def cell_mean(value: Tensor, key_mask: Tensor | None = None) -> Tensor:
    """Return the mean ``(n, 1, C)`` of ``(n, N, C)`` over cells; ``key_mask``: ``(n, N)`` bool, those that count."""
    if key_mask is None:
        return value.mean(1, keepdim=True)
    counted = key_mask[..., None].to(value.dtype)
    return (value * counted).sum(1, keepdim=True) / counted.sum(1, keepdim=True)


@dataclass(frozen=True)
class _Routes:
    """Of each message: its sender, its receiver, and the row of the output that it is added to."""

    senders: list[int]
    receivers: list[int]
    targets: list[int]
    rows: int
    key_mask: Tensor | None
    chunk: int

    def blocks(self, cells: int, keys: int) -> Iterator[tuple["_Block", slice]]:
        """Yield some routes, and the receiving cells, whose scores are held at once."""
        routes = max(1, self.chunk // (cells * keys))
        rows = cells if routes > 1 else max(1, min(cells, self.chunk // keys))
        for first in range(0, len(self.senders), routes):
            part = slice(first, first + routes)
            block = _Block(self.senders[part], self.receivers[part], self.targets[part])
            for row in range(0, cells, rows):
                yield block, slice(row, row + rows)


@dataclass(frozen=True)
class _Block:
    senders: list[int]
    receivers: list[int]
    targets: list[int]


def _checked(
    query: Tensor, key: Tensor, value: Tensor, edges: Tensor, key_mask: Tensor | None
) -> tuple[list[int], list[int]]:
    """Return senders and receivers."""
    for name, array in {"query": query, "key": key, "value": value}.items():
        check_rank(name, array, 3, "(nodes, cells, channels)")
    check_same_size("key (nodes, channels)", key.shape[::2], "query", query.shape[::2])
    check_same_size("value (nodes, cells)", value.shape[:2], "key", key.shape[:2])
    if edges.dtype != torch.int64 or edges.ndim != 2 or len(edges) != 2:
        raise ShapeError(f"edges: expected int64 of shape (2, E), got {edges.dtype} {tuple(edges.shape)}")
    senders, receivers = edges.tolist()
    if senders and not (min(*senders, *receivers) >= 0 and max(*senders, *receivers) < len(query)):
        raise ShapeError(f"edges: expected nodes in 0..{len(query) - 1}, got {edges.min()} to {edges.max()}")
    if key_mask is not None:
        if key_mask.dtype != torch.bool:
            raise ShapeError(f"key_mask: expected bool, got {key_mask.dtype}")
        check_same_size("key_mask", key_mask.shape, "key (nodes, cells)", key.shape[:2])
        if not bool(key_mask[senders].any(1).all()):
            raise ShapeError("key_mask: a sender has no cell that sends; leave out its edges")
    return senders, receivers


def _wide(values: Tensor) -> Tensor:
    return values.float() if values.dtype in (torch.float16, torch.bfloat16) else values


def _sent(query: Tensor, key: Tensor, value: Tensor, routes: _Routes) -> Tensor:
    with torch.autocast(query.device.type, enabled=False):
        wide = (_wide(query), _wide(key), _wide(value))
        at_once = query.is_cuda and len(routes.senders) > 0  # kernels want a message at least
        messages: Tensor = fused(*wide, routes) if at_once else _Messages.apply(*wide, routes)
    return messages.to(value.dtype)


def fused(query: Tensor, key: Tensor, value: Tensor, routes: _Routes) -> Tensor:
    """Return the messages by torch's attention, which needs no N x N array where it has a kernel for the device."""
    chosen = (query[routes.receivers], key[routes.senders], value[routes.senders])
    mask = None if routes.key_mask is None else routes.key_mask[routes.senders][:, None, None]
    heads = [part[:, None].contiguous() for part in chosen]  # kernels want channels side by side
    messages = F.scaled_dot_product_attention(heads[0], heads[1], heads[2], attn_mask=mask, scale=1.0)[:, 0]
    into = torch.tensor(routes.targets, dtype=torch.long, device=value.device)
    return messages.new_zeros(routes.rows, *messages.shape[1:]).index_add(0, into, messages)


class _Messages(torch.autograd.Function):
    """Block by block; on the way back the probabilities are computed anew."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, routes: _Routes) -> Tensor:
        ctx.save_for_backward(query, key, value)
        ctx.routes = routes
        out = value.new_zeros(routes.rows, value.shape[2], query.shape[1]).mT  # maps, as values are
        for block, cells in routes.blocks(query.shape[1], key.shape[1]):
            probs = _probabilities(query, key, routes, block, cells)
            _add_product(out[:, cells], block.targets, probs, _taken(value, block.senders))
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        query, key, value = ctx.saved_tensors
        by_query, by_key, by_value = torch.zeros_like(query), torch.zeros_like(key), torch.zeros_like(value)
        with torch.autocast(query.device.type, enabled=False):
            for block, cells in ctx.routes.blocks(query.shape[1], key.shape[1]):
                probs = _probabilities(query, key, ctx.routes, block, cells)
                slopes = _taken(grad[:, cells], block.targets)
                _add_product(by_value, block.senders, probs.mT, slopes)
                weighted = torch.bmm(slopes, _taken(value, block.senders).mT).mul_(probs)
                by_scores = weighted.addcmul_(probs, weighted.sum(-1, keepdim=True), value=-1)
                _add_product(by_query[:, cells], block.receivers, by_scores, _taken(key, block.senders))
                _add_product(by_key, block.senders, by_scores.mT, _taken(query[:, cells], block.receivers))
        return by_query, by_key, by_value, None


def _probabilities(query: Tensor, key: Tensor, routes: _Routes, block: _Block, cells: slice) -> Tensor:
    mask = None if routes.key_mask is None else _taken(routes.key_mask, block.senders)
    return attention(_taken(query[:, cells], block.receivers), _taken(key, block.senders), mask)


def _taken(values: Tensor, index: list[int]) -> Tensor:
    """Return some rows; of one a view."""
    return values[index[0] : index[0] + 1] if len(index) == 1 else values[index]


def _add_product(out: Tensor, index: list[int], left: Tensor, right: Tensor) -> None:
    """Add products of matrices to rows of ``out``, which may be named several times."""
    if len(index) == 1:
        out[index[0] : index[0] + 1].baddbmm_(left, right)
    else:
        out.index_add_(0, torch.tensor(index, device=out.device), torch.bmm(left, right))

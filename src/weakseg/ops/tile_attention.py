"""Propagation along the edges of tiled graphs: by fixed weights, by cosine attention, by additive attention."""

from typing import Any

import torch
from torch import Tensor

from weakseg.ops.neighborhood import SMALLEST_NORM
from weakseg.ops.tiles import Tiles


def mix(tiles: Tiles, weights: Tensor, values: Tensor) -> Tensor:
    """Return ``h_i = sum_j A_ij v_j``; the derivative is in the values alone.

    Args:
        tiles: The graphs.
        weights: ``(T, ROWS, m)`` map of A.
        values: ``(B n, C)`` of places.

    Returns:
        ``(B n, C)``.
    """
    result: Tensor = _Mix.apply(values, weights, tiles)
    return result


def cosine_attention(tiles: Tiles, values: Tensor, scale: Tensor, edges: Tensor) -> Tensor:
    """Return ``h_i = sum_j P_ij v_j``, P the softmax over neighbours of ``z_ij = w c_ij + [c_ij > 0] e_ij``.

    ``c_ij`` is the cosine of ``v_i`` and ``v_j``, 0 with derivative 0 where one of them is zero.

    Args:
        tiles: The graphs.
        values: ``(B n, C)`` of places, zero in empty ones.
        scale: ``(B,)``: w of each image.
        edges: ``(T, ROWS, m)`` map of e, zero where there is no edge.

    Returns:
        ``(B n, C)``, zero in empty places. First derivatives in values and scale.

    Reference:
        [zhang2021a2gnn], equations 16 to 18, read as one softmax; [thekumparampil2018agnn], equation 7, where e is 0.
    """
    result: Tensor = _CosineAttention.apply(values, scale, edges, tiles)
    return result


def additive_attention(
    tiles: Tiles,
    values: Tensor,
    by_row: Tensor,
    by_column: Tensor,
    edges: Tensor | None = None,
    kept: Tensor | None = None,
) -> Tensor:
    """Return ``h_i = sum_j k_ij P_ij v_j`` of each head, P the softmax of ``LeakyReLU(s_i + t_j) + e_ij``.

    Args:
        tiles: The graphs.
        values: ``(B n, heads, C)`` of places.
        by_row: ``(B n, heads)`` s.
        by_column: ``(B n, heads)`` t.
        edges: ``(T, ROWS, m)`` map of e; ``None`` for zero.
        kept: ``(heads, T, ROWS, m)`` factors of dropout; ``None`` for one.

    Returns:
        ``(B n, heads, C)``. First derivatives in values, s and t.

    Reference:
        [velickovic2018gat], equations 3 and 4, ``a^T [g_i ; g_j]`` split in two; slope 0.2.
    """
    heads = [
        _AdditiveAttention.apply(
            values[:, h].contiguous(), by_row[:, h], by_column[:, h], edges, None if kept is None else kept[h], tiles
        )
        for h in range(values.shape[1])
    ]
    return torch.stack(heads, 1)


class _Mix(torch.autograd.Function):
    """Tile by tile; on the way back with the transposed matrix."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weights: Tensor, tiles: Tiles) -> Tensor:
        ctx.save_for_backward(weights)
        ctx.tiles = tiles
        return torch.bmm(weights, tiles.at_columns(values)).flatten(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        (weights,) = ctx.saved_tensors
        return torch.bmm(ctx.tiles.mirrored(weights), ctx.tiles.at_columns(grad)).flatten(0, 1), None, None


class _CosineAttention(torch.autograd.Function):
    """Cosines, softmax and sum; back again, neighbours are gathered anew and mirrored maps replace scattering.

    With S the derivative by the scores and u the values divided by their norms, that by u is ``w (S + S^T) u``, and
    that by w half the sum of ``u_i . ((S + S^T) u)_i``: cosines are not needed again.
    """

    @staticmethod
    def forward(ctx: Any, values: Tensor, scale: Tensor, edges: Tensor, tiles: Tiles) -> Tensor:
        norms = torch.linalg.vector_norm(values, dim=1, keepdim=True)
        inverse = torch.where(norms > SMALLEST_NORM, 1 / norms, 0)
        unit = values * inverse
        near = tiles.at_columns(unit)  # (T, m, C)
        cosines = torch.bmm(tiles.at_rows(unit), near.mT)  # (T, ROWS, m)
        gates = torch.gt(cosines, 0, out=torch.empty_like(cosines))  # numbers: products are faster than choices
        probs = _softmax_inside(gates.mul_(edges).addcmul_(cosines, _per_tile(scale, tiles)), tiles)
        out = torch.bmm(probs * tiles.at_columns(norms).mT, near).flatten(0, 1)
        ctx.save_for_backward(norms, inverse, unit, scale, probs, out)
        ctx.tiles = tiles
        return out

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        norms, inverse, unit, scale, probs, out = ctx.saved_tensors
        tiles = ctx.tiles
        near = tiles.at_columns(unit)
        slopes = torch.bmm(tiles.at_rows(grad), near.mT).mul_(tiles.at_columns(norms).mT)
        by_scores = slopes.sub_(_through_mean(grad, out, tiles)).mul_(probs)
        turned = torch.bmm(by_scores + tiles.mirrored(by_scores), near).flatten(0, 1)
        along = (turned * unit).sum(1, keepdim=True)
        by_values = torch.bmm(tiles.mirrored(probs), tiles.at_columns(grad)).flatten(0, 1)
        by_values.addcmul_(turned.addcmul_(along, unit, value=-1), inverse * _per_place(scale, tiles))
        return by_values, along.reshape(len(scale), -1).sum(1) / 2, None, None


class _AdditiveAttention(torch.autograd.Function):
    """One head; scores are computed anew on the way back."""

    SLOPE = 0.2

    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        by_row: Tensor,
        by_column: Tensor,
        edges: Tensor | None,
        kept: Tensor | None,
        tiles: Tiles,
    ) -> Tensor:
        sums = _sums(by_row, by_column, tiles)
        scores = torch.where(sums > 0, sums, _AdditiveAttention.SLOPE * sums)
        probs = _softmax_inside(scores if edges is None else scores.add_(edges), tiles)
        ctx.save_for_backward(values, sums > 0, probs, kept)
        ctx.tiles = tiles
        return torch.bmm(probs if kept is None else probs * kept, tiles.at_columns(values)).flatten(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        values, positive, probs, kept = ctx.saved_tensors
        tiles = ctx.tiles
        slopes = torch.bmm(tiles.at_rows(grad), tiles.at_columns(values).mT)
        by_scores = _through_softmax(probs, slopes if kept is None else slopes.mul_(kept))
        by_sums = torch.where(positive, by_scores, _AdditiveAttention.SLOPE * by_scores)
        used = tiles.mirrored(probs if kept is None else probs * kept)
        by_values = torch.bmm(used, tiles.at_columns(grad)).flatten(0, 1)
        return by_values, by_sums.sum(2).flatten(), tiles.mirrored(by_sums).sum(2).flatten(), None, None, None


def _sums(by_row: Tensor, by_column: Tensor, tiles: Tiles) -> Tensor:
    return tiles.at_rows(by_row[:, None]) + tiles.at_columns(by_column[:, None]).mT


def _softmax_inside(scores: Tensor, tiles: Tiles) -> Tensor:
    """Return the softmax over the edges of each place, 0 elsewhere; overwrites the scores."""
    probs = torch.softmax(scores.add_(tiles.barrier), -1)
    probs.flatten(0, 1).index_fill_(0, tiles.empty, 0)
    return probs


def _through_mean(grad: Tensor, out: Tensor, tiles: Tiles) -> Tensor:
    """Return ``(T, ROWS, 1)``: the mean by the probabilities of the derivatives by them, given what they summed up."""
    return tiles.at_rows((grad * out).sum(1, keepdim=True))


def _through_softmax(probs: Tensor, slopes: Tensor) -> Tensor:
    """Return the derivative by the scores; overwrites the slopes by the probabilities."""
    weighted = slopes.mul_(probs)
    return weighted.addcmul_(probs, weighted.sum(-1, keepdim=True), value=-1)


def _per_tile(scale: Tensor, tiles: Tiles) -> Tensor:
    """Return ``(T, 1, 1)`` of one number an image."""
    return scale.repeat_interleave(len(tiles.columns) // len(scale))[:, None, None]


def _per_place(scale: Tensor, tiles: Tiles) -> Tensor:
    """Return ``(B n, 1)`` of one number an image."""
    return scale.repeat_interleave(tiles.num_places)[:, None]

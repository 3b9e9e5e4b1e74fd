"""Tight boxes: the points that an object must have in every row and column, and the seeds that they overrule."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from weakseg.methods.a2gnn.config import A2gnnConfig, Consistency
from weakseg.methods.a2gnn.problem import A2gnnProblem
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, block_diagonal


class BoxWindow(NamedTuple):
    """A box: its image, index of its label, its number within the image, height and width in pixels."""

    image: int
    label: int
    number: int
    height: int
    width: int


class PickedPoints(NamedTuple):
    """Picked pixels, ``(n,)`` int64 each: their rows in ``BoxWindows.rows``, and their windows."""

    pixels: Tensor
    window: Tensor


@dataclass(frozen=True, eq=False)
class BoxWindows:
    """The pixels of all boxes of several images, box after box, row by row.

    Attributes:
        windows: K boxes.
        rows: ``(P, N)``: how each pixel reads values off the nodes of all images.
        labels: ``(P,)`` int64: index of the label of each pixel's box.
        codes: ``(P,)`` int64: equal for the same pixel of the same image.
    """

    windows: tuple[BoxWindow, ...]
    rows: SparseMatrix
    labels: Tensor
    codes: Tensor

    @cached_property
    def image(self) -> Tensor:
        """``(K,)`` int64: whose window each is."""
        return torch.tensor([window.image for window in self.windows], device=self.labels.device)

    @cached_property
    def label(self) -> Tensor:
        """``(K,)`` int64: index of the label of each window."""
        return torch.tensor([window.label for window in self.windows], device=self.labels.device)

    @cached_property
    def of_points(self) -> Tensor:
        """``(n,)`` int64: the window of each point, one a row and one a column of each, in their order."""
        counts = torch.tensor([window.height + window.width for window in self.windows], device=self.labels.device)
        return torch.arange(len(counts), device=counts.device).repeat_interleave(counts)

    def windows_of(self, image: int) -> slice:
        """Return which windows are those of an image."""
        own = [index for index, window in enumerate(self.windows) if window.image == image]
        return slice(own[0], own[-1] + 1) if own else slice(0)

    @torch.no_grad()
    def pick(self, logits: Tensor, config: A2gnnConfig) -> PickedPoints:
        """Return the best pixel for the box's class of each row and of each column of every box; the first of equals.

        Args:
            logits: ``(N, C)`` of nodes.
            config: Score and exceptions.

        Reference:
            [zhang2021a2gnn], section 3.6: a multiset, a pixel that is best in its row and in its column counts twice.
        """
        values = self.rows.times(logits).T.contiguous()
        own = values.gather(0, self.labels[None])[0]
        log_probs = own - torch.logsumexp(values, 0)
        score = own if config.point_score == "logit" else log_probs
        if score.is_cuda and not config.least_evidence:
            points = PickedPoints(self._best_at_once(score), self.of_points)
            return points if config.contested == "kept" else self._uncontested(points)
        picked, start = [], 0
        for window in self.windows:
            size = window.height * window.width
            chosen = _best(score[start : start + size].reshape(window.height, window.width)) + start
            if config.least_evidence:
                evidence = log_probs[chosen].exp()
                chosen = chosen[evidence >= config.least_evidence * evidence.median()]
            picked.append(chosen)
            start += size
        number = self.of_points
        if config.least_evidence:
            number = torch.cat([torch.full_like(chosen, index) for index, chosen in enumerate(picked)])
        points = PickedPoints(torch.cat(picked), number)
        return points if config.contested == "kept" else self._uncontested(points)

    @cached_property
    def _lines(self) -> Tensor:
        """``(2, P)`` int64: the number of each pixel's row, and of its column, among the points as they are picked."""
        parts, before = [], 0
        for window in self.windows:
            row = torch.arange(window.height).repeat_interleave(window.width)
            column = torch.arange(window.width).repeat(window.height) + window.height
            parts.append(torch.stack([row, column]) + before)
            before += window.height + window.width
        return torch.cat(parts, 1).to(self.labels.device)

    def _best_at_once(self, score: Tensor) -> Tensor:
        """Return what ``_best`` does of all windows, in a few operations: a GPU waits for each to be asked for."""
        count, last = len(self.of_points), len(score) - 1
        best = score.new_full((count,), -torch.inf)
        for line in self._lines:
            best.scatter_reduce_(0, line, score, "amax")
        place, found = torch.arange(last + 1, device=score.device), self.labels.new_full((count,), last)
        for line in self._lines:
            found.scatter_reduce_(0, line, torch.where(score == best[line], place, last), "amin")
        return found

    def _uncontested(self, points: PickedPoints) -> PickedPoints:
        """Return the points without pixels that are picked for two classes."""
        codes = self.codes[points.pixels]
        claims = torch.unique(torch.stack([codes, self.labels[points.pixels]], 1), dim=0)
        pixels, counts = torch.unique(claims[:, 0], return_counts=True)
        fine = ~torch.isin(codes, pixels[counts > 1])
        return PickedPoints(points.pixels[fine], points.window[fine])


def build_windows(problems: Sequence[A2gnnProblem], dtype: torch.dtype) -> BoxWindows | None:
    """Return the boxes of several images, or ``None`` if there is none."""
    windows, blocks, labels, codes, before = [], [], [], [], 0
    for image, problem in enumerate(problems):
        height, width = problem.readout.image_size
        pixels = []
        for number, (label, rows, columns) in enumerate(problem.usable_boxes):
            window = BoxWindow(image, label, number, rows.stop - rows.start, columns.stop - columns.start)
            grid = torch.meshgrid(torch.arange(height)[rows], torch.arange(width)[columns], indexing="ij")
            pixels.append(torch.stack([axis.flatten() for axis in grid]))
            labels.append(torch.full((window.height * window.width,), label))
            windows.append(window)
        if pixels:
            row, column = torch.cat(pixels, 1)
            codes.append(before + row * width + column)
            blocks.append(problem.readout.at(row, column, dtype))
        else:
            nothing = Pattern(
                torch.zeros(1, dtype=torch.int32), torch.zeros(0, dtype=torch.int32), len(problem.features)
            )
            blocks.append(SparseMatrix(nothing, torch.zeros(0, dtype=dtype)))
        before += height * width
    if not windows:
        return None
    return BoxWindows(tuple(windows), block_diagonal(blocks), torch.cat(labels), torch.cat(codes))


def inside_boxes(problem: A2gnnProblem, most: int) -> tuple[Tensor, Tensor]:
    """Return which boxes each seed lies in, ``(P, most)`` bool: those of its own class, and those of others."""
    seeds = problem.seeds
    own, foreign = torch.zeros(2, len(seeds.labels), most, dtype=torch.bool)
    if seeds.pixels is None:
        return own, foreign
    row, column = seeds.pixels.T
    for number, (label, rows, columns) in enumerate(problem.usable_boxes):
        within = (row >= rows.start) & (row < rows.stop) & (column >= columns.start) & (column < columns.stop)
        own[:, number] = within & (seeds.labels == label)
        foreign[:, number] = within & (seeds.labels != label)
    return own, foreign


@torch.no_grad()
def agreement(features: Tensor, prototypes: Tensor, rows: SparseMatrix, kind: Consistency) -> Tensor:
    """Return whose cosine to each prototype is > 0, ``(P, K)`` bool; interpolation is linear, so nodes are compared.

    Args:
        features: ``(N, D)`` of the nodes of an image.
        prototypes: ``(K, D)``: mean feature of each box's points.
        rows: ``(P, N)``: how seeds read values off the nodes; rows sum to one.
        kind: ``published``, or ``centred``: after subtracting the mean feature of the image from both.

    Reference:
        [zhang2021a2gnn], equations 27 and 28. Differs from the paper: features being non-negative, its form never
        fires; ``centred`` does.
    """
    if kind == "centred":
        mean = features.mean(0)
        features, prototypes = features - mean, prototypes - mean
    return rows.times(features @ prototypes.T) > 0


def _best(score: Tensor) -> Tensor:
    """Return the pixel of the best value of each row, then of each column."""
    height, width = score.shape
    columns = score.argmax(1) + torch.arange(height, device=score.device) * width
    return torch.cat([columns, score.argmax(0) * width + torch.arange(width, device=score.device)])

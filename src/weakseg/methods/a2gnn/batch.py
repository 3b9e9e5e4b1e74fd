"""The problems of several images as one: nodes one image after the other, places of equal number for their networks."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weakseg.methods.a2gnn.boxes import BoxWindows, PickedPoints, agreement, build_windows, inside_boxes
from weakseg.methods.a2gnn.config import A2gnnConfig
from weakseg.methods.a2gnn.losses import gated_crf, image_sums, log_partition, mean_weights, pull, row_cross_entropy
from weakseg.methods.a2gnn.problem import A2gnnProblem
from weakseg.nn.graphs.graph_layers import Graphs, Network, Output
from weakseg.nn.graphs.per_image import ImageDropout
from weakseg.ops.pattern import Pattern, counts_of
from weakseg.ops.sparse import SparseMatrix, block_diagonal
from weakseg.ops.tiles import build_tiles

IMPOSSIBLE = -1e4  # added to a logit, leaves a probability of exactly 0


@dataclass(frozen=True)
class A2gnnBatch:
    """Problems of one device.

    Attributes:
        problems: The problems; features equally wide, all of one type.
        device: Where all tensors are.
    """

    problems: Sequence[A2gnnProblem]
    device: str = "cpu"

    @property
    def dtype(self) -> torch.dtype:
        """Of all computation."""
        return self.problems[0].features.dtype

    @property
    def num_labels(self) -> list[int]:
        """Labels of each image."""
        return [len(problem.label_ids) for problem in self.problems]

    @cached_property
    def num_nodes(self) -> list[int]:
        """Nodes of each image."""
        return [len(problem.features) for problem in self.problems]

    @cached_property
    def image(self) -> Tensor:
        """``(N,)`` int64: whose node each is."""
        counts = torch.tensor(self.num_nodes, device=self.device)
        return torch.arange(len(counts), device=self.device).repeat_interleave(counts)

    @cached_property
    def graphs(self) -> Graphs:
        """Features and edges at places."""
        matrices = [problem.affinity for problem in self.problems]
        tiles = build_tiles([m.pattern for m in matrices], [p.places for p in self.problems]).to(self.device)
        features = torch.cat([problem.features for problem in self.problems]).to(self.device)
        return Graphs(tiles.scatter(features), tiles, torch.cat([m.values for m in matrices]).to(self.device))

    @cached_property
    def impossible(self) -> Tensor:
        """``(N, C)``: 0, or what makes a label impossible that an image does not know."""
        counts = torch.tensor(self.num_labels, device=self.device)
        known = torch.arange(max(self.num_labels), device=self.device) < counts[:, None]
        return torch.where(known, 0.0, IMPOSSIBLE).to(self.dtype)[self.image]

    def run(self, network: Network, weights: Sequence[Tensor], dropout: ImageDropout | None) -> Output:
        """Return ``(N, F)`` hidden units and ``(N, C)`` logits of the nodes."""
        hidden, logits = network(weights, self.graphs, dropout)
        places = self.graphs.tiles.places
        return Output(hidden.index_select(0, places), logits.index_select(0, places) + self.impossible)

    @cached_property
    def seeds(self) -> "A2gnnBatchSeeds":
        """The seeds of all images."""
        seeds = [problem.seeds for problem in self.problems]
        counts = torch.tensor([len(own.labels) for own in seeds])
        return A2gnnBatchSeeds(
            block_diagonal([own.rows for own in seeds]).to(self.device),
            torch.cat([own.labels for own in seeds]).to(self.device),
            torch.cat([own.weights for own in seeds]).to(self.device),
            torch.arange(len(seeds)).repeat_interleave(counts).to(self.device),
            self.image,
            (len(self.problems), max(self.num_labels)),
        )

    @cached_property
    def seed_rows(self) -> list[SparseMatrix]:
        """How the seeds of each image read values off its nodes."""
        return [problem.seeds.rows.to(self.device) for problem in self.problems]

    @cached_property
    def kernel(self) -> SparseMatrix | None:
        """``(N, N)`` kernels of all images, empty for those without; ``None`` if none has one."""
        kernels = [problem.kernel for problem in self.problems]
        if not any(kernels):
            return None
        nothing = [_no_entries(count, self.dtype) for count in self.num_nodes]
        return block_diagonal([own or none for own, none in zip(kernels, nothing, strict=True)]).to(self.device)

    @cached_property
    def windows(self) -> BoxWindows | None:
        """The boxes of all images."""
        windows = build_windows(self.problems, self.dtype)
        if windows is None:
            return None
        labels, codes = windows.labels.to(self.device), windows.codes.to(self.device)
        return BoxWindows(windows.windows, windows.rows.to(self.device), labels, codes)

    @cached_property
    def inside(self) -> tuple[Tensor, Tensor]:
        """``(P, most boxes of an image)`` bool: which boxes of its class each seed lies in, and which of others."""
        most = max(len(problem.usable_boxes) for problem in self.problems)
        found = zip(*(inside_boxes(problem, most) for problem in self.problems), strict=True)
        own, foreign = (torch.cat(parts).to(self.device) for parts in found)
        return own, foreign


@dataclass(frozen=True, eq=False)
class A2gnnBatchSeeds:
    """Seeds of several images.

    Attributes:
        rows: ``(P, N)``.
        labels: ``(P,)`` int64.
        weights: ``(P,)``.
        image: ``(P,)`` int64.
        image_of_nodes: ``(N,)`` int64.
        size: B images and C labels.
    """

    rows: SparseMatrix
    labels: Tensor
    weights: Tensor
    image: Tensor
    image_of_nodes: Tensor
    size: tuple[int, int]

    def loss(self, logits: Tensor, kept: Tensor | None = None) -> Tensor:
        """Return ``(B,)``: mean cross-entropy of background seeds plus that of all others; 0 for a group without any.

        With d the logits less that of label 0, a seed of label y loses ``log sum_c exp d_c - d_y``. The second part is
        linear: all seeds together take a fixed share of each d of each node, the same in every step.

        Args:
            logits: ``(N, C)`` of nodes; they are interpolated, not the probabilities.
            kept: ``(P,)`` bool: seeds that count.

        Reference:
            [zhang2021a2gnn], equation 21, as in its code: two means, at pixels.
        """
        shares = self._all_shares if kept is None else self._shares(kept)
        taken = self._all_taken if kept is None else self._taken(shares)
        above = logits[:, 1:] - logits[:, :1]
        partition = log_partition(self.rows.times(above)) * shares
        own = (above * taken).sum(1)
        return image_sums(partition, self.image, self.size[0]) - image_sums(own, self.image_of_nodes, self.size[0])

    def _shares(self, kept: Tensor | None = None) -> Tensor:
        """Return ``(P,)``: what each seed counts in its mean."""
        counts = self.weights if kept is None else self.weights * kept
        return mean_weights(counts, 2 * self.image + (self.labels > 0), 2 * self.size[0])

    def _taken(self, shares: Tensor) -> Tensor:
        """Return ``(N, C - 1)``: how much of each node's d the seeds of a label read, label 0 left out."""
        labels = torch.arange(1, self.size[1], device=shares.device)
        return self.rows.transpose().times((self.labels[:, None] == labels) * shares[:, None])

    @cached_property
    def _all_shares(self) -> Tensor:
        return self._shares()

    @cached_property
    def _all_taken(self) -> Tensor:
        return self._taken(self._all_shares)


def box_losses(batch: A2gnnBatch, windows: BoxWindows, points: PickedPoints, out: Output) -> tuple[Tensor, Tensor]:
    """Return ``(B,)`` mean cross-entropy of the points, and ``(B,)`` mean of ``1 - cos`` over pairs within boxes.

    Reference:
        [zhang2021a2gnn], equations 24 to 26; sums over boxes before dividing, as in its code.
    """
    images, num_boxes = len(batch.problems), len(windows.windows)
    image, labels = windows.image, windows.label[points.window]
    image_of_points = image[points.window]
    counts = counts_of(points.window, num_boxes).to(batch.dtype)
    read = windows.rows.take_rows(points.pixels).times(torch.cat([out.hidden, out.logits], 1))
    hidden, logits = torch.split(read, [out.hidden.shape[1], out.logits.shape[1]], 1)
    shares = mean_weights(torch.ones_like(labels, dtype=batch.dtype), image_of_points, images)
    of_points = row_cross_entropy(logits, labels) * shares
    apart = pull(hidden, points.window, num_boxes)
    pairs = image_sums(counts.square(), image, images)
    return image_sums(of_points, image_of_points, images), image_sums(apart, image, images) / pairs.clamp(min=1)


@torch.no_grad()
def consistent_seeds(
    batch: A2gnnBatch, windows: BoxWindows, points: PickedPoints, hidden: Tensor, config: A2gnnConfig
) -> Tensor:
    """Return the seeds, ``(P,)`` bool, that no box around them overrules.

    A box of a seed's own class does so by ``agreement``; with ``config.overruled`` ``all`` one of another class always.

    Reference:
        [zhang2021a2gnn], equation 28: as printed ``all``, in its code ``own``.
    """
    rows = windows.rows.take_rows(points.pixels)
    num_boxes = len(windows.windows)
    counts = counts_of(points.window, num_boxes)
    sums = hidden.new_zeros(num_boxes, hidden.shape[1]).index_add(0, points.window, rows.times(hidden))
    prototypes = sums / counts.clamp(min=1)[:, None]
    inside_own, inside_others = batch.inside
    kept = ~(inside_others & (config.overruled == "all")).any(1)
    own_seeds = torch.split(inside_own, [len(problem.seeds.labels) for problem in batch.problems])
    parts = zip(torch.split(hidden, batch.num_nodes), batch.seed_rows, own_seeds, strict=True)
    before = 0
    for index, (features, seeds, inside) in enumerate(parts):
        own = windows.windows_of(index)
        if num := len(prototypes[own]):
            agrees = agreement(features, prototypes[own], seeds, config.consistency) | (counts[own] == 0)
            kept[before : before + len(inside)] &= ~(inside[:, :num] & ~agrees).any(1)
        before += len(inside)
    return kept


def crf_loss(batch: A2gnnBatch, logits: Tensor) -> Tensor:
    """Return the ``(B,)`` gated CRF loss of the nodes' probabilities."""
    if batch.kernel is None:
        return logits.new_zeros(len(batch.problems))
    return gated_crf(torch.softmax(logits, 1), batch.kernel, batch.image, len(batch.problems))


def _no_entries(nodes: int, dtype: torch.dtype) -> SparseMatrix:
    starts = torch.zeros(nodes + 1, dtype=torch.int32)
    return SparseMatrix(Pattern(starts, starts[:0], nodes), torch.zeros(0, dtype=dtype))

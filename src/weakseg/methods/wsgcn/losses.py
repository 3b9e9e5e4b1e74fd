"""The four losses of WSGCN on the nodes of one image or of several."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.ops.sparse import SparseMatrix


class GcnTerms(NamedTuple):
    """The losses of each image without their weights, ``(B,)`` each.

    Attributes:
        foreground: Mean of ``-log q`` at the label over the nodes of some class; 0 without any.
        background: The same over background nodes.
        entropy: Mean of ``-sum_c q log q`` over unlabelled nodes, in nats; 0 without any.
        laplacian: ``tr(X^T L X) / N``, X log-probabilities or probabilities.
    """

    foreground: Tensor
    background: Tensor
    entropy: Tensor
    laplacian: Tensor


@dataclass(frozen=True)
class NodeWeights:
    """What each node counts in the means, prepared once.

    Attributes:
        foreground: ``(B, N, C)``: ``1 / |V_fg|`` at the label of a node of some class, else 0.
        background: ``(B, N, C)``: ``1 / |V_bg|`` at label 0 of a background node, else 0.
        unlabelled: ``(B, N, 1)``: ``1 / |V_ig|`` at unlabelled nodes, else 0.
        nodes: ``(B, N, 1)``: ``1 / |V|`` at nodes, 0 at padding.
    """

    foreground: Tensor
    background: Tensor
    unlabelled: Tensor
    nodes: Tensor

    def terms(self, log_probs: Tensor, laplacian: SparseMatrix, *, of_probs: bool = False) -> GcnTerms:
        """Return the terms for ``(B, N, C)`` log-probabilities, 0 for impossible labels.

        Args:
            log_probs: O.
            laplacian: ``(B N, B N)``, symmetric, rows summing to zero.
            of_probs: Whether probabilities are smooth (the paper) or their logarithms (the code).

        Reference:
            [pan2021wsgcn], sections 3.3 and 3.4. The published weight 10 of the entropy belongs to the mean over 21
            classes, as in its code; here the classes are summed.
        """
        entropy = -(torch.exp(log_probs) * log_probs).sum(-1, keepdim=True)
        smooth = torch.exp(log_probs) if of_probs else log_probs
        moved = (laplacian @ smooth.flatten(0, 1)).reshape(smooth.shape)
        return GcnTerms(
            -(self.foreground * log_probs).sum((1, 2)),
            -(self.background * log_probs).sum((1, 2)),
            (self.unlabelled * entropy).sum((1, 2)),
            (self.nodes * smooth * moved).sum((1, 2)),
        )


def node_weights(labels: Tensor, sizes: Tensor, num_labels: int, dtype: torch.dtype = torch.float32) -> NodeWeights:
    """Return the weights of nodes for ``(B, N)`` labels of which the first ``sizes`` ``(B,)`` are nodes."""
    node = torch.arange(labels.shape[1], device=labels.device) < sizes[:, None]
    known = labels != UNDECIDED
    one_hot = torch.nn.functional.one_hot(torch.where(known, labels, 0), num_labels).to(dtype)

    def mean_over(chosen: Tensor) -> Tensor:
        counted = (chosen & node).to(dtype)
        return (counted / counted.sum(1, keepdim=True).clamp(min=1))[..., None]

    foreground, background = mean_over(known & (labels != 0)), mean_over(known & (labels == 0))
    return NodeWeights(one_hot * foreground, one_hot * background, mean_over(~known), mean_over(node))


@dataclass(frozen=True)
class GcnObjective:
    """The weighted sum of all terms over all images, as a function of the logits, with its derivative in closed form.

    Attributes:
        labelled: ``(C, M)``: what each label's log-probability counts at each of the ``M = B N`` nodes.
        unsure: ``(M,)``: what each node's entropy counts.
        laplacian: ``(M, M)``, each image's scaled by its weight; ``None`` without the term.
        possible: ``(C, M)`` bool, or ``None`` where all labels are possible everywhere.
        of_probs: Whether probabilities are smooth, or their logarithms.
    """

    labelled: Tensor
    unsure: Tensor
    laplacian: SparseMatrix | None
    possible: Tensor | None
    of_probs: bool = False

    def value(self, logits: Tensor) -> Tensor:
        """Return the sum for ``(M, C)`` logits, ``()``; differentiable once."""
        total: Tensor = _Objective.apply(logits, self)
        return total

    def log_probs(self, logits: Tensor) -> Tensor:
        """Return ``(C, M)`` log-probabilities of ``(M, C)`` logits, 0 for impossible labels.

        Labels come first here: reductions over a short last axis are several times slower.
        """
        turned = logits.T.contiguous()
        if self.possible is None:
            return torch.log_softmax(turned, dim=0)
        return torch.log_softmax(turned.masked_fill(~self.possible, -torch.inf), 0).masked_fill(~self.possible, 0)


def build_gcn_objective(
    counts: NodeWeights, laplacian: SparseMatrix, possible: Tensor, *, weights: tuple[float, float], of_probs: bool
) -> GcnObjective:
    """Return the objective.

    Args:
        counts: Of the nodes.
        laplacian: ``(B N, B N)``.
        possible: ``(B, 1, C)`` bool: the labels of each image.
        weights: Of the entropy and of the Laplacian term; the cross-entropies have weight 1.
        of_probs: Whether probabilities are smooth, or their logarithms.
    """
    entropy, smoothness = weights
    labelled = (counts.foreground + counts.background).flatten(0, 1).T.contiguous()
    allowed = possible.expand(*counts.foreground.shape).flatten(0, 1).T.contiguous()
    return GcnObjective(
        labelled,
        entropy * counts.unlabelled.flatten(),
        laplacian.scale(rows=smoothness * counts.nodes.flatten()) if smoothness else None,
        None if bool(possible.all()) else allowed,
        of_probs,
    )


class _Objective(torch.autograd.Function):
    """Value and derivative from one softmax and one product with the Laplacian."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, objective: GcnObjective) -> Tensor:
        log_probs = objective.log_probs(logits)
        probs = log_probs.exp()
        if objective.possible is not None:
            probs = probs * objective.possible
        surprise = probs * log_probs
        total = -(objective.labelled * log_probs).sum() - (objective.unsure * surprise.sum(0)).sum()
        slope = -objective.labelled - objective.unsure * surprise  # but for what the softmax's Jacobian removes
        if objective.laplacian is not None:
            smooth = probs if objective.of_probs else log_probs
            moved = objective.laplacian.times(smooth.T.contiguous()).T
            total = total + (smooth * moved).sum()
            slope = slope + (2 * moved * probs if objective.of_probs else 2 * moved)
        ctx.save_for_backward(slope - probs * slope.sum(0))
        return total

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        (slope,) = ctx.saved_tensors
        return (grad * slope).T.contiguous(), None

"""The four losses of WSGCN on the nodes of one image or of several."""

from dataclasses import dataclass

import torch
from torch import Tensor

from weakseg.artifacts import UNDECIDED
from weakseg.ops.laplacian import quadratic_form
from weakseg.ops.sparse import SparseMatrix


@dataclass(frozen=True)
class Terms:
    """The losses, each summed over images; ``()`` or ``(B,)``.

    Attributes:
        foreground: Mean of ``-log q`` at the label over the nodes of an image with some class; 0 without any.
        background: The same over nodes that are background.
        entropy: Mean of ``-sum_c q log q`` over the unlabelled nodes of an image; 0 without any.
    """

    foreground: Tensor
    background: Tensor
    entropy: Tensor


@dataclass(frozen=True)
class NodeWeights:
    """What each node counts in the means, prepared once.

    Attributes:
        foreground: ``(B, N, C)``: ``1 / |V_fg|`` at the label of a node of some class, else 0.
        background: ``(B, N, C)``: ``1 / |V_bg|`` at label 0 of a background node, else 0.
        unlabelled: ``(B, N, 1)``: ``1 / |V_ig|`` at unlabelled nodes, else 0.
    """

    foreground: Tensor
    background: Tensor
    unlabelled: Tensor

    def terms(self, log_probs: Tensor) -> Terms:
        """Return the terms of each image, ``(B,)``, for ``(B, N, C)`` log-probabilities.

        Reference:
            [pan2021wsgcn], equations of the cross-entropies and the entropy loss. The published weight 10 belongs to
            the mean over 21 classes, as in its code; here the classes are summed.
        """
        entropy = -(torch.exp(log_probs) * log_probs).sum(-1, keepdim=True)
        return Terms(
            -(self.foreground * log_probs).sum((1, 2)),
            -(self.background * log_probs).sum((1, 2)),
            (self.unlabelled * entropy).sum((1, 2)),
        )


def node_weights(labels: Tensor, sizes: Tensor, num_labels: int, dtype: torch.dtype = torch.float32) -> NodeWeights:
    """Return the weights of nodes for ``(B, N)`` labels of which the first ``sizes`` ``(B,)`` are nodes."""
    node = torch.arange(labels.shape[1], device=labels.device) < sizes[:, None]
    known = labels != UNDECIDED
    one_hot = torch.nn.functional.one_hot(torch.where(known, labels, 0), num_labels).to(dtype)
    background, foreground = known & (labels == 0), known & (labels != 0)

    def mean_over(chosen: Tensor) -> Tensor:
        return (chosen / chosen.sum(1, keepdim=True).clamp(min=1)).to(dtype)[..., None]

    return NodeWeights(
        one_hot * mean_over(foreground & node), one_hot * mean_over(background & node), mean_over(~known & node)
    )


def laplacian_terms(laplacian: SparseMatrix, values: Tensor, sizes: Tensor) -> Tensor:
    """Return ``tr(X^T L X) / N`` of each image, ``(B,)``, for ``(B, N, C)`` values; for figures, not for training."""
    moved = (laplacian @ values.flatten(0, 1)).reshape(values.shape)
    return (values * moved).sum((1, 2)) / sizes


def total_laplacian(scaled: SparseMatrix, values: Tensor) -> Tensor:
    """Return the sum over images of ``w tr(X^T L X) / N``, the weights being in ``scaled`` already."""
    return quadratic_form(scaled, values.flatten(0, 1))

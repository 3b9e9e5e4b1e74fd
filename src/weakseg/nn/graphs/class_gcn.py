"""A graph network over classes: from word vectors and relations to one vector for each class."""

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.checks import check_finite, check_rank
from weakseg.errors import ShapeError
from weakseg.nn.models import ModelFile, class_count


class ClassNodes(NamedTuple):
    """What a graph of M classes is for a network: ``(M, D)`` vectors, ``(M, M)`` adjacency."""

    vectors: Tensor
    adjacency: Tensor

    @classmethod
    def as_in(cls, file: ModelFile, part: str) -> "ClassNodes":
        """Return zeros for the classes that a model file names, as wide as the vectors of a part that is a ClassGcn."""
        classes, width = class_count(file.header), file.state[f"{part}.vectors"].shape[1]
        return cls(torch.zeros(classes, width), torch.zeros(classes, classes))


class ClassGcn(nn.Module):
    """Layers ``V <- s(A dropout(V) W)`` without biases, s a leaky ReLU; the first has no dropout.

    Attributes:
        vectors: ``(M, D)`` inputs of the classes, a buffer.
        adjacency: ``(M, M)``, a buffer; no call changes it.
        weights: W of each layer, drawn uniformly from ``+-1 / sqrt(outputs)``.

    Args:
        vectors: ``(M, D)`` float.
        adjacency: ``(M, M)`` float, normalised.
        widths: Outputs of each layer.
        last_activation: Whether s follows the last layer, too.
        negative_slope: Of s; 0: a ReLU.
        dropout: Probability with which a value between two layers is 0 in training.

    Raises:
        ShapeError: If vectors and adjacency are of other shapes or not finite, or a layer has no output.

    Reference:
        [chen2019mlgcn], section 3.2; [zhang2023grm], class graph network.
    """

    vectors: Tensor
    adjacency: Tensor

    def __init__(
        self,
        vectors: Tensor,
        adjacency: Tensor,
        widths: Sequence[int],
        *,
        last_activation: bool = True,
        negative_slope: float = 0.2,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        _check(vectors, adjacency, widths)
        self.register_buffer("vectors", vectors.float())
        self.register_buffer("adjacency", adjacency.float())
        self.weights = nn.ParameterList(torch.empty(shape) for shape in pairwise([vectors.shape[1], *widths]))
        for weight in self.weights:
            bound = weight.shape[1] ** -0.5
            nn.init.uniform_(weight, -bound, bound)
        self.last_activation, self.negative_slope, self.dropout = last_activation, negative_slope, dropout

    @property
    def width(self) -> int:
        """Values of a class vector."""
        return int(self.weights[-1].shape[1])

    def forward(self) -> Tensor:
        """Return ``(M, widths[-1])`` vectors of the classes."""
        values = self.vectors
        for index, weight in enumerate(self.weights):
            if index:
                values = F.dropout(values, self.dropout, self.training)
            values = self.adjacency @ (values @ weight)
            if self.last_activation or index < len(self.weights) - 1:
                values = F.leaky_relu(values, self.negative_slope)
        return values


def _check(vectors: Tensor, adjacency: Tensor, widths: Sequence[int]) -> None:
    """Raise ``ShapeError`` for what is no graph of classes."""
    check_rank("vectors", vectors, 2, "(M, D)")
    if not vectors.numel():
        raise ShapeError(f"vectors: expected shape (M, D) with one class and one value at least, got {vectors.shape}")
    if adjacency.shape != (len(vectors), len(vectors)):
        raise ShapeError(f"adjacency: {len(vectors)} classes need a square of that side, got {tuple(adjacency.shape)}")
    if not vectors.is_meta:
        check_finite("vectors", vectors)
        check_finite("adjacency", adjacency)
    if not widths or min(widths) < 1:
        raise ShapeError(f"widths: every layer needs an output, and there is at least one layer; got {tuple(widths)}")

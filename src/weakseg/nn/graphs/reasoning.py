"""Layers that let classes tell every cell of a feature map what they have learned of each other."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.graphs.class_gcn import ClassGcn, ClassNodes
from weakseg.settings.reasoning import Normalize, ReasoningConfig


class Reasoning(nn.Module):
    """Features ``(B, C, h, w)`` to those with what classes add to each cell.

    Attributes:
        gcn: Makes the vectors of the classes, V ``(M, D)``.
        lr_factor: Learning rate, as a multiple of that of a head.
    """

    lr_factor = 1.0

    def __init__(self, gcn: ClassGcn) -> None:
        super().__init__()
        self.gcn = gcn
        self._held: Tensor | None = None
        self._known: tuple[list[tuple[int, int]], Tensor] | None = None

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, C, h, w)`` features.

        Args:
            features: ``(B, C, h, w)`` float; no copy of them is made for each class.
        """
        return features + self.added(features, self.vectors())

    def added(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return what is added, ``(B, C, h, w)``, with ``(M, D)`` vectors of the classes."""
        raise NotImplementedError

    def vectors(self) -> Tensor:
        """Return ``(M, D)`` vectors of the classes; without training and gradients those of before, if nothing changed.

        They do not depend on images.
        """
        if self._held is not None:
            return self._held
        if self.training or torch.is_grad_enabled() or torch.compiler.is_compiling():  # where tensors have no place
            return self.gcn()  # type: ignore[no-any-return]
        state = [(tensor.data_ptr(), tensor._version) for tensor in self.gcn.state_dict(keep_vars=True).values()]
        if self._known is None or self._known[0] != state:
            self._known = state, self.gcn()
        return self._known[1]

    @contextmanager
    def one_step(self) -> Iterator[None]:
        """Let all calls within use the same vectors, computed once, with the same dropout."""
        self._held = self.vectors()
        try:
            yield
        finally:
            self._held = None


class ClassAttention(Reasoning):
    """Each cell attends to the classes: ``x_i + rho W_o sum_m h_im v_m``, ``h_im = softmax(q_i . k_m / sqrt(d))``.

    ``q = W_x x``, ``k = W_v v``. The softmax is over classes m, or over cells i as in the paper. Weights are multiplied
    with class vectors first, so that two 1x1 convolutions with M channels between them are left. The scalar rho starts
    at 0, where the layer changes nothing and rho alone has a gradient.

    Args:
        gcn: Makes the vectors of the classes.
        channels: C.
        keys: d.
        normalize: What each softmax is over.

    Reference:
        [zhang2023grm], graph reasoning mapping. Differs from the paper: bilinear compatibility, softmax over classes,
        and the scalar; see ``CollapsedReasoning`` for why.
    """

    def __init__(self, gcn: ClassGcn, channels: int, *, keys: int = 64, normalize: Normalize = "classes") -> None:
        super().__init__(gcn)
        self.normalize = normalize
        self.query = nn.Linear(channels, keys, bias=False)
        self.key = nn.Linear(gcn.width, keys, bias=False)
        self.output = nn.Linear(gcn.width, channels, bias=False)
        self.gate = nn.Parameter(torch.zeros(1))

    def added(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return ``rho W_o sum_m h_im v_m``, ``(B, C, h, w)``."""
        messages = self.output(vectors).T  # (C, M)
        return self.gate * F.conv2d(self.weights(features, vectors), messages[..., None, None])

    def weights(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return h, ``(B, M, h, w)`` in [0, 1]: of sum one over classes, or of each class over cells."""
        asked = self.key(vectors) @ self.query.weight * len(self.query.weight) ** -0.5  # (M, C)
        scores = F.conv2d(features, asked[..., None, None])
        return softmax_of(scores, self.normalize).to(scores.dtype)


class CollapsedReasoning(Reasoning):
    """The published layer as it collapses: ``x_i + a_i sum_m v_m``, ``a = softmax(w_x . x_i)`` over i.

    As published, ``h_im = softmax over i of (w_x . x_i + w_v . v_m + b)``. What depends on m alone cancels, so h is the
    same for all classes, and ``w_v`` and ``b``, which have no gradient, are left out here. ``v_m >= 0``: the ReLU
    around the sum does nothing. Weights of the class network stay as they were drawn, as in the published code.

    Raises:
        ConfigError: If vectors of the classes have another width than features.

    Reference:
        [zhang2023grm], graph reasoning mapping. Differs from its code: the adjacency does not change in the course of a
        training, and nothing is dropped at test.
    """

    def __init__(self, gcn: ClassGcn, channels: int) -> None:
        super().__init__(gcn)
        if gcn.width != channels:
            raise ConfigError(
                f"model.reasoning.widths: 'official' adds vectors of the classes to features of {channels} channels, "
                f"so the last width has to be {channels}, got {gcn.width}"
            )
        gcn.requires_grad_(requires_grad=False)
        self.score = nn.Linear(channels, 1, bias=False)

    def added(self, features: Tensor, vectors: Tensor) -> Tensor:
        """Return ``a_i sum_m v_m``, ``(B, C, h, w)``."""
        scores = F.conv2d(features, self.score.weight[..., None, None])
        return softmax_of(scores, "pixels").to(features.dtype) * vectors.sum(0)[:, None, None]


def softmax_of(scores: Tensor, over: Normalize) -> Tensor:
    """Return the softmax of ``(B, M, h, w)`` scores over classes or over cells, in float32 at least."""
    scores = scores if scores.dtype == torch.float64 else scores.float()
    return scores.softmax(1) if over == "classes" else scores.flatten(2).softmax(2).reshape(scores.shape)


def build_reasoning(config: ReasoningConfig, nodes: ClassNodes, channels: int) -> Reasoning:
    """Return the layer that a configuration describes.

    Args:
        config: Of any kind but ``none``.
        nodes: Vectors and adjacency of the classes.
        channels: Of the features.

    Raises:
        ConfigError: If widths do not fit.
        ShapeError: If the nodes are no graph of classes.
    """
    gcn = ClassGcn(*nodes, config.widths, negative_slope=0.0, dropout=config.dropout)
    layer = (
        CollapsedReasoning(gcn, channels)
        if config.kind == "official"
        else ClassAttention(gcn, channels, keys=config.keys, normalize=config.normalize)
    )
    layer.lr_factor = config.lr_factor
    return layer

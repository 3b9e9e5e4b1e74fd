"""Mean-field inference in a fully connected CRF with a Gaussian and a bilateral kernel."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_finite, check_rank, check_rgb_uint8, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.permutohedral import REVERSED, Lattice, Order, build_lattice
from weakseg.ops.position_kernel import PositionKernel
from weakseg.ops.workspace import Workspace
from weakseg.settings.crf import CrfParams

BLOCK_FLOATS = 1 << 16  # that are updated at once
UNDECIDED = 255


@dataclass(frozen=True)
class BilateralKernel:
    """The Gaussian of positions and colours, through the permutohedral lattice."""

    lattice: Lattice

    def apply(self, values: Tensor, scale: Tensor, order: Order, space: Workspace) -> Tensor:
        """Return ``K diag(scale) values``, in the workspace, for ``(L, N)`` values."""
        labels, pixels = values.shape
        columns = space.take("columns", values, pixels, _fast_width(labels))
        columns[:, labels:] = 0
        torch.mul(values, scale, out=columns.T[:labels])
        return self.lattice.apply(columns, order, space).T[:labels]


def _fast_width(columns: int) -> int:
    """Return how many columns of a sparse product take least time, zeros among them."""
    return 8 * math.ceil(columns / 8) if columns > 16 else columns + (columns % 4 == 3)


@dataclass(frozen=True)
class Message:
    """A kernel with symmetric normalisation and its Potts weight: ``w diag(n) K diag(n)``, ``n = (K 1)^-1/2``."""

    kernel: PositionKernel | BilateralKernel
    scale: Tensor
    weight: float

    def apply(self, probs: Tensor, order: Order = "mean") -> Tensor:
        """Return the message to each pixel for ``(L, N)`` probabilities; no derivatives."""
        return self.kernel.apply(probs, self.scale, order, Workspace()) * (self.weight * self.scale)


Known = tuple[dict[Order, Tensor], Workspace]  # what all labels together receive; memory of the messages


class _Update(torch.autograd.Function):
    """One mean-field update, ``softmax(-U + sum_m w_m K_m Q)``, of all labels.

    What the last label receives is what all of them do together, less what the others do. Pixels are taken in blocks
    that stay in the cache.
    """

    @staticmethod
    def forward(
        ctx: Any, probs: Tensor, energy: Tensor, messages: tuple[Message, ...], order: Order, known: Known
    ) -> Tensor:
        whole, space = known
        sent = probs[:-1] if order in whole else torch.cat([probs[:-1], torch.ones_like(probs[:1])])
        received = [message.kernel.apply(sent, message.scale, order, space) for message in messages]
        scales = [message.weight * message.scale for message in messages]
        if order not in whole:
            totals = [found[-1:] * scale for found, scale in zip(received, scales, strict=True)]
            whole[order] = torch.stack(totals).sum(0)
        updated = torch.empty_like(probs)
        count = max(1, BLOCK_FLOATS // len(probs))
        for first in range(0, probs.shape[1], count):
            part = slice(first, first + count)
            logits = received[0][: len(probs) - 1, part] * scales[0][:, part]
            for found, scale in zip(received[1:], scales[1:], strict=True):
                logits.addcmul_(found[: len(probs) - 1, part], scale[:, part])
            logits = torch.cat([logits, whole[order][:, part] - logits.sum(0, keepdim=True)])
            updated[:, part] = torch.softmax(logits.sub_(energy[:, part]), 0)
        ctx.save_for_backward(updated)
        ctx.messages, ctx.order = messages, order
        return updated

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None, None]:
        (probs,) = ctx.saved_tensors
        by_logits = probs * (grad - (grad * probs).sum(0, keepdim=True))
        relative = by_logits[:-1] - by_logits[-1:]
        by_others = sum(message.apply(relative, REVERSED[ctx.order]) for message in ctx.messages)
        return torch.cat([by_others, torch.zeros_like(probs[:1])]), -by_logits, None, None, None


@dataclass(frozen=True)
class DenseCrf:
    """The CRF of one image or of several: built once, used for any unary on them.

    Attributes:
        messages: One for each kernel of positive weight.
        iterations: Number of mean-field updates.
        sizes: (rows, columns) of each image.
    """

    messages: tuple[Message, ...]
    iterations: int
    sizes: tuple[tuple[int, int], ...]

    def infer(self, unary: Tensor) -> Tensor:
        """Return the marginals of the only image for a unary; see ``dense_crf``."""
        return self.infer_batch([unary])[0]

    def infer_batch(self, unaries: Sequence[Tensor]) -> list[Tensor]:
        """Return the marginals of each image, the same as one by one, for ``(L_i, H_i, W_i)`` unaries."""
        if len(unaries) != len(self.sizes):
            raise ShapeError(f"unary: expected one for each of {len(self.sizes)} images, got {len(unaries)}")
        for unary, size in zip(unaries, self.sizes, strict=True):
            check_rank("unary", unary, 3, "(L, H, W)")
            check_same_size("unary", unary.shape[1:], "image", size)
            check_finite("unary", unary)
        labels = max(len(unary) for unary in unaries)
        padded = [F.pad(unary.flatten(1), (0, 0, labels - len(unary), 0), value=torch.inf) for unary in unaries]
        found = self._mean_field(torch.cat(padded, dim=1) if len(padded) > 1 else padded[0])
        probs = torch.split(found, [height * width for height, width in self.sizes], dim=1)
        return [part[labels - len(unary) :].reshape(unary.shape) for part, unary in zip(probs, unaries, strict=True)]

    def _mean_field(self, energy: Tensor) -> Tensor:
        """Return ``(L, N)`` marginals; labels of infinite energy stay at zero.

        Updates alternate between the two orders of the lattice's axes, the last one takes the mean of both: as close to
        the exact marginals as the mean in every update, in little more than half of the blurs.
        """
        probs = torch.softmax(-energy, dim=0)
        if len(energy) < 2 or not self.messages:
            return probs
        known: Known = ({}, Workspace())
        for left in range(self.iterations, 0, -1):
            order: Order = "mean" if left == 1 else ("forth", "back")[left % 2]
            probs = _Update.apply(probs, energy, self.messages, order, known)
        return probs


def build_crf(images: Tensor | Sequence[Tensor], params: CrfParams, *, dtype: torch.dtype = torch.float32) -> DenseCrf:
    """Return the CRF of an image, or of several images of any sizes at once.

    Args:
        images: ``(H, W, 3)`` uint8 RGB, or a sequence of such, all on one device.
        params: Kernels and iterations; kernels of weight 0 are left out.
        dtype: Precision of the computation; the unary must have the same.

    Raises:
        ShapeError: If an image is no RGB uint8 image, or ``dtype`` is neither float32 nor float64.
    """
    images = [images] if isinstance(images, Tensor) else list(images)
    for image in images:
        check_rgb_uint8("image", image)
    if dtype not in (torch.float32, torch.float64):
        raise ShapeError(f"unary: expected float32 or float64, got {dtype}; convert it first")
    sizes = tuple((image.shape[0], image.shape[1]) for image in images)
    kernels: list[tuple[PositionKernel | BilateralKernel, float]] = []
    if params.iterations and params.gaussian_weight:
        kernels.append((PositionKernel(sizes, params.gaussian_sigma_px), params.gaussian_weight))
    if params.iterations and params.bilateral_weight:
        sigmas = params.bilateral_sigma_px, params.bilateral_sigma_rgb
        features = torch.cat([bilateral_features(image, *sigmas, dtype=dtype) for image in images])
        of_image = [torch.full((h * w,), i, device=features.device) for i, (h, w) in enumerate(sizes)]
        lattice = build_lattice(features, groups=torch.cat(of_image) if len(images) > 1 else None)
        kernels.append((BilateralKernel(lattice), params.bilateral_weight))
    ones = torch.ones(1, sum(height * width for height, width in sizes), dtype=dtype, device=images[0].device)
    sums = [kernel.apply(ones, ones, "mean", Workspace()) for kernel, _ in kernels]
    messages = tuple(
        Message(kernel, (s + 1e-20).rsqrt(), weight) for (kernel, weight), s in zip(kernels, sums, strict=True)
    )
    return DenseCrf(messages, params.iterations, sizes)


def bilateral_features(image: Tensor, sigma_px: float, sigma_rgb: float, *, dtype: torch.dtype) -> Tensor:
    """Return ``(N, 5)`` features (x, y, R, G, B), each divided by its standard deviation."""
    height, width, _ = image.shape
    rows, columns = (torch.arange(n, device=image.device, dtype=dtype) / sigma_px for n in (height, width))
    planes = torch.empty(5, height, width, dtype=dtype, device=image.device)
    planes[0], planes[1] = columns, rows[:, None]
    planes[2:] = image.movedim(2, 0)
    planes[2:] /= sigma_rgb
    return planes.flatten(1).T


def dense_crf(unary: Tensor, image: Tensor, params: CrfParams) -> Tensor:
    """Return mean-field marginals of a dense CRF: ``Q <- softmax(-U + sum_m w_m K_m Q)``, repeated T times.

    The sum over neighbours includes the pixel itself, and kernels are normalised symmetrically, as in the code that
    the field's published figures were made with.

    Args:
        unary: ``(L, H, W)`` float32 or float64 energies, -log scores; finite.
        image: ``(H, W, 3)`` uint8 RGB on the same device.
        params: Kernels and iterations.

    Returns:
        ``(L, H, W)`` probabilities; the labels of a pixel sum to one.

    Raises:
        ShapeError: If shapes or types differ from the above, or ``unary`` is not finite.

    Reference:
        [kraehenbuehl2011densecrf], algorithm 1; differs from the paper: self message kept, symmetric normalisation.
    """
    return build_crf(image, params, dtype=unary.dtype).infer(unary)


def unary_from_scores(scores: Tensor, *, clip: float = 1e-5) -> Tensor:
    """Return ``-ln(clip(p, clip, 1))``; scores need not sum to one, and score 0 becomes 11.5129 at the default.

    Args:
        scores: ``(L, H, W)`` float, no NaN.
        clip: Smallest score that counts.
    """
    check_finite("scores", scores)
    return -torch.log(scores.clamp(clip, 1.0))


def unary_from_labels(labels: Tensor, num_labels: int, *, confidence: float = 0.7) -> Tensor:
    """Return ``-ln g`` at the label and ``-ln((1 - g) / (L - 1))`` elsewhere; undecided pixels get ``ln L`` everywhere.

    Args:
        labels: ``(H, W)`` integer in {0..L-1, 255}.
        num_labels: L >= 1.
        confidence: g in (1/L, 1).

    Returns:
        ``(L, H, W)`` float32.

    Raises:
        ShapeError: If a label is neither below ``num_labels`` nor 255, or ``confidence`` is no probability.
    """
    check_rank("labels", labels, 2, "(H, W)")
    if not 0 < confidence < 1:
        raise ShapeError(f"confidence: expected a value in (0, 1), got {confidence}")
    labels = labels.long()
    decided = labels != UNDECIDED
    if bool((decided & ((labels >= num_labels) | (labels < 0))).any()):
        raise ShapeError(f"labels: expected values below {num_labels} or 255, got {labels[decided].max().item()}")
    if num_labels == 1:
        return torch.zeros(1, *labels.shape, device=labels.device)
    one_hot = F.one_hot(torch.where(decided, labels, 0), num_labels).permute(2, 0, 1).bool()
    energy = torch.where(one_hot, -math.log(confidence), -math.log((1 - confidence) / (num_labels - 1)))
    return torch.where(decided, energy, math.log(num_labels))


def unary_from_softmax(probs: Tensor) -> Tensor:
    """Return ``-ln softmax(p)``, WSGCN's low-contrast unary (at most one nat between two labels), for ``(L, H, W)``."""
    return -torch.log_softmax(probs, dim=0)

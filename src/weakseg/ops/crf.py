"""Mean-field inference in a fully connected CRF with a Gaussian and a bilateral kernel."""

import math
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.checks import check_finite, check_rank, check_rgb_uint8, check_same_size
from weakseg.errors import ShapeError
from weakseg.ops.permutohedral import Lattice, build_lattice

TRUNCATE_SIGMAS = 4.0
UNDECIDED = 255


@dataclass(frozen=True)
class CrfParams:
    """Parameters of the two kernels; the defaults are IRNet's for pair labels.

    Attributes:
        iterations: Number of parallel mean-field updates; 0 returns the softmax of the unary.
        gaussian_sigma_px: Standard deviation of the position kernel in pixels.
        gaussian_weight: Its Potts weight; 0 leaves the kernel out.
        bilateral_sigma_px: Standard deviation of the bilateral kernel in position, in pixels.
        bilateral_sigma_rgb: The same in colour, on the scale 0..255.
        bilateral_weight: Its Potts weight; 0 leaves the kernel out.
    """

    iterations: int = 10
    gaussian_sigma_px: float = 3.0
    gaussian_weight: float = 3.0
    bilateral_sigma_px: float = 50.0
    bilateral_sigma_rgb: float = 5.0
    bilateral_weight: float = 10.0

    def __post_init__(self) -> None:
        """Refuse widths that are not positive and counts that are negative."""
        widths = (self.gaussian_sigma_px, self.bilateral_sigma_px, self.bilateral_sigma_rgb)
        if min(widths) <= 0 or self.iterations < 0 or min(self.gaussian_weight, self.bilateral_weight) < 0:
            raise ShapeError(f"CRF parameters: sigmas must be > 0, weights and iterations >= 0, got {self}")


class Kernel(Protocol):
    """A symmetric non-negative operator on pixels."""

    def apply(self, values: Tensor) -> Tensor:
        """Return ``K @ values`` for ``(N, L)`` values."""
        ...


@dataclass(frozen=True)
class GridGaussian:
    """Position kernel as two one-dimensional convolutions, truncated at four standard deviations."""

    height: int
    width: int
    sigma_px: float

    def apply(self, values: Tensor) -> Tensor:
        """Return ``K @ values`` for ``(N, L)`` values in row-major pixel order."""
        planes = values.T.reshape(-1, 1, self.height, self.width)
        for axis, length in ((2, self.height), (3, self.width)):
            radius = min(math.ceil(TRUNCATE_SIGMAS * self.sigma_px), length - 1)
            offsets = torch.arange(-radius, radius + 1, device=values.device, dtype=values.dtype)
            taps = torch.exp(-0.5 * (offsets / self.sigma_px) ** 2)
            shape = (1, 1, -1, 1) if axis == 2 else (1, 1, 1, -1)
            padding = (radius, 0) if axis == 2 else (0, radius)
            planes = F.conv2d(planes, taps.reshape(shape), padding=padding)
        return planes.reshape(values.shape[1], -1).T


@dataclass(frozen=True)
class LatticeKernel:
    """Any Gaussian kernel through the permutohedral lattice."""

    lattice: Lattice

    def apply(self, values: Tensor) -> Tensor:
        """Return ``K @ values`` for ``(N, L)`` values."""
        return self.lattice.filter(values)


@dataclass(frozen=True)
class Message:
    """A kernel with symmetric normalisation and its Potts weight: ``w diag(n) K diag(n)``, ``n = (K 1)^-1/2``."""

    kernel: Kernel
    scale: Tensor
    weight: float

    def apply(self, probs: Tensor) -> Tensor:
        """Return the message to each pixel for ``(N, L)`` probabilities."""
        return self.weight * self.scale * self.kernel.apply(self.scale * probs)


@dataclass(frozen=True)
class DenseCrf:
    """The CRF of one image: built once, used for any unary on it.

    Attributes:
        messages: One for each kernel of positive weight.
        iterations: Number of mean-field updates.
        size: (rows, columns) of the image.
    """

    messages: tuple[Message, ...]
    iterations: int
    size: tuple[int, int]

    def infer(self, unary: Tensor) -> Tensor:
        """Return the marginals for a unary; see ``dense_crf``."""
        check_rank("unary", unary, 3, "(L, H, W)")
        check_same_size("unary", unary.shape[1:], "image", self.size)
        check_finite("unary", unary)
        energy = unary.flatten(1).T  # (N, L)
        probs = torch.softmax(-energy, dim=1)
        for _ in range(self.iterations if len(unary) > 1 else 0):
            received = sum((message.apply(probs) for message in self.messages), torch.zeros_like(probs))
            probs = torch.softmax(received - energy, dim=1)
        return probs.T.reshape(unary.shape)


def build_crf(image: Tensor, params: CrfParams, *, dtype: torch.dtype = torch.float32) -> DenseCrf:
    """Return the CRF of an image.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        params: Kernels and iterations; kernels of weight 0 are left out.
        dtype: Precision of the computation; the unary must have the same.

    Raises:
        ShapeError: If ``image`` is no RGB uint8 image, or ``dtype`` is neither float32 nor float64.
    """
    check_rgb_uint8("image", image)
    if dtype not in (torch.float32, torch.float64):
        raise ShapeError(f"unary: expected float32 or float64, got {dtype}; convert it first")
    height, width, _ = image.shape
    kernels: list[tuple[Kernel, float]] = []
    if params.iterations and params.gaussian_weight:
        kernels.append((GridGaussian(height, width, params.gaussian_sigma_px), params.gaussian_weight))
    if params.iterations and params.bilateral_weight:
        features = bilateral_features(image, params.bilateral_sigma_px, params.bilateral_sigma_rgb, dtype=dtype)
        kernels.append((LatticeKernel(build_lattice(features)), params.bilateral_weight))
    ones = torch.ones(height * width, 1, dtype=dtype, device=image.device)
    messages = tuple(Message(kernel, (kernel.apply(ones) + 1e-20).rsqrt(), weight) for kernel, weight in kernels)
    return DenseCrf(messages, params.iterations, (height, width))


def bilateral_features(image: Tensor, sigma_px: float, sigma_rgb: float, *, dtype: torch.dtype) -> Tensor:
    """Return ``(N, 5)`` features (x, y, R, G, B), each divided by its standard deviation."""
    height, width, _ = image.shape
    rows = torch.arange(height, device=image.device, dtype=dtype)
    columns = torch.arange(width, device=image.device, dtype=dtype)
    y, x = torch.meshgrid(rows, columns, indexing="ij")
    position = torch.stack([x, y], dim=-1) / sigma_px
    return torch.cat([position, image.to(dtype) / sigma_rgb], dim=-1).reshape(-1, 5)


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

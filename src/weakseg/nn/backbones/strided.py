"""Strided 1 x 1 convolutions of few channels without the fault that oneDNN has in their gradient."""

from torch import Tensor, nn
from torch.nn import functional as F

FAULTY_BELOW = 16  # input channels: a block of AVX-512


class PickedConv2d(nn.Conv2d):
    """A 1 x 1 convolution with a stride, computed as one of stride 1 on the pixels that it looks at: the same sums.

    The gradient of the strided form writes outside of its memory in oneDNN 3.12 (torch 2.14.1) on CPUs with AVX-512,
    where the last dimension is that of channels and these are fewer than 16: the process ends with "double free".
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, C', h, w)`` of ``(B, C, H, W)``."""
        if input.device.type != "cpu":
            return super().forward(input)
        return F.conv2d(input[:, :, :: self.stride[0], :: self.stride[1]], self.weight, self.bias)


def pick_strided(model: nn.Module) -> None:
    """Let the strided 1 x 1 convolutions of few channels of a model pick their pixels; parameters and names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _is_faulty(module):
            module.__class__ = PickedConv2d


def _is_faulty(conv: nn.Conv2d) -> bool:
    plain = conv.kernel_size == (1, 1) and conv.padding == (0, 0) and conv.groups == 1
    return plain and conv.stride != (1, 1) and conv.in_channels < FAULTY_BELOW

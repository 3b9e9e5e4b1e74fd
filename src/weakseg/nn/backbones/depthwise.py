"""Dilated depthwise convolutions by their phases, which CPUs compute many times faster."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

PHASED_FORWARD = 4  # dilations from which on phases are faster without gradients, too


class PhasedConv2d(nn.Conv2d):
    """A depthwise convolution of stride 1 and dilation d, computed as dense ones on every d-th row and column.

    On CPUs torch's own gradient of the dilated form takes four times as long. Outputs and gradients of inputs are the
    same sums; on other devices it is the convolution that it was.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Return ``(B, C, H, W)`` of ``(B, C, H, W)``."""
        dilation = self.dilation[0]
        if input.device.type != "cpu" or not (torch.is_grad_enabled() or dilation >= PHASED_FORWARD):
            return super().forward(input)
        _, channels, height, width = input.shape
        kernel = self.kernel_size[0]
        rows, columns = -(-height // dilation), -(-width // dilation)
        missing = columns * dilation - width, rows * dilation - height
        pixels = (F.pad(input, (0, missing[0], 0, missing[1])) if any(missing) else input).permute(0, 2, 3, 1)
        phases = pixels.reshape(-1, rows, dilation, columns, dilation, channels).permute(0, 2, 4, 1, 3, 5)
        dense = phases.reshape(-1, rows, columns, channels).permute(0, 3, 1, 2)
        found = F.conv2d(dense, self.weight, self.bias, padding=kernel // 2, groups=channels).permute(0, 2, 3, 1)
        found = found.reshape(-1, dilation, dilation, rows, columns, channels).permute(0, 3, 1, 4, 2, 5)
        found = found.reshape(-1, rows * dilation, columns * dilation, channels)[:, :height, :width]
        return found.permute(0, 3, 1, 2)


def phase_dilated(model: nn.Module) -> None:
    """Let the dilated depthwise convolutions of a model work by phases; parameters and their names stay."""
    for module in model.modules():
        if type(module) is nn.Conv2d and _has_phases(module):
            module.__class__ = PhasedConv2d


def _has_phases(conv: nn.Conv2d) -> bool:
    dilation, kernel = conv.dilation[0], conv.kernel_size[0]
    return (
        conv.groups == conv.in_channels == conv.out_channels
        and conv.stride == (1, 1)
        and conv.dilation == (dilation, dilation)
        and dilation > 1
        and conv.kernel_size == (kernel, kernel)
        and kernel % 2 == 1
        and conv.padding == (dilation * (kernel // 2),) * 2
        and conv.padding_mode == "zeros"
    )

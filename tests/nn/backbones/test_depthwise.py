"""Dilated depthwise convolutions by phases are the convolutions that they replace."""

import copy

import pytest
import torch
from torch import nn

from weakseg.nn.backbones import build_backbone
from weakseg.nn.backbones.depthwise import PhasedConv2d, phase_dilated
from weakseg.settings.backbone import BackboneConfig


def _pair(kernel: int, dilation: int, *, bias: bool = False) -> tuple[nn.Conv2d, nn.Conv2d]:
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(6, 6, kernel, padding=padding, dilation=dilation, groups=6, bias=bias).double()
    phased = nn.Sequential(copy.deepcopy(conv))
    phase_dilated(phased)
    assert type(phased[0]) is PhasedConv2d
    return conv, phased[0]


@pytest.mark.parametrize("size", [(16, 16), (17, 23), (1, 1), (3, 40)])
@pytest.mark.parametrize(("kernel", "dilation"), [(3, 2), (5, 2), (5, 4), (3, 3)])
def test_outputs_and_gradients_are_those_of_the_dilated_convolution(
    kernel: int, dilation: int, size: tuple[int, int]
) -> None:
    conv, phased = _pair(kernel, dilation, bias=True)
    found = []
    for module in (conv, phased):
        images = torch.randn(2, 6, *size, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
        images.requires_grad_()
        out = module(images)
        out.mul(torch.arange(out.numel()).reshape(out.shape).sin()).sum().backward()
        found.append((out.detach(), images.grad, module.weight.grad, module.bias.grad))
    for before, after in zip(*found, strict=True):
        torch.testing.assert_close(after, before, rtol=1e-12, atol=1e-12)


def test_without_gradients_outputs_are_the_same_bits() -> None:
    conv, phased = _pair(5, 2)
    conv, phased = conv.float(), phased.float()
    images = torch.randn(1, 6, 15, 22, generator=torch.Generator().manual_seed(0))
    images = images.contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        assert torch.equal(phased(images), conv(images))
    assert torch.equal(phased(images), conv(images))


@pytest.mark.parametrize(
    "other",
    [
        {"dilation": 1, "padding": 1},
        {"dilation": 2, "padding": 1},
        {"dilation": 2, "padding": 2, "stride": 2},
        {"dilation": 2, "padding": 2, "groups": 3},
        {"dilation": (1, 2), "padding": (1, 2)},
        {"dilation": 2, "padding": 2, "padding_mode": "reflect"},
    ],
)
def test_other_convolutions_stay(other: dict[str, object]) -> None:
    model = nn.Sequential(nn.Conv2d(6, 6, 3, **{"groups": 6, **other}))
    phase_dilated(model)
    assert type(model[0]) is nn.Conv2d


@pytest.mark.parametrize(("stride", "expected"), [(32, 0), (16, 4), (8, 10)])
def test_the_embedded_backbone_has_them_where_it_is_dilated(stride: int, expected: int) -> None:
    backbone = build_backbone(BackboneConfig(output_stride=stride))
    found = [module for module in backbone.modules() if isinstance(module, PhasedConv2d)]
    assert len(found) == expected, [module.dilation for module in found]

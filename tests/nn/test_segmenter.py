import math

import pytest
import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.segmenter import Aspp, LargeFov, Segmenter
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.segment import SegmenterConfig

HEADS = ("largefov", "aspp")


def build(head: str, stride: int = 16, num_classes: int = 4) -> Segmenter:
    torch.manual_seed(0)
    backbone = BackboneConfig("resnet10t", stride, "none")
    return Segmenter(SegmenterConfig(backbone, head, hidden=16), num_classes)  # type: ignore[arg-type]


@pytest.mark.parametrize("stride", [8, 16, 32])
@pytest.mark.parametrize("head", HEADS)
def test_output_size(head: str, stride: int) -> None:
    model = build(head, stride).eval()
    for rows, columns in ((33, 50), (96, 64), (1, 1)):
        with torch.no_grad():
            logits = model(torch.zeros(2, 3, rows, columns))
        assert logits.shape == (2, 5, math.ceil(rows / stride), math.ceil(columns / stride))


@pytest.mark.parametrize("head", HEADS)
def test_every_parameter_is_trained(head: str) -> None:
    model = build(head).train()
    model(255 * torch.rand(2, 3, 64, 64)).square().mean().backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("head", HEADS)
def test_a_training_step_leaves_the_statistics(head: str) -> None:
    # segmentation-stage.md, oracle 5.
    model = build(head).train()
    before = {name: value.clone() for name, value in model.named_buffers()}
    model(255 * torch.rand(2, 3, 64, 64)).square().mean().backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)


def test_aspp_is_the_sum_of_its_branches() -> None:
    aspp = Aspp(6, 3, (1, 2, 4))
    features = torch.randn(2, 6, 9, 9)
    with torch.no_grad():
        expected = sum(branch(features) for branch in aspp.branches)
        torch.testing.assert_close(aspp(features), expected)


def test_aspp_starts_small_and_without_bias() -> None:
    # segmentation-stage.md, 2.1: N(0, 0.01), zero bias.
    torch.manual_seed(0)
    aspp = Aspp(64, 5, (6, 12, 18, 24))
    weights = torch.cat([branch.weight.flatten() for branch in aspp.branches])  # type: ignore[union-attr,misc]
    assert weights.std().item() == pytest.approx(0.01, rel=0.05)
    assert all(branch.bias.abs().max() == 0 for branch in aspp.branches)  # type: ignore[union-attr,operator]


def test_dilation_is_the_reach_of_a_cell() -> None:
    # A 3 x 3 convolution of dilation 2 sees cells 2 away and none between.
    head = LargeFov(1, 4, 2, 2).eval()
    image = torch.zeros(1, 1, 9, 9, requires_grad=True)
    for module in head.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.constant_(module.weight, 1.0)
    head(image)[0, 0, 4, 4].backward()
    assert image.grad is not None
    seen = {tuple(cell) for cell in image.grad[0, 0].nonzero().tolist()}
    assert seen == {(row, column) for row in (2, 4, 6) for column in (2, 4, 6)}


def test_an_unknown_head_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"model\.head: 'largefov' or 'aspp', got 'psp'"):
        SegmenterConfig(head="psp")  # type: ignore[arg-type]


@pytest.mark.parametrize("change", [{"hidden": 0}, {"dilations": ()}, {"dilations": (6, 0)}])
def test_impossible_sizes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"model: need hidden >= 1 and dilations >= 1"):
        SegmenterConfig(**change)  # type: ignore[arg-type]

import pytest
import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.segmenters.deeplab import Aspp, AsppFc, DeepLabV1, LargeFov
from weakseg.settings.segment import SegmenterConfig


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


def test_aspp_of_three_layers_is_the_sum_of_its_branches() -> None:
    # dgcn.md, section 3: fc6 3x3 dilated, ReLU, fc7 1x1, ReLU, fc8 1x1 in each branch; dropout after fc6 and fc7.
    head = AsppFc(6, 8, 3, (1, 2, 4)).eval()
    features = torch.randn(2, 6, 9, 9)
    with torch.no_grad():
        hidden = [fc7(fc6(features).relu()).relu() for fc6, fc7 in zip(head.fc6, head.fc7, strict=True)]
        expected = sum(fc8(x) for fc8, x in zip(head.fc8, hidden, strict=True))
        torch.testing.assert_close(head(features), expected)
        assert not head.train()(features).equal(expected)
    assert [(m.dilation, m.padding) for m in head.fc6] == [((d, d), (d, d)) for d in (1, 2, 4)]  # type: ignore[union-attr]


def test_the_layers_of_deeplab_v1() -> None:
    # segmentation-stage.md, 2.4: 3x3 dilation 12, ReLU, 1x1, ReLU, score.
    head = DeepLabV1(6, 8, 3, 12)
    layers = [m for m in head if isinstance(m, nn.Conv2d)]
    assert [(m.in_channels, m.out_channels, m.kernel_size[0], m.dilation[0], m.padding[0]) for m in layers] == [
        (6, 8, 3, 12, 12),
        (8, 8, 1, 1, 0),
        (8, 3, 1, 1, 0),
    ]
    assert [type(m) for m in head] == [nn.Conv2d, nn.ReLU, nn.Conv2d, nn.ReLU, nn.Conv2d]


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


@pytest.mark.parametrize("change", [{"hidden": -1}, {"dilations": (6, 0)}])
def test_impossible_sizes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"model\.(hidden|dilations): need >= [01]"):
        SegmenterConfig(**change)  # type: ignore[arg-type]

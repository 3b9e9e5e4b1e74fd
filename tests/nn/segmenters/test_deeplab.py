import pytest
import torch
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.segmenters import Aspp, LargeFov
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


@pytest.mark.parametrize("change", [{"hidden": 0}, {"dilations": ()}, {"dilations": (6, 0)}])
def test_impossible_sizes_are_refused(change: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"model\.(hidden|dilations): need >= 1"):
        SegmenterConfig(**change)  # type: ignore[arg-type]

import pytest
import torch
from torch import nn

from weakseg.nn.backbones.efficientnet_lite import HEAD, OUTPUT_STRIDE, EfficientNetLite0


@pytest.fixture(scope="module")
def model() -> EfficientNetLite0:
    torch.manual_seed(0)
    return EfficientNetLite0(eps=1e-3).eval()


def test_levels_and_features(model: EfficientNetLite0) -> None:
    # Equality with timm's, bit for bit, is proven where the embedded weights are.
    with torch.no_grad():
        features, levels = model.forward_intermediates(torch.rand(2, 3, 64, 96))
    assert features.shape == (2, HEAD, 64 // OUTPUT_STRIDE, 96 // OUTPUT_STRIDE)  # type: ignore[union-attr]
    found = [(level.shape[1], 64 // level.shape[2]) for level in levels]
    assert found == [(16, 2), (24, 4), (40, 8), (112, 16), (320, 16)]


def test_what_would_be_coarser_is_dilated(model: EfficientNetLite0) -> None:
    dilated = [m for m in model.modules() if isinstance(m, nn.Conv2d) and m.dilation != (1, 1)]
    assert {m.kernel_size for m in dilated} == {(5, 5), (3, 3)} and len(dilated) == 4


def test_all_norms_have_the_given_epsilon(model: EfficientNetLite0) -> None:
    assert {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)} == {1e-3}

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from weakseg.nn.segmenters.pspnet import PspNet


def test_the_published_widths() -> None:
    # segmentation-stage.md, 2.5: 2048 to four times 512, 4096 to 512, 1024 to 256.
    with torch.device("meta"):
        head = PspNet(2048, 512, 21, 1024)
    shapes = [tuple(m.weight.shape) for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert shapes == [(512, 2048, 1, 1)] * 4 + [(512, 4096, 3, 3), (21, 512, 1, 1), (256, 1024, 3, 3), (21, 256, 1, 1)]
    convolutions = [m for m in head.modules() if isinstance(m, nn.Conv2d)]
    assert [m.bias is not None for m in convolutions] == [False] * 5 + [True, False, True]
    assert [m.p for m in head.modules() if isinstance(m, nn.Dropout2d)] == [0.1, 0.1]


def test_the_pyramid_holds_means_of_regions() -> None:
    torch.manual_seed(0)
    head, features = PspNet(8, 4, 3, 8).eval(), torch.randn(2, 8, 12, 18)
    with torch.no_grad():
        parts = [features]
        for bins, level in zip((1, 2, 3, 6), head.pyramid, strict=True):
            rows, columns = 12 // bins, 18 // bins
            means = features.reshape(2, 8, bins, rows, bins, columns).mean((3, 5))
            parts.append(F.interpolate(level[1](means), (12, 18), mode="bilinear", align_corners=True))  # type: ignore[index]
        torch.testing.assert_close(head(features), head.score(torch.cat(parts, 1)))
    assert parts[1][0, :, 0, 0].equal(parts[1][0, :, 7, 3])  # one mean for the whole image


def test_a_batch_of_one_has_no_variance() -> None:
    # Why trainings on single images are refused.
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        PspNet(8, 4, 3, 8).train()(torch.randn(1, 8, 9, 9))

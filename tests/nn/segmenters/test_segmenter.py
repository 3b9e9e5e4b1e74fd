"""The segmenter by itself, on a backbone that counts how often it is asked."""

import pytest
import torch
from torch import Tensor, nn

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone
from weakseg.nn.segmenters import Segmenter


class Pooled(nn.Module):
    """One level: means over blocks of eight pixels."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0

    def forward_features(self, images: Tensor) -> Tensor:
        self.calls += 1
        return nn.functional.avg_pool2d(images, 8, ceil_mode=True)

    def forward_intermediates(self, images: Tensor) -> tuple[Tensor, list[Tensor]]:
        features = self.forward_features(images)
        return features, [features]


@pytest.fixture
def model() -> Segmenter:
    torch.manual_seed(0)
    return Segmenter(Backbone(Pooled(), 3, 8), nn.Conv2d(3, 4, 1)).eval()


@pytest.mark.parametrize("further", [(), ("levels",)])
def test_logits_are_the_head_of_the_features(model: Segmenter, further: tuple[str, ...]) -> None:
    images = 255 * torch.rand(2, 3, 20, 30)
    with torch.no_grad():
        found = model(images, further=further)
        assert model.backbone.model.calls == 1
        features = model.backbone(images)
        torch.testing.assert_close(found.logits, model.head(features))
    assert list(found.further) == list(further)
    if further:
        assert len(found.further["levels"]) == 1 and found.further["levels"][0].equal(features)


def test_where_it_looks(model: Segmenter) -> None:
    assert model.cells == model.backbone.cells() and model.cells.stride == 8 and model.device.type == "cpu"


def test_it_gives_levels_alone(model: Segmenter) -> None:
    with pytest.raises(ConfigError, match="Segmenter: gives no 'auxiliary'; beside logits it gives 'levels'"):
        model(torch.zeros(1, 3, 8, 8), further=("auxiliary",))

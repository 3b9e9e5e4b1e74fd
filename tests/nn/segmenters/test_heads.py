"""All segmenters keep the contract; a new head needs a module and an entry."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from contracts import SegmenterContract
from PIL import Image
from torch import Tensor, nn

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.models import load_model
from weakseg.nn.segmenters import HEADS, SEGMENTERS, Segmenter, build_segmenter
from weakseg.nn.weights import load_weights, save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.segment import PredictConfig, SegmentConfig, SegmenterConfig
from weakseg.stages.segment import load_segmenter, predict_image, train_segmenter
from weakseg.training.loop import FitPlace

BACKBONE = BackboneConfig("resnet10t", 16, "none")


class Built(SegmenterContract):
    """A segmenter that a configuration describes."""

    config: SegmenterConfig

    @property
    def header(self) -> dict[str, Any]:  # type: ignore[override]
        return {"kind": "segmenter", "model": asdict(self.config)}

    def build(self) -> Segmenter:
        return build_segmenter(self.config, 2)


class TestLargeFov(Built):
    config = SegmenterConfig(BACKBONE, "largefov", hidden=16)


class TestAspp(Built):
    config = SegmenterConfig(replace(BACKBONE, output_stride=8), "aspp")


class TestLargeFovOnWholeCells(Built):
    config = SegmenterConfig(BackboneConfig("convnext_atto", 32, "none"), "largefov", hidden=16)


class Linear(nn.Module):
    """A head of one 1x1 convolution, with a norm that it keeps the statistics of."""

    def __init__(self, channels: int, labels: int) -> None:
        super().__init__()
        self.norm, self.mix = nn.BatchNorm2d(channels, momentum=0.0), nn.Conv2d(channels, labels, 1)

    def forward(self, features: Tensor) -> Tensor:
        logits: Tensor = self.mix(self.norm.eval()(features))
        return logits


class TestMadeUp(Built):
    """One entry makes a head that trains, is saved, loaded and applied like all others."""

    config = SegmenterConfig(BACKBONE, "linear")

    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def entry() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(HEADS, "linear", lambda config, channels, labels: Linear(channels, labels))
            yield

    def test_from_training_to_masks(self, tmp_path: Path) -> None:
        samples = []
        for index in range(4):
            image, mask = draw(index)
            Image.fromarray(image).save(tmp_path / f"{index}.png")
            LabelMap(mask).save(tmp_path / f"masks/{index}.png")
            samples.append(WeakSample(str(index), tmp_path / f"{index}.png", Tags(frozenset())))
        config = SegmentConfig(self.config, AugmentConfig((64, 64), 64), FitConfig(epochs=1, batch_size=2))
        train_segmenter(samples, tmp_path / "masks", Classes(CLASSES), config=config, place=FitPlace(tmp_path / "out"))
        model, classes = load_segmenter(tmp_path / "out/model.safetensors")
        assert isinstance(model.head, Linear) and classes.names == CLASSES
        assert predict_image(model, draw(1)[0], PredictConfig()).labels.shape == (48, 64)


def test_an_unknown_head_is_refused(tmp_path: Path) -> None:
    config = SegmenterConfig(BACKBONE, "psp")
    with pytest.raises(ConfigError, match=r"model\.head: there is no 'psp'; there are 'largefov', 'aspp'"):
        build_segmenter(config, 2)
    path = tmp_path / "m.safetensors"
    save_model(path, nn.Linear(1, 1), {"kind": "segmenter", "classes": ["a"], "model": asdict(config)})
    with pytest.raises(CheckpointError, match=r"describes no network of kind 'segmenter' \(model\.head: there is no"):
        load_model(path, SEGMENTERS)


def test_a_header_cannot_ask_for_more_memory_than_the_file_has(tmp_path: Path) -> None:
    model, path = build_segmenter(SegmenterConfig(BACKBONE, hidden=4), 2), tmp_path / "m.safetensors"
    huge = asdict(SegmenterConfig(BACKBONE, hidden=10**8))  # 1.8 TB for one convolution
    save_model(path, model, {"kind": "segmenter", "classes": ["a", "b"], "model": huge})
    with pytest.raises(CheckpointError, match=r"head: belongs to another .* other shape \['0\.bias', '0\.weight"):
        load_model(path, SEGMENTERS)
    assert load_weights(path)["head.0.bias"].shape == (4,)

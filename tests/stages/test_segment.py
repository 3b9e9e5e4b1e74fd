from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.nn.output import Output
from weakseg.nn.segmenters import build_segmenter
from weakseg.nn.weights import save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.segment import PredictConfig, SegmenterConfig
from weakseg.stages.segment import MaskData, load_mask, load_segmenter, predict_image


class Redness(nn.Module):
    """Logits: class 1 where red is above 128, else background."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: Tensor) -> Output:
        red = (images[:, :1] - 128) * self.scale
        return Output(nn.functional.avg_pool2d(torch.cat([-red, red], 1), 4, ceil_mode=True), {})


def half_red(size: tuple[int, int] = (40, 60)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[:, : size[1] // 2, 0] = 255
    return image


@pytest.mark.parametrize("config", [PredictConfig(), PredictConfig(crf=True), PredictConfig(scales=(1.0,), flip=False)])
def test_a_mask_has_the_size_of_the_image(config: PredictConfig) -> None:
    labels = predict_image(Redness(), half_red(), config).labels
    assert labels.shape == (40, 60)
    assert (labels[:, :28] == 1).all() and (labels[:, 33:] == 0).all()


def test_large_images_are_worked_on_reduced() -> None:
    config = PredictConfig(max_side=32, mask_side=50)
    labels = predict_image(Redness(), half_red((80, 100)), config).labels
    assert labels.shape == (80, 100) and (labels[:, :40] == 1).all() and (labels[:, 60:] == 0).all()


def test_save_load_predict_are_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = SegmenterConfig(head="aspp")
    model = build_segmenter(config, 2).eval()
    from dataclasses import asdict

    save_model(tmp_path / "m.safetensors", model, {"kind": "segmenter", "classes": ["a", "b"], "model": asdict(config)})
    loaded, classes = load_segmenter(tmp_path / "m.safetensors")
    assert classes == Classes(("a", "b"))
    image = half_red((64, 64))
    assert (
        predict_image(model, image, PredictConfig()).labels == predict_image(loaded, image, PredictConfig()).labels
    ).all()


def test_a_classifier_is_no_segmenter(tmp_path: Path) -> None:
    save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), {"kind": "classifier", "classes": ["a"], "backbone": {}})
    with pytest.raises(CheckpointError, match="is no segmenter but a classifier"):
        load_segmenter(tmp_path / "m.safetensors")


def test_a_header_that_describes_nothing_is_refused(tmp_path: Path) -> None:
    header = {"kind": "segmenter", "classes": ["a"], "model": {"backbone": {"name": "hf-hub:someone/model"}}}
    save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), header)
    with pytest.raises(CheckpointError, match="describes no network of kind 'segmenter'"):
        load_segmenter(tmp_path / "m.safetensors")


@pytest.mark.parametrize("settings", [{"scales": ()}, {"scales": (-1.0,)}, {"max_side": 0}, {"mask_side": 3}])
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="predictions"):
        PredictConfig(**settings)  # type: ignore[arg-type]


def test_masks_of_another_data_set_are_refused(tmp_path: Path) -> None:
    LabelMap(np.full((4, 4), 9, np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: label 9 but there are 3 classes"):
        load_mask(tmp_path, "a", 3)
    assert (load_mask(tmp_path, "a", 9) == 9).all()


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    from PIL import Image

    Image.fromarray(half_red()).save(tmp_path / "a.jpg")
    LabelMap(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    data = MaskData([WeakSample("a", tmp_path / "a.jpg", Tags(frozenset()))], tmp_path, 3, AugmentConfig(), 0)
    with pytest.raises(DataError, match=r"mask of image 'a' is \(4, 4\), the image \(40, 60\)"):
        data.load(0, 0)

"""All backbones keep the contract; a new one needs a module and an entry."""

import math
import resource
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from contracts import BackboneContract
from PIL import Image
from torch import Tensor, nn

from generated import CLASSES, draw
from tiny_transformers import DINOV2, DINOV3, enter
from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import OWN, Architecture, Backbone, build_backbone, check_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.weights import save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import EMBEDDED, BackboneConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmentConfig, SegmenterConfig
from weakseg.stages.classify import load_classifier, train_classifier
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter, train_segmenter
from weakseg.training.loop import FitPlace


class TestEmbedded(BackboneContract):
    config = BackboneConfig()


class TestEmbeddedArchitecture(BackboneContract):
    config = BackboneConfig(EMBEDDED, 8, "none")


class TestSymmetricPadding(BackboneContract):
    config = BackboneConfig("resnet10t", 32, "none")


class TestConvolutionAndAttention(BackboneContract):
    config = BackboneConfig("mobilevit_xxs", 32, "none")


class WithoutBatchNorms(BackboneContract):
    def test_statistics_of_the_batch(self, backbone: Backbone) -> None:
        assert backbone.batch_norms == []


class TestWholeCellsOnly(WithoutBatchNorms):
    config = BackboneConfig("convnext_atto", 16, "none")


class TestDrn(BackboneContract):
    config = BackboneConfig("drn_d_105_thin", 8, "none")


class TestPlainVit(WithoutBatchNorms):
    config = BackboneConfig("test_vit", 16, "none")


class TestPatchesOf14(WithoutBatchNorms):
    config = BackboneConfig(DINOV2, 14, "none")

    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def entry() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            enter(patch)
            yield


class TestRotaryPositions(TestPatchesOf14):
    config = BackboneConfig(DINOV3, 16, "none")


class TestResNet38(BackboneContract):
    config = BackboneConfig("resnet38_eighth", 8, "none")


class TestResNetOfIrnet(BackboneContract):
    config = BackboneConfig("resnet50_irnet_thin", 16, "none")


class TestResNetOfDeepLab(BackboneContract):
    config = BackboneConfig("resnet101_deeplab_thin", 8, "none", layout="caffe")

    def cells(self, size: tuple[int, int], stride: int) -> tuple[int, int]:
        """Return the cells where the pool counts windows that are begun (segmentation-stage.md, oracle 1)."""
        rows, columns = (math.ceil((math.ceil(n / 2) - 1) / 2) + 1 for n in size)
        return math.ceil(rows * 4 / stride), math.ceil(columns * 4 / stride)


class TestResNetOfPspnet(BackboneContract):
    config = BackboneConfig("resnet50_pspnet_thin", 8, "none")


class TestVggOfDeepLab(BackboneContract):
    config = BackboneConfig("vgg16_deeplab_thin", 8, "none", layout="caffe")


class TestVggOfOaa(BackboneContract):
    config = BackboneConfig("vgg16_conv5_thin", 8, "none")


class TestVggOfSec(BackboneContract):
    config = BackboneConfig("vgg16_sec_thin", 8, "none")


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (
            BackboneConfig("resnet50"),
            r"'resnet50': has output_stride 8, 16 or 32 and weights 'timm', 'file' or 'none', got 16",
        ),
        (BackboneConfig("resnet50_irnet", 8), r"has output_stride 16 and weights 'timm', 'file' or 'none', got 8"),
        (BackboneConfig("vgg16_sec_thin", 8, "timm"), r"weights 'file' or 'none', got 8 and 'timm'"),
        (BackboneConfig("resnet50", 8, "none", layout="caffe"), r"'none': has layout 'torchvision', got 'caffe'"),
        (BackboneConfig("vgg16_deeplab", 8, "timm", layout="caffe"), r"'timm': has layout 'torchvision', got 'caffe'"),
        (
            BackboneConfig("resnet38", 16, "none"),
            r"has output_stride 8 and weights 'file' or 'none', got 16 and 'none'",
        ),
        (BackboneConfig("resnet38", 8, "timm"), r"weights 'file' or 'none', got 8 and 'timm'"),
        (BackboneConfig("resnet38", 8, "embedded"), r"weights 'file' or 'none'"),
        (
            BackboneConfig("resnet5", weights="none"),
            r"there is no 'resnet5'; close ones: 'resnet50', .*; timm",
        ),
    ],
)
def test_what_does_not_go_with_a_name(config: BackboneConfig, message: str) -> None:
    for check in (check_backbone, build_backbone):
        with pytest.raises(ConfigError, match=message):
            check(config)


class Blocks(nn.Module):
    """Three levels of means over blocks, mixed: what a made-up architecture has to give."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = nn.ModuleList(nn.Conv2d(channels, 6, 1) for channels in (3, 6, 6))

    def forward_intermediates(self, images: Tensor, *, intermediates_only: bool = False) -> Any:
        levels = []
        for factor, mix in zip((4, 2, 2), self.mix, strict=True):
            images = mix(nn.functional.avg_pool2d(images, factor, ceil_mode=True)).tanh()
            levels.append(images)
        return levels if intermediates_only else (images, levels)

    def forward_features(self, images: Tensor) -> Tensor:
        features: Tensor = self.forward_intermediates(images)[0]
        return features


class TestMadeUp(BackboneContract):
    """One entry makes a backbone that trains, is saved, loaded and applied like all others."""

    config = BackboneConfig("blocks", 16, "none")

    @pytest.fixture(scope="class", autouse=True)
    @staticmethod
    def entry() -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setitem(OWN, "blocks", Architecture(lambda config, _: Backbone(Blocks(), 6, 16), (16,)))
            yield

    def test_statistics_of_the_batch(self, backbone: Backbone) -> None:
        backbone.norm_statistics = "batch"  # it has no norms
        backbone.train()

    def test_from_training_to_masks(self, tmp_path: Path) -> None:
        samples = []
        for index in range(4):
            image, mask = draw(index)
            Image.fromarray(image).save(tmp_path / f"{index}.png")
            LabelMap(mask).save(tmp_path / f"masks/{index}.png")
            tags = Tags(frozenset(int(c) for c in np.unique(mask) if c))
            samples.append(WeakSample(str(index), tmp_path / f"{index}.png", tags))
        classes, augment, fit = Classes(CLASSES), AugmentConfig((64, 64), 64), FitConfig(epochs=1, batch_size=2)
        train_classifier(
            samples,
            samples,
            classes,
            config=ClassifierConfig(self.config, augment=augment, fit=fit),
            place=FitPlace(tmp_path / "classifier"),
        )
        classifier, _ = load_classifier(tmp_path / "classifier/model.safetensors")
        assert isinstance(classifier.backbone.model, Blocks)
        train_segmenter(
            samples,
            tmp_path / "masks",
            classes,
            config=SegmentConfig(SegmenterConfig(self.config, hidden=4, dilations=(1,)), augment, fit),
            place=FitPlace(tmp_path / "segmenter"),
        )
        segmenter, _ = load_segmenter(tmp_path / "segmenter/model.safetensors")
        assert predict_image(segmenter, draw(1)[0], PredictConfig()).labels.shape == (48, 64)


class TestHeaders:
    """What a model file says of its backbone is compared with its tensors before memory is taken."""

    def write(self, path: Path, **backbone: Any) -> Path:
        config = BackboneConfig("resnet10t", 32, "none")
        model = TagClassifier(build_backbone(config), 2)
        header = {"kind": "classifier", "classes": ["a", "b"], "backbone": {**asdict(config), **backbone}}
        save_model(path / "m.safetensors", model, header)
        return path / "m.safetensors"

    def test_of_the_right_backbone(self, tmp_path: Path) -> None:
        model, _ = load_classifier(self.write(tmp_path))
        assert model.backbone.channels == 512

    def test_of_a_huge_one(self, tmp_path: Path) -> None:
        path = self.write(tmp_path, name="vgg19")
        before, page = resource.getrlimit(resource.RLIMIT_AS), resource.getpagesize()
        used = int(Path("/proc/self/statm").read_text().split()[0]) * page
        resource.setrlimit(resource.RLIMIT_AS, (used + 2**28, before[1]))  # its weights take 0.6 GB
        try:
            with pytest.raises(CheckpointError, match="backbone: belongs to another model"):
                load_classifier(path)
        finally:
            resource.setrlimit(resource.RLIMIT_AS, before)

    @pytest.mark.parametrize("settings", [{"name": "no_such_net"}, {"layout": "caffe"}, {"depth": 3}])
    def test_of_none(self, tmp_path: Path, settings: dict[str, Any]) -> None:
        with pytest.raises(CheckpointError, match="the header describes no network of kind 'classifier'"):
            load_classifier(self.write(tmp_path, **settings))


def test_random_weights_are_random() -> None:
    first, second = (build_backbone(BackboneConfig(weights="none")).state_dict() for _ in range(2))
    assert not torch.equal(first["model.conv_stem.weight"], second["model.conv_stem.weight"])

"""All segmenters keep the contract; a new head needs a module and an entry."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from contracts import SegmenterContract, photographs, tensors, without_gradient
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.models import load_model
from weakseg.nn.segmenters import HEADS, SEGMENTERS, Head, Segmenter, build_segmenter, check_training, completed
from weakseg.nn.weights import load_weights, save_model
from weakseg.ops.tree_filter import minimum_spanning_tree, tree_filter
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmentConfig, SegmenterConfig
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter, train_segmenter
from weakseg.training.loop import FitPlace
from weakseg.training.optimizers import build_optimizer

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


class TestScore(Built):
    config = SegmenterConfig(BACKBONE, "score")


class TestDeepLabV1(Built):
    config = SegmenterConfig(BACKBONE, "deeplab_v1", hidden=16)


class TestAsppFc(Built):
    config = SegmenterConfig(BACKBONE, "aspp_fc", hidden=8, dilations=(2, 3))

    def test_hidden_layers_learn_at_a_tenth_of_the_rate(self, model: Segmenter) -> None:
        # segmentation-stage.md, 2.4 and dgcn.md, section 3: fc8 ten times as fast, fc6 and fc7 as the backbone.
        groups = build_optimizer(model, FitConfig(head_lr_factor=10.0, bias_lr_factor=2.0)).param_groups
        factor = {id(p): group["factor"] for group in groups for p in group["params"]}
        found = {name: factor[id(p)] for name, p in model.named_parameters()}
        rates = [found[f"head.{layer}.0.{kind}"] for layer in ("fc6", "fc7", "fc8") for kind in ("weight", "bias")]
        assert rates == pytest.approx([1, 2, 1, 2, 10, 20])


class TestMultiScale(Built):
    config = SegmenterConfig(BACKBONE, "aspp", multi_scale=(0.5, 0.75))

    def test_it_equals_its_definition(self, model: Segmenter) -> None:
        # segmentation-stage.md, oracle 2: four maps in training, one in evaluation, the largest of the three enlarged.
        images = photographs(161, 97, count=2)
        with torch.no_grad():
            found = model.eval()(images, further=("scales",))
            base = Segmenter(model.backbone, model.head)
            views = [F.interpolate(images, s, mode="bilinear", align_corners=False) for s in ((80, 48), (120, 72))]
            maps = [base(view).logits for view in (images, *views)]
            large = [F.interpolate(m, maps[0].shape[2:], mode="bilinear", align_corners=False) for m in maps]
        assert [m.shape[2:] for m in found.further["scales"]] == [(11, 7), (5, 3), (8, 5)]
        for one, other in zip(found.further["scales"], maps, strict=True):
            torch.testing.assert_close(one, other)
        torch.testing.assert_close(found.logits, torch.stack(large).amax(0))
        assert model(images).further == {} and "scales" not in base.gives
        with torch.no_grad():
            assert Segmenter(model.backbone, model.head, ()).eval()(images).logits.equal(maps[0])


def test_the_sizes_of_deeplab_v2() -> None:
    # segmentation-stage.md, oracle 1: 321, 160 and 240 pixels, in this order of scales, have 41, 21 and 31 cells.
    backbone = BackboneConfig("resnet50_deeplab_thin", 8, "none", layout="caffe")
    model = build_segmenter(SegmenterConfig(backbone, "aspp", multi_scale=(0.5, 0.75)), 2).eval()
    with torch.no_grad():
        found = model(photographs(321, 321), further=("scales",))
    assert [m.shape[2:] for m in found.further["scales"]] == [(41, 41), (21, 21), (31, 31)]
    assert found.logits.shape == (1, 3, 41, 41)


class TestPspNet(Built):
    config = SegmenterConfig(replace(BACKBONE, output_stride=8), "pspnet", hidden=16)

    def test_the_gradient_reaches_what_is_trained(self, model: Segmenter) -> None:
        """As that of all segmenters, but the norms of the head learn from each batch."""
        model.train().zero_grad()
        before = {name: value.clone() for name, value in model.backbone.named_buffers()}
        sum(part.square().mean() for part in tensors(self.all_of(model, photographs(65, 65, count=2)))).backward()
        assert not without_gradient(model)
        torch.testing.assert_close(dict(model.backbone.named_buffers()), before, rtol=0, atol=0)

    def test_the_auxiliary_head_sees_the_level_before_the_last(self, model: Segmenter) -> None:
        images = photographs(65, 65, count=2)
        with torch.no_grad():
            levels = model.eval().backbone.levels(images)
            found = model(images, further=("auxiliary",)).further["auxiliary"]
            torch.testing.assert_close(found, model.head.auxiliary(levels[-2]))  # type: ignore[operator]
        assert model(images).further == {} and model.corners_aligned


class TestTree(Built):
    config = SegmenterConfig(BACKBONE, "tree", hidden=16)

    def test_the_filter_is_its_definition(self, model: Segmenter) -> None:
        """In each of 16 groups: a tree of the finest level of stride 4 or more, distances of embedded features."""
        images = photographs(64, 96)
        with torch.no_grad():
            features, levels = model.eval().backbone.features_and_levels(images)
            head: Any = model.head
            assert levels[head.guide].shape[2:] == (16, 24)
            guide = F.interpolate(levels[head.guide], (4, 6), mode="bilinear", align_corners=False)[0]
            reduced = head.reduce(features).relu()
            embedded, tree = head.embed(reduced)[0].flatten(1).T, minimum_spanning_tree(guide)
            distances = (embedded - embedded[tree.parents]).square()
            filtered = tree_filter(reduced[0].flatten(1).T[..., None], distances, tree)[..., 0].T.reshape(1, 16, 4, 6)
            torch.testing.assert_close(model(images).logits, head.score(reduced + filtered))


class TestTreeOnSeveralScales(Built):
    config = SegmenterConfig(BACKBONE, "tree", hidden=8, multi_scale=(0.5,))


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
            patch.setitem(HEADS, "linear", Head(lambda config, shapes, labels: Linear(shapes[-1][0], labels)))
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
    with pytest.raises(ConfigError, match=r"model\.head: there is no 'psp'; there are 'largefov', 'score',"):
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


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": "aspp", "hidden": 8}, r"model\.hidden: the head 'aspp' has none; leave it out, or take 'largefov'"),
        ({"head": "score", "dilations": (3,)}, r"model\.dilations: the head 'score' has none"),
        ({"head": "largefov", "dilations": (3, 6)}, r"model\.dilations: the head 'largefov' has one, got \(3, 6\)"),
        ({"head": "pspnet", "multi_scale": (0.5,)}, r"model\.multi_scale: the head 'pspnet' sees one scale"),
    ],
)
def test_settings_of_other_heads_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_segmenter(SegmenterConfig(BACKBONE, **change), 2)


def test_what_heads_have_by_themselves() -> None:
    # segmentation-stage.md, 2.1, 2.4 and 2.5
    found = {name: completed(SegmenterConfig(head=name)) for name in HEADS}
    assert {name: (config.hidden, config.dilations) for name, config in found.items()} == {
        "largefov": (256, (6,)),
        "score": (0, ()),
        "deeplab_v1": (1024, (12,)),
        "aspp": (0, (6, 12, 18, 24)),
        "aspp_hidden": (256, (6, 12, 18, 24)),
        "aspp_fc": (1024, (6, 12, 18, 24)),
        "pspnet": (512, ()),
        "tree": (256, ()),
    }


@pytest.mark.parametrize(
    ("settings", "examples", "message"),
    [
        ({"crop": 64}, 4, r"augment\.crop: .* has to be 1 modulo 8, got 64; the nearest is 65"),
        ({"crop": 65, "batch_size": 1}, 4, r"fit\.batch_size: .* trains batch norms on means .* take at least 2"),
        ({"crop": 65, "batch_size": 2}, 5, r"of 5 images the last batch of 2 would have one.*; set fit\.drop_last"),
        ({"crop": 65, "batch_size": 2, "drop_last": True}, 5, ""),
        ({"crop": 65, "batch_size": 2}, 4, ""),
        ({"crop": 65, "batch_size": 2}, 0, ""),
    ],
)
def test_what_pspnet_can_be_trained_on(settings: dict[str, Any], examples: int, message: str) -> None:
    # segmentation-stage.md, oracle 11 and section 8
    crop, fit = settings.pop("crop"), FitConfig(**settings)
    config = SegmentConfig(TestPspNet.config, AugmentConfig(None, crop), fit)
    if message:
        with pytest.raises(ConfigError, match=message):
            check_training(config, examples)
    else:
        check_training(config, examples)


def test_headers_of_before_are_read(tmp_path: Path) -> None:
    model = build_segmenter(SegmenterConfig(BACKBONE, "aspp"), 2)
    header = asdict(SegmenterConfig(BACKBONE, "aspp", 256, (6, 12, 18, 24)))
    del header["multi_scale"]
    save_model(tmp_path / "m.safetensors", model, {"kind": "segmenter", "classes": ["a", "b"], "model": header})
    assert load_model(tmp_path / "m.safetensors", SEGMENTERS)[0].scales == ()

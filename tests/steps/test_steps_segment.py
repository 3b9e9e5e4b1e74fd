from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.dataset import Dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, StoreError
from weakseg.evaluation.protocol import describe_protocol
from weakseg.nn.segmenters import build_segmenter
from weakseg.nn.weights import read_header, save_model
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Kind, Role, StepContext
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.grow import BoundaryConfig, GrowthConfig, SeededConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import InitConfig, SegmentConfig, SegmenterConfig
from weakseg.stages.segment import load_segmenter
from weakseg.steps.base import forget_models
from weakseg.steps.segment import (
    PredictJob,
    changes_of,
    predictions_step,
    restricted_step,
    seeded_segmenter_step,
    segmenter_step,
)

CLASSES = Classes(("cat", "dog"))


def dataset(folder: Path, side: int = 40) -> Dataset:
    Image.fromarray(np.zeros((side, 50, 3), np.uint8)).save(folder / "a.png")
    return Dataset(CLASSES, {"train": (WeakSample("a", folder / "a.png", Tags(frozenset())),)})


def described(init: dict[str, object], **settings: object) -> str:
    protocol = {"list": "val", "tags_from": "truth", "void": "left out", "undecided": "error"}
    return describe_protocol(
        {
            "images": 3,
            "missing": 0,
            "protocol": {**protocol, "settings": {**asdict(PredictConfig()), **settings, "init": init}},
        }
    )


def test_results_say_what_the_segmenter_started_from(tmp_path: Path) -> None:
    # segmentation-stage.md, section 4: pixel supervision is never silent.
    plain = SegmentConfig(SegmenterConfig(BackboneConfig("resnet38", 8, "file", "w/resnet38.pth")))
    coco = SegmentConfig(init=InitConfig("w/coco.pth", "COCO masks"))
    weak = SegmentConfig(init=InitConfig("w/first.safetensors", "masks of tags", pixel_masks=False))
    found = [
        predictions_step(dataset(tmp_path), PredictConfig(), c.initial).settings["init"] for c in (plain, coco, weak)
    ]
    assert found == [
        {"backbone": "resnet38", "weights": "resnet38.pth"},
        {"network": "coco.pth", "trained_on": "COCO masks", "pixel_masks": True},
        {"network": "first.safetensors", "trained_on": "masks of tags", "pixel_masks": False},
    ]
    said = [described(init) for init in found]
    assert said[0].endswith("no CRF; segmenter from resnet38 with weights resnet38.pth")
    assert said[1].endswith("segmenter from coco.pth, trained on COCO masks, with masks of pixels that people drew")
    assert said[2].endswith("segmenter from first.safetensors, trained on masks of tags, without masks of pixels")
    assert "CRF of dsrg;" in described(found[0], crf=True, crf_preset="dsrg")
    assert "CRF of 10 iterations;" in described(found[0], crf=True)


def test_what_cannot_be_trained_stops_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"augment\.crop: the head 'pspnet' aligns corners"):
        segmenter_step(dataset(tmp_path), SegmentConfig(SegmenterConfig(head="pspnet")), 0)
    with pytest.raises(ConfigError, match=r"model\.hidden: the head 'score' has none"):
        segmenter_step(dataset(tmp_path), SegmentConfig(SegmenterConfig(head="score", hidden=3)), 0)


@pytest.mark.parametrize("side", [20, 40])
def test_small_images_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture, side: int) -> None:
    config = SegmenterConfig(BackboneConfig("resnet10t", 32, "none"), "score")
    header = {"kind": "segmenter", "classes": CLASSES.names, "model": asdict(config)}
    save_model(tmp_path / "m.safetensors", build_segmenter(config, 2), header)
    job = PredictJob(tmp_path / "m.safetensors", tmp_path / "out", PredictConfig((1.0,)))
    job.one(dataset(tmp_path, side).splits["train"][0])
    forget_models()
    assert LabelMap.load(tmp_path / "out" / "a.png").labels.shape == (side, 50)
    warned = ["a: of 20 x 50 pixels the network sees mostly padding; its mask means little"] if side == 20 else []
    assert [record.message for record in caplog.records] == warned


def test_tags_restrict_masks_of_training_images(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = SegmenterConfig(BackboneConfig("resnet10t", 32, "none"), "score")
    model = build_segmenter(config, 2)
    with torch.no_grad():
        bias = [p for name, p in model.named_parameters() if name.startswith("head") and p.shape == (3,)][-1]
        bias.copy_(torch.tensor([0.0, 50.0, 100.0]))  # dog everywhere, then cat, then background
    save_model(
        tmp_path / "first" / "model.safetensors",
        model,
        {"kind": "segmenter", "classes": CLASSES.names, "model": asdict(config)},
    )
    Image.fromarray(np.zeros((40, 50, 3), np.uint8)).save(tmp_path / "i.png")
    tags = {
        "a/b": (frozenset(), frozenset()),
        "manifest": (frozenset({1}), frozenset()),
        "unknown": (frozenset({1}), frozenset({2})),
    }
    samples = tuple(WeakSample(i, tmp_path / "i.png", Tags(*each)) for i, each in tags.items())
    data = Dataset(CLASSES, {"train": samples})
    step = restricted_step(data, PredictConfig((1.0,)), "first", {}, name="masks_2", role=Role.AFTER)
    assert (step.name, step.role, dict(step.needs)) == ("masks_2", Role.AFTER, {"first": "model"})
    context = StepContext(
        tmp_path / "out", {"first": tmp_path / "first"}, RunOptions(1, "cpu").resolve().make_engine(), "cpu"
    )
    caplog.set_level("INFO")
    told = step.work.run(context).summary
    for name, label in (("a/b", 0), ("manifest", 1), ("unknown", 2)):
        assert (LabelMap.load(tmp_path / "out" / f"{name}.png").labels == label).all()
    assert told["restricted"] == {
        "pixels": 6000,
        "changed": 4000,
        "changed_images": 2,
        "all_absent": 1,
        "with_unknown": 1,
    }
    said = [message for message in caplog.messages if message.startswith("masks_2: ")]
    assert said == [
        "masks_2: tags forbid what the segmenter sees on 67 % of the pixels, on 2 of 3 images",
        "masks_2: 1 images without a class that may be there are background",
        "masks_2: 1 images have classes of which nobody knows; these may appear",
    ]
    changes_of(tmp_path / "out", "manifest").unlink()
    assert step.work.run(context).summary == told
    for content in ('{"pixels": 3}', '{"pixels": 3, "changed": 4}', '{"pixels": "3", "changed": 1}', "[]", "{"):
        changes_of(tmp_path / "out", "manifest").write_text(content)
        with pytest.raises(StoreError, match=r"restricted/manifest\.json"):
            step.work.run(context)
    forget_models()


def test_a_segmenter_goes_on_with_the_one_before(tmp_path: Path) -> None:
    # With a rate of almost nothing it stays what it started from.
    model = SegmenterConfig(BackboneConfig("resnet50_deeplab_thin", 8, "none"), "score")
    first = build_segmenter(model, 2)
    header = {"kind": "segmenter", "classes": CLASSES.names, "model": asdict(model)}
    save_model(tmp_path / "segmenter" / "model.safetensors", first, header)
    data = dataset(tmp_path, 41)
    LabelMap(np.ones((41, 50), np.uint8)).save(tmp_path / "masks_2" / "a.png")
    fit = FitConfig(epochs=1, batch_size=1, lr=1e-9)
    config = SegmentConfig(model, AugmentConfig(long_side=(41, 50), crop=33), fit)
    told = {"network": "segmenter", "trained_on": "labels of the round before", "pixel_masks": True}
    step = segmenter_step(data, config, 0, targets="masks_2", number=2, before=told)
    inputs = {name: tmp_path / name for name in step.needs}
    engine = RunOptions(1, "cpu").resolve().make_engine()
    step.work.run(StepContext(tmp_path / "segmenter_2", inputs, engine, "cpu"))
    path = tmp_path / "segmenter_2" / "model.safetensors"
    assert read_header(path)["init"] == {**told, "network": "model.safetensors"}
    found, _ = load_segmenter(path)
    for name, value in first.state_dict().items():
        torch.testing.assert_close(found.state_dict()[name], value, rtol=0, atol=1e-5)


class TestSeededSegmenter:
    MODEL = SegmenterConfig(BackboneConfig("vgg16_pool5_thin", 8, "none"), "score")
    CONFIG = SeededConfig(MODEL, AugmentConfig(None, 48, warp=True), FitConfig(epochs=1, batch_size=2))

    def test_it_trains_on_the_seeds_of_the_plan(self, tmp_path: Path) -> None:
        data = dataset(tmp_path)
        seeds = np.full((40, 50), UNDECIDED, np.uint8)
        seeds[:10] = 0
        LabelMap(seeds).save(tmp_path / "seeds" / "a.png")
        step = seeded_segmenter_step(data, self.CONFIG, GrowthConfig(), 3)
        assert (step.name, step.role, step.needs) == ("segmenter", Role.PART, {"seeds": Kind.LABELS})
        assert step.settings["growth"]["threshold"] == 0.7 and step.settings["boundary"]["weight"] == 1
        context = StepContext(
            tmp_path / "segmenter", {"seeds": tmp_path / "seeds"}, RunOptions(1, "cpu").make_engine(), "cpu"
        )
        context.folder.mkdir()
        result = step.work.run(context)
        assert result.summary["images"] == 1 and (context.folder / "growth" / "a" / "001.png").is_file()
        assert load_segmenter(context.folder / "model.safetensors")[1] == CLASSES

    def test_what_contradicts_itself_stops_before_anything_runs(self, tmp_path: Path) -> None:
        pyramid = replace(self.CONFIG, model=SegmenterConfig(head="pspnet"), augment=AugmentConfig(None, 49, warp=True))
        with pytest.raises(ConfigError, match="the network has losses on auxiliary"):
            seeded_segmenter_step(dataset(tmp_path), pyramid, GrowthConfig(), 0)
        idle = replace(self.CONFIG, boundary=BoundaryConfig(weight=0.0, unary="prob"))
        with pytest.raises(ConfigError, match=r"boundary\.unary: with weight 0 the CRF refines nothing"):
            seeded_segmenter_step(dataset(tmp_path), idle, GrowthConfig(), 0)

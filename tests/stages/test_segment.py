import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.nn.backbones import Backbone
from weakseg.nn.graphs.reasoning import ClassAttention
from weakseg.nn.losses import segmentation_loss
from weakseg.nn.segmenters import build_segmenter, check_training
from weakseg.nn.weights import load_weights, read_header, save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.reasoning import ReasoningConfig
from weakseg.settings.segment import InitConfig, SegmentConfig, SegmenterConfig, SegmentLoss
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import (
    MaskData,
    load_segmenter,
    segmenter_loss,
    train_segmenter,
)
from weakseg.training.loop import FitPlace


def half_red(size: tuple[int, int] = (40, 60)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[:, : size[1] // 2, 0] = 255
    return image


def test_save_load_predict_are_the_same(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = SegmenterConfig(head="aspp")
    model = build_segmenter(config, 2).eval()
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


def test_a_mask_of_another_size_is_refused(tmp_path: Path) -> None:
    Image.fromarray(half_red()).save(tmp_path / "a.jpg")
    LabelMap(np.zeros((4, 4), np.uint8)).save(tmp_path / "a.png")
    data = MaskData([WeakSample("a", tmp_path / "a.jpg", Tags(frozenset()))], tmp_path, 3, AugmentConfig(), 0)
    with pytest.raises(DataError, match=r"mask of image 'a' is \(4, 4\), the image \(40, 60\)"):
        data.load(0, 0)


def tiny_config(stride: int = 32, **model: Any) -> SegmentConfig:
    return SegmentConfig(SegmenterConfig(BackboneConfig("resnet10t", stride, "none"), **model), loss_on="cells")


class TestLoss:
    """segmentation-stage.md, oracles 2, 3 and 11."""

    @staticmethod
    def batch() -> list[Tensor]:
        generator = torch.Generator().manual_seed(0)
        labels = torch.randint(0, 3, (2, 65, 65), generator=generator)
        labels[:, :20] = 255
        return [255 * torch.rand(2, 3, 65, 65, generator=generator), labels]

    @pytest.mark.parametrize("kind", get_args(SegmentLoss))
    def test_the_sum_over_four_maps(self, kind: SegmentLoss) -> None:
        config = replace(tiny_config(8, head="aspp", multi_scale=(0.5, 0.75)), loss=kind)
        torch.manual_seed(0)
        model, batch = build_segmenter(config.model, 2).eval(), self.batch()
        with torch.no_grad():
            found = model(batch[0], further=("scales",))
            maps = [*found.further["scales"], found.logits]
            assert [m.shape[2:] for m in maps] == [(9, 9), (4, 4), (6, 6), (9, 9)]
            parts = []
            for one in maps:
                middle = ((torch.arange(len(one[0, 0])) + 0.5) * 65 / len(one[0, 0])).long()
                parts.append(segmentation_loss(one, batch[1][:, middle][:, :, middle], kind))
            torch.testing.assert_close(segmenter_loss(model, batch, config=config), torch.stack(parts).sum())

    def test_the_auxiliary_head_counts_four_tenths(self) -> None:
        config = replace(tiny_config(8, head="pspnet", hidden=8), loss_on="pixels")
        torch.manual_seed(0)
        model, batch = build_segmenter(config.model, 2).eval(), self.batch()
        with torch.no_grad():
            found = model(batch[0], further=("auxiliary",))
            large = [
                F.interpolate(m, (65, 65), mode="bilinear", align_corners=True)
                for m in (found.logits, found.further["auxiliary"])
            ]
            main, auxiliary = (F.cross_entropy(m, batch[1], ignore_index=255) for m in large)
            torch.testing.assert_close(segmenter_loss(model, batch, config=config), main + 0.4 * auxiliary)

    def test_nothing_decided_is_nothing_learned(self) -> None:
        config = tiny_config(head="aspp", multi_scale=(0.5, 0.75))
        model, (images, labels) = build_segmenter(config.model, 2).train(), self.batch()
        loss = segmenter_loss(model, [images, torch.full_like(labels, 255)], config=config)
        loss.backward()
        assert loss.item() == 0
        assert all(p.grad is None or p.grad.abs().max() == 0 for p in model.parameters())


class TestTraining:
    @staticmethod
    def train(folder: Path, config: SegmentConfig, out: str = "out", *, tagged: bool = False) -> dict[str, Any]:
        samples = []
        for index in range(4):
            image, mask = draw(index)
            Image.fromarray(image).save(folder / f"{index}.png")
            LabelMap(mask).save(folder / f"masks/{index}.png")
            tags = Tags(LabelMap(mask).label_ids - {0} if tagged else frozenset())
            samples.append(WeakSample(str(index), folder / f"{index}.png", tags))
        place = FitPlace(folder / out, 3)
        train_segmenter(samples, folder / "masks", Classes(CLASSES), config=config, place=place)
        return read_header(place.folder / "model.safetensors")

    @pytest.mark.parametrize(
        ("model", "crop"), [({"head": "aspp", "multi_scale": (0.5, 0.75)}, 48), ({"head": "pspnet", "hidden": 8}, 65)]
    )
    def test_the_same_seed_gives_the_same_losses(self, tmp_path: Path, model: dict[str, Any], crop: int) -> None:
        # segmentation-stage.md, oracle 13
        fit = FitConfig(iterations=5, batch_size=2, lr=1e-3, head_lr_factor=10.0, bias_lr_factor=2.0)
        config = replace(tiny_config(**model), augment=AugmentConfig(None, crop), fit=fit)
        self.train(tmp_path, config)
        self.train(tmp_path, config, "again")
        lines = [
            [json.loads(line)["loss"] for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
            for name in ("out", "again")
        ]
        assert len(lines[0]) == 3 and lines[0] == lines[1]

    def test_the_file_says_what_it_was_made_of(self, tmp_path: Path) -> None:
        fit = FitConfig(epochs=1, batch_size=4)
        header = self.train(tmp_path, replace(tiny_config(), augment=AugmentConfig(None, 48), fit=fit))
        assert header["init"] == {"backbone": "resnet10t", "weights": "none"}
        pixels = header["masks"].pop("pixels")
        assert header["masks"] == {"images": 4, "undecided": 0}
        assert sum(pixels.values()) == 4 * 48 * 64 and list(pixels) == ["background", *CLASSES]
        assert header["model"]["hidden"] == 256 and header["model"]["dilations"] == [6]

    def test_classes_are_reasoned_about(self, tmp_path: Path) -> None:
        """The layer learns, all of it; the file alone is enough to predict, and says where the graph is from."""
        graph = ClassGraphConfig(adjacency="symmetric")
        reasoning = ReasoningConfig("recommended", class_graph=graph, widths=(8, 8), keys=4, lr_factor=1.0)
        fit = FitConfig(epochs=2, batch_size=2, lr=1e-2, weight_decay=0.0)
        config = replace(tiny_config(hidden=8, reasoning=reasoning), augment=AugmentConfig(None, 48), fit=fit)
        header = self.train(tmp_path, config, tagged=True)
        told = header["class_graph"]
        assert told["names"] == list(CLASSES) and told["source"].startswith("cooccurrence")
        assert told["relations"][0] == pytest.approx([1.0, 0.5])  # two of four images show each class, one shows both
        path = tmp_path / "out/model.safetensors"
        model, _ = load_segmenter(path)
        layer = model.reasoning
        assert isinstance(layer, ClassAttention) and float(layer.gate) != 0
        torch.testing.assert_close(layer.gcn.adjacency, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))
        again = self.train(tmp_path, config, "again", tagged=True)
        assert (
            again == header and load_weights(tmp_path / "again/model.safetensors").keys() == load_weights(path).keys()
        )
        for name, value in load_weights(tmp_path / "again/model.safetensors").items():
            assert value.equal(load_weights(path)[name]), name
        still = self.train(tmp_path, replace(config, fit=replace(fit, lr=1e-12)), "still", tagged=True)
        before = load_weights(tmp_path / "still/model.safetensors")
        learned = {f"reasoning.{name}" for name, _ in layer.named_parameters()}
        assert still["class_graph"] == told and learned == {
            name for name, value in load_weights(path).items()
            if name.startswith("reasoning.") and not value.equal(before[name])
        }  # fmt: skip
        (tmp_path / "moved").mkdir()
        moved = path.rename(tmp_path / "moved/model.safetensors")
        image = half_red()
        labels = [predict_image(load_segmenter(moved)[0], image, PredictConfig()).labels for _ in range(2)]
        assert (labels[0] == labels[1]).all()

    def test_a_head_alone(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Features of two variants of four images are computed once each; the head learns as it would of the images."""
        calls, plain = [], Backbone.forward

        def counted(backbone: Backbone, images: Tensor) -> Tensor:
            calls.append(len(images))
            return plain(backbone, images)

        monkeypatch.setattr(Backbone, "forward", counted)
        fit = FitConfig(epochs=6, batch_size=2, lr=1e-2, norm_affine="frozen")
        config = replace(tiny_config(head="score"), augment=AugmentConfig(None, 48, variants=2), fit=fit)
        self.train(tmp_path, replace(config, frozen=True))
        assert calls == [1] * 8
        self.train(tmp_path, replace(config, fit=replace(fit, frozen_levels=5)), "whole")
        found, whole = (load_weights(tmp_path / name / "model.safetensors") for name in ("out", "whole"))
        torch.testing.assert_close(found, whole, rtol=1e-3, atol=1e-4)
        losses = [json.loads(line)["loss"] for line in (tmp_path / "out/metrics.jsonl").read_text().splitlines()]
        assert losses[-1] < losses[0]

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({"fit": FitConfig(frozen_levels=1)}, "segmenter.fit.frozen_levels: with frozen"),
            ({"fit": FitConfig(loader_workers=2)}, "segmenter.fit.loader_workers: with frozen"),
            ({"fit": FitConfig(norm_statistics="batch")}, "segmenter.fit.norm_statistics: with frozen"),
            ({"model": SegmenterConfig(multi_scale=(0.5,))}, "segmenter.model.multi_scale: with frozen"),
            ({"model": SegmenterConfig(head="tree")}, "segmenter.frozen: the head 'tree' sees levels"),
        ],
    )
    def test_what_a_head_alone_cannot_have(self, settings: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            check_training(SegmentConfig(frozen=True, **settings))

    def test_it_starts_from_another_one(self, tmp_path: Path) -> None:
        small = replace(tiny_config(hidden=4), augment=AugmentConfig(None, 48), fit=FitConfig(epochs=1, batch_size=4))
        self.train(tmp_path, small, "first")
        init = InitConfig(str(tmp_path / "first/model.safetensors"), "four drawings", pixel_masks=False)
        still = replace(small, init=init, fit=FitConfig(epochs=1, batch_size=4, lr=1e-12))
        header = self.train(tmp_path, still, "second")
        assert header["init"] == {"network": "model.safetensors", "trained_on": "four drawings", "pixel_masks": False}
        first, second = (load_weights(tmp_path / name / "model.safetensors") for name in ("first", "second"))
        torch.testing.assert_close(first, second)


def test_a_file_of_which_nobody_says_what_it_knows_is_refused() -> None:
    for settings in ({"file": "coco.pth"}, {"trained_on": "COCO masks"}, {"file": "coco.pth", "trained_on": "  "}):
        with pytest.raises(ConfigError, match=r"init: file and trained_on go together"):
            InitConfig(**settings)  # type: ignore[arg-type]

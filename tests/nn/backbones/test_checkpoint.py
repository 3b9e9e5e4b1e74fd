from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from generated import draw
from weakseg.errors import CheckpointError
from weakseg.nn.backbones import build_backbone, embedded_state
from weakseg.nn.backbones.backbone import CAFFE_RANGE, IMAGENET_MEAN, IMAGENET_STD
from weakseg.nn.backbones.checkpoint import layout_tag, recognised_layout
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig

NAME = "resnet101_deeplab_thin"


@lru_cache
def stem_after_training(layout: str) -> dict[str, Tensor]:
    """Return a first convolution, and statistics that its norm has gathered of photographs in the range of a layout."""
    torch.manual_seed(0)
    convolution, norm = nn.Conv2d(3, 64, 7, 2, 3, bias=False), nn.BatchNorm2d(64)
    pixels = torch.stack([torch.from_numpy(draw(index)[0]).permute(2, 0, 1) for index in range(3)]) / 255
    mean, std = (CAFFE_RANGE["mean"], CAFFE_RANGE["std"]) if layout == "caffe" else (IMAGENET_MEAN, IMAGENET_STD)
    pixels = (pixels - torch.tensor(mean).reshape(3, 1, 1)) / torch.tensor(std).reshape(3, 1, 1)
    with torch.no_grad():
        for _ in range(40):
            norm(convolution(pixels))
    assert isinstance(norm.running_var, Tensor)
    return {"conv1.weight": convolution.weight.detach(), "bn1.running_var": norm.running_var}


class TestRecognised:
    @pytest.mark.parametrize("layout", ["torchvision", "caffe"])
    def test_by_what_the_norm_has_seen(self, layout: str) -> None:
        state = stem_after_training(layout)
        assert recognised_layout(state) == layout
        for factor in (1e-3, 1e3):  # of the filters: it does not count
            scaled = {
                "conv1.weight": factor * state["conv1.weight"],
                "bn1.running_var": factor**2 * state["bn1.running_var"],
            }
            assert recognised_layout(scaled) == layout

    def test_trained_weights_keep_the_bound(self) -> None:
        # Of a network that was trained with RGB / 255, mean and deviation on ImageNet.
        values = list(embedded_state().values())
        stem, variance = values[0], values[4]
        assert stem.shape == (32, 3, 3, 3) and variance.shape == (32,) and float(variance.min()) >= 0
        assert recognised_layout({"conv1.weight": stem, "bn1.running_var": variance}) == "torchvision"

    def test_what_does_not_tell(self) -> None:
        state = stem_after_training("caffe")
        assert recognised_layout({**state, "bn1.running_var": torch.ones(64)}) == ""  # untrained, or folded
        assert recognised_layout({**state, "conv1.weight": torch.rand(64, 9, 7, 7)}) == ""  # no image goes in
        assert recognised_layout({"conv1.weight": state["conv1.weight"]}) == recognised_layout({}) == ""


class TestContradictions:
    def write(self, path: Path, layout: str, metadata: dict[str, str] | None = None) -> None:
        state = {**build_backbone(BackboneConfig(NAME, 8, "none")).model.state_dict(), **stem_after_training(layout)}
        save_file({name: value.contiguous() for name, value in state.items()}, path, metadata)

    @pytest.mark.parametrize(("has", "said"), [("caffe", "torchvision"), ("torchvision", "caffe")])
    def test_a_file_of_the_other_layout(self, tmp_path: Path, has: Any, said: Any) -> None:
        path = tmp_path / "w.safetensors"
        self.write(path, has)
        message = f"holds weights of layout '{has}', and backbone.layout is '{said}'; set backbone.layout to '{has}'"
        with pytest.raises(CheckpointError, match=message):
            build_backbone(BackboneConfig(NAME, 8, "file", str(path), said))
        loaded = build_backbone(BackboneConfig(NAME, 8, "file", str(path), has))
        assert loaded.bgr == (has == "caffe")

    def test_a_file_for_a_backbone_without_that_layout(self, tmp_path: Path) -> None:
        self.write(tmp_path / "w.safetensors", "caffe")
        config = BackboneConfig("resnet50_irnet_thin", 16, "file", str(tmp_path / "w.safetensors"))
        with pytest.raises(CheckpointError, match="holds weights of layout 'caffe'"):
            build_backbone(config)

    def test_a_tag_counts_more_than_values(self, tmp_path: Path) -> None:
        path = tmp_path / "w.safetensors"
        self.write(path, "torchvision", {"layout": "caffe"})
        assert build_backbone(BackboneConfig(NAME, 8, "file", str(path), "caffe")).bgr
        with pytest.raises(CheckpointError, match="holds weights of layout 'caffe'"):
            build_backbone(BackboneConfig(NAME, 8, "file", str(path)))


class TestTags:
    def test_of_models_of_weakseg(self, tmp_path: Path) -> None:
        path = tmp_path / "model.safetensors"
        model = nn.Linear(1, 1)
        for header, found in (
            ({"backbone": {"name": NAME, "layout": "caffe"}}, "caffe"),
            ({"model": {"backbone": {"name": NAME, "layout": "caffe"}}}, "caffe"),
            ({"backbone": {"name": "resnet50"}}, "torchvision"),  # of before there was a choice
            ({"model": 3}, ""),
            ({"backbone": [1]}, ""),
        ):
            save_model(path, model, header)
            assert layout_tag(path) == found

    def test_of_other_files(self, tmp_path: Path) -> None:
        torch.save({}, tmp_path / "w.pth")
        assert layout_tag(tmp_path / "w.pth") == ""
        save_file({"a": torch.zeros(1)}, tmp_path / "w.safetensors", {"layout": "darknet"})
        with pytest.raises(CheckpointError, match="says that it has layout 'darknet'; there are torchvision, caffe"):
            layout_tag(tmp_path / "w.safetensors")
        save_model(tmp_path / "m.safetensors", nn.Linear(1, 1), {"backbone": {"layout": ["x"]}})
        with pytest.raises(CheckpointError, match="says that it has layout"):
            layout_tag(tmp_path / "m.safetensors")


class TestFilesForModelsOfTimm:
    def test_by_name_without_the_classifier(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
        caplog.set_level("INFO", "weakseg")
        import timm

        for name in ("resnet10t", "convnext_atto"):
            whole = timm.create_model(name, num_classes=7)
            torch.save({"model": whole.state_dict(), "epoch": 3}, tmp_path / "w.pth")
            config = BackboneConfig(name, 16, "file", str(tmp_path / "w.pth"))
            loaded = build_backbone(config)
            for key, value in loaded.model.state_dict().items():
                assert value.equal(whole.state_dict()[key])
            assert "left out" in caplog.messages[-1] and "fc" in caplog.messages[-1]

    def test_the_backbone_of_a_model_of_weakseg(self, tmp_path: Path) -> None:
        config = BackboneConfig("resnet50_irnet_thin", 16, "none")
        model = nn.ModuleDict({"backbone": build_backbone(config), "head": nn.Conv2d(128, 3, 1)})
        save_model(tmp_path / "m.safetensors", model, {"backbone": {"name": config.name}})
        loaded = build_backbone(BackboneConfig(config.name, 16, "file", str(tmp_path / "m.safetensors")))
        for key, value in loaded.model.state_dict().items():
            assert value.equal(model.state_dict()[f"backbone.model.{key}"])


class Hostile:
    """Creates a file when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, tuple[str, str]]:
        return open, (str(self.trace), "w")


class TestBrokenFiles:
    def test_truncated_hostile_and_missing(self, tmp_path: Path) -> None:
        config = BackboneConfig("resnet50_irnet_thin", 16, "none")
        state, trace = build_backbone(config).model.state_dict(), tmp_path / "trace"
        torch.save(state, tmp_path / "cut.pth")
        content = (tmp_path / "cut.pth").read_bytes()
        (tmp_path / "cut.pth").write_bytes(content[: len(content) // 2])
        torch.save({"state_dict": state, "args": Hostile(trace)}, tmp_path / "hostile.pth")
        torch.save({"state_dict": state, "epoch": "many"}, tmp_path / "plain.pth")
        for name in ("cut.pth", "hostile.pth", "missing.pth"):
            with pytest.raises(CheckpointError, match=rf"{name}: cannot be loaded safely .*tensors alone"):
                build_backbone(BackboneConfig(config.name, 16, "file", str(tmp_path / name)))
        assert not trace.exists()
        build_backbone(BackboneConfig(config.name, 16, "file", str(tmp_path / "plain.pth")))

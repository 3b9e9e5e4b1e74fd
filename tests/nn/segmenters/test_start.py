"""A segmenter that starts from the file of another one."""

import logging
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.segmenters import Segmenter, build_segmenter
from weakseg.nn.segmenters.start import start_segmenter
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.segment import InitConfig, SegmentConfig, SegmenterConfig

BACKBONE = BackboneConfig("resnet50_deeplab_thin", 8, "none")
MODEL = SegmenterConfig(BACKBONE, "aspp")


def config_for(path: Path, model: SegmenterConfig = MODEL) -> SegmentConfig:
    return SegmentConfig(model, init=InitConfig(str(path), "made-up masks"))


def own_file(path: Path, model: SegmenterConfig = MODEL, classes: int = 2) -> Segmenter:
    torch.manual_seed(1)
    saved = build_segmenter(model, classes)
    names = [str(number) for number in range(classes)]
    save_model(path, saved, {"kind": "segmenter", "classes": names, "model": asdict(model)})
    return saved


def foreign(model: Segmenter, *, head: bool = True) -> dict[str, Tensor]:
    """Return the weights as another program might name them: torchvision's names below a prefix, another head's."""
    backbone = {f"net.{name.removeprefix('model.')}": v for name, v in model.backbone.state_dict().items()}
    scores = {name.replace("branches.", "net.aspp.c"): v for name, v in model.head.state_dict().items()}
    return {**backbone, **(scores if head else {})}


def test_a_segmenter_of_weakseg(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = own_file(tmp_path / "m.safetensors")
    found = start_segmenter(config_for(tmp_path / "m.safetensors"), 2)
    torch.testing.assert_close(found.state_dict(), saved.state_dict(), rtol=0, atol=0)
    assert not caplog.records


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_a_file_with_other_names(tmp_path: Path, dtype: torch.dtype) -> None:
    saved = own_file(tmp_path / "m.safetensors")
    state = {name: v.to(dtype) if v.is_floating_point() else v for name, v in foreign(saved).items()}
    torch.save(state, tmp_path / "coco.pth")
    found = start_segmenter(config_for(tmp_path / "coco.pth"), 2)
    expected = {name: v.to(dtype).float() if v.is_floating_point() else v for name, v in saved.state_dict().items()}
    torch.testing.assert_close(found.state_dict(), expected, rtol=0, atol=0)


def test_tensors_in_another_order(tmp_path: Path) -> None:
    saved = own_file(tmp_path / "m.safetensors")
    state = foreign(saved)
    torch.save({name: state[name] for name in sorted(state)}, tmp_path / "coco.pth")
    found = start_segmenter(config_for(tmp_path / "coco.pth"), 2)
    torch.testing.assert_close(found.state_dict(), saved.state_dict(), rtol=0, atol=0)


def test_other_classes_start_at_random_and_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    saved = own_file(tmp_path / "m.safetensors", classes=7)
    torch.save(foreign(saved), tmp_path / "coco.pth")
    for name in ("m.safetensors", "coco.pth"):
        caplog.clear()
        found = start_segmenter(config_for(tmp_path / name), 2)
        torch.testing.assert_close(found.backbone.state_dict(), saved.backbone.state_dict(), rtol=0, atol=0)
        assert found.head.branches[0].weight.std() < 0.02  # type: ignore[index,union-attr]
        (record,) = (r for r in caplog.records if r.levelno == logging.WARNING)
        assert "branches.0.weight (8, 128, 3, 3)" in record.message and "start at random: branches.0" in record.message


def test_a_hidden_layer_is_kept_where_classes_differ(tmp_path: Path) -> None:
    model = replace(MODEL, head="deeplab_v1", hidden=6)
    saved = own_file(tmp_path / "m.safetensors", model, classes=7)
    found = start_segmenter(config_for(tmp_path / "m.safetensors", model), 2)
    same = {name for name, v in found.head.state_dict().items() if v.equal(saved.head.state_dict()[name])}
    assert same == {"0.weight", "0.bias", "2.weight", "2.bias"}


def test_a_file_without_a_head(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    # segmentation-stage.md, oracle 12: keys of ASPP may be missing when initialising.
    torch.save(foreign(own_file(tmp_path / "m.safetensors"), head=False), tmp_path / "coco.pth")
    start_segmenter(config_for(tmp_path / "coco.pth"), 2)
    assert any("it has no head, so these of the head start at random" in record.message for record in caplog.records)


def test_other_networks_are_refused(tmp_path: Path) -> None:
    saved = own_file(tmp_path / "m.safetensors")
    for change in ({"head": "score"}, {"head": "deeplab_v1", "hidden": 4}, {"dilations": (6, 12)}):
        with pytest.raises(CheckpointError, match=r"m\.safetensors: has another head: branches\.0\.\w+ \(3,"):
            start_segmenter(config_for(tmp_path / "m.safetensors", replace(MODEL, **change)), 2)
    other = replace(MODEL, backbone=BackboneConfig("resnet10t", 8, "none"))
    with pytest.raises(CheckpointError, match=r"m\.safetensors: backbone: belongs to another model"):
        start_segmenter(config_for(tmp_path / "m.safetensors", other), 2)
    state = {name: v for name, v in foreign(saved).items() if "layer3" not in name}
    torch.save(state, tmp_path / "part.pth")
    with pytest.raises(CheckpointError, match=r"part\.pth: does not fit the network; missing \['layer3"):
        start_segmenter(config_for(tmp_path / "part.pth"), 2)
    with pytest.raises(CheckpointError, match=r"gone\.pth"):
        start_segmenter(config_for(tmp_path / "gone.pth"), 2)


def test_two_files_for_one_backbone_are_refused() -> None:
    backbone = replace(BACKBONE, weights="file", file="resnet.pth")
    with pytest.raises(ConfigError, match=r"init\.file: 'coco\.pth' holds the backbone, too"):
        config_for(Path("coco.pth"), replace(MODEL, backbone=backbone))

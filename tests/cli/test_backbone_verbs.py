"""``convert-weights`` and ``doctor --backbone``: what goes into ``backbone.file``."""

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from mxnet_files import write_mxnet
from weakseg.cli.main import main
from weakseg.nn.backbones import build_backbone
from weakseg.settings.backbone import BackboneConfig

Capture = pytest.CaptureFixture[str]
KINDS = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_var"}


def published_name(name: str) -> str:
    """Return what the MXNet file calls a weight of ResNet-38."""
    *unit, layer, kind = name.split(".")
    if not unit:
        return f"arg:{layer}_{KINDS[kind] if layer == 'bn7' else kind}"
    stage, _, number = unit[0][1:].partition("_")
    what, _, place = layer.partition("_")
    block = f"{'bn' if what == 'bn' else 'res'}{stage}{f'b{number}' if number else 'a'}"
    return f"arg:{block}_{place}_{KINDS[kind] if what == 'bn' else kind}"


class TestConvertWeights:
    def test_from_mxnet_to_a_backbone(self, tmp_path: Path, capsys: Capture) -> None:
        torch.manual_seed(0)
        state = build_backbone(BackboneConfig("resnet38_eighth", 8, "none")).model.state_dict()
        state = {name: torch.rand(value.shape) for name, value in state.items() if value.ndim}
        source = write_mxnet(tmp_path / "a.params", {published_name(n): v.numpy() for n, v in state.items()}, 0)
        out = tmp_path / "new" / "w.safetensors"
        assert main(["convert-weights", str(source), "--out", str(out)]) == 0
        assert f"{len(state)} tensors of ResNet-38" in capsys.readouterr().out
        written = out.read_bytes()
        out.write_text("mine")
        assert main(["convert-weights", str(source), "--out", str(out)]) == 2 and out.read_text() == "mine"
        assert "exists; give another --out, or --overwrite" in capsys.readouterr().err
        assert main(["convert-weights", str(source), "--out", str(out), "--overwrite"]) == 0
        assert out.read_bytes() == written
        with safe_open(out, "pt") as file:
            assert file.metadata() == {"layout": "torchvision"}
        loaded = build_backbone(BackboneConfig("resnet38_eighth", 8, "file", str(out))).model.state_dict()
        assert all(loaded[name].equal(value) for name, value in state.items())

    def test_what_it_refuses(self, tmp_path: Path, capsys: Capture) -> None:
        source = write_mxnet(tmp_path / "a.params", {"arg:x_weight": torch.zeros(3).numpy()})
        for words, message in (
            ([str(source), "--out", str(tmp_path / "w.pth")], "must end in .safetensors"),
            ([str(source), "--out", str(tmp_path / "w.safetensors")], "a.params: does not fit the network; missing"),
            ([__file__, "--out", str(tmp_path / "w.safetensors")], "is no parameter file of MXNet"),
            ([str(tmp_path / "b"), "--out", str(tmp_path / "w.safetensors")], "cannot be read"),
        ):
            assert main(["convert-weights", *words]) == 2
            assert message in capsys.readouterr().err
        assert [path.name for path in tmp_path.iterdir()] == ["a.params"]

    def test_a_file_that_must_be_converted_first(self, tmp_path: Path, capsys: Capture) -> None:
        words = ["doctor", "--backbone", "resnet38_eighth", "--file", str(tmp_path / "a.params")]
        assert main(words) == 2
        assert f"weakseg convert-weights {tmp_path / 'a.params'}" in capsys.readouterr().err


class TestDoctor:
    def test_an_own_backbone(self, tmp_path: Path, capsys: Capture) -> None:
        assert main(["doctor", "--backbone", "resnet38_eighth"]) == 0
        printed = capsys.readouterr().out
        assert "resnet38_eighth: weights file or none; layout torchvision\n  output_stride 8: 512 channels; " in printed
        assert "16 of stride 2, 32 of stride 4, 64 of stride 8" in printed
        assert "64 x 96 pixels become 8 x 12 cells" in printed and "weights timm" not in printed

    def test_a_model_of_timm(self, capsys: Capture, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
        assert main(["doctor", "--backbone", "resnet10t"]) == 0
        printed = capsys.readouterr().out
        assert (
            "output_stride 8: 512" in printed
            and "output_stride 32: 512" in printed
            and "64 x 96 pixels become 2 x 3 cells" in printed
        )
        assert "weights timm: resnet10t.c3_in1k, not on this machine: timm downloads it" in printed

    def test_published_places_and_recipes(self, capsys: Capture) -> None:
        from weakseg.cli.doctor_backbone import _recipes
        from weakseg.nn.backbones import OWN

        assert {"networks/psa.yaml", "segmenters/deeplab_v1_resnet38.yaml"} <= set(_recipes("resnet38"))
        assert not _recipes("resnet")
        for name, known in OWN.items():
            trial = name.endswith(("_thin", "_eighth"))
            assert trial or "embedded" in known.weights or known.published, name

    def test_a_file(self, tmp_path: Path, capsys: Capture) -> None:
        backbone = build_backbone(BackboneConfig("resnet38_eighth", 8, "none"))
        torch.save(backbone.model.state_dict(), tmp_path / "w.pth")
        words = ["doctor", "--backbone", "resnet38_eighth", "--file", str(tmp_path / "w.pth")]
        assert main(words) == 0
        assert "w.pth: fits, as layout torchvision" in capsys.readouterr().out
        assert main([*words, "--layout", "caffe"]) == 2
        assert "has layout 'torchvision', got 'caffe'" in capsys.readouterr().err

    def test_what_there_is_not(self, capsys: Capture) -> None:
        for words, message in (
            (["--backbone", "reznet50"], "there is no 'reznet50'; close ones: 'resnet50'"),
            (["--backbone", "mixer_s32_224"], "cannot be built"),
            (["--file", "w.pth"], "belong to --backbone NAME"),
        ):
            assert main(["doctor", *words]) == 2
            assert message in capsys.readouterr().err

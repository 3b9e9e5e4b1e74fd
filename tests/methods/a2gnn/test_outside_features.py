"""A run whose graphs have the features of another network, made once for each image and kept."""

import shutil
from pathlib import Path

import pytest
import timm
import torch

from generated import FAST, folder_arguments, write_folder
from weakseg.cli.main import main
from weakseg.feature_maps import FeatureMaps
from weakseg.files import read_json

WORDS = [
    "--with_activations=false",
    "--graph_from=free",
    "--free.levels=1",
    *(f"--completion.{word}" for word in ("first_steps=5", "second_steps=2", "network.hidden=16")),
    *(word for word in FAST if word.startswith(("--segmenter", "--predictions"))),
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    root = write_folder(tmp_path / "data", 4)
    out = root / "boxes.json"
    assert main(["data", "simulate", "--kind", "boxes", "--out", str(out), *folder_arguments(root)]) == 0
    torch.manual_seed(0)
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "w.pth")
    return root


def test_features_are_made_once_for_all_graphs(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    vit = ["--free.features.name=test_vit", f"--free.features.file={tmp_path / 'w.pth'}"]
    words = ["run", "a2gnn", "--out", str(tmp_path / "out"), "--workers", "1", "--until", "masks"]
    words += [*folder_arguments(data), "--data.drawn=boxes.json", *WORDS]
    assert main([*words, *vit]) == 0
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "out/features").glob("*.safetensors")}
    assert len(files) == 3
    (level,) = FeatureMaps.load(next(iter(files))).levels
    assert level.shape == (64, 3, 4)
    by_vit = (tmp_path / "out/completed/i01.safetensors").read_bytes()
    caplog.clear()
    assert main([*words, *vit, "--free.feature_weight=8"]) == 0  # another graph of the same features
    assert "features: done before" in caplog.text
    assert files == {path: path.stat().st_mtime_ns for path in files}
    assert (tmp_path / "out/completed/i01.safetensors").read_bytes() != by_vit
    torch.manual_seed(1)
    torch.save(timm.create_model("test_vit").state_dict(), tmp_path / "w.pth")  # other weights under the same name
    assert main([*words, *vit]) == 0
    assert "features: made anew" in caplog.text
    shutil.rmtree(tmp_path / "out")
    assert main(words) == 0
    assert not (tmp_path / "out/features").exists()
    assert "features" not in read_json(tmp_path / "out/completed/manifest.json")["inputs"]


def test_a_network_that_is_none_ends_before_anything_runs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", "a2gnn", "--out", str(tmp_path / "out"), *folder_arguments(data), "--data.drawn=boxes.json", *WORDS]
    assert main([*words, "--free.features.name=resnet49"]) == 2
    assert "there is no 'resnet49'; close ones: " in capsys.readouterr().err
    assert not (tmp_path / "out").exists()

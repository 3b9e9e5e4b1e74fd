"""A run whose graphs have the features of another network, made once for each image and kept."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import timm
import torch

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.dataset import open_dataset
from weakseg.feature_maps import FeatureMaps
from weakseg.files import read_json, write_json
from weakseg.methods.drawn.config import DrawnRecipe
from weakseg.methods.recipes import load_recipe
from weakseg.stages import build_graph
from weakseg.stages.weak_seeds import SeedParts, weak_seeds

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
    assert len(files) == 2  # one of three photographs shows nothing
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


def walking(data: Path, tmp_path: Path, *more: str) -> list[str]:
    """Return settings of strokes that walk on features of the transformer."""
    walk = [f"--seeds.walk.graph.features.{key}" for key in ("name=test_vit", f"file={tmp_path / 'w.pth'}")]
    walk += ["--seeds.strokes_as=walk", "--seeds.walk.graph.levels=1", *more]
    return [*walk, *folder_arguments(data), "--data.drawn=strokes.json"]


@pytest.fixture
def drawn(data: Path) -> Path:
    """Of three training photographs one has scribbles, one a box, and one shows nothing."""
    for kind in ("scribbles", "boxes"):
        command = ["data", "simulate", "--kind", kind, "--overwrite", "--out", str(data / f"{kind}.json")]
        assert main([*command, *folder_arguments(data)]) == 0
    drawn = {kind: read_json(data / f"{kind}.json") for kind in ("scribbles", "boxes")}
    nothing, scribbled, boxed = drawn["boxes"]["images"]
    assert not drawn["boxes"]["images"][nothing]["boxes"]
    kinds = {nothing: "boxes", scribbled: "scribbles", boxed: "boxes"}
    images = {name: drawn[kind]["images"][name] for name, kind in kinds.items()}
    write_json(data / "strokes.json", {**drawn["boxes"], "images": images})
    return data


def test_strokes_walk_on_features_that_are_made_once(
    drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The seeds are, to the bit, those of features that are made when they are needed."""
    caplog.set_level("INFO")
    words, out = walking(drawn, tmp_path), tmp_path / "out"
    assert main(["run", "drawn", "--out", str(out), "--workers=1", "--device=cpu", "--until=seeds", *words]) == 0
    assert "stroke_features: 2 of 3 photographs have no points or scribbles, and are left out" in caplog.text
    (kept,) = (out / "stroke_features").glob("*.safetensors")
    assert read_json(out / "seeds/manifest.json")["inputs"].keys() == {"stroke_features"}
    recipe = load_recipe("drawn", words)
    assert isinstance(recipe, DrawnRecipe)
    samples = {sample.id: sample for sample in open_dataset(recipe.data).splits["train"]}
    sample = samples.pop(kept.stem)
    expected = weak_seeds(sample.drawn, sample.load_image(), None, recipe.seeds)
    np.testing.assert_array_equal(LabelMap.load(out / f"seeds/{sample.id}.png").labels, expected.labels)
    assert all((out / f"seeds/{name}.png").exists() for name in samples) and len(samples) == 2
    kept_parts, made_parts = SeedParts(features=kept), SeedParts()
    weak_seeds(sample.drawn, sample.load_image(), None, recipe.seeds, parts=made_parts)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build_graph, "feature_maps", None)  # they are read
        weak_seeds(sample.drawn, sample.load_image(), None, recipe.seeds, parts=kept_parts)
    assert kept_parts.graph is not None and made_parts.graph is not None
    assert kept_parts.graph.features.equal(made_parts.graph.features)
    assert kept_parts.graph.affinity.values.equal(made_parts.graph.affinity.values)


def test_graphs_and_strokes_share_what_is_the_same(
    drawn: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    same = ["--seeds.walk.graph.max_side=512", "--seeds.walk.graph.stride=8", "--with_activations=false"]
    free = [f"--free.features.{key}" for key in ("name=test_vit", f"file={tmp_path / 'w.pth'}")]
    few = [word for word in WORDS if word.startswith("--completion")]
    for levels, expected in ((1, {"features": 2}), (2, {"features": 2, "stroke_features": 1})):
        out = tmp_path / f"out{levels}"
        words = [*walking(drawn, tmp_path, *same), *free, *few, "--graph_from=free", f"--free.levels={levels}"]
        assert main(["run", "a2gnn", "--out", str(out), "--workers=1", "--until=completed", *words]) == 0
        found = {path.name: len(list(path.glob("*.safetensors"))) for path in out.glob("*features")}
        assert found == expected and len(list((out / "completed").glob("*.safetensors"))) == 3
    assert "features: 1 of 3 photographs show nothing, and are left out" in caplog.text

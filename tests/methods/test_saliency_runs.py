"""Methods that read the background off saliency maps: their plans, and a run from tags to a report."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import folder_arguments, write_folder
from small_recipes import RECIPES, write_voc
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.saliency import load_map
from weakseg.errors import ConfigError
from weakseg.files import read_json
from weakseg.methods import METHODS
from weakseg.methods.a2gnn.plan import affinity_seeds
from weakseg.methods.label import _check_maps, labelling_steps
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import load_recipe
from weakseg.pipeline.plan import Kind, Role, Step, check_plan
from weakseg.settings.seed import SeedConfig
from weakseg.steps.saliency import saliency_of

SPECTRAL = "--saliency.detector=spectral"
BACKGROUND = "--seeds.background=saliency"
OF_TAGS = ("--seeds.tags_as=thresholds", "--seeds.thresholds.background=saliency")
READ = {
    **dict.fromkeys(("cam", "oaa", "group", "irnet", "wsgcn-i", "dgcn", "dsrg"), (BACKGROUND,)),
    "wsgcn-p": (BACKGROUND, "--partial_from=seeds"),
    "a2gnn": OF_TAGS,
}
SMALL = [
    "--classifier.fit.epochs=1", "--classifier.fit.batch_size=4", "--classifier.augment.long_side=[64,80]",
    "--classifier.augment.crop=64", "--segmenter.fit.epochs=1", "--segmenter.fit.batch_size=4",
    "--segmenter.augment.long_side=[64,80]", "--segmenter.augment.crop=64", "--activations.scales=[1.0]",
    "--predictions.scales=[1.0]", "--masks.crf.iterations=1",
]  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("salient") / "data", 6)


def opened(method: str, root: Path, *words: str) -> tuple[Recipe, Dataset]:
    recipe = load_recipe(method, [*folder_arguments(root), *words])
    return recipe, open_dataset(recipe.data)


def plan_of(method: str, root: Path, *words: str) -> dict[str, Step]:
    steps = METHODS[method].build(*opened(method, root, *words))
    check_plan(steps)
    return {step.name: step for step in steps}


def test_plans_that_read_them_begin_with_them_and_others_have_none(data: Path) -> None:
    for method, words in READ.items():
        steps = plan_of(method, data, SPECTRAL, *words)
        assert next(iter(steps)) == "saliency" and "saliency" in steps["seeds"].needs
        assert (steps["saliency"].kind, steps["saliency"].role) == (Kind.SALIENCY, Role.START)
        assert saliency_of(list(steps.values()), "predictions")["detector"] == "spectral"
    assert "saliency" not in plan_of("cam", data)
    with pytest.raises(ConfigError, match="saliency: no step of method 'cam' reads saliency maps"):
        opened("cam", data, SPECTRAL)


def test_affinities_of_a2gnn_from_other_seeds(data: Path) -> None:
    recipe, dataset = opened("a2gnn", data, *OF_TAGS, "--affinity_seeds=confident")
    seeds = affinity_seeds(recipe, dataset)  # type: ignore[arg-type]
    assert (seeds.tags_as, seeds.thresholds) == ("confident", SeedConfig())
    steps = plan_of("a2gnn", data, *OF_TAGS, "--affinity_seeds=confident")
    assert "saliency" in steps["seeds"].needs and "saliency" not in steps["affinity_seeds"].needs


def test_labels_that_are_not_read_off_maps(data: Path, tmp_path: Path) -> None:
    boxes = ["--data.root", str(write_voc(tmp_path / "voc")), "--data.format=voc", "--data.train=train_aug"]
    recipe = load_recipe("a2gnn", [*boxes, "--data.labels=boxes", *OF_TAGS, SPECTRAL])
    with pytest.raises(ConfigError, match="no photograph's seeds would be read off saliency maps"):
        METHODS["a2gnn"].build(recipe, open_dataset(recipe.data))
    with pytest.raises(ConfigError, match=r"'saliency' has no effect with seeds\.tags_as 'confident'"):
        opened("a2gnn", data, "--seeds.thresholds.background=saliency")


def test_the_recipe_for_voc(tmp_path: Path) -> None:
    voc = ["--data.root", str(write_voc(tmp_path))]
    tags, salient = (load_recipe(str(RECIPES / f"a2gnn_{name}_voc12.yaml"), voc) for name in ("tags", "saliency"))
    same = {"data": tags.data, "seeds": tags.seeds}  # type: ignore[attr-defined]
    assert replace(salient, **same) == tags and salient.reads_saliency
    steps = {step.name: step for step in METHODS["a2gnn"].build(salient, open_dataset(salient.data))}
    assert steps["saliency"].settings["detector"] == "files" and "saliency" in steps["seeds"].needs


@pytest.fixture(scope="module")
def finished(data: Path) -> Path:
    out = data.parent / "out"
    words = ["run", "cam", "--out", str(out), "--workers=1", *folder_arguments(data), *SMALL]
    assert main([*words, BACKGROUND, SPECTRAL, "--seeds.fusion.min_foreground=0"]) == 0
    return out


def test_a_run_says_where_its_background_comes_from(finished: Path, data: Path) -> None:
    names = [Path(name).stem for name in json.loads((data / "tags.json").read_text())]
    for name in names:
        assert load_map(finished / "saliency" / f"{name}.png").shape == (48, 64)
        assert LabelMap.load(finished / "seeds" / f"{name}.png").labels.shape == (48, 64)
    scores = {score["name"]: score for score in read_json(finished / "evaluation" / "results.json")["scores"]}
    assert "saliency" not in scores["activations"]["protocol"] and "saliency" not in scores
    for name in ("seeds", "masks", "predictions"):
        told = scores[name]["protocol"]["saliency"]
        assert told == {"detector": "spectral", "weights": "", "learned_from_masks": False}
    page = (finished / "report.html").read_text()
    assert "saliency: spectral, which learned nothing" in page and "tags + saliency" not in page
    assert "seeds: of all pixels the floor has relabelled 0 %, undecided by conflicts are" in page
    assert "seeds: background where saliency is low" in page and ">saliency<" in page


def test_new_images_have_maps_of_the_same_detector(finished: Path, data: Path, tmp_path: Path) -> None:
    words = ["--images", str(data / "images"), "--labels", str(data / "tags.json"), "--out", str(tmp_path / "new")]
    assert main(["label", str(finished), *words, "--workers=1"]) == 0
    for kind in ("saliency", "masks"):
        made, again = ({p.name: p.read_bytes() for p in (f / kind).glob("*.png")} for f in (finished, tmp_path / "new"))
        assert made == again and made


def test_new_images_without_maps(data: Path) -> None:
    for method, words, refused in (("cam", ["--rounds=1"], True), ("dgcn", ["--rounds=1"], False)):
        recipe, dataset = opened(method, data, BACKGROUND, *words)
        way = labelling_steps(recipe, dataset, METHODS[method].build(recipe, dataset))
        assert any(step.name == "saliency" for step in way)
        if refused:
            with pytest.raises(ConfigError, match=r"saliency\.detector: the run has read its maps from files"):
                _check_maps(recipe, way)
        else:
            _check_maps(recipe, way)  # its segmenter labels them, which is trained


def test_what_is_missing_is_said_before_anything_is_trained(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEAKSEG_CACHE", str(tmp_path / "cache"))
    words = ["run", "cam", "--out", str(tmp_path / "out"), "--workers=1", *folder_arguments(data), *SMALL, BACKGROUND]
    assert main([*words, "--saliency.detector=u2netp"]) == 2
    assert "weakseg weights get u2netp fetches it" in capsys.readouterr().err and not (tmp_path / "out").exists()
    assert main([*words, "--saliency.detector=u2netp", "--saliency.file=mine.onnx"]) == 2
    assert "saliency.file: mine.onnx is no file" in capsys.readouterr().err and not (tmp_path / "out").exists()
    folder = data / "maps"
    folder.mkdir(exist_ok=True)
    first = next(iter(json.loads((data / "tags.json").read_text())))
    Image.fromarray(np.full((48, 64), 9, np.uint8)).save(folder / f"{Path(first).stem}.png")
    assert main([*words, "--data.saliency=maps"]) == 2
    assert "saliency: no map of 4 of 5 training images:" in capsys.readouterr().err
    assert not (tmp_path / "out" / "classifier").exists()


def test_what_may_have_learned_from_masks_is_labelled(data: Path, tmp_path: Path, real_data: Path) -> None:
    few = {"root": str(data), "train": "few.json", "val": "", "truth": "masks"}
    tags = json.loads((data / "tags.json").read_text())
    (data / "few.json").write_text(json.dumps({name: tags[name] for name in list(tags)[1:3]}))
    (tmp_path / "both.yaml").write_text(json.dumps({
        "data": few,
        "classifier": {"fit": {"epochs": 1, "batch_size": 2}, "augment": {"long_side": [64, 80], "crop": 64}},
        "activations": {"scales": [1.0]},
        "masks": {"crf": {"iterations": 1}},
        "methods": {
            "plain": {"method": "cam", "seeds": {"crf": {"iterations": 1}}},
            "salient": {"method": "cam", "seeds": {"background": "saliency"}, "saliency": {
                "detector": "u2netp", "file": str(real_data / "saliency" / "u2netp.onnx"),
            }},
        },
    }))  # fmt: skip
    assert main(["compare", str(tmp_path / "both.yaml"), "--out", str(tmp_path / "out"), "--workers=1"]) == 0
    plain, salient = read_json(tmp_path / "out" / "results.json")["methods"]
    assert "saliency" not in plain and salient["saliency"]["weights"] == "u2netp.onnx"
    assert salient["scores"][-1]["protocol"]["saliency"]["learned_from_masks"]
    page = (tmp_path / "out" / "report.html").read_text()
    assert "salient (tags + saliency)" in page and "plain (tags + saliency)" not in page
    assert "u2netp (u2netp.onnx), which learned from masks of pixels that people drew" in page
    assert "saliency of salient" in page

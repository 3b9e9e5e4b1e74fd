"""Whole runs from boxes, points, scribbles and tags on a tiny generated data set."""

import json
from pathlib import Path

import numpy as np
import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap, Scores
from weakseg.cli.main import main
from weakseg.data.dataset import open_dataset
from weakseg.errors import ConfigError
from weakseg.files import read_json
from weakseg.instances import Instances
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe

SEGMENTER = [word for word in FAST if word.startswith(("--segmenter", "--predictions"))]
CLASSIFIER = [word for word in FAST if word.startswith(("--classifier", "--activations"))]
AFFINITY = [f"--affinity.{word}" for word in ("fit.epochs=1", "fit.batch_size=4", "augment.crop=64")]
COMPLETION = [
    f"--completion.{word}" for word in ("first_steps=15", "second_steps=5", "network.hidden=16", "network.dropout=0")
]
KINDS = ("boxes", "points", "scribbles")
GRAPHNET = [
    "--nodes=superpixels",
    "--regions.num_regions=100",
    "--completion.crf_weight=0",
    "--completion.network.kind=gcn",
    "--completion.network.adjacency=binary",
]
TINY = [*SEGMENTER, *CLASSIFIER, *AFFINITY, *COMPLETION]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs with a file of each kind of label, and one in which every photograph has another kind."""
    root = write_folder(tmp_path_factory.mktemp("drawn") / "data", 8)
    files = {}
    for kind in KINDS:
        out = root / f"{kind}.json"
        assert main(["data", "simulate", "--kind", kind, "--out", str(out), *folder_arguments(root)]) == 0
        files[kind] = json.loads(out.read_text())
    mixed = {**files["boxes"], "kind": "mixed"}
    ids = list(mixed["images"])
    mixed["images"] = {image_id: files[KINDS[n % 3]]["images"][image_id] for n, image_id in enumerate(ids[:-1])}
    (root / "mixed.json").write_text(json.dumps(mixed))
    return root


def run(method: str, data: Path, out: Path, kind: str, *more: str) -> list[str]:
    """Carry out a method, and return its words."""
    words = ["run", method, "--out", str(out), "--workers", "1", *folder_arguments(data), f"--data.drawn={kind}.json"]
    assert main([*words, *SEGMENTER, *more]) == 0
    return [*words, *SEGMENTER, *more]


def ious(out: Path) -> dict[str, float]:
    return {s["name"]: s["mean_iou"] for s in read_json(out / "evaluation" / "results.json")["scores"]}


@pytest.mark.parametrize("kind", [*KINDS, "mixed"])
def test_a2gnn_from_every_kind_of_label(kind: str, data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run("a2gnn", data, out, kind, *CLASSIFIER, *AFFINITY, *COMPLETION)
    names = {path.stem for path in (out / "masks").glob("*.png")}
    shown = json.loads((data / "tags.json").read_text())
    assert names == {name[:-4] for name in shown} and not all(shown.values())
    wider = {"affinity_seeds"} if kind in ("scribbles", "mixed") else set()
    assert {"activations", "seeds", "before_crf", "masks", "predictions"} | wider == set(ious(out))
    for name in names:
        scores = Scores.load(out / "completed" / f"{name}.safetensors")
        if shown[f"{name}.png"]:
            assert scores.stride == 8 and scores.values.shape[1:] == (6, 8) and len(scores.label_ids) > 1
        else:
            assert scores.label_ids == (0,) and scores.values.shape == (1, 1, 1)  # nothing to train
        assert LabelMap.load(out / "masks" / f"{name}.png").label_ids <= set(scores.label_ids)


def test_boxes_without_any_training_give_the_shapes_and_their_objects(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = run(
        "a2gnn",
        data,
        out,
        "boxes",
        "--with_activations=false",
        "--graph_from=free",
        "--instances=true",
        "--completion.network.hidden=32",
    )
    assert not {"classifier", "activations", "affinity"} & {path.name for path in out.iterdir()}
    assert ious(out)["masks"] > 90
    objects = Instances.load(out / "instances" / "i03.instances.json")
    assert sorted(objects.class_ids) == [1, 2]
    truth = LabelMap.load(data / "masks" / "i03.png").labels
    for mask, class_id in zip(objects.masks, objects.class_ids, strict=True):
        assert (mask & (truth == class_id)).sum() > 0.8 * np.maximum(mask, truth == class_id).sum()
    stamps = {path: path.stat().st_mtime_ns for path in (out / "completed").iterdir()}
    assert main(words) == 0
    assert stamps == {path: path.stat().st_mtime_ns for path in stamps}


@pytest.mark.parametrize(("kind", "least"), [("points", 50), ("scribbles", 60)])
def test_strokes_that_are_walked_from_need_no_training(kind: str, least: float, data: Path, tmp_path: Path) -> None:
    free = ["--with_activations=false", "--graph_from=free", "--seeds.strokes_as=walk", *COMPLETION]
    run("a2gnn", data, tmp_path / "out", kind, *free)
    assert not {"classifier", "activations", "affinity"} & {path.name for path in (tmp_path / "out").iterdir()}
    assert ious(tmp_path / "out")["masks"] > least
    assert not any((LabelMap.load(path).labels == 255).any() for path in (tmp_path / "out/seeds").glob("*.png"))


def test_activations_are_needed_by_what_looks_at_them_alone(data: Path) -> None:
    """A photograph that has tags alone needs them, though the walk from all others does not."""

    def plan(drawn: str, *more: str) -> dict[str, set[str]]:
        words = [*folder_arguments(data), f"--data.drawn={drawn}.json", "--graph_from=free", *more]
        recipe = load_recipe("a2gnn", words)
        return {step.name: set(step.needs) for step in METHODS["a2gnn"].build(recipe, open_dataset(recipe.data))}

    walk = "--seeds.strokes_as=walk"
    assert plan("mixed", walk)["seeds"] == {"activations"}
    assert plan("scribbles", "--seeds.scribbles_over_tags=true")["seeds"] == {"activations"}
    walked = plan("points", walk, "--walk_weight=3")
    assert walked["seeds"] == set() and walked["completed"] == {"seeds"} and "activations" in walked["walk"]
    learned = plan("scribbles", walk, "--graph_from=affinity", "--affinity.start=classifier")
    assert learned["affinity"] == {"seeds", "classifier"} and "affinity_seeds" not in learned
    for drawn, more in {"points": walk, "scribbles": walk, "boxes": "--seeds.boxes_as=grabcut"}.items():
        with pytest.raises(ConfigError, match=r"with_activations: nothing would look at .* set it to false"):
            plan(drawn, more)
        assert "classifier" not in plan(drawn, more, "--with_activations=false")


def test_objects_are_scored_where_the_data_set_has_them(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--images", str(data / "images"), "--classes", str(data / "classes.txt"), "--format", "coco"]
    assert main(["export", str(data / "masks"), *words, "--out", str(data / "objects.json")]) == 0
    coco = [f"--data.root={data}", "--data.format=coco", "--data.train=objects.json", "--data.images=images"]
    free = ["--with_activations=false", "--graph_from=free", *COMPLETION, *SEGMENTER, "--workers=1"]
    assert main(["run", "a2gnn", "--out", str(tmp_path / "run"), *coco, *free, "--instances=true"]) == 0
    printed = capsys.readouterr().out
    (score,) = read_json(tmp_path / "run/evaluation/results.json")["objects"]
    assert (score["name"], score["images"], score["missing"], score["objects"]) == ("instances", 8, 2, 8)
    assert score["mean_ap_region"]["0.5"] > 80 and score["coco"]["ap50"] > 80
    assert (
        "instances (train): mAP^r at IoU 0.25" in printed and "(8 images, 2 without prediction, 8 objects)" in printed
    )
    page = (tmp_path / "run/report.html").read_text()
    assert "Agreement with the true objects" in page and "match: the true object of the highest IoU" in page
    recipe = tmp_path / "both.yaml"
    recipe.write_text("methods:\n  whole: {method: a2gnn, instances: true}\n  masks: {method: a2gnn}\n")
    assert main(["compare", str(recipe), "--out", str(tmp_path / "both"), *coco, *free]) == 0
    assert "objects, mAP^r 0.5 %" in capsys.readouterr().out
    whole, masks = read_json(tmp_path / "both/results.json")["methods"]
    assert whole["objects"][0]["ap_region"] == score["ap_region"] and masks["objects"] == []
    assert whole["figures"]["objects"] == score["mean_ap_region"]["0.5"] and masks["figures"]["objects"] is None
    assert "whole: instances" in (tmp_path / "both/report.html").read_text()


@pytest.mark.parametrize("kind", ["boxes", "scribbles"])
def test_superpixels_take_the_place_of_cells(kind: str, data: Path, tmp_path: Path) -> None:
    """GraphNet with no training but that of each image: all pixels of a superpixel have the same scores."""
    out = tmp_path / "out"
    words = ["--with_activations=false", "--graph_from=free", *COMPLETION, *GRAPHNET]
    run("a2gnn", data, out, kind, *words)
    assert ious(out)["before_crf"] > 50
    scores = Scores.load(out / "completed" / "i03.safetensors")
    assert scores.stride is None and scores.values.shape == (3, 48, 64)
    assert len(np.unique(scores.values.reshape(3, -1).T, axis=0)) <= 100  # superpixels, not 48 x 64 pixels


def test_layers_and_nodes_are_compared_from_the_same_affinity(data: Path, tmp_path: Path) -> None:
    recipe = tmp_path / "layers.yaml"
    graphnet = "nodes: superpixels, completion: {crf_weight: 0.0, network: {kind: gcn, adjacency: binary}}"
    recipe.write_text(f"method: a2gnn\nmethods:\n  a2gnn: {{}}\n  graphnet: {{method: a2gnn, {graphnet}}}\n")
    words = [*folder_arguments(data), "--data.drawn=boxes.json", *TINY, "--regions.num_regions=60", "--workers=1"]
    assert main(["compare", str(recipe), "--out", str(tmp_path / "out"), *words]) == 0
    found = {m["method"]: m for m in read_json(tmp_path / "out" / "results.json")["methods"]}
    assert len({m["steps"]["affinity"] for m in found.values()}) == 1
    assert len({m["steps"]["completed"] for m in found.values()}) == 2
    assert all(m["figures"]["after_crf"] > 30 and not m["failures"] for m in found.values())


@pytest.mark.parametrize("nodes", [(), (*GRAPHNET,)])
def test_a_free_graph_of_reduced_photographs(nodes: tuple[str, ...], data: Path, tmp_path: Path) -> None:
    words = ["--with_activations=false", "--graph_from=free", "--free.max_side=40", *COMPLETION, *nodes]
    run("a2gnn", data, tmp_path / "out", "boxes", *words)
    scores = Scores.load(tmp_path / "out" / "completed" / "i03.safetensors")
    assert scores.values.shape == ((3, 30, 40) if nodes else (3, 4, 5)) and scores.image_size == (48, 64)
    assert ious(tmp_path / "out")["before_crf"] > 50


@pytest.mark.parametrize(("kind", "least"), [("boxes", 90), ("scribbles", 60), ("points", 20)])
def test_the_baseline_of_drawn_labels(kind: str, least: float, data: Path, tmp_path: Path) -> None:
    run("drawn", data, tmp_path / "out", kind)
    assert ious(tmp_path / "out")["masks"] > least


def test_kinds_of_labels_are_compared_on_the_same_photographs(data: Path, tmp_path: Path) -> None:
    """Each kind gives the masks that it gives alone, from one classifier and its activations."""
    words = ["data", "simulate", "--kind", "all", "--out", str(data / "all.json"), *folder_arguments(data)]
    assert main(words) == 0
    recipe = tmp_path / "kinds.yaml"
    recipe.write_text(
        "methods:\n" + "".join(f"  {kind}: {{method: a2gnn, seeds: {{use: {kind}}}}}\n" for kind in (*KINDS, "tags"))
    )
    words = [*folder_arguments(data), "--data.drawn=all.json", *TINY, "--workers", "1"]
    assert main(["compare", str(recipe), "--out", str(tmp_path / "all"), *words]) == 0
    found = {m["method"]: m for m in read_json(tmp_path / "all" / "results.json")["methods"]}
    assert len({m["steps"]["activations"] for m in found.values()}) == 1
    assert len({m["steps"]["seeds"] for m in found.values()}) == 4
    run("a2gnn", data, tmp_path / "points", "points", *CLASSIFIER, *AFFINITY, *COMPLETION)
    masks = tmp_path / "all" / found["points"]["steps"]["masks"]
    for path in (tmp_path / "points" / "masks").glob("*.png"):
        assert path.read_bytes() == (masks / path.name).read_bytes()


def test_what_contradicts_itself_is_refused(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["run", "a2gnn", "--out", str(tmp_path), *folder_arguments(data), "--data.drawn=boxes.json"]
    for more, message in {
        ("--with_activations=false", "--walk_weight=3"): "needs with_activations",
        ("--with_activations=false", "--affinity.start=classifier"): "only 'pretrained' or 'file' works",
        ("--graph_from=free", "--free.stride=4"): "cells of 8 pixels",
        ("--graph_from=air",): "graph_from",
        ("--nodes=pixels",): "nodes",
        ("--nodes=superpixels", "--walk_weight=3"): "walk.fused: superpixels are no cells; write 'pixels'",
        ("--nodes=superpixels", "--completion.consistency=centred"): "set regions.seeds: pixels",
        ("--nodes=superpixels", "--completion.kernel.sampling=bilinear"): "mean colours; write 'mean'",
        ("--nodes=superpixels", "--masks_from=walk"): "a walk is on cells",
        ("--with_activations=false", "--activations_of=seam"): "activations_of: needs with_activations",
        ("--with_activations=false", "--affinity_seeds=fused"): "affinity_seeds: needs with_activations",
        ("--graph_from=free", "--affinity_seeds=fused"): "no affinity network is trained",
        ("--seeds.use=points", "--affinity_seeds=fused"): "'fused' is of boxes, and seeds.use is 'points'",
        ("--affinity.trained=false",): "starts without a head has to learn one",
        ("--affinity.start=file",): "start 'file' and a file go together",
        ("--graph_from=free", "--masks_from=walk"): "needs learned affinities",
        ("--masks_from=walk", "--walk_weight=3"): "made of the walk alone",
        ("--walk.fused=pixels",): "nothing is fused without a walk_weight",
        ("--completion.overruled=all",): "needs a consistency check",
        ("--nodes=superpixels", "--regions.seeds=pixels", "--regions.counted=true"): "every pixel counts once",
        ("--seeds.use=all",): "seeds.use",
        ("--seeds.strokes_as=walk", "--seeds.scribbles_over_tags=true"): "a walk decides every pixel",
        ("--seeds.walk.cuts=0",): "belongs to seeds.strokes_as 'walk'",
        ("--graph_from=free", "--seeds.boxes_as=segments"): "nothing would look at activations",
    }.items():
        assert main([*words, *more]) == 2
        assert message in capsys.readouterr().err


def test_tags_alone_with_the_walk_and_new_photographs(data: Path, tmp_path: Path) -> None:
    """What a run has learned, its graph too, labels the same photographs again, and without the segmenter."""
    out, new = tmp_path / "out", tmp_path / "new"
    words = ["run", "a2gnn", "--out", str(out), "--workers", "1", *folder_arguments(data), "--walk_weight=3"]
    assert main([*words, *SEGMENTER, *CLASSIFIER, *AFFINITY, *COMPLETION]) == 0
    assert "masks" in ious(out) and (out / "affinity" / "model.safetensors").exists()
    images = ["--images", str(data / "images"), "--labels", str(data / "tags.json"), "--workers", "1"]
    assert main(["label", str(out), *images, "--out", str(new)]) == 0
    made, again = ({path.name: path.read_bytes() for path in (f / "masks").glob("*.png")} for f in (out, new))
    assert made == again and len(made) == len(json.loads((data / "tags.json").read_text()))
    assert not (new / "segmenter").exists()

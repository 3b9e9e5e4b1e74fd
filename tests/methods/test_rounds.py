"""Segmenters in rounds: the plan of every method, whole runs, and who takes the last round's."""

import logging
import shutil
from pathlib import Path

import numpy as np
import pytest

from generated import draw, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.errors import ConfigError, DataError
from weakseg.files import read_json
from weakseg.methods import METHODS
from weakseg.methods.compare import compare_methods
from weakseg.methods.label import label_images
from weakseg.methods.plans import last_masks, with_segmenter
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import load_recipe
from weakseg.methods.run import run_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.nn.weights import MODEL_FILE, read_header
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Kind, Role, Step, result_of
from weakseg.steps.segment import in_round, restricted_step, segmenter_step

ONE = RunOptions(1, "cpu")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six images with activations that know their masks."""
    root = write_folder(tmp_path_factory.mktemp("rounds") / "data", 8)
    (root / "cams").mkdir()
    for index in range(8):
        maps = np.stack([(draw(index)[1] == class_id) * 0.9 for class_id in (1, 2)])
        np.save(root / "cams" / f"i{index:02}.npy", {"keys": np.array([0, 1]), "cam": maps.astype(np.float32)})
    return root


def words(root: Path, *more: str) -> list[str]:
    network = ["backbone.name=resnet50_deeplab_thin", "backbone.weights=none", "backbone.output_stride=8", "head=score"]
    training = ["fit.epochs=6", "fit.batch_size=2", "fit.lr=0.02", "augment.crop=49", "augment.long_side=[48,64]"]
    settings = [*(f"model.{word}" for word in network), *training, "loss=balanced"]
    shared = ["seeds.crf.iterations=1", "masks.crf.iterations=0", "predictions.scales=[1.0]", "predictions.flip=false"]
    given = [*shared, *(f"segmenter.{word}" for word in settings), f"activations.from_folder={root / 'cams'}"]
    return [*folder_arguments(root), *(f"--{word}" for word in given), *more]


def stamps(out: Path) -> dict[Path, int]:
    """When the products of the first round were written."""
    names = ("seeds", "masks", "segmenter", "predictions")
    return {path: path.stat().st_mtime_ns for name in names for path in (out / name).iterdir()}


@pytest.fixture(scope="module")
def finished(root: Path) -> Path:
    """A run of one round, and then of two."""
    out = root.parent / "finished"
    assert run_recipe(load_recipe("cam", words(root)), out, ONE).masks == out / "masks"
    before = stamps(out)
    assert run_recipe(load_recipe("cam", words(root, "--rounds=2")), out, ONE).masks == out / "masks_2"
    assert stamps(out) == before
    return out


def plan_of(method: str, root: Path, *more: str) -> tuple[Recipe, list[Step]]:
    recipe = load_recipe(method, [*folder_arguments(root), *more])
    return recipe, METHODS[method].build(recipe, open_dataset(recipe.data))


class TestPlans:
    @pytest.mark.parametrize("method", METHODS)
    def test_a_round_adds_masks_a_segmenter_and_predictions(self, method: str, root: Path) -> None:
        recipe, once = plan_of(method, root, "--rounds=1")
        _, twice = plan_of(method, root, "--rounds=2")
        added = {step.name: step for step in twice if step.name not in {one.name for one in once}}
        first = {step.name: step for step in once}
        masks = "masks" if "masks_2" not in added else "masks_2"  # those that the first segmenter made may be there
        assert {"segmenter_2", "predictions_2", masks} - {"masks"} == set(added)
        if masks == "masks_2":
            assert dict(added[masks].needs) == {"segmenter": Kind.MODEL} and added[masks].role == Role.AFTER
        assert dict(added["segmenter_2"].needs) == {masks: Kind.LABELS}
        assert dict(added["predictions_2"].needs) == {"segmenter_2": Kind.MODEL}
        assert added["predictions_2"].split == first["predictions"].split == "val"
        assert set(added) - {"segmenter_2"} <= set(twice[-1].needs)  # which are scored
        keys, before = step_keys(twice, "data"), step_keys(once, "data")
        of_last = {"reliability"} & set(before) if masks == "masks_2" else set()  # which is said of the last masks
        assert {name for name in before if keys[name] != before[name]} == {"evaluation"} | of_last
        last = last_masks(load_recipe(method, [*folder_arguments(root), "--rounds=2"]), twice)
        assert last is not None and last.name == masks
        assert last_masks(recipe, once) is result_of(once)

    def test_a_plan_that_trains_the_first_segmenter_itself(self, root: Path) -> None:
        def build(recipe: Recipe, dataset: Dataset) -> list[Step]:
            seeds = next(step for step in METHODS["cam"].build(recipe, dataset) if step.name == "seeds")
            started = {"backbone": "other", "weights": "w"}
            own = segmenter_step(dataset, recipe.segmenter, 5, targets="seeds")
            steps = [seeds, own, restricted_step(dataset, recipe.predictions, "segmenter", started)]
            return with_segmenter(recipe, dataset, steps, first=started)

        for rounds in (1, 3):
            recipe = load_recipe("cam", [*folder_arguments(root), f"--rounds={rounds}"])
            steps = {step.name: step for step in build(recipe, open_dataset(recipe.data))}
            more = ["segmenter_2", "predictions_2", "masks_3", "reliability", "segmenter_3", "predictions_3"]
            once, later = (["reliability"], []) if rounds == 1 else ([], more)
            assert list(steps) == ["seeds", "segmenter", "masks", *once, "predictions", *later, "evaluation"]
            assert steps["masks"].role == Role.RESULT and set(steps["segmenter"].needs) == {"seeds"}
            assert steps["predictions"].settings["init"] == steps["masks"].settings["init"]
        assert set(steps["segmenter_2"].needs) == {"masks"} and set(steps["segmenter_3"].needs) == {"masks_3"}
        assert set(steps["masks_3"].needs) == {"segmenter_2"}
        assert steps["predictions_2"].settings["init"] == recipe.segmenter.initial != steps["masks"].settings["init"]

    def test_a_round_may_go_on_with_the_one_before(self, root: Path) -> None:
        file = root / "coco.safetensors"
        file.write_bytes(b"")
        given = ["--rounds=3", "--rounds_from=before"]
        for more, drawn in (((), False), ((f"--segmenter.init.file={file}", "--segmenter.init.trained_on=COCO"), True)):
            steps = {step.name: step for step in plan_of("cam", root, *given, *more)[1]}
            assert set(steps["segmenter_2"].needs) == {"masks_2", "segmenter"}
            assert set(steps["segmenter_3"].needs) == {"masks_3", "segmenter_2"}
            told = {"network": "segmenter_2", "trained_on": "labels of the round before", "pixel_masks": drawn}
            assert steps["predictions_3"].settings["init"] == told
            assert steps["masks_3"].settings["init"] == {**told, "network": "segmenter"}
            assert steps["masks_2"].settings["init"] == steps["predictions"].settings["init"]
        plain = {step.name: step for step in plan_of("cam", root, "--rounds=3")[1]}
        assert set(plain["segmenter_3"].needs) == {"masks_3"}

    def test_no_round_and_starts_without_one_are_refused(self, root: Path) -> None:
        for method in ("cam", "a2gnn"):
            with pytest.raises(ConfigError, match=r"rounds: need >= 1, got 0"):
                load_recipe(method, [*folder_arguments(root), "--rounds=0"])
            with pytest.raises(ConfigError, match=r"rounds_from: 'before' has no effect on one round"):
                load_recipe(method, [*folder_arguments(root), "--rounds_from=before"])


class TestRuns:
    def test_masks_of_a_round_are_what_tags_leave_of_the_round_before(self, finished: Path, root: Path) -> None:
        scores = {s["name"]: s for s in read_json(finished / "evaluation" / "results.json")["scores"]}
        for name, split in (("masks_2", "train"), ("predictions_2", "val")):
            assert scores[name]["protocol"]["split"] == split and scores[name]["missing"] == 0
        ids = {"disc": 1, "square": 2}
        for image, shown in read_json(root / "tags.json").items():
            mask = LabelMap.load(finished / "masks_2" / image)
            assert mask.label_ids <= {0, *(ids[tag] for tag in shown)}
        told = read_json(finished / "masks_2" / "manifest.json")["summary"]["restricted"]
        assert told["pixels"] == 6 * 48 * 64 and 0 <= told["changed"] <= told["pixels"]
        for number, name in enumerate(("masks", "masks_2"), 1):
            header = read_header(finished / in_round("segmenter", number) / MODEL_FILE)
            labels = np.stack([LabelMap.load(path).labels for path in sorted((finished / name).glob("*.png"))])
            assert list(header["masks"]["pixels"].values()) == np.bincount(labels.ravel(), minlength=3).tolist()
        assert np.bincount(labels.ravel())[1:].any()  # it is not all background

    def test_fewer_and_more_rounds_take_what_is_there(self, finished: Path, root: Path, tmp_path: Path) -> None:
        out = Path(shutil.copytree(finished, tmp_path / "out"))
        before, model = stamps(out), (out / "segmenter_2" / MODEL_FILE).read_bytes()
        run_recipe(load_recipe("cam", words(root)), out, ONE)
        assert not (out / "segmenter_2").exists() and stamps(out) == before
        run_recipe(load_recipe("cam", words(root, "--rounds=2")), out, ONE)
        assert (out / "segmenter_2" / MODEL_FILE).read_bytes() == model and stamps(out) == before

    def test_the_last_round_predicts_and_labels(self, finished: Path, root: Path, tmp_path: Path) -> None:
        images, labels = root / "images", root / "val.json"
        made = label_images(finished, images, labels, tmp_path / "labelled", ONE)
        assert made.masks == tmp_path / "labelled" / "masks"
        assert (tmp_path / "labelled" / "segmenter_2" / MODEL_FILE).exists()
        assert not list((tmp_path / "labelled").glob("seeds"))
        plain = ["--scales=[1.0]", "--flip=false", "--workers=1"]
        assert (
            main(["predict", "--model", str(finished), "--images", str(images), "--out", str(tmp_path / "p"), *plain])
            == 0
        )
        for name in read_json(labels):
            predicted = LabelMap.load(tmp_path / "p" / name).labels
            assert np.array_equal(predicted, LabelMap.load(finished / "predictions_2" / name).labels)
            labelled = LabelMap.load(tmp_path / "labelled" / "masks" / name).labels
            shown = {0, *({"disc": 1, "square": 2}[tag] for tag in read_json(labels)[name])}
            kept = np.isin(predicted, list(shown))
            assert np.array_equal(labelled[kept], predicted[kept]) and set(np.unique(labelled)) <= shown
        assert main(["export", str(finished), "--format", "voc", "--out", str(tmp_path / "voc")]) == 0
        written = LabelMap.load(tmp_path / "voc" / "SegmentationClass" / "i01.png").labels
        assert np.array_equal(written, LabelMap.load(finished / "masks_2" / "i01.png").labels)

    def test_comparisons_measure_the_last_round(
        self, root: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        (tmp_path / "r.yaml").write_text("methods: {cam: {}, again: {method: cam, rounds: 2}}")
        recipes = load_recipes(str(tmp_path / "r.yaml"), (), words(root, "--segmenter.fit.epochs=1"))
        caplog.set_level(logging.WARNING)
        bare = compare_methods(recipes, tmp_path / "out", ONE)
        assert [m for m in caplog.messages if "has no effect without" in m] == [
            "method again: rounds 2 has no effect without --segmenter"
        ]
        assert [step.name for step in bare.methods[1].products.steps][-1] == "masks"
        once, twice = compare_methods(recipes, tmp_path / "out", ONE, segmenter=True).methods
        assert once.products.folders["segmenter"] == twice.products.folders["segmenter"]
        found = {score["name"]: score["mean_iou"] for score in twice.products.scores}
        assert once.figures.segmenter == found["predictions"] and twice.figures.segmenter == found["predictions_2"]
        assert twice.figures.after_crf == found["masks"] and "masks_2" in found


def test_a_segmenter_that_is_not_trained_is_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    given = ["--data.format=folder", "--data.root", str(tmp_path / "nothing"), "--segmenter.fit.epochs=3"]
    assert not load_recipe("dgcn", [*given, "--rounds=2"]).unused
    assert not load_recipe("dgcn", [*given[:3], "--rounds=1"]).unused
    with pytest.raises(DataError, match="nothing"):
        run_recipe(load_recipe("dgcn", [*given, "--rounds=1"]), tmp_path / "out", ONE)
    assert "rounds is 1: settings of `segmenter` do nothing" in caplog.text

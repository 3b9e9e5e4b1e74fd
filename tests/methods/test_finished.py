"""Folders of runs and comparisons that were laid out by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

from weakseg.errors import CheckpointError, ConfigError, StoreError
from weakseg.files import write_json
from weakseg.methods.cam.config import CamRecipe
from weakseg.methods.finished import (
    COMPARISON_FILE,
    PLACE_FILE,
    FinishedRun,
    is_finished,
    open_finished,
    remember_place,
)
from weakseg.methods.recipe import Recipe
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.plan import Kind, Step, StepResult, Work
from weakseg.steps.decided import DECIDED_FILE

STEP = Step("classifier", Kind.MODEL, {}, {}, Work("tests.nothing", lambda context: StepResult()))


@pytest.fixture
def recipe() -> Recipe:
    return load_recipe("cam", ["--seed=3", "--data.root=/some/where"])


@pytest.fixture
def run(recipe: Recipe, tmp_path: Path) -> Path:
    write_json(tmp_path / "run" / RECIPE_FILE, recipe_as_json(recipe))
    return tmp_path / "run"


@pytest.fixture
def comparison(recipe: Recipe, tmp_path: Path) -> Path:
    folder, entries = tmp_path / "compared", []
    for name, method in (("one", recipe), ("two", load_recipe("psa"))):
        steps = {"classifier": "steps/classifier-0123456789ab", "masks": f"steps/masks-{name}"}
        entries.append({"method": name, "settings": recipe_as_json(method), "steps": steps})
    write_json(folder / COMPARISON_FILE, {"methods": entries})
    return folder


class TestRun:
    def test_its_recipe_has_the_root_that_was_last_used(self, run: Path, recipe: Recipe, tmp_path: Path) -> None:
        assert open_finished(run).recipe.data.root == "."
        remember_place(run, load_recipe("cam", [f"--data.root={tmp_path}/data/../data"]))
        found = open_finished(run)
        assert found.recipe.data.root == str(tmp_path / "data") and (run / PLACE_FILE).is_file()
        assert recipe_as_json(found.recipe) == recipe_as_json(recipe)

    def test_a_steps_folder_has_its_name(self, run: Path) -> None:
        assert open_finished(run).step_folder("masks") == run / "masks"

    def test_another_method_is_refused(self, run: Path) -> None:
        assert open_finished(run, "cam").recipe.method == "cam"
        with pytest.raises(ConfigError, match="is a run of 'cam', not of 'psa'; leave the method out"):
            open_finished(run, "psa")


class TestComparison:
    def test_a_method_is_chosen_by_its_name(self, comparison: Path, recipe: Recipe) -> None:
        one, two = open_finished(comparison, "one"), open_finished(comparison, "two")
        assert (one.recipe.method, two.recipe.method) == ("cam", "psa")
        assert recipe_as_json(one.recipe) == recipe_as_json(recipe)
        assert one.step_folder("classifier") == two.step_folder("classifier") != one.step_folder("masks")
        assert one.step_folder("masks") == comparison / "steps" / "masks-one"

    @pytest.mark.parametrize(
        ("method", "message"),
        [
            ("", "is a comparison of several methods; name one by --method: one, two"),
            ("three", "has no method 'three'; name one by --method: one, two"),
        ],
    )
    def test_one_of_several_must_be_named(self, method: str, message: str, comparison: Path) -> None:
        with pytest.raises(ConfigError, match=message):
            open_finished(comparison, method)

    def test_a_single_one_may_be_left_out(self, recipe: Recipe, tmp_path: Path) -> None:
        entry = {"method": "mine", "settings": recipe_as_json(recipe), "steps": {}}
        write_json(tmp_path / COMPARISON_FILE, {"methods": [entry]})
        assert open_finished(tmp_path).recipe.method == "cam"


class TestModels:
    def test_one_that_was_not_trained_to_the_end_is_named(self, run: Path) -> None:
        for manifest in (None, {"complete": False}):
            if manifest is not None:
                write_json(run / "classifier" / MANIFEST, manifest)
            with pytest.raises(CheckpointError, match="'classifier' has not been trained to the end; finish the run"):
                open_finished(run).model_of(STEP.name)

    def test_a_damaged_one_is_named(self, run: Path) -> None:
        write_json(run / "classifier" / MANIFEST, {"complete": True})
        (run / "classifier" / "model.safetensors").write_bytes(b"torn")
        with pytest.raises(CheckpointError, match=r"model\.safetensors: not a weakseg model"):
            open_finished(run).model_of(STEP.name)


def test_other_folders_are_neither(run: Path, comparison: Path, tmp_path: Path) -> None:
    assert is_finished(run) and is_finished(comparison)
    assert not is_finished(tmp_path) and not is_finished(run / RECIPE_FILE) and not is_finished(tmp_path / "gone")
    with pytest.raises(StoreError, match=r"no run folder .* and no comparison"):
        open_finished(tmp_path)


def test_other_results_are_no_comparison(tmp_path: Path) -> None:
    """``evaluation`` of a run holds a file of the same name."""
    write_json(tmp_path / COMPARISON_FILE, {"scores": [], "objects": []})
    assert not is_finished(tmp_path)
    with pytest.raises(StoreError, match="no run folder"):
        open_finished(tmp_path)


def test_what_a_run_has_decided_is_in_its_recipe(tmp_path: Path) -> None:
    """New images are labelled by it; where nothing was tried nothing is decided now."""
    recipe = load_recipe("cam")
    run = FinishedRun(tmp_path, recipe, {"masks": "steps/masks-1"})
    write_json(tmp_path / "seeds" / DECIDED_FILE, {"strict": 0.3, "lenient": 0.2, "crf": True})
    write_json(tmp_path / "steps" / "masks-1" / DECIDED_FILE, {"crf": False})
    found = run.decided_recipe
    assert isinstance(found, CamRecipe) and isinstance(recipe, CamRecipe)
    assert found.seeds.numbers == (0.3, 0.2) and found.seeds.crf == recipe.seeds.crf
    assert found.masks.crf.iterations == 0 and not (found.seeds.check_crf or found.masks.check_crf)
    before = FinishedRun(tmp_path / "before", load_recipe("cam", ["--seeds.strict=0.45", "--seeds.lenient=0.35"]))
    old = before.decided_recipe
    assert isinstance(old, CamRecipe) and old.seeds.numbers == (0.45, 0.35)
    assert old.masks == replace(recipe.masks, check_crf=False) and not old.seeds.check_crf

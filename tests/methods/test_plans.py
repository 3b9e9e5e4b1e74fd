"""What the plan of every method keeps to."""

import json
from pathlib import Path

import pytest

from generated import folder_arguments, write_folder
from weakseg.data.dataset import open_dataset
from weakseg.methods import METHODS
from weakseg.methods.recipes import load_recipe
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.plan import Kind, Role, Step, check_plan, result_of, way_to

WITH_OBJECTS = {"irnet": ["--instances=true"], "recam": ["--instances=true"], "a2gnn": ["--instances=true"]}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("plans") / "data", 4)


@pytest.fixture(params=METHODS)
def plan(request: pytest.FixtureRequest, data: Path) -> list[Step]:
    """The plan of each method, with objects where it can find them."""
    words = [*folder_arguments(data), *WITH_OBJECTS.get(request.param, [])]
    recipe = load_recipe(request.param, words)
    assert recipe.method == request.param
    return METHODS[request.param].build(recipe, open_dataset(recipe.data))


def test_it_fits_together_and_ends_with_segmenter_and_scores(plan: list[Step]) -> None:
    check_plan(plan)
    assert [step.name.removesuffix("_2") for step in plan[-3:]] == ["segmenter", "predictions", "evaluation"]
    assert [step.role for step in plan[-3:]] == [Role.AFTER, Role.AFTER, Role.CHECK]
    assert [step.name for step in plan if step.repeat] == ["evaluation"]


def test_masks_are_the_result_and_no_other_step_says_so(plan: list[Step]) -> None:
    result = result_of(plan)
    assert result is not None and (result.name, result.kind, result.split) == ("masks", Kind.LABELS, "train")
    assert [step.name for step in plan if step.role == Role.RESULT] == ["masks"]


def test_roles_are_those_of_the_way_to_the_masks(plan: list[Step]) -> None:
    way = {step.name for step in way_to(plan, "masks")}
    for step in plan:
        if step.role in (Role.START, Role.SEEDS):
            assert step.name in way
        if step.role in (Role.PLAIN, Role.AFTER, Role.CHECK):
            assert step.name not in way
        assert step.role != Role.START or step.name in ("classifier", "activations")
        assert (step.role == Role.PLAIN) == (step.name == "before_crf")


def test_every_label_map_is_scored_but_true_masks(plan: list[Step]) -> None:
    scored = set(plan[-1].needs)
    unscored = {step.name for step in plan if step.kind in (Kind.ACTIVATIONS, Kind.LABELS, Kind.INSTANCES)} - scored
    truth = {step.name for step in plan if step.settings.get("from") == "truth"}
    assert unscored == truth


def test_settings_are_json_and_keys_are_all_different(plan: list[Step]) -> None:
    for step in plan:
        json.dumps(step.settings)
    assert len(set(step_keys(plan, "data").values())) == len(plan)


def test_code_is_the_name_of_what_works(plan: list[Step]) -> None:
    for step in plan:
        module, _, name = step.work.code.rpartition(".")
        assert module.startswith("weakseg.") and name.isidentifier()


@pytest.mark.parametrize(("method", "words"), [("seam", ()), ("a2gnn", ("--activations_of=seam",))])
def test_activations_of_a_folder_take_the_place_of_those_of_seam(
    method: str, words: tuple[str, ...], data: Path
) -> None:
    recipe = load_recipe(method, [*folder_arguments(data), *words])
    learned = [step.name for step in METHODS[method].build(recipe, open_dataset(recipe.data))]
    recipe = load_recipe(method, [*folder_arguments(data), *words, f"--activations.from_folder={data}"])
    given = [step.name for step in METHODS[method].build(recipe, open_dataset(recipe.data))]
    assert learned == ["classifier", *given]


def test_what_the_affinity_network_of_a2gnn_learns_from(data: Path) -> None:
    # weak-labels.md, section 2: M_g, M_F and M'_I
    def plan(*words: str) -> dict[str, Step]:
        recipe = load_recipe("a2gnn", [*folder_arguments(data), *words])
        return {step.name: step for step in METHODS["a2gnn"].build(recipe, open_dataset(recipe.data))}

    assert "affinity_seeds" not in plan() and "affinity_seeds" not in plan("--affinity_seeds=agreed")
    for word, said in {
        "fused": {"boxes_as": "fused", "use": "strongest"},
        "confident": {"use": "tags", "tags_as": "confident"},
    }.items():
        steps = plan(f"--affinity_seeds={word}")
        assert said.items() <= steps["affinity_seeds"].settings.items()
        assert "affinity_seeds" in steps["affinity"].needs and "seeds" not in steps["affinity"].needs
        assert steps["seeds"].settings["boxes_as"] == "agreed" and steps["completed"].needs["seeds"] == Kind.LABELS
        alone = plan(f"--affinity_seeds={word}", "--masks_from=walk")
        assert said.items() <= alone["seeds"].settings.items() and "completed" not in alone
    first = plan("--affinity.start=affinity")
    assert first["affinity"].needs["first_affinity"] == Kind.MODEL and {"foreground", "background"} <= set(first)
    kept = plan("--affinity.trained=false", "--affinity.start=classifier", "--graph.edges=taps")
    assert set(kept["affinity"].needs) == {"classifier"}

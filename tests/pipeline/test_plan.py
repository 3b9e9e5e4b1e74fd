import pytest

from weakseg.errors import ConfigError
from weakseg.pipeline.plan import Kind, Role, Step, StepResult, Work, check_plan, result_of, way_to

NOTHING = Work("tests.nothing", lambda context: StepResult())


def step(name: str, kind: Kind, role: Role = Role.PART, **needs: Kind) -> Step:
    return Step(name, kind, needs, {}, NOTHING, role)


class TestCheckPlan:
    def test_a_chain_that_fits_is_accepted(self) -> None:
        check_plan([step("a", Kind.ACTIVATIONS), step("s", Kind.LABELS, a=Kind.ACTIVATIONS)])

    def test_a_need_that_nothing_produces_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="'s' needs 'a', which no earlier step produces"):
            check_plan([step("s", Kind.LABELS, a=Kind.ACTIVATIONS)])

    def test_a_need_that_is_produced_too_late_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no earlier step"):
            check_plan([step("s", Kind.LABELS, a=Kind.ACTIVATIONS), step("a", Kind.ACTIVATIONS)])

    def test_a_product_of_another_kind_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="'seg' wants labels from 's', which gives scores"):
            check_plan([step("s", Kind.SCORES), step("seg", Kind.MODEL, s=Kind.LABELS)])

    def test_two_steps_of_one_name_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="two steps are called 'a'"):
            check_plan([step("a", Kind.LABELS), step("a", Kind.LABELS)])

    def test_two_results_are_refused(self) -> None:
        with pytest.raises(ConfigError, match="'a' and 'b' are both the result; give one another role"):
            check_plan([step("a", Kind.LABELS, Role.RESULT), step("b", Kind.LABELS, Role.RESULT)])


class TestWay:
    PLAN = (
        step("model", Kind.MODEL, Role.START),
        step("seeds", Kind.LABELS, Role.SEEDS, model=Kind.MODEL),
        step("aside", Kind.SCORES, model=Kind.MODEL),
        step("masks", Kind.LABELS, Role.RESULT, seeds=Kind.LABELS),
        step("segmenter", Kind.MODEL, Role.AFTER, masks=Kind.LABELS),
    )

    def test_it_is_all_that_a_step_needs_in_the_order_of_the_plan(self) -> None:
        assert [one.name for one in way_to(self.PLAN, "masks")] == ["model", "seeds", "masks"]
        assert [one.name for one in way_to(self.PLAN, "model")] == ["model"]
        assert way_to(self.PLAN, "no such step") == []

    def test_the_result_is_told_by_its_role(self) -> None:
        found = result_of(self.PLAN)
        assert found is not None and found.name == "masks"
        assert result_of(self.PLAN[:3]) is None


def test_what_files_hold_says_how_they_end() -> None:
    assert {kind: kind.suffix for kind in Kind} == {
        Kind.MODEL: "",
        Kind.ACTIVATIONS: ".safetensors",
        Kind.LABELS: ".png",
        Kind.SALIENCY: ".png",
        Kind.FEATURES: ".safetensors",
        Kind.PROPOSALS: ".proposals.json",
        Kind.SCORES: ".safetensors",
        Kind.INSTANCES: ".instances.json",
        Kind.RELIABILITY: ".reliability.json",
        Kind.RESULTS: "",
    }

import pytest

from weakseg.errors import ConfigError
from weakseg.pipeline.plan import Kind, Step, StepResult, check_plan


def step(name: str, produces: Kind, **needs: Kind) -> Step:
    return Step(name, produces, needs, {}, lambda context: StepResult())


def test_a_chain_that_fits_is_accepted() -> None:
    check_plan([step("a", Kind.ACTIVATIONS), step("s", Kind.SEEDS, a=Kind.ACTIVATIONS)])


def test_a_need_that_nothing_produces_is_refused() -> None:
    with pytest.raises(ConfigError, match="'s' needs 'a', which no earlier step produces"):
        check_plan([step("s", Kind.SEEDS, a=Kind.ACTIVATIONS)])


def test_a_need_that_is_produced_too_late_is_refused() -> None:
    with pytest.raises(ConfigError, match="no earlier step"):
        check_plan([step("s", Kind.SEEDS, a=Kind.ACTIVATIONS), step("a", Kind.ACTIVATIONS)])


def test_a_product_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'seg' wants masks from 's', which gives seeds"):
        check_plan([step("s", Kind.SEEDS), step("seg", Kind.SEGMENTER, s=Kind.MASKS)])


def test_two_steps_of_one_name_are_refused() -> None:
    with pytest.raises(ConfigError, match="two steps are called 'a'"):
        check_plan([step("a", Kind.SEEDS), step("a", Kind.SEEDS)])

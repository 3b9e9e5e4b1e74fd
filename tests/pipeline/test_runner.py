from pathlib import Path

import pytest
import torch

from weakseg.errors import ConfigError, StoreError
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Kind, Step, StepContext, StepResult, Work
from weakseg.pipeline.runner import read_failures, run_plan
from weakseg.pipeline.store import Store

OPTIONS = RunOptions(1, "cpu")


def plan(log: list[str], strict: float = 0.5) -> list[Step]:
    def first(context: StepContext) -> StepResult:
        log.append("first")
        return StepResult({"images": 2}, [Failure("x", "first", 'a, "quoted"\nreason')])

    def second(context: StepContext) -> StepResult:
        log.append(f"second {context.inputs['first'].name}")
        return StepResult({"share": 0.5})

    return [
        Step("first", Kind.LABELS, {}, {"strict": strict}, Work("tests.first", first)),
        Step("second", Kind.LABELS, {"first": Kind.LABELS}, {}, Work("tests.second", second)),
    ]


def test_finished_steps_are_skipped_and_their_failures_remembered(tmp_path: Path) -> None:
    log: list[str] = []
    for _ in range(2):
        failures = run_plan(plan(log), Store(tmp_path), "data", OPTIONS, failures=[Failure("y", "data", "gone")])
        assert [f.image_id for f in failures] == ["y", "x"]
    assert log == ["first", "second first"]
    assert read_failures(tmp_path) == failures


def test_an_interrupted_step_is_run_again(tmp_path: Path) -> None:
    def interrupt(context: StepContext) -> StepResult:
        raise KeyboardInterrupt

    log: list[str] = []
    broken = [plan(log)[0], Step("second", Kind.LABELS, {"first": Kind.LABELS}, {}, Work("tests.second", interrupt))]
    with pytest.raises(KeyboardInterrupt):
        run_plan(broken, Store(tmp_path), "data", OPTIONS)
    run_plan(plan(log), Store(tmp_path), "data", OPTIONS)
    assert log == ["first", "second first"]


@pytest.mark.parametrize(("strict", "content"), [(0.4, "data"), (0.5, "other data")])
def test_other_settings_or_data_are_never_mixed(tmp_path: Path, strict: float, content: str) -> None:
    run_plan(plan([]), Store(tmp_path), "data", OPTIONS)
    with pytest.raises(StoreError, match="other settings or inputs"):
        run_plan(plan([], strict), Store(tmp_path), content, OPTIONS)


def test_a_plan_that_does_not_fit_runs_nothing(tmp_path: Path) -> None:
    log: list[str] = []
    with pytest.raises(ConfigError, match="no earlier step"):
        run_plan(
            [plan(log)[0], Step("z", Kind.LABELS, {"q": Kind.LABELS}, {}, Work("tests.z", lambda c: StepResult()))],
            Store(tmp_path),
            "data",
            OPTIONS,
        )
    assert log == []


def test_options_mean_something_here() -> None:
    assert RunOptions().resolve().workers >= 1
    assert RunOptions(3, "cpu").resolve() == RunOptions(3, "cpu")
    with pytest.raises(ConfigError, match="'auto', 'cpu' or 'cuda', got 'tpu'"):
        RunOptions(1, "tpu").resolve()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_missing_gpu_is_said() -> None:
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        RunOptions(1, "cuda").resolve()

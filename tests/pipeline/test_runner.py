import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from weakseg.errors import ConfigError, OutputError
from weakseg.files import read_json, write_bytes, write_json
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.manifests import MANIFEST
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


@pytest.mark.parametrize("anew", [False, True])
def test_a_folder_that_goes_while_a_step_works_is_not_made_anew(tmp_path: Path, anew: bool) -> None:
    """Nor is one that is there instead, as below a mount that was lost, taken for it."""
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"

    def lose(context: StepContext) -> StepResult:
        out.rename(elsewhere)
        if anew:
            context.folder.mkdir(parents=True)
            write_bytes(context.folder / "a.txt", b"a")
        return StepResult()

    log: list[str] = []
    broken = [plan(log)[0], Step("second", Kind.LABELS, {"first": Kind.LABELS}, {}, Work("tests.second", lose))]
    with pytest.raises(OutputError, match=r"out: has gone since .*see that its disk is there and call again"):
        run_plan(broken, Store(out), "data", OPTIONS)
    assert sorted(path.name for path in out.rglob("*") if path.is_file()) == (["a.txt"] if anew else [])
    if anew:
        shutil.rmtree(out)
    elsewhere.rename(out)
    run_plan(plan(log), Store(out), "data", OPTIONS)
    assert log == ["first", "second first"]


def test_a_disk_with_little_room_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    for free, said in ((2e9, False), (123.4e6, True)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: SimpleNamespace(free=free))
        run_plan(plan([]), Store(tmp_path), "data", OPTIONS)
        assert (
            "out: 123.4 MB are free on its disk; should it fill" in caplog.text.replace(str(tmp_path), "out")
        ) == said


class TestOtherSettings:
    """What still holds is taken, what does not is put aside, and nothing is mixed."""

    @staticmethod
    def steps(strict: float, size: int, log: list[str]) -> list[Step]:
        def work(name: str, value: float) -> Work:
            def run(context: StepContext) -> StepResult:
                log.append(name)
                write_bytes(context.folder / "a.png", str(value).encode())
                return StepResult()

            return Work(f"tests.{name}", run)

        return [
            Step("model", Kind.MODEL, {}, {}, work("model", 0)),
            Step("seeds", Kind.LABELS, {"model": Kind.MODEL}, {"strict": strict}, work("seeds", strict)),
            Step("masks", Kind.LABELS, {"seeds": Kind.LABELS}, {"size": size}, work("masks", strict + size)),
        ]

    @pytest.fixture
    def run(self, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., tuple[list[str], list[str]]]:
        """Return a function that runs and returns what was done, and the states that the plan names."""

        def run(strict: float, size: int = 1, content: str = "data") -> tuple[list[str], list[str]]:
            log: list[str] = []
            caplog.clear()
            told = {"recipe.json": {"seeds": {"strict": strict}}}
            with caplog.at_level("INFO"):
                run_plan(self.steps(strict, size, log), Store(tmp_path), content, OPTIONS, told=told)
            return log, [text for text in caplog.messages if text.startswith("  ")]

        return run

    def test_only_what_they_touch_is_made_anew(self, tmp_path: Path, run: Callable[..., Any]) -> None:
        assert run(0.5) == (
            ["model", "seeds", "masks"],
            ["  1. model: to do", "  2. seeds: to do", "  3. masks: to do"],
        )
        done, states = run(0.25)
        assert done == ["seeds", "masks"] and states == [
            "  1. model: done before",
            "  2. seeds: made anew: strict: 0.5 -> 0.25",
            "  3. masks: made anew, because seeds is",
        ]
        assert (tmp_path / "masks" / "a.png").read_text() == "1.25"
        assert read_json(tmp_path / "recipe.json") == {"seeds": {"strict": 0.25}}
        assert run(0.25, size=2)[0] == ["masks"]
        assert len(list((tmp_path / "earlier").iterdir())) == 3

    def test_the_settings_of_before_find_what_they_made(self, tmp_path: Path, run: Callable[..., Any]) -> None:
        run(0.5)
        run(0.25)
        assert run(0.5) == ([], ["  1. model: done before", "  2. seeds: done before", "  3. masks: done before"])
        assert (tmp_path / "masks" / "a.png").read_text() == "1.5"
        assert sorted(path.name.partition("-")[0] for path in (tmp_path / "earlier").iterdir()) == ["masks", "seeds"]

    def test_nothing_of_before_is_there_while_a_changed_step_works(self, tmp_path: Path) -> None:
        run_plan(self.steps(0.5, 1, []), Store(tmp_path), "data", OPTIONS)

        def check(context: StepContext) -> StepResult:
            assert not (tmp_path / "masks").exists()
            raise KeyboardInterrupt

        steps = self.steps(0.25, 1, [])
        with pytest.raises(KeyboardInterrupt):
            run_plan(
                [steps[0], replace(steps[1], work=Work("tests.seeds", check)), steps[2]],
                Store(tmp_path),
                "data",
                OPTIONS,
            )
        log: list[str] = []
        run_plan(self.steps(0.25, 1, log), Store(tmp_path), "data", OPTIONS)
        assert log == ["seeds", "masks"]

    def test_other_data_make_all_anew(self, run: Callable[..., Any]) -> None:
        run(0.5)
        done, states = run(0.5, content="other")
        assert done == ["model", "seeds", "masks"]
        assert states[0] == "  1. model: made anew, because images, labels or the program are others"

    def test_folders_of_others_stay(self, tmp_path: Path, run: Callable[..., Any]) -> None:
        (tmp_path / "mine").mkdir(parents=True)
        write_json(tmp_path / "mine" / "manifest.json", {"name": "an extension"})
        run(0.5)
        assert (tmp_path / "mine" / "manifest.json").exists()


class Diary:
    """A plan of three steps on images ``a`` to ``c``; notes who did what, and fails where ``faults`` says so."""

    def __init__(self, out: Path) -> None:
        self.out, self.notes, self.faults = out, list[str](), dict[str, bool]()

    def run(self) -> list[str]:
        """Return what was done by a run of all steps."""
        self.notes.clear()
        self.failures = run_plan(self.steps(), Store(self.out), "data", OPTIONS)
        return list(self.notes)

    def steps(self) -> list[Step]:
        seeds, masks = Work("tests.seeds", self.work(), apart=True), Work("tests.masks", self.work("seeds"), apart=True)
        needs = {"masks": Kind.LABELS}
        return [
            Step("seeds", Kind.LABELS, {}, {}, seeds),
            Step("masks", Kind.LABELS, {"seeds": Kind.LABELS}, {}, masks),
            Step("model", Kind.MODEL, needs, {}, Work("tests.model", self.train)),
        ]

    def work(self, source: str = "") -> Callable[[StepContext], StepResult]:
        def run(context: StepContext) -> StepResult:
            failures, ledger, step = [], Ledger(context.folder), context.folder.name
            for name in "abc":
                path = context.folder / f"{name}.png"
                if ledger.holds(path) or (source and not (context.inputs[source] / path.name).exists()):
                    continue
                self.notes.append(f"{step} {name}")
                if name in self.faults:
                    failures.append(Failure(name, step, "fault", passing=self.faults[name]))
                else:
                    write_bytes(path, step.encode())
            return StepResult({"images": 3 - len(failures)}, failures)

        return run

    def train(self, context: StepContext) -> StepResult:
        self.notes.append("model")
        assert not (context.folder / "state.pt").exists() or self.notes == ["model"]
        shown = sorted(path.name for path in context.inputs["masks"].glob("*.png"))
        write_bytes(context.folder / "state.pt", b"state")
        write_bytes(context.folder / "weights", ",".join(shown).encode())
        return StepResult({"loss": 0.5})


EVERYTHING = [*(f"{step} {name}" for step in ("seeds", "masks") for name in "abc"), "model"]


class TestHealing:
    """The same command makes what is missing, and what depends on it, and nothing else."""

    @pytest.fixture
    def diary(self, tmp_path: Path) -> Diary:
        return Diary(tmp_path)

    def test_nothing_is_done_twice(self, diary: Diary) -> None:
        assert diary.run() == EVERYTHING and diary.run() == []

    def test_a_passing_fault_is_tried_again_and_what_depends_on_it_follows(self, diary: Diary) -> None:
        diary.faults = {"b": True}
        assert diary.run() == ["seeds a", "seeds b", "seeds c", "masks a", "masks c", "model"]
        assert diary.run() == ["seeds b"] and [failure.image_id for failure in diary.failures] == ["b"]
        before = read_json(diary.out / "masks" / MANIFEST)["summary"]
        diary.faults = {}
        assert diary.run() == ["seeds b", "masks b", "model"] and not diary.failures
        assert (diary.out / "model" / "weights").read_text() == "a.png,b.png,c.png"
        assert read_json(diary.out / "masks" / MANIFEST)["summary"] != before
        assert diary.run() == []

    def test_a_lasting_fault_is_not(self, diary: Diary) -> None:
        diary.faults = {"b": False}
        diary.run()
        diary.faults = {}
        assert diary.run() == [] and [failure.image_id for failure in diary.failures] == ["b"]

    def test_a_healing_that_is_interrupted_goes_on(self, diary: Diary, monkeypatch: pytest.MonkeyPatch) -> None:
        diary.faults = {"b": True}
        diary.run()
        diary.faults = {}
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(Store, "finish_step", raised(KeyboardInterrupt()))
            diary.run()
        assert [note for note in diary.run() if note != "seeds b"] == ["masks b", "model"]

    @pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_bytes(b"")])
    def test_a_damaged_product_is_made_anew_and_nothing_else_where_it_is_the_same_again(
        self, diary: Diary, harm: Callable[[Path], None]
    ) -> None:
        diary.run()
        before = read_json(diary.out / "seeds" / MANIFEST)["summary"]
        for product, done in (("seeds/b.png", ["seeds b"]), ("masks/c.png", ["masks c"]), ("model/weights", ["model"])):
            harm(diary.out / product)
            assert diary.run() == done
        assert read_json(diary.out / "seeds" / MANIFEST)["summary"] == before  # as measured when all were made
        assert diary.run() == []

    def test_what_depends_on_it_is_made_anew_where_it_is_another(self, diary: Diary) -> None:
        diary.run()
        (diary.out / "seeds" / "b.png").unlink()
        diary.faults = {"b": False}
        assert diary.run() == ["seeds b", "masks a", "masks c", "model"]
        assert (diary.out / "model" / "weights").read_text() == "a.png,c.png"

    def test_the_state_of_a_finished_training_may_be_deleted(self, diary: Diary) -> None:
        diary.run()
        (diary.out / "model" / "state.pt").unlink()
        assert diary.run() == []


def raised(error: BaseException) -> Callable[..., Any]:
    """Return a function that raises an error."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


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
    with pytest.raises(ConfigError, match="workers: 0, one for each core, or more, got -1"):
        RunOptions(-1, "cpu").resolve()


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_a_missing_gpu_is_said() -> None:
    with pytest.raises(ConfigError, match="torch sees no GPU"):
        RunOptions(1, "cuda").resolve()

import itertools
import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate.state import PartialState
from torch import Tensor, nn

from tiny import CONFIG, NoisyLine, TinyModel, squared_error
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.weights import load_state
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.training.loop import EpochDone, Fit, FitPlace, StepDone, drained


def fit(folder: Path, config: FitConfig = CONFIG, *, seed: int = 0, **options: Any) -> Fit:
    defaults: dict[str, Any] = {"model": TinyModel(), "data": NoisyLine(), "loss": squared_error}
    return Fit(**{**defaults, **options}, config=config, place=FitPlace(folder, seed))


def weights(of: Fit) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.model.state_dict().items()}


def without_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


class TestRepeatability:
    def test_same_seed_same_losses(self, tmp_path: Path) -> None:
        # segmentation-stage.md, oracle 13: five steps.
        losses: dict[str, list[float]] = {"a": [], "b": []}
        for name, values in losses.items():
            recorded = _recording(values)
            fit(tmp_path / name, replace(CONFIG, epochs=5, batch_size=8), loss=recorded).run()
        assert len(losses["a"]) == 5
        assert losses["a"] == losses["b"]

    def test_another_seed_has_another_order(self, tmp_path: Path) -> None:
        first, second = (fit(tmp_path / str(seed), seed=seed).run() for seed in (0, 1))
        assert without_time(first) != without_time(second)

    def test_the_state_of_the_global_generator_does_not_matter(self, tmp_path: Path) -> None:
        first = fit(tmp_path / "a")
        first.run()
        second = fit(tmp_path / "b")
        torch.manual_seed(99)
        second.run()
        torch.testing.assert_close(weights(second), weights(first), rtol=0, atol=0)

    def test_loader_processes_do_not_matter(self, tmp_path: Path) -> None:
        alone, helped = fit(tmp_path / "a"), fit(tmp_path / "b", replace(CONFIG, loader_workers=1))
        assert without_time(alone.run()) == without_time(helped.run())
        torch.testing.assert_close(weights(helped), weights(alone), rtol=0, atol=0)

    def test_the_collate_function_joins_the_examples(self, tmp_path: Path) -> None:
        seen = []

        def join(examples: list[tuple[Tensor, ...]]) -> list[Tensor]:
            seen.append(len(examples))
            return [torch.stack(part) for part in zip(*examples, strict=True)]

        assert without_time(fit(tmp_path / "a", collate=join).run()) == without_time(fit(tmp_path / "b").run())
        assert seen == [2] * 12

    def test_an_earlier_fit_in_the_process_does_not_matter(self, tmp_path: Path) -> None:
        expected = fit(tmp_path / "a")
        expected.run()
        fit(tmp_path / "b", replace(CONFIG, accumulate=3, precision="bf16")).run()
        found = fit(tmp_path / "c")
        found.run()
        torch.testing.assert_close(weights(found), weights(expected), rtol=0, atol=0)

    def test_the_device_of_an_earlier_fit_does_not_matter(self, tmp_path: Path) -> None:
        PartialState(cpu=True)
        PartialState._shared_state["device"] = torch.device("meta")
        try:
            trained = fit(tmp_path)
            trained.run()
            assert trained.model.head.weight.device.type == "cpu"  # type: ignore[union-attr]
        finally:
            PartialState._reset_state()


def _recording(values: list[float]) -> Callable[[nn.Module, list[Tensor]], Tensor]:
    def loss(model: nn.Module, batch: list[Tensor]) -> Tensor:
        value = squared_error(model, batch)
        values.append(value.item())
        return value

    return loss


class TestResume:
    @pytest.mark.parametrize(
        "change",
        [{}, {"accumulate": 2}, {"optimizer": "adamw", "lr": 0.01}, {"precision": "bf16"}],
        ids=["sgd", "accumulate", "adamw", "bf16"],
    )
    @pytest.mark.parametrize("stop", [(1, 0), (1, 5), (2, 3)])
    def test_interrupted_equals_undisturbed(
        self, tmp_path: Path, change: dict[str, Any], stop: tuple[int, int]
    ) -> None:
        config = replace(CONFIG, **change)
        undisturbed = fit(tmp_path / "a", config)
        expected = undisturbed.run()
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path / "b", config, data=NoisyLine(stop=stop)).run()
        assert load_state(tmp_path / "b/state.pt")["epoch"] == stop[0]
        resumed = fit(tmp_path / "b", config, model=TinyModel(seed=7))
        records = resumed.run()
        torch.testing.assert_close(weights(resumed), weights(undisturbed), rtol=0, atol=0)
        assert without_time(records) == without_time(expected)
        states = [load_state(tmp_path / name / "state.pt")["optimizer"]["state"] for name in "ab"]
        torch.testing.assert_close(states[1], states[0], rtol=0, atol=0)

    def test_interrupted_in_the_first_epoch_starts_again(self, tmp_path: Path) -> None:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, data=NoisyLine(stop=(0, 3))).run()
        assert not (tmp_path / "state.pt").exists()
        assert len(fit(tmp_path).run()) == 3

    def test_a_finished_fit_is_not_repeated(self, tmp_path: Path) -> None:
        first = fit(tmp_path)
        expected = first.run()
        again = fit(tmp_path, model=TinyModel(seed=7), data=NoisyLine(stop=(0, 0)))
        assert again.run() == expected
        torch.testing.assert_close(weights(again), weights(first), rtol=0, atol=0)

    @pytest.mark.parametrize("change", [{"lr": 0.06}, {"epochs": 4}, {"batch_size": 4}, {"precision": "bf16"}])
    def test_other_settings_are_refused(self, tmp_path: Path, change: dict[str, Any]) -> None:
        fit(tmp_path).run()
        with pytest.raises(CheckpointError, match=r"state\.pt: made with other settings; delete it"):
            fit(tmp_path, replace(CONFIG, **change)).run()

    def test_another_seed_is_refused(self, tmp_path: Path) -> None:
        fit(tmp_path).run()
        with pytest.raises(CheckpointError, match=r"state\.pt: made with other settings"):
            fit(tmp_path, seed=1).run()

    def test_the_number_of_loader_processes_may_change(self, tmp_path: Path) -> None:
        expected = fit(tmp_path).run()
        assert fit(tmp_path, replace(CONFIG, loader_workers=1)).run() == expected

    def test_another_model_is_refused(self, tmp_path: Path) -> None:
        fit(tmp_path).run()
        other = TinyModel()
        other.head = nn.Linear(6, 2)
        with pytest.raises(CheckpointError, match=r"state\.pt: belongs to another model"):
            fit(tmp_path, model=other).run()

    def test_a_damaged_state_costs_its_work_and_nothing_else(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        undisturbed = fit(tmp_path / "a")
        expected = undisturbed.run()
        for length in (0, 1, 3):  # of which the last is whole
            with pytest.raises(KeyboardInterrupt):
                fit(tmp_path / "b", data=NoisyLine(stop=(1, 5))).run()
            content = (tmp_path / "b/state.pt").read_bytes()
            (tmp_path / "b/state.pt").write_bytes(content[: length * len(content) // 3])
            caplog.clear()
            again = fit(tmp_path / "b")
            assert without_time(again.run()) == without_time(expected)
            torch.testing.assert_close(weights(again), weights(undisturbed), rtol=0, atol=0)
            said = "state.pt: cannot be loaded safely (damaged" in caplog.text
            assert said == (length < 3) == ("the training begins anew" in caplog.text)
            (tmp_path / "b/state.pt").unlink()

    def test_metrics_agree_with_the_state_after_an_end_between_the_two(self, tmp_path: Path) -> None:
        fit(tmp_path).run()
        metrics = tmp_path / "metrics.jsonl"
        whole = metrics.read_text()
        for content in ("", whole.partition("\n")[0], whole[:-9]):
            metrics.write_text(content)
            fit(tmp_path).run()
            assert metrics.read_text() == whole

    def test_what_was_done_before_counts_at_once(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, data=NoisyLine(stop=(1, 0))).run()
        capfd.readouterr()
        fit(tmp_path).run()
        assert "train: 24/24" in capfd.readouterr().err


class TestAccumulation:
    @pytest.mark.parametrize("momentum", [0.0, 0.9])
    def test_two_batches_of_two_equal_one_of_four(self, tmp_path: Path, momentum: float) -> None:
        config = replace(CONFIG, momentum=momentum, epochs=4)
        trained = []
        for name, change in {"a": {"batch_size": 4}, "b": {"batch_size": 2, "accumulate": 2}}.items():
            trained.append(fit(tmp_path / name, replace(config, **change), model=TinyModel(dropout=0)))
            trained[-1].run()
        torch.testing.assert_close(weights(trained[1]), weights(trained[0]), rtol=1e-6, atol=1e-6)

    def test_weights_move_only_at_the_end_of_a_window(self, tmp_path: Path) -> None:
        model, seen = TinyModel(dropout=0), []

        def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
            seen.append(model.head.weight.detach().clone())
            return squared_error(module, batch)

        fit(tmp_path, replace(CONFIG, epochs=1, accumulate=2), model=model, loss=loss).run()
        same = [torch.equal(one, other) for one, other in itertools.pairwise(seen)]
        assert same == [True, False, True]

    def test_an_incomplete_window_is_applied(self, tmp_path: Path) -> None:
        # Six examples in batches of two, windows of two: the third batch is a window of its own.
        model, seen = TinyModel(dropout=0), []

        def loss(module: nn.Module, batch: list[Tensor]) -> Tensor:
            seen.append(model.head.weight.detach().clone())
            return squared_error(module, batch)

        config = replace(CONFIG, epochs=2, accumulate=2)
        fit(tmp_path, config, model=model, loss=loss, data=NoisyLine(6)).run()
        same = [torch.equal(one, other) for one, other in itertools.pairwise(seen)]
        assert same == [True, False, False, True, False]


class TestIterations:
    @pytest.mark.parametrize(("iterations", "steps"), [(3, [3]), (4, [4]), (6, [4, 2]), (9, [4, 4, 1])])
    def test_so_many_updates(self, tmp_path: Path, iterations: int, steps: list[int]) -> None:
        moments = list(fit(tmp_path, replace(CONFIG, iterations=iterations)).moments())
        done = [moment.epoch for moment in moments if isinstance(moment, StepDone)]
        assert [done.count(epoch) for epoch in range(len(steps))] == steps and len(done) == iterations

    def test_an_update_may_take_several_steps(self, tmp_path: Path) -> None:
        config = replace(CONFIG, iterations=3, accumulate=2)
        moments = list(fit(tmp_path, config).moments())
        assert [m.step for m in moments if isinstance(m, StepDone)] == [0, 1, 2, 3, 0, 1]

    def test_whole_epochs_equal_their_iterations(self, tmp_path: Path) -> None:
        by_epochs, by_iterations = fit(tmp_path / "a"), fit(tmp_path / "b", replace(CONFIG, epochs=1, iterations=12))
        assert without_time(by_epochs.run()) == without_time(by_iterations.run())
        torch.testing.assert_close(weights(by_iterations), weights(by_epochs), rtol=0, atol=0)

    def test_a_cut_epoch_begins_as_a_whole_one(self, tmp_path: Path) -> None:
        whole, cut = (
            [
                m.indices
                for m in fit(tmp_path / str(n), replace(CONFIG, iterations=n)).moments()
                if isinstance(m, StepDone)
            ]
            for n in (8, 6)
        )
        assert cut == whole[:6]

    def test_what_fills_no_batch_is_left_out(self, tmp_path: Path) -> None:
        config = replace(CONFIG, batch_size=4, drop_last=True)
        moments = list(fit(tmp_path, config, data=NoisyLine(9)).moments())
        assert [len(m.indices) for m in moments if isinstance(m, StepDone)] == [4] * 6
        with pytest.raises(ConfigError, match=r"fit\.batch_size: 3 examples fill no batch of 4"):
            fit(tmp_path / "few", config, data=NoisyLine(3)).run()


class TestClipping:
    """With SGD at rate one, an update moves the weights by the length of its gradient."""

    PLAIN = replace(CONFIG, epochs=1, lr=1.0, head_lr_factor=1.0, momentum=0.0, weight_decay=0.0)

    def moved(self, folder: Path, **change: Any) -> list[float]:
        config = replace(self.PLAIN, schedule=ScheduleConfig("constant"), **change)
        trained = fit(folder, config, model=TinyModel(dropout=0))
        places = [torch.cat([p.detach().flatten().clone() for p in trained.model.parameters()])]
        for moment in trained.moments():
            if isinstance(moment, StepDone):
                places.append(torch.cat([p.detach().flatten().clone() for p in trained.model.parameters()]))
        return [float((after - before).norm()) for before, after in itertools.pairwise(places)]

    def test_long_gradients_are_shortened(self, tmp_path: Path) -> None:
        assert self.moved(tmp_path, clip_norm=0.01) == pytest.approx([0.01] * 4, rel=1e-3)

    def test_short_ones_stay(self, tmp_path: Path) -> None:
        short = {"lr": 1e-3}
        assert self.moved(tmp_path / "a", clip_norm=1e6, **short) == self.moved(tmp_path / "b", **short)

    def test_it_acts_on_the_accumulated_gradient(self, tmp_path: Path) -> None:
        assert self.moved(tmp_path, clip_norm=0.01, accumulate=2) == pytest.approx([0, 0.01, 0, 0.01], rel=1e-3)


class Sums:
    """Keeps a sum for each example: what a caller accumulates."""

    def __init__(self, count: int = 8) -> None:
        self.sums = torch.zeros(count)

    def state_dict(self) -> dict[str, Any]:
        return {"sums": self.sums}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.sums.copy_(state["sums"])


class Counts(Sums):
    """The same under another name."""


def accumulate(trained: Fit, kept: Sums) -> list[dict[str, Any]]:
    """Add the loss of each batch to the sums of its examples, halve them after each epoch; return the records."""
    records: list[dict[str, Any]] = []
    for moment in trained.moments(kept):
        if isinstance(moment, StepDone):
            kept.sums[list(moment.indices)] += moment.loss
        else:
            kept.sums /= 2
            records = list(moment.records)
    return records


class TestMoments:
    def test_they_tell_what_was_learned_from(self, tmp_path: Path) -> None:
        data = NoisyLine(7, noise=0.0)
        steps, epochs = [], []
        for moment in fit(tmp_path, data=data).moments():
            (steps if isinstance(moment, StepDone) else epochs).append(moment)
        assert [(s.epoch, s.step) for s in steps] == [(epoch, step) for epoch in range(3) for step in range(4)]
        for epoch in range(3):
            seen = [index for s in steps if s.epoch == epoch for index in s.indices]
            assert sorted(seen) == list(range(7))
        for s in steps:
            assert s.batch[0].equal(data.points[list(s.indices)]) and s.extra is None
        assert [(e.epoch, len(e.records)) for e in epochs] == [(0, 1), (1, 2), (2, 3)]
        for e in epochs:
            of_epoch = [s for s in steps if s.epoch == e.epoch]
            assert e.loss == e.records[-1]["loss"] == pytest.approx(sum(s.loss * len(s.indices) for s in of_epoch) / 7)

    def test_an_epoch_is_told_before_it_is_saved(self, tmp_path: Path) -> None:
        for moment in fit(tmp_path).moments():
            if isinstance(moment, EpochDone):
                saved = load_state(tmp_path / "state.pt")["epoch"] if moment.epoch else 0
                assert saved == moment.epoch

    def test_further_results_of_the_loss(self, tmp_path: Path) -> None:
        def loss(model: nn.Module, batch: list[Tensor]) -> tuple[Tensor, dict[str, int]]:
            return squared_error(model, batch), {"examples": len(batch[0])}

        told, plain = fit(tmp_path / "a", loss=loss), fit(tmp_path / "b")
        extras = [m.extra for m in told.moments() if isinstance(m, StepDone)]
        assert extras == [{"examples": 2}] * 12
        plain.run()
        torch.testing.assert_close(weights(told), weights(plain), rtol=0, atol=0)

    def test_a_model_left_in_evaluation_mode_is_trained_on(self, tmp_path: Path) -> None:
        watched, plain = fit(tmp_path / "a"), fit(tmp_path / "b")
        for _ in watched.moments():
            watched.model.eval()
        plain.run()
        torch.testing.assert_close(weights(watched), weights(plain), rtol=0, atol=0)

    def test_the_rest_can_be_drained(self, tmp_path: Path) -> None:
        moments = fit(tmp_path / "a").moments()
        next(moments)
        assert without_time(drained(moments)) == without_time(fit(tmp_path / "b").run())


class TestKept:
    @pytest.mark.parametrize("stop", [(1, 0), (1, 5), (2, 3)])
    def test_interrupted_equals_undisturbed(self, tmp_path: Path, stop: tuple[int, int]) -> None:
        expected, kept = Sums(), Sums()
        undisturbed = fit(tmp_path / "a")
        records = accumulate(undisturbed, expected)
        with pytest.raises(KeyboardInterrupt):
            accumulate(fit(tmp_path / "b", data=NoisyLine(stop=stop)), Sums())
        resumed = fit(tmp_path / "b", model=TinyModel(seed=7))
        assert without_time(accumulate(resumed, kept)) == without_time(records)
        assert kept.sums.equal(expected.sums) and bool(kept.sums.all())
        torch.testing.assert_close(weights(resumed), weights(undisturbed), rtol=0, atol=0)

    def test_a_caller_that_stops_after_an_epoch(self, tmp_path: Path) -> None:
        expected, kept = Sums(), Sums()
        accumulate(fit(tmp_path / "a"), expected)
        first = Sums()
        for moment in fit(tmp_path / "b").moments(first):
            if isinstance(moment, StepDone):
                if moment.epoch == 1:
                    break
                first.sums[list(moment.indices)] += moment.loss
            else:
                first.sums /= 2
        accumulate(fit(tmp_path / "b", model=TinyModel(seed=7)), kept)
        assert kept.sums.equal(expected.sums)

    def test_a_finished_fit_restores_it(self, tmp_path: Path) -> None:
        expected, kept = Sums(), Sums()
        accumulate(fit(tmp_path), expected)
        assert accumulate(fit(tmp_path), kept) == [] and kept.sums.equal(expected.sums)

    @pytest.mark.parametrize(
        ("saved", "wanted", "message"),
        [
            (None, Sums(), "keeps the state of nothing, but that of Sums is wanted"),
            (Sums(), None, "keeps the state of Sums, but that of nothing is wanted"),
            (Sums(), Counts(), "keeps the state of Sums, but that of Counts is wanted"),
            (Sums(), Sums(5), "what it keeps does not fit Sums"),
        ],
    )
    def test_another_state_is_refused(
        self, tmp_path: Path, saved: Sums | None, wanted: Sums | None, message: str
    ) -> None:
        drained(fit(tmp_path).moments(saved))
        with pytest.raises(CheckpointError, match=rf"state\.pt: {message}"):
            drained(fit(tmp_path).moments(wanted))


class TestRun:
    @pytest.mark.parametrize("precision", ["no", "bf16"])
    def test_it_learns(self, tmp_path: Path, precision: str) -> None:
        config = replace(CONFIG, epochs=30, lr=0.005, precision=precision)
        trained = fit(tmp_path, config, model=TinyModel(dropout=0), data=NoisyLine(noise=0.0))
        records = trained.run()
        assert records[-1]["loss"] < 0.1 * records[0]["loss"]
        assert {value.dtype for value in weights(trained).values()} == {torch.float32}

    def test_records(self, tmp_path: Path) -> None:
        records = fit(tmp_path).run()
        assert [record["epoch"] for record in records] == [1, 2, 3]
        assert all(record["seconds"] >= 0 for record in records)
        lines = (tmp_path / "metrics.jsonl").read_text().splitlines()
        assert [json.loads(line) for line in lines] == records

    def test_the_loss_of_an_epoch_is_the_mean_over_examples(self, tmp_path: Path) -> None:
        # Batches of 4, 4 and 1; the rate is tiny, so that the loss is that of the initial weights.
        data, model = NoisyLine(9, noise=0.0), TinyModel(dropout=0)
        before = squared_error(model, [data.points, data.points.sum(1, keepdim=True)]).item()
        records = fit(tmp_path, FitConfig(epochs=1, batch_size=4, lr=1e-12), model=model, data=data).run()
        assert records[0]["loss"] == pytest.approx(before, rel=1e-5)

    def test_every_example_is_seen_once_an_epoch(self, tmp_path: Path) -> None:
        seen: list[tuple[int, int]] = []

        class Counting(NoisyLine):
            def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
                seen.append((epoch, index))
                return super().load(index, epoch)

        fit(tmp_path, data=Counting(5)).run()
        assert sorted(seen) == [(epoch, index) for epoch in range(3) for index in range(5)]
        orders = [[index for e, index in seen if e == epoch] for epoch in range(3)]
        assert orders[0] != orders[1] or orders[1] != orders[2]

    @pytest.mark.parametrize("bad", [math.nan, math.inf])
    def test_a_loss_that_is_no_number_stops_it(self, tmp_path: Path, bad: float) -> None:
        class Poisoned(NoisyLine):
            def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
                point, value = super().load(index, epoch)
                return point, torch.full((1,), bad) if (epoch, index) == (1, 3) else value

        with pytest.raises(
            ConfigError, match=r"train: the loss of epoch 2 is (nan|inf); lower fit\.lr, which is 0\.05"
        ):
            fit(tmp_path, data=Poisoned()).run()
        assert load_state(tmp_path / "state.pt")["epoch"] == 1
        assert all(torch.isfinite(value).all() for value in load_state(tmp_path / "state.pt")["model"].values())

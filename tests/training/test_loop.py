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

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifier import TagClassifier
from weakseg.nn.segmenter import Segmenter
from weakseg.nn.weights import load_state
from weakseg.rng import generator_for
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.training.loop import Fit, FitPlace, build_optimizer, set_rates

CONFIG = FitConfig(epochs=3, batch_size=2, lr=0.05, head_lr_factor=2.0)


class TinyModel(nn.Module):
    """Two linear layers with dropout between, under the names that ``Fit`` knows."""

    def __init__(self, *, dropout: float = 0.25, seed: int = 0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        self.backbone = nn.Sequential(nn.Linear(4, 6), nn.Dropout(dropout))
        self.head = nn.Linear(6, 1)

    def forward(self, values: Tensor) -> Tensor:
        return self.head(self.backbone(values))  # type: ignore[no-any-return]


class NoisyLine:
    """Points near a plane; noise is keyed by (index, epoch) as augmentation is. ``stop``: (epoch, index) to fail at."""

    def __init__(self, count: int = 8, *, noise: float = 0.1, stop: tuple[int, int] | None = None) -> None:
        self.points = torch.randn(count, 4, generator=torch.Generator().manual_seed(0))
        self.noise, self.stop = noise, stop

    def __len__(self) -> int:
        return len(self.points)

    def load(self, index: int, epoch: int) -> tuple[Tensor, Tensor]:
        if self.stop == (epoch, index):
            raise KeyboardInterrupt
        noise = torch.randn(4, generator=generator_for(0, str(index), f"noise/{epoch}"))
        return self.points[index] + self.noise * noise, self.points[index].sum()[None]


def squared_error(model: nn.Module, batch: list[Tensor]) -> Tensor:
    return nn.functional.mse_loss(model(batch[0]).float(), batch[1])


def fit(folder: Path, config: FitConfig = CONFIG, *, seed: int = 0, **options: Any) -> Fit:
    defaults: dict[str, Any] = {"model": TinyModel(), "data": NoisyLine(), "loss": squared_error}
    return Fit(**{**defaults, **options}, config=config, place=FitPlace(folder, seed))


def weights(of: Fit) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in of.model.state_dict().items()}


def without_time(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{key: value for key, value in record.items() if key != "seconds"} for record in records]


class TestSchedule:
    @pytest.mark.parametrize(
        ("progress", "factor"),
        # cam.md, oracle 14; segmentation-stage.md, oracle 4: steps 0, 10, 10,000 and 19,990 of 20,000, over 2.5e-4.
        [(0.0, 1.0), (10 / 20_000, 0.999550), (0.5, 0.535887), (19_990 / 20_000, 2.673e-7 / 2.5e-4)],
    )
    def test_poly(self, progress: float, factor: float) -> None:
        config = FitConfig(lr=2.5e-4, head_lr_factor=10)
        optimizer = build_optimizer(TinyModel(), config)
        set_rates(optimizer, config, progress)
        rates = [group["lr"] for group in optimizer.param_groups]
        assert rates == pytest.approx([2.5e-4 * factor * part for part in (1, 1, 10, 10)], rel=2e-4)

    def test_power_zero_is_constant(self) -> None:
        config = FitConfig(poly_power=0)
        optimizer = build_optimizer(TinyModel(), config)
        set_rates(optimizer, config, 0.99)
        assert optimizer.param_groups[0]["lr"] == config.lr

    def test_rates_fall_from_step_to_step(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        seen: list[float] = []
        monkeypatch.setattr(
            "weakseg.training.loop.set_rates", lambda optimizer, config, progress: seen.append(progress)
        )
        fit(tmp_path, replace(CONFIG, epochs=2, batch_size=4)).run()
        assert seen == [0, 0.25, 0.5, 0.75]


def classifier() -> nn.Module:
    return TagClassifier(build_backbone(BackboneConfig(weights="none")), 3)


def segmenter(head: str) -> nn.Module:
    backbone = BackboneConfig("resnet10t", 16, "none")
    return Segmenter(SegmenterConfig(backbone, head, hidden=8), 3)  # type: ignore[arg-type]


class TestOptimizer:
    @pytest.mark.parametrize("build", [classifier, lambda: segmenter("largefov"), lambda: segmenter("aspp")])
    @pytest.mark.parametrize("name", ["sgd", "adamw"])
    def test_groups_partition_the_parameters(self, build: Callable[[], nn.Module], name: str) -> None:
        # segmentation-stage.md, oracle 5.
        model = build()
        optimizer = build_optimizer(model, FitConfig(optimizer=name, weight_decay=0.01))  # type: ignore[arg-type]
        grouped = [parameter for group in optimizer.param_groups for parameter in group["params"]]
        assert len({id(parameter) for parameter in grouped}) == len(grouped)
        assert {id(parameter) for parameter in grouped} == {id(parameter) for parameter in model.parameters()}

    @pytest.mark.parametrize("build", [classifier, lambda: segmenter("largefov"), lambda: segmenter("aspp")])
    def test_norms_and_biases_do_not_decay(self, build: Callable[[], nn.Module]) -> None:
        model = build()
        optimizer = build_optimizer(model, FitConfig(weight_decay=0.01, head_lr_factor=7))
        group_of = {id(p): group for group in optimizer.param_groups for p in group["params"]}
        for owner, module in model.named_modules():
            norm = isinstance(module, nn.modules.batchnorm._BatchNorm | nn.LayerNorm)
            for name, parameter in module.named_parameters(recurse=False):
                group = group_of[id(parameter)]
                assert group["weight_decay"] == (0 if norm or name == "bias" else 0.01), f"{owner}.{name}"
                assert group["factor"] == (7 if owner.startswith("head") else 1), f"{owner}.{name}"

    def test_frozen_parameters_are_left_out(self) -> None:
        model = TinyModel()
        model.backbone[0].weight.requires_grad_(False)  # type: ignore[union-attr,operator]
        optimizer = build_optimizer(model, FitConfig())
        assert sum(len(group["params"]) for group in optimizer.param_groups) == 3


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

    def test_a_damaged_state_is_refused(self, tmp_path: Path) -> None:
        fit(tmp_path).run()
        content = (tmp_path / "state.pt").read_bytes()
        (tmp_path / "state.pt").write_bytes(content[: len(content) // 2])
        with pytest.raises(CheckpointError, match=r"state\.pt: cannot be loaded safely"):
            fit(tmp_path).run()

    def test_progress_counts_what_is_left(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path, data=NoisyLine(stop=(1, 0))).run()
        capfd.readouterr()
        fit(tmp_path).run()
        assert "train: 16/16" in capfd.readouterr().err


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


class TestRefusals:
    @pytest.mark.parametrize(
        "change",
        [{"epochs": 0}, {"batch_size": 0}, {"accumulate": 0}, {"lr": 0.0}, {"lr": -1.0}, {"loader_workers": -1}],
    )
    def test_counts_and_rates(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="fit: epochs, batch_size, accumulate >= 1 and lr > 0 are needed"):
            FitConfig(**change)

    @pytest.mark.parametrize(
        ("change", "message"),
        [
            ({"optimizer": "adam"}, r"fit\.optimizer: 'sgd' or 'adamw', got 'adam'"),
            ({"precision": "fp8"}, r"fit\.precision: 'no', 'bf16' or 'fp16', got 'fp8'"),
        ],
    )
    def test_names(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            FitConfig(**change)

    def test_rates_are_no_numbers(self) -> None:
        with pytest.raises(ConfigError):
            FitConfig(lr=math.nan)

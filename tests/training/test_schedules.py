"""Schedules by the tables of the methods' cards."""

import itertools
from pathlib import Path
from typing import Any

import pytest

from tiny import NoisyLine, TinyModel, squared_error
from weakseg.errors import ConfigError
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.training import loop
from weakseg.training.loop import Fit, FitPlace
from weakseg.training.optimizers import build_optimizer
from weakseg.training.schedules import Course, plan_course, rate_share, set_rates

TWENTY_THOUSAND = Course(1059, 1, 20_000, 8)


class TestPoly:
    @pytest.mark.parametrize(
        ("update", "share"),
        # cam.md, oracle 14; segmentation-stage.md, oracle 4: updates 0, 10, 10,000 and 19,990 of 20,000, over 2.5e-4.
        [(0, 1.0), (10, 0.999550), (10_000, 0.535887), (19_990, 2.673e-7 / 2.5e-4)],
    )
    def test_the_card(self, update: int, share: float) -> None:
        assert rate_share(ScheduleConfig(), TWENTY_THOUSAND, update) == pytest.approx(share, rel=2e-4)

    def test_held_for_ten_iterations(self) -> None:
        # segmentation-stage.md, oracle 4: constant between multiples of 10.
        held, plain = ScheduleConfig(hold=10), ScheduleConfig()
        for update in (0, 9, 10, 15, 19_999):
            expected = rate_share(plain, TWENTY_THOUSAND, update - update % 10)
            assert rate_share(held, TWENTY_THOUSAND, update) == expected

    @pytest.mark.parametrize("accumulate", [1, 2, 3])
    def test_by_epochs_it_is_the_share_of_steps(self, accumulate: int) -> None:
        course = Course(7, accumulate, 0, 4)
        for epoch, step in itertools.product(range(4), range(7)):
            window = step - step % accumulate  # one rate for the steps of one update
            expected = (1 - (7 * epoch + window) / 28) ** 0.9
            assert rate_share(ScheduleConfig(), course, course.update_of(epoch, step)) == expected

    def test_power_zero_is_constant(self) -> None:
        assert rate_share(ScheduleConfig(power=0), TWENTY_THOUSAND, 19_999) == 1
        assert rate_share(ScheduleConfig("constant"), TWENTY_THOUSAND, 19_999) == 1


class TestStep:
    @pytest.mark.parametrize(
        ("schedule", "shares"),
        [
            (ScheduleConfig("step", at=(5, 10)), [1.0] * 5 + [0.1] * 5 + [0.01] * 5),  # group-wsss.md, section 3
            (ScheduleConfig("step", factor=0.3, every=3), [0.3 ** (n // 3) for n in range(15)]),  # dgcn.md, section 3
        ],
    )
    def test_by_epochs(self, schedule: ScheduleConfig, shares: list[float]) -> None:
        course = Course(11, 2, 0, 15)
        for epoch, step in itertools.product(range(15), (0, 10)):
            assert rate_share(schedule, course, course.update_of(epoch, step)) == pytest.approx(shares[epoch])

    def test_by_iterations(self) -> None:
        # dgcn.md, section 3, DSRG: x0.33 every 1000 of 8000 iterations.
        schedule = ScheduleConfig("step", factor=0.33, every=1000, unit="iterations")
        course = Course(529, 1, 8000, 1)
        found = {update: rate_share(schedule, course, update) for update in (0, 999, 1000, 1999, 7999)}
        assert found == pytest.approx({0: 1, 999: 1, 1000: 0.33, 1999: 0.33, 7999: 0.33**7})

    @pytest.mark.parametrize(("every", "updates"), [(0.5, [4, 7, 11, 14]), (0.1, list(range(1, 15)))])
    def test_fractions(self, every: float, updates: list[int]) -> None:
        course = Course(7, 1, 0, 2) if every == 0.5 else Course(10, 1, 15, 2)
        shares = [rate_share(ScheduleConfig("step", every=every), course, n) for n in range(15)]
        assert [n for n in range(1, 15) if shares[n] < shares[n - 1]] == updates

    def test_held(self) -> None:
        schedule = ScheduleConfig("step", at=(5,), unit="iterations", hold=4)
        shares = [rate_share(schedule, Course(10, 1, 0, 1), update) for update in range(10)]
        assert shares == pytest.approx([1.0] * 8 + [0.1] * 2)


class TestCourse:
    def test_by_epochs(self) -> None:
        course = plan_course(FitConfig(epochs=3, batch_size=4, accumulate=2), 19)
        assert (course.steps, course.updates, course.num_epochs, course.num_updates) == (5, 3, 3, 9)
        assert [course.steps_of(epoch) for epoch in range(3)] == [5, 5, 5]
        assert [course.steps_before(update) for update in range(10)] == [0, 2, 4, 5, 7, 9, 10, 12, 14, 15]

    def test_by_iterations(self) -> None:
        # segmentation-stage.md, section 3: 20k x 10 (5 x 2) are 18.9 epochs of 10,582 images.
        course = plan_course(FitConfig(iterations=20_000, batch_size=5, accumulate=2), 10_582)
        assert (course.updates, course.num_epochs, course.num_updates) == (1059, 19, 20_000)
        assert course.steps_of(17) == 2117 and course.steps_of(18) == 2 * (20_000 - 18 * 1059)

    def test_drop_last(self) -> None:
        # seam.md, section 3: T = floor(#images / batch) * epochs.
        assert plan_course(FitConfig(epochs=8, batch_size=8, drop_last=True), 10_582).num_updates == 8 * 1322
        with pytest.raises(ConfigError, match="7 examples fill no batch of 8"):
            plan_course(FitConfig(batch_size=8, drop_last=True), 7)


def test_rates_of_the_groups_keep_their_ratio() -> None:
    config = FitConfig(lr=2.5e-4, head_lr_factor=10, bias_lr_factor=2)
    optimizer = build_optimizer(TinyModel(), config)
    set_rates(optimizer, config.lr, 0.5)
    assert sorted(group["lr"] for group in optimizer.param_groups) == pytest.approx(
        [1.25e-4 * factor for factor in (1, 2, 10, 20)]
    )


def test_a_training_asks_for_the_rate_of_each_update(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[float] = []
    monkeypatch.setattr(loop, "set_rates", lambda optimizer, lr, share: seen.append(share))
    config = FitConfig(epochs=2, batch_size=2, accumulate=2, schedule=ScheduleConfig(power=1))
    Fit(TinyModel(), NoisyLine(), squared_error, config, FitPlace(tmp_path)).run()
    assert seen == [1, 1, 0.75, 0.75, 0.5, 0.5, 0.25, 0.25]


TABLES: dict[str, dict[str, Any]] = {
    # segmentation-stage.md, 2.1: updates every 10 iterations, three groups 1 : 10 : 20, wd 5e-4, biases without.
    "deeplab-v2": {
        "iterations": 20_000, "batch_size": 5, "accumulate": 2, "lr": 2.5e-4, "weight_decay": 5e-4, "bias_lr_factor": 2,
        "schedule": ScheduleConfig(hold=10), "norm_affine": "frozen", "clip_norm": 10,
    },
    # segmentation-stage.md, 2.5: synchronised batch norm is trained.
    "pspnet": {"epochs": 50, "batch_size": 8, "norm_statistics": "batch"},
    # dgcn.md, section 3.
    "dgcn": {
        "epochs": 15, "batch_size": 16, "lr": 5e-4, "weight_decay": 5e-4,
        "schedule": ScheduleConfig("step", factor=0.3, every=3),
    },
    "dsrg": {
        "iterations": 8000, "batch_size": 20, "lr": 5e-4, "bias_lr_factor": 2,
        "schedule": ScheduleConfig("step", factor=0.33, every=1000, unit="iterations"),
    },
    # group-wsss.md, section 3: weight decay on all.
    "group-wsss": {
        "epochs": 15, "batch_size": 1, "lr": 1e-3, "nesterov": True, "weight_decay": 5e-4, "bias_lr_factor": 2,
        "decay_biases": True, "schedule": ScheduleConfig("step", at=(5, 10)),
    },
    # recam.md, part B: head as fast as the backbone; what is new ten times as fast, by rate_factors.
    "recam": {"epochs": 4, "batch_size": 16, "lr": 5e-5, "head_lr_factor": 1, "momentum": 0.0},
    # seam.md, section 3.
    "seam": {"epochs": 8, "batch_size": 8, "drop_last": True, "momentum": 5e-4, "norm_affine": "frozen"},
    # irnet.md, section 3.
    "irnet": {"epochs": 3, "batch_size": 32, "drop_last": True, "lr": 0.1, "head_lr_factor": 1, "decay_biases": True},
}  # fmt: skip


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_cards_can_be_written_down(name: str) -> None:
    config = FitConfig(**TABLES[name])
    course = plan_course(config, 10_582)
    shares = [rate_share(config.schedule, course, n) for n in range(0, course.num_updates, 97)]
    assert shares[0] == 1 and min(shares) > 0 and shares == sorted(shares, reverse=True)

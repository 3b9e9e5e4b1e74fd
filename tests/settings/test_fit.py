import math
from typing import Any

import pytest

from weakseg.errors import ConfigError
from weakseg.settings.fit import FitConfig, ScheduleConfig


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"batch_size": 0},
        {"accumulate": 0},
        {"lr": 0.0},
        {"lr": -1.0},
        {"lr": math.nan},
        {"loader_workers": -1},
    ],
)
def test_counts_and_rates(change: dict[str, Any]) -> None:
    (name,) = change
    with pytest.raises(ConfigError, match=rf"^fit\.{name}: need >=? \d, got {change[name]}$"):
        FitConfig(**change)


@pytest.mark.parametrize(
    "change",
    [{"iterations": -1}, {"clip_norm": -0.1}, {"clip_norm": math.nan}, {"weight_decay": -1.0}, {"momentum": 1.0}],
)
def test_what_must_not_be_negative(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^fit\.{next(iter(change))}: need (>= 0|in \[0, 1\)), got"):
        FitConfig(**change)


@pytest.mark.parametrize("change", [{"head_lr_factor": 0.0}, {"bias_lr_factor": -2.0}])
def test_factors(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=rf"^fit\.{next(iter(change))}: need > 0, got"):
        FitConfig(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"optimizer": "adam"}, r"fit\.optimizer: 'sgd' or 'adamw', got 'adam'"),
        ({"precision": "fp8"}, r"fit\.precision: 'no', 'bf16' or 'fp16', got 'fp8'"),
        ({"norm_statistics": "running"}, r"fit\.norm_statistics: 'stored' or 'batch', got 'running'"),
        ({"norm_affine": "none"}, r"fit\.norm_affine: 'trained' or 'frozen', got 'none'"),
        ({"momentum": 0.5, "optimizer": "adamw"}, r"fit\.momentum: with 'adamw' it is 0\.9; write that, got 0\.5"),
        ({"frozen_levels": -1}, r"fit\.frozen_levels: need >= 0, got -1"),
        ({"nesterov": True, "optimizer": "adamw"}, r"fit\.nesterov: needs optimizer 'sgd' with momentum > 0"),
        ({"nesterov": True, "momentum": 0.0}, r"fit\.nesterov: needs optimizer 'sgd' with momentum > 0"),
    ],
)
def test_names(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        FitConfig(**change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "cosine"}, r"fit\.schedule\.kind: 'poly', 'step' or 'constant', got 'cosine'"),
        ({"unit": "steps"}, r"fit\.schedule\.unit: 'epochs' or 'iterations', got 'steps'"),
        ({"power": -1.0}, r"fit\.schedule\.power: need >= 0, got -1"),
        ({"factor": 0.0}, r"fit\.schedule\.factor: need in \(0, 1\], got 0"),
        ({"hold": 0}, r"fit\.schedule\.hold: need >= 1, got 0"),
        ({"at": (3.0,)}, r"fit\.schedule\.at: belongs to kind 'step', and the kind is 'poly'; leave it out"),
        ({"kind": "constant", "every": 3.0}, r"fit\.schedule\.every: belongs to kind 'step'"),
        ({"factor": 0.5}, r"fit\.schedule\.factor: belongs to kind 'step', and the kind is 'poly'"),
        ({"unit": "iterations"}, r"fit\.schedule\.unit: belongs to kind 'step'"),
        ({"kind": "step", "every": 2.0, "power": 2.0}, r"fit\.schedule\.power: belongs to kind 'poly'"),
        ({"kind": "step"}, r"fit\.schedule: 'step' needs either at or every > 0, got \(\) and 0\.0"),
        ({"kind": "step", "at": (1.0,), "every": 2.0}, r"fit\.schedule: 'step' needs either at or every > 0"),
        ({"kind": "step", "every": -2.0}, r"fit\.schedule: 'step' needs either at or every > 0"),
        ({"kind": "step", "at": (5.0, 3.0)}, r"fit\.schedule\.at: increasing positive epochs"),
        (
            {"kind": "step", "at": (0.0, 3.0), "unit": "iterations"},
            r"fit\.schedule\.at: increasing positive iterations",
        ),
    ],
)
def test_schedules(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ScheduleConfig(**change)

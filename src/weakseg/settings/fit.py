"""Optimisation."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError

ScheduleKind = Literal["poly", "step", "constant"]
ScheduleUnit = Literal["epochs", "iterations"]
Optimizer = Literal["sgd", "adamw"]
Precision = Literal["no", "bf16", "fp16"]
NormStatistics = Literal["stored", "batch"]
NormAffine = Literal["trained", "frozen"]


@dataclass(frozen=True)
class ScheduleConfig:
    """How learning rates change in the course of a training of T iterations (updates).

    Attributes:
        kind: ``poly``: falls as ``(1 - t / T)^power``; ``step``: multiplied by ``factor`` now and then; ``constant``.
        power: Of ``poly``.
        factor: Of ``step``.
        at: When ``step`` multiplies, in units from the start, increasing; fractions are allowed.
        every: Instead of ``at``: after every so many units; 0: not.
        unit: What ``at`` and ``every`` count: ``epochs`` or ``iterations``.
        hold: The rate changes at multiples of so many iterations only.
    """

    kind: ScheduleKind = "poly"
    power: float = 0.9
    factor: float = 0.1
    at: tuple[float, ...] = ()
    every: float = 0.0
    unit: ScheduleUnit = "epochs"
    hold: int = 1

    def __post_init__(self) -> None:
        """Refuse names that do not exist, steps that are not told apart, and factors that mean nothing."""
        _check_name("schedule.kind", self.kind, get_args(ScheduleKind))
        _check_name("schedule.unit", self.unit, get_args(ScheduleUnit))
        if not (self.power >= 0 and 0 < self.factor <= 1 and self.hold >= 1):
            raise ConfigError(f"fit.schedule: need power >= 0, factor in (0, 1] and hold >= 1, got {self}")
        if self.kind != "step" and (self.at or self.every):
            raise ConfigError(f"fit.schedule: at and every belong to kind 'step', not to {self.kind!r}; leave them out")
        if self.kind == "step" and (bool(self.at) == bool(self.every) or not self.every >= 0):
            raise ConfigError(f"fit.schedule: 'step' needs either at or every > 0, got {self.at} and {self.every}")
        if list(self.at) != sorted(set(self.at)) or not min(self.at, default=1) > 0:
            raise ConfigError(f"fit.schedule.at: increasing positive {self.unit} are needed, got {self.at}")


@dataclass(frozen=True)
class FitConfig:
    """Optimisation.

    Attributes:
        epochs: Passes over the training images.
        iterations: Updates of the weights, whatever the number of passes; 0: ``epochs`` counts.
        batch_size: Images a step.
        drop_last: Leave out the images of an epoch that fill no batch.
        accumulate: Steps whose gradients are added before an update.
        optimizer: ``sgd`` or ``adamw``.
        lr: Learning rate of the backbone.
        head_lr_factor: Learning rate of the head, as a multiple of ``lr``.
        bias_lr_factor: Learning rate of biases, as a multiple of that of the weights beside them.
        momentum: Of ``sgd``.
        nesterov: Nesterov's momentum.
        weight_decay: On weights of two or more axes.
        decay_biases: Weight decay on biases and norms, too.
        clip_norm: Gradients of an update that are longer than this, all parameters together, are shortened; 0: none.
        schedule: How the rates change.
        norm_statistics: What batch norms of the backbone divide by: ``stored`` statistics, which stay as they are, or
            those of the ``batch``, which the stored ones follow.
        norm_affine: Whether their scales and shifts are ``trained`` or ``frozen``.
        precision: ``no`` (float32), ``bf16`` or ``fp16``.
        loader_workers: Processes that load and augment images; 0: the main process does.
    """

    epochs: int = 8
    iterations: int = 0
    batch_size: int = 10
    drop_last: bool = False
    accumulate: int = 1
    optimizer: Optimizer = "sgd"
    lr: float = 0.01
    head_lr_factor: float = 10.0
    bias_lr_factor: float = 1.0
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_biases: bool = False
    clip_norm: float = 0.0
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    norm_statistics: NormStatistics = "stored"
    norm_affine: NormAffine = "trained"
    precision: Precision = "no"
    loader_workers: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below one, rates that are not positive, and names that do not exist."""
        if min(self.epochs, self.batch_size, self.accumulate) < 1 or not self.lr > 0 or self.loader_workers < 0:
            raise ConfigError(f"fit: epochs, batch_size, accumulate >= 1 and lr > 0 are needed, got {self}")
        if not (self.iterations >= 0 and self.clip_norm >= 0 and self.weight_decay >= 0 and 0 <= self.momentum < 1):
            raise ConfigError(
                f"fit: iterations, clip_norm, weight_decay >= 0 and momentum in [0, 1) are needed, got {self}"
            )
        if not (self.head_lr_factor > 0 and self.bias_lr_factor > 0):
            raise ConfigError(f"fit: head_lr_factor and bias_lr_factor > 0 are needed, got {self}")
        _check_name("optimizer", self.optimizer, get_args(Optimizer))
        _check_name("norm_statistics", self.norm_statistics, get_args(NormStatistics))
        _check_name("norm_affine", self.norm_affine, get_args(NormAffine))
        _check_name("precision", self.precision, get_args(Precision))
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ConfigError(
                f"fit.nesterov: needs optimizer 'sgd' with momentum > 0, got {self.optimizer!r} and {self.momentum}"
            )


def _check_name(setting: str, given: str, names: tuple[str, ...]) -> None:
    if given not in names:
        listed = ", ".join(repr(name) for name in names[:-1])
        raise ConfigError(f"fit.{setting}: {listed} or {names[-1]!r}, got {given!r}")

"""Optimisation."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import SettingError, check_settings

ScheduleKind = Literal["poly", "step", "constant"]
ScheduleUnit = Literal["epochs", "iterations"]
Optimizer = Literal["sgd", "adamw"]
Precision = Literal["no", "bf16", "fp16"]
NormStatistics = Literal["stored", "batch"]
NormAffine = Literal["trained", "frozen"]
ADAM_MOMENTUM = 0.9  # of gradients; AdamW has no other here
_OF_KIND = {"power": "poly", "factor": "step", "at": "step", "every": "step", "unit": "step"}  # of schedules


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
        check_settings("fit.schedule", self, kind=get_args(ScheduleKind), unit=get_args(ScheduleUnit))
        check_settings("fit.schedule", self, power=">= 0", factor="in (0, 1]", hold=">= 1")
        for name, kind in _OF_KIND.items():
            if self.kind != kind and getattr(self, name) != getattr(type(self), name):
                wanted = f"belongs to kind {kind!r}, and the kind is {self.kind!r}; leave it out"
                raise SettingError("fit.schedule", name, getattr(self, name), wanted)
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
        min_iterations: Of few images so many more passes are made than ``epochs`` that there are so many updates.
        batch_size: Images a step; where several processes train, they share them.
        drop_last: Leave out the images of an epoch that fill no batch.
        accumulate: Steps whose gradients are added before an update.
        optimizer: ``sgd`` or ``adamw``.
        lr: Learning rate of the backbone.
        head_lr_factor: Learning rate of the head, as a multiple of ``lr``.
        bias_lr_factor: Learning rate of biases, as a multiple of that of the weights beside them.
        momentum: Of ``sgd``; ``adamw`` has its own, 0.9.
        nesterov: Nesterov's momentum.
        weight_decay: On weights of two or more axes, but for positions and tokens of transformers.
        decay_biases: Weight decay on all parameters.
        clip_norm: Gradients of an update that are longer than this, all parameters together, are shortened; 0: none.
        schedule: How the rates change.
        norm_statistics: What batch norms of the backbone divide by: ``stored`` statistics, which stay as they are, or
            those of the ``batch``, which the stored ones follow.
        norm_affine: Whether scales and shifts of its norms of all kinds are ``trained`` or ``frozen``.
        frozen_levels: What so many of the finest levels of the backbone depend on is not trained.
        precision: ``no`` (float32), ``bf16`` or ``fp16``.
        loader_workers: Processes that load and augment images, for each that trains; 0: the one that trains does.
    """

    epochs: int = 8
    iterations: int = 0
    min_iterations: int = 0
    batch_size: int = 10
    drop_last: bool = False
    accumulate: int = 1
    optimizer: Optimizer = "sgd"
    lr: float = 0.01
    head_lr_factor: float = 10.0
    bias_lr_factor: float = 1.0
    momentum: float = ADAM_MOMENTUM
    nesterov: bool = False
    weight_decay: float = 1e-4
    decay_biases: bool = False
    clip_norm: float = 0.0
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    norm_statistics: NormStatistics = "stored"
    norm_affine: NormAffine = "trained"
    frozen_levels: int = 0
    precision: Precision = "no"
    loader_workers: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below one, rates that are not positive, and names that do not exist."""
        check_settings("fit", self, epochs=">= 1", iterations=">= 0", batch_size=">= 1", accumulate=">= 1")
        check_settings("fit", self, min_iterations=">= 0")
        if self.iterations and self.min_iterations:
            raise ConfigError(
                f"fit.min_iterations: with iterations ({self.iterations}) it has no effect; leave one of them out"
            )
        check_settings("fit", self, optimizer=get_args(Optimizer), lr="> 0", head_lr_factor="> 0", bias_lr_factor="> 0")
        check_settings("fit", self, momentum="in [0, 1)", weight_decay=">= 0", clip_norm=">= 0", loader_workers=">= 0")
        check_settings("fit", self, norm_statistics=get_args(NormStatistics), norm_affine=get_args(NormAffine))
        check_settings("fit", self, precision=get_args(Precision), frozen_levels=">= 0")
        if self.optimizer == "adamw" and self.momentum != ADAM_MOMENTUM:
            raise SettingError("fit", "momentum", self.momentum, f"with 'adamw' it is {ADAM_MOMENTUM}; write that")
        if self.nesterov and (self.optimizer != "sgd" or not self.momentum):
            raise ConfigError(
                f"fit.nesterov: needs optimizer 'sgd' with momentum > 0, got {self.optimizer!r} and {self.momentum}"
            )

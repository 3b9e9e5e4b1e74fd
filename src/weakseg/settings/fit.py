"""Optimisation."""

from dataclasses import dataclass
from typing import Literal

from weakseg.errors import ConfigError


@dataclass(frozen=True)
class FitConfig:
    """Optimisation.

    Attributes:
        epochs: Passes over the training images.
        batch_size: Images a step.
        accumulate: Steps whose gradients are added before an update.
        optimizer: ``sgd`` or ``adamw``.
        lr: Learning rate of the backbone.
        head_lr_factor: Learning rate of the head, as a multiple of ``lr``.
        momentum: Of ``sgd``.
        weight_decay: On weights of two or more axes; biases and norms have none.
        poly_power: The rate falls as ``(1 - step / steps)^poly_power``.
        precision: ``no`` (float32), ``bf16`` or ``fp16``.
        loader_workers: Processes that load and augment images; 0: the main process does.
    """

    epochs: int = 8
    batch_size: int = 10
    accumulate: int = 1
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.01
    head_lr_factor: float = 10.0
    momentum: float = 0.9
    weight_decay: float = 1e-4
    poly_power: float = 0.9
    precision: Literal["no", "bf16", "fp16"] = "no"
    loader_workers: int = 0

    def __post_init__(self) -> None:
        """Refuse counts below one, rates that are not positive, and names that do not exist."""
        if min(self.epochs, self.batch_size, self.accumulate) < 1 or not self.lr > 0 or self.loader_workers < 0:
            raise ConfigError(f"fit: epochs, batch_size, accumulate >= 1 and lr > 0 are needed, got {self}")
        if self.optimizer not in ("sgd", "adamw"):
            raise ConfigError(f"fit.optimizer: 'sgd' or 'adamw', got {self.optimizer!r}")
        if self.precision not in ("no", "bf16", "fp16"):
            raise ConfigError(f"fit.precision: 'no', 'bf16' or 'fp16', got {self.precision!r}")

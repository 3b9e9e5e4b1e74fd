"""The one training loop: plain PyTorch, with accelerate for devices, precision and accumulation; resumable."""

import ctypes
import gc
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from weakseg.errors import CheckpointError, ConfigError
from weakseg.files import write_bytes
from weakseg.nn.weights import load_into, load_state, save_state
from weakseg.progress import track
from weakseg.rng import derive_seed, generator_for
from weakseg.settings.fit import FitConfig

if TYPE_CHECKING:
    from accelerate import Accelerator

Loss = Callable[[nn.Module, list[Tensor]], Tensor]
Collate = Callable[[list[tuple[Tensor, ...]]], list[Tensor]]


class EpochData(Protocol):
    """Training examples that may differ from epoch to epoch, by their own keyed randomness."""

    def __len__(self) -> int:
        """Number of examples an epoch."""
        ...

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return one example as tensors that can be stacked, or that the fit's ``collate`` joins."""
        ...


@dataclass(frozen=True)
class FitPlace:
    """Where a model is trained and kept.

    Attributes:
        folder: Gets ``state.pt`` (to resume from), ``metrics.jsonl`` and the model.
        seed: Of initial weights, order, augmentation and dropout.
        device: ``"cpu"`` or ``"cuda"``.
    """

    folder: Path
    seed: int = 0
    device: str = "cpu"


@dataclass(frozen=True)
class Fit:
    """What is trained, on what, and where it is kept.

    Attributes:
        model: Has parameters under ``backbone``, ``head`` and the parts that its ``rate_factors`` name.
        data: The examples.
        loss: From model and batch to a scalar.
        config: Optimisation.
        place: Folder, seed and device.
        title: For progress, and to tell its random numbers from another fit's.
        collate: Joins examples to a batch whose first tensor has one row an example; ``None``: all are stacked.
    """

    model: nn.Module
    data: EpochData
    loss: Loss
    config: FitConfig
    place: FitPlace
    title: str = "train"
    collate: Collate | None = None

    def run(self) -> list[dict[str, Any]]:
        """Train to the last epoch, starting where an interrupted call stopped; return one record an epoch.

        Raises:
            CheckpointError: If the folder holds the state of other settings, or of another model.
            ConfigError: If the loss is no longer finite; the epochs before are kept.
        """
        accelerator = self._accelerator()
        optimizer = build_optimizer(self.model, self.config)
        start, records = self._resume(optimizer)
        model, optimizer = accelerator.prepare(self.model, optimizer)
        with track(self.title, (self.config.epochs - start) * len(self.data)) as advance:
            for epoch in range(start, self.config.epochs):
                begun = time.monotonic()
                loss = self._epoch(accelerator, model, optimizer, epoch, advance)
                if not math.isfinite(loss):
                    rate = self.config.lr
                    raise ConfigError(
                        f"{self.title}: the loss of epoch {epoch + 1} is {loss}; lower fit.lr, which is {rate}"
                    )
                records.append({"epoch": epoch + 1, "loss": loss, "seconds": time.monotonic() - begun})
                if accelerator.is_main_process:
                    self._save(accelerator.unwrap_model(model), optimizer, epoch + 1, records)
        _return_memory()
        return records

    def _accelerator(self) -> "Accelerator":
        from accelerate import Accelerator
        from accelerate.state import AcceleratorState

        AcceleratorState._reset_state(reset_partial_state=True)  # an earlier fit's precision and device must not leak
        config = self.config
        if config.precision == "fp16" and self.place.device == "cpu":
            raise ConfigError(f"{self.title}: fit.precision 'fp16' needs a GPU; use 'bf16' or 'no' on a CPU")
        return Accelerator(
            gradient_accumulation_steps=config.accumulate,
            mixed_precision=config.precision,
            cpu=self.place.device == "cpu",
        )

    def _epoch(
        self,
        accelerator: "Accelerator",
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        epoch: int,
        advance: Callable[[int], None],
    ) -> float:
        """Train one epoch and return its mean loss; everything random depends on (seed, epoch) alone."""
        torch.manual_seed(derive_seed(self.place.seed, "", f"{self.title}/epoch/{epoch}"))
        loader = accelerator.prepare(self._loader(epoch))
        steps, total, count = len(loader), 0.0, 0
        model.train()
        for step, batch in enumerate(loader):
            window = step - step % self.config.accumulate  # one rate for the steps of one update
            set_rates(optimizer, self.config, (epoch * steps + window) / (self.config.epochs * steps))
            with accelerator.accumulate(model), accelerator.autocast():
                loss = self.loss(model, batch)
                accelerator.backward(loss)
                optimizer.step()
                optimizer.zero_grad()
            total, count = total + loss.item() * len(batch[0]), count + len(batch[0])
            advance(len(batch[0]))
        return total / max(count, 1)

    def _loader(self, epoch: int) -> DataLoader[tuple[Tensor, ...]]:
        order = generator_for(self.place.seed, "", f"{self.title}/order/{epoch}")
        return DataLoader(
            _EpochView(self.data, epoch),
            batch_size=self.config.batch_size,
            shuffle=True,
            generator=order,
            num_workers=self.config.loader_workers,
            collate_fn=self.collate,
        )

    @property
    def _state_path(self) -> Path:
        return self.place.folder / "state.pt"

    @property
    def _settings(self) -> dict[str, Any]:
        """Return what the weights depend on; the number of loader processes is no part of it."""
        settings = {**asdict(self.config), "seed": self.place.seed}
        del settings["loader_workers"]
        return settings

    def _resume(self, optimizer: torch.optim.Optimizer) -> tuple[int, list[dict[str, Any]]]:
        if not self._state_path.exists():
            return 0, []
        state = load_state(self._state_path)
        if state.get("settings") != self._settings:
            raise CheckpointError(f"{self._state_path}: made with other settings; delete it to train from the start")
        load_into(self.model, state["model"], str(self._state_path))
        optimizer.load_state_dict(state["optimizer"])
        return int(state["epoch"]), list(state["records"])

    def _save(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, epoch: int, records: list[dict[str, Any]]
    ) -> None:
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "epoch": epoch}
        save_state(self._state_path, {**state, "records": records, "settings": self._settings})
        lines = "".join(json.dumps(record) + "\n" for record in records)
        write_bytes(self.place.folder / "metrics.jsonl", lines.encode())


class _EpochView(Dataset[tuple[Tensor, ...]]):
    """One epoch's examples."""

    def __init__(self, data: EpochData, epoch: int) -> None:
        self.data, self.epoch = data, epoch

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int) -> tuple[Tensor, ...]:
        return self.data.load(index, self.epoch)


def _return_memory() -> None:
    """Give freed memory back to the system where the C library can (glibc); it would stay with this process."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)


def build_optimizer(model: nn.Module, config: FitConfig) -> torch.optim.Optimizer:
    """Return an optimiser with two groups a part, with and without weight decay.

    Parts are backbone, head, and those of the model's ``rate_factors``, if any: multiples of the head's rate.
    """
    groups = []
    further: dict[str, float] = getattr(model, "rate_factors", {})
    factors = {"backbone.": 1.0, **{part: config.head_lr_factor * f for part, f in {"head.": 1.0, **further}.items()}}
    for part, factor in factors.items():
        named = [(n, p) for n, p in model.named_parameters() if n.startswith(part) and p.requires_grad]
        for decays in (True, False):
            members = [p for _, p in named if (p.ndim > 1) == decays]
            groups.append({"params": members, "factor": factor, "weight_decay": config.weight_decay if decays else 0.0})
    if config.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=config.lr)
    return torch.optim.SGD(groups, lr=config.lr, momentum=config.momentum)


def set_rates(optimizer: torch.optim.Optimizer, config: FitConfig, progress: float) -> None:
    """Set each group's learning rate to ``lr * factor * (1 - progress)^poly_power`` for progress in [0, 1)."""
    for group in optimizer.param_groups:
        group["lr"] = config.lr * group["factor"] * (1 - progress) ** config.poly_power

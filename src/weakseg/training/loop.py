"""The one training loop: plain PyTorch, with accelerate for devices, precision and accumulation; resumable."""

import ctypes
import gc
import json
import math
import sys
import time
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from weakseg.crew import ALONE, Crew
from weakseg.errors import ConfigError
from weakseg.files import write_bytes
from weakseg.pipeline.ledger import STATE_FILE
from weakseg.progress import track
from weakseg.rng import derive_seed, generator_for
from weakseg.settings.counted import CHANGES_NOTHING
from weakseg.settings.fit import FitConfig
from weakseg.training.batches import Batching, Collate, EpochData, epoch_loader
from weakseg.training.optimizers import build_optimizer, freeze_levels, set_norms
from weakseg.training.portions import add_gradients, mean_statistics, part_of, share_norms
from weakseg.training.schedules import Course, plan_course, rate_share, set_rates
from weakseg.training.state import Kept, Progress, StateFile, share_state
from weakseg.whole import sharing

if TYPE_CHECKING:
    from accelerate import Accelerator

Records = list[dict[str, Any]]
MOST_SAVED = 50  # states of a training, about
Loss = Callable[[nn.Module, list[Tensor]], Tensor | tuple[Tensor, Any]]


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
class StepDone:
    """A batch has been learned from.

    Attributes:
        epoch: From 0.
        step: From 0, within the epoch.
        indices: Of the examples, in the data; where several processes share the batch those that are here.
        batch: Their tensors, where the model is.
        loss: Of the whole batch.
        extra: What the loss function returned beside it.
    """

    epoch: int
    step: int
    indices: tuple[int, ...]
    batch: list[Tensor]
    loss: float
    extra: Any = None


@dataclass(frozen=True)
class EpochDone:
    """All batches of an epoch have been learned from; its state, if it is saved, is when the next moment is asked for.

    Attributes:
        epoch: From 0.
        loss: Mean over its examples.
        records: One of each epoch so far; what is added to the last one before the next moment is kept with it.
    """

    epoch: int
    loss: float
    records: tuple[dict[str, Any], ...]


Moments = Generator[StepDone | EpochDone, None, Records]


@dataclass(frozen=True)
class Fit:
    """What is trained, on what, and where it is kept.

    Attributes:
        model: Its parameters are under ``backbone``, ``head`` and the parts that its ``rate_factors`` name.
        data: The examples.
        loss: From model and batch to a scalar, or to a scalar and whatever else ``moments`` shall tell.
        config: Optimisation.
        place: Folder, seed and device.
        title: For progress, and to tell its random numbers from another fit's.
        collate: Joins examples to a batch whose first tensor has one row an example; ``None``: all are stacked.
        crew: The processes that train together. Each gets a part of each batch, as even as it can be, and the gradient
            is that of the whole batch: of losses that are means over examples, or divide by ``whole_count``. Of a loss
            that does neither, such as Mask R-CNN's, it is the mean over examples of those of the parts. The first
            process alone writes.
    """

    model: nn.Module
    data: EpochData
    loss: Loss
    config: FitConfig
    place: FitPlace
    title: str = "train"
    collate: Collate | None = None
    crew: Crew = ALONE

    def run(self) -> Records:
        """Train to the last epoch, starting where an interrupted call stopped; return one record an epoch.

        Raises:
            CheckpointError: If the folder holds the state of other settings, or of another model.
            ConfigError: If a parameter would not learn, or the loss is no longer finite; the epochs before are kept.
        """
        return drained(self.moments())

    def moments(self, kept: Kept | None = None) -> Moments:
        """Train as ``run`` does, and pause after each step and each epoch; return one record an epoch.

        Between moments weights may be read and evaluated, but torch's global generator must not be drawn from.

        Args:
            kept: What the caller accumulates. Its state is saved with that of each epoch and restored on resuming.

        Raises:
            CheckpointError: As ``run``, or if the folder holds no state that ``kept`` takes.
            ConfigError: As ``run``.
        """
        set_norms(self.model, self.config)
        freeze_levels(self.model, self.config.frozen_levels)
        share_norms(self.model, self.place.device, self.crew)
        accelerator, optimizer = self._accelerator(), build_optimizer(self.model, self.config)
        course = plan_course(self.config, len(self.data))
        file = StateFile(self.place.folder / STATE_FILE, self._settings)
        start, records = self._begun(file, Progress(self.model, optimizer, 0, [], accelerator.scaler), kept)
        model, optimizer = accelerator.prepare(self.model, optimizer)
        tools = _Tools(accelerator, model, optimizer, course)
        examples = [self._examples_of(course, epoch) for epoch in range(course.num_epochs)]
        with track(self.title, sum(examples), done=sum(examples[:start])) as advance:
            for epoch in range(start, course.num_epochs):
                begun = time.monotonic()
                loss = yield from self._epoch(tools, epoch, advance)
                if not math.isfinite(loss):
                    raise ConfigError(
                        f"{self.title}: the loss of epoch {epoch + 1} is {loss}; "
                        f"lower fit.lr, which is {self.config.lr}"
                    )
                records.append({"epoch": epoch + 1, "loss": loss, "seconds": time.monotonic() - begun})
                yield EpochDone(epoch, loss, tuple(records))
                if self.crew.leads and is_saved(epoch, course.num_epochs):
                    trained = accelerator.unwrap_model(model)
                    file.save(Progress(trained, optimizer, epoch + 1, records, accelerator.scaler), kept)
                    self._write_metrics(records)
        _return_memory()
        return records

    def _begun(self, file: StateFile, progress: Progress, kept: Kept | None) -> tuple[int, Records]:
        """Restore what an earlier call has done, in all processes; return how many epochs, and their records."""
        if self.crew.leads:
            done, records = file.load(progress.model, progress.optimizer, kept, progress.scaler)
            self._write_metrics(records)  # an earlier call may have ended between state and metrics
            progress = progress._replace(epoch=done, records=records)
        return share_state(progress, kept, self.crew)

    def _epoch(
        self, tools: "_Tools", epoch: int, advance: Callable[[int], None]
    ) -> Generator[StepDone | EpochDone, None, float]:
        """Train one epoch and return its mean loss; everything random depends on (seed, epoch) alone.

        Dropout also depends on the process: each has other examples.
        """
        other = f"/{self.crew.rank}" if self.crew.follows else ""
        torch.manual_seed(derive_seed(self.place.seed, "", f"{self.title}/epoch/{epoch}{other}"))
        accelerator, model, optimizer, course = tools
        total, count = 0.0, 0
        for step, (batch, indices) in enumerate(accelerator.prepare(self._loader(course, epoch))):
            model.train()
            examples, share = self._share(course, epoch, step)
            rate = rate_share(self.config.schedule, course, course.update_of(epoch, step))
            set_rates(optimizer, self.config.lr, rate)  # one rate for the steps of one update
            with accelerator.accumulate(model), accelerator.autocast(), sharing(self.crew, share):
                found = self.loss(model, batch)
                loss, extra = found if isinstance(found, tuple) else (found, None)
                accelerator.backward(loss * share if self.crew.size > 1 else loss)
                if accelerator.sync_gradients:
                    add_gradients(model.parameters(), self.crew)
                    if self.config.clip_norm:
                        accelerator.clip_grad_norm_(model.parameters(), self.config.clip_norm)
                optimizer.step()
                optimizer.zero_grad()
            value = loss.item() if self.crew.size == 1 else self.crew.sum(loss.detach().double() * share).item()
            total, count = total + value * examples, count + examples
            advance(examples)
            if share:
                yield StepDone(epoch, step, tuple(indices), batch, value, extra)
        mean_statistics(model, self.crew)
        return total / max(count, 1)

    def _share(self, course: Course, epoch: int, step: int) -> tuple[int, float]:
        """Return how many examples a batch has, and which share of them is here."""
        size = self.config.batch_size
        examples = min(size, self._examples_of(course, epoch) - step * size)
        begin, end = part_of(examples, self.crew)
        return examples, (end - begin) / examples

    def _write_metrics(self, records: Records) -> None:
        lines = "".join(json.dumps(record) + "\n" for record in records)
        write_bytes(self.place.folder / "metrics.jsonl", lines.encode())

    def _loader(self, course: Course, epoch: int) -> Any:
        config, order = self.config, generator_for(self.place.seed, "", f"{self.title}/order/{epoch}")
        batching = Batching(course.steps_of(epoch), config.batch_size, config.loader_workers, self.collate, self.crew)
        return epoch_loader(self.data, epoch, batching=batching, generator=order)

    def _examples_of(self, course: Course, epoch: int) -> int:
        return min(len(self.data), course.steps_of(epoch) * self.config.batch_size)

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

    @property
    def _settings(self) -> dict[str, Any]:
        """Return what the weights depend on."""
        counted = {name: value for name, value in asdict(self.config).items() if name not in CHANGES_NOTHING}
        return {**counted, "seed": self.place.seed}


def is_saved(epoch: int, num_epochs: int) -> bool:
    """Return whether the state is saved after an epoch, from 0: after each, of many after every fiftieth part."""
    return epoch + 1 == num_epochs or (epoch + 1) % max(1, num_epochs // MOST_SAVED) == 0


def drained(moments: Moments, see: Callable[[StepDone | EpochDone], None] | None = None) -> Records:
    """Train on to the end, from wherever the moments stand; return one record an epoch.

    Args:
        moments: Of a fit.
        see: Gets each moment that is left.
    """
    while True:
        try:
            moment = next(moments)
            if see:
                see(moment)
        except StopIteration as end:
            records: Records = end.value
            return records


class _Tools(NamedTuple):
    """What all epochs of a fit use."""

    accelerator: "Accelerator"
    model: nn.Module
    optimizer: torch.optim.Optimizer
    course: Course


def _return_memory() -> None:
    """Give freed memory back to the system where the C library can (glibc); it would stay with this process."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if sys.platform == "linux" else None
    if trim:
        trim(0)

"""Runs a plan in a run folder: finished steps are skipped, interrupted ones go on, failures are gathered."""

import csv
import io
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from weakseg.errors import ConfigError
from weakseg.files import write_bytes
from weakseg.pipeline.engine import default_workers
from weakseg.pipeline.memory import PeakMemory
from weakseg.pipeline.plan import Failure, Step, StepContext, check_plan
from weakseg.pipeline.store import LAYOUT_VERSION, MANIFEST, Store, hash_of

FAILURES_FILE = "failures.csv"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out; none of it changes a result.

    Attributes:
        workers: Processes for work on single images; 0: one for each core.
        device: ``auto`` (a GPU where there is one), ``cpu`` or ``cuda``.
    """

    workers: int = 0
    device: str = "auto"

    def resolve(self) -> "RunOptions":
        """Return the options with ``auto`` and 0 replaced by what they mean here; a GPU is used by one process."""
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"device: 'auto', 'cpu' or 'cuda', got {self.device!r}")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ConfigError("device: 'cuda' was asked for, but torch sees no GPU; see weakseg doctor")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("WORLD_SIZE: this is one process with its own workers; start it once, without a launcher")
        device = "cuda" if self.device != "cpu" and torch.cuda.is_available() else "cpu"
        return RunOptions(1 if device == "cuda" else self.workers or default_workers(), device)


def step_keys(steps: Sequence[Step], content_key: str) -> dict[str, str]:
    """Return the key of each step: a hash of its name, its settings, the keys of what it needs, and the data.

    Steps of two plans that have the same key make the same products.

    Raises:
        ConfigError: If the plan does not fit together.
    """
    check_plan(steps)
    keys: dict[str, str] = {}
    for step in steps:
        inputs = {name: keys[name] for name in step.needs}
        keys[step.name] = hash_of([LAYOUT_VERSION, step.name, step.settings, inputs, content_key])
    return keys


def step_folders(steps: Sequence[Step], store: Store, content_key: str) -> dict[str, Path]:
    """Return where ``run_plan`` puts the products of each step.

    Raises:
        ConfigError: If the plan does not fit together.
    """
    return {name: store.folder_of(name, key) for name, key in step_keys(steps, content_key).items()}


def run_plan(
    steps: Sequence[Step],
    store: Store,
    content_key: str,
    options: RunOptions,
    *,
    failures: Sequence[Failure] = (),
) -> list[Failure]:
    """Carry out all steps in order, and return every image that failed in any of them.

    Args:
        steps: The plan; checked first.
        store: The run folder.
        content_key: Hash of the data; part of every step's key.
        options: Processes and device, resolved.
        failures: What failed before, at intake.

    Raises:
        ConfigError: If the plan does not fit together.
        StoreError: If the folder holds products of other settings, or cannot be written.
    """
    keys = step_keys(steps, content_key)
    found = list(failures)
    write_failures(store.folder, found)
    for step in steps:
        found += _run_step(step, store, keys, options)
        write_failures(store.folder, found)
    return found


def _run_step(step: Step, store: Store, keys: Mapping[str, str], options: RunOptions) -> list[Failure]:
    folder, manifest = store.open_step(step.name, keys[step.name], step.settings)
    if manifest["complete"] and not step.repeat:
        logger.info("%s: done before", step.name)
        return [Failure(**failure) for failure in manifest["summary"]["failures"]]
    inputs = {name: store.folder_of(name, keys[name]) for name in step.needs}
    resumed = not step.repeat and any(path.name != MANIFEST for path in folder.iterdir())
    begun = time.monotonic()
    with PeakMemory() as memory:
        result = step.work(StepContext(folder, inputs, options.workers, options.device))
    seconds = time.monotonic() - begun
    failures = [replace(failure, step=step.name) for failure in result.failures]
    measured = {"seconds": seconds, "peak_mb": memory.peak_mb, "resumed": resumed, "workers": options.workers}
    listed = [asdict(failure) for failure in failures]
    store.finish_step(step.name, manifest, {**result.summary, **measured, "failures": listed})
    logger.info("%s: done in %.1f s%s", step.name, seconds, _figures(result.summary))
    return failures


def _figures(summary: Mapping[str, object]) -> str:
    shown = [f"{name} {value:.2f}" for name, value in summary.items() if isinstance(value, float)]
    return ", " + ", ".join(shown) if shown else ""


def read_failures(folder: Path) -> list[Failure]:
    """Return the failures that a run folder lists."""
    path = folder / FAILURES_FILE
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [Failure(row["image"], row["step"], row["reason"]) for row in csv.DictReader(file)]


def write_failures(folder: Path, failures: Sequence[Failure]) -> None:
    """Write ``failures.csv``: image, step and reason of each."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image", "step", "reason"])
    writer.writerows([failure.image_id, failure.step, failure.reason] for failure in failures)
    write_bytes(folder / FAILURES_FILE, text.getvalue().encode())

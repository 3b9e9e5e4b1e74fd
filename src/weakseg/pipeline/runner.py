"""Runs a plan in a run folder: finished steps are skipped, interrupted ones go on, failures are gathered."""

import csv
import io
import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from weakseg.files import noting, write_bytes
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.memory import PeakMemory
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Step, StepContext
from weakseg.pipeline.store import MANIFEST, Store

FAILURES_FILE = "failures.csv"

logger = logging.getLogger(__name__)


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
    products: dict[str, Mapping[str, Any]] = {}
    for step in steps:
        manifest = _run_step(step, store, keys, products, options)
        products[step.name] = manifest["products"]
        found += [Failure(**failure) for failure in manifest["summary"]["failures"]]
        write_failures(store.folder, found)
    return found


def _run_step(
    step: Step,
    store: Store,
    keys: Mapping[str, str],
    products: Mapping[str, Mapping[str, Any]],
    options: RunOptions,
) -> Mapping[str, Any]:
    """Do what is left of a step, and return its manifest; ``products`` are those of the steps before."""
    seen = {name: products[name]["digest"] for name in step.needs}
    first = {name: products[name].get("grown_from", digest) for name, digest in seen.items()}
    folder, manifest = store.open_step(step.name, keys[step.name], step.settings, first if step.work.apart else seen)
    if manifest["complete"] and not step.repeat:
        if not (why := _why_more(manifest, seen)):
            logger.info("%s: done before", step.name)
            return manifest
        logger.info("%s: done before, but %s", step.name, why)
        manifest = store.reopen_step(step.name, manifest)
    resumed = not step.repeat and any(path.name != MANIFEST for path in folder.iterdir())
    context = StepContext(
        folder, {n: store.folder_of(n, keys[n]) for n in step.needs}, options.engine(), options.device
    )
    begun = time.monotonic()
    with PeakMemory() as memory, noting() as written:
        result = step.work.run(context)
    seconds = time.monotonic() - begun
    ledger = Ledger(folder)
    ledger.add(written)
    failures = [asdict(replace(failure, step=step.name)) for failure in result.failures]
    measured = {"seconds": seconds, "peak_mb": memory.peak_mb, "resumed": resumed, "workers": options.workers}
    summary = {**result.summary, **measured}
    if not step.repeat and manifest.get("products", {}).get("digest") == ledger.digest:
        summary = manifest["summary"]  # which has measured the first time
    finished = store.finish_step(step.name, {**manifest, "seen": seen}, {**summary, "failures": failures})
    logger.info("%s: done in %.1f s%s", step.name, seconds, _figures(result.summary))
    return finished


def _why_more(manifest: Mapping[str, Any], seen: Mapping[str, str]) -> str:
    """Return why a complete step may make more than it has; empty where it cannot."""
    names = [failure["image_id"] for failure in manifest["summary"]["failures"] if failure.get("passing")]
    if names:
        return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "") + " failed for a while"
    return "steps before have done more images since" if manifest.get("seen", seen) != seen else ""


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

"""Runs a plan in a run folder: finished steps are skipped, interrupted ones go on, failures are gathered."""

import csv
import io
import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from weakseg.errors import StoreError, cut
from weakseg.files import noting, write_bytes, write_json
from weakseg.pipeline.earlier import ASIDE_FOLDER
from weakseg.pipeline.keys import NOTHING as NO_KEYS
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.manifests import MANIFEST, differences
from weakseg.pipeline.memory import PeakMemory
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Step, StepContext, steps_until
from weakseg.pipeline.shard_records import take_shards
from weakseg.pipeline.shared import done_by_all, end_of_plan
from weakseg.pipeline.store import Store
from weakseg.progress import duration
from weakseg.settings.counted import CHANGES_NOTHING, FILES

FAILURES_FILE = "failures.csv"
NOTHING: Mapping[str, Mapping[str, Any]] = MappingProxyType({})
ANEW = "made anew"
LITTLE_ROOM = 1_000_000_000
"""Bytes; the state of one training may take as much."""

logger = logging.getLogger(__name__)


def step_folders(
    steps: Sequence[Step], store: Store, content_key: str, *, known: Mapping[str, str] = NO_KEYS
) -> dict[str, Path]:
    """Return where ``run_plan`` puts the products of each step; ``known`` are keys of some.

    Raises:
        ConfigError: If the plan does not fit together.
    """
    return {name: store.folder_of(name, key) for name, key in step_keys(steps, content_key, known=known).items()}


def run_plan(
    steps: Sequence[Step],
    store: Store,
    content_key: str,
    options: RunOptions,
    *,
    failures: Sequence[Failure] = (),
    told: Mapping[str, Mapping[str, Any]] = NOTHING,
) -> list[Failure]:
    """Carry out all steps in order, and return every image that failed in any of them.

    A step whose products are there, of the same key, is not done again; products of other keys are put aside first.

    Args:
        steps: The plan; checked first.
        store: The run folder.
        content_key: Hash of the data; part of every step's key.
        options: Processes and device, resolved; and the step that it ends with.
        failures: What failed before, at intake.
        told: JSON files of the run folder that say what the products are made with, by name; written when there are
            no products of anything else.

    Raises:
        ConfigError: If the plan does not fit together.
        StoreError: If the folder cannot be written, or holds files of unknown origin.
    """
    begun = time.monotonic()
    keys = step_keys(steps, content_key)
    _settle(steps, store, keys, told)
    found = list(failures)
    write_failures(store.folder, found)
    for listed in store.folder.glob("failures-*-of-*.csv"):
        listed.unlink(missing_ok=True)  # of shards: what they could not do is tried again
    products: dict[str, Mapping[str, Any]] = {}
    wanted = {step.name for step in steps_until(steps, options.until)}
    for number, step in enumerate((step for step in steps if step.name in wanted), 1):
        logger.info("step %d of %d, %s since the start", number, len(wanted), duration(time.monotonic() - begun))
        manifest = _run_step(step, store, keys, products, options)
        products[step.name] = manifest["products"]
        found += [Failure(**failure) for failure in manifest["summary"]["failures"]]
        write_failures(store.folder, found)
    end_of_plan()
    logger.info("all %d steps done in %s", len(wanted), duration(time.monotonic() - begun))
    return found


def _settle(
    steps: Sequence[Step], store: Store, keys: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]
) -> None:
    """Put aside what the plan does not want, say what the plan is, and write the files of ``told``."""
    changes = {name: store.changes(name, value, besides=CHANGES_NOTHING | FILES) for name, value in told.items()}
    aside = store.make_room(keys)
    for name, value in told.items():
        if changes[name] and aside:
            more = f"; and {len(changes[name]) - 5} more" if len(changes[name]) > 5 else ""
            logger.info("%s: changed: %s%s", store.folder / name, "; ".join(changes[name][:5]), more)
        write_json(store.folder / name, value)
    if (free := shutil.disk_usage(store.folder).free) < LITTLE_ROOM:
        logger.warning(
            "%s: %.1f MB are free on its disk; should it fill, the run ends, and goes on when there is room",
            store.folder, free / 1e6,
        )  # fmt: skip
    logger.info("plan of %d steps:", len(steps))
    states: dict[str, str] = {}
    for number, step in enumerate(steps, 1):
        states[step.name] = _state(step, store.state_of(step.name, keys[step.name]), aside.get(step.name), states)
        logger.info("  %d. %s: %s", number, step.name, states[step.name])
    if aside:
        took = sum(_seconds(aside.get(step.name)) for step in steps)
        logger.info("that took %s before; what was made is kept in %s", duration(took), store.folder / ASIDE_FOLDER)


def _seconds(manifest: Mapping[str, Any] | None) -> float:
    """Return what a step took, as far as that is known."""
    return float((manifest or {}).get("summary", {}).get("seconds", 0.0))


def _state(step: Step, state: str, before: Mapping[str, Any] | None, states: Mapping[str, str]) -> str:
    """Return what will be done of a step: ``state`` as its folder tells, ``before`` is what was put aside for it."""
    if step.repeat:
        return "in every run"
    if state or before is None:
        return state or "to do"
    changed = differences(before.get("settings"), step.settings)
    after = [name for name in step.needs if states[name].startswith(ANEW)]
    if changed:
        return f"{ANEW}: {'; '.join(changed[:3])}" + (f"; and {len(changed) - 3} more" if len(changed) > 3 else "")
    return f"{ANEW}, because " + (f"{' and '.join(after)} is" if after else "images, labels or the program are others")


def _run_step(
    step: Step,
    store: Store,
    keys: Mapping[str, str],
    products: Mapping[str, Mapping[str, Any]],
    options: RunOptions,
) -> Mapping[str, Any]:
    """Do what is left of a step, and return its manifest; ``products`` are those of the steps before."""
    store.check_there()
    seen = {name: products[name]["digest"] for name in step.needs}
    first = {name: products[name].get("grown_from", digest) for name, digest in seen.items()}
    inputs = {n: store.folder_of(n, keys[n]) for n in step.needs}
    take_shards(store.folder_of(step.name, keys[step.name]), first, inputs)
    folder, manifest = store.open_step(step.name, keys[step.name], step.settings, first if step.work.apart else seen)
    if manifest["complete"] and not step.repeat:
        if not (why := _why_more(manifest, seen)):
            logger.info("%s: done before", step.name)
            return manifest
        logger.info("%s: done before, but %s", step.name, why)
        manifest = store.reopen_step(step.name, manifest)
    resumed = not step.repeat and any(path.name != MANIFEST for path in folder.iterdir())
    context = StepContext(folder, inputs, options.make_engine(), options.device)
    begun = time.monotonic()
    with PeakMemory() as memory, noting(folder) as written:
        result = done_by_all(step, context)
    seconds = time.monotonic() - begun
    store.check_there()
    ledger = Ledger(folder)
    ledger.add(written)
    failures = [asdict(replace(failure, step=step.name)) for failure in result.failures]
    measured = {"seconds": seconds, "peak_mb": memory.peak_mb, "resumed": resumed, "workers": options.workers}
    summary = {**result.summary, **measured}
    if not step.repeat and manifest.get("products", {}).get("digest") == ledger.digest:
        summary = manifest["summary"]  # which has measured the first time
    finished = store.finish_step(step.name, {**manifest, "seen": seen}, {**summary, "failures": failures})
    logger.info("%s: done in %s%s", step.name, duration(seconds), _figures(result.summary))
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
    try:
        with path.open(newline="", encoding="utf-8") as file:
            return [Failure(row["image"], row["step"], row["reason"]) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError, csv.Error) as error:
        raise StoreError(f"{path}: is no list of failures ({cut(error)}); delete it, the next run writes it") from error


def write_failures(folder: Path, failures: Sequence[Failure], name: str = FAILURES_FILE) -> None:
    """Write ``failures.csv``: image, step and reason of each."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["image", "step", "reason"])
    writer.writerows([failure.image_id, failure.step, failure.reason] for failure in failures)
    write_bytes(folder / name, text.getvalue().encode())

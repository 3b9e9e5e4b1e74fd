"""Does a share of a plan, beside others that do theirs: every step that is done image by image, as far as it goes."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from weakseg.errors import StoreError
from weakseg.files import noting, write_json
from weakseg.pipeline.keys import step_keys
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.manifests import MANIFEST, read_manifest
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import Failure, Step, StepContext, steps_until
from weakseg.pipeline.runner import FAILURES_FILE, NOTHING, write_failures
from weakseg.pipeline.shard_records import OWN, Record, all_have_finished, begin_share
from weakseg.pipeline.share import Share
from weakseg.pipeline.store import Store
from weakseg.settings.counted import CHANGES_NOTHING, FILES

WHOLE = "a run without --shard does it"
DECIDES = "decides something of all images"

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ShardResult:
    """What a shard has done.

    Attributes:
        failures: Images of its share that failed.
        done: Names of the steps that it has done its share of, now or before.
        left: Why each of the others was left, by name.
    """

    failures: Sequence[Failure]
    done: Sequence[str]
    left: Mapping[str, str]

    @property
    def text(self) -> str:
        """What was done, where it stopped, and what to do."""
        if not self.left:
            return f"its share of {', '.join(self.done)} is done; when all shards have ended, run it without --shard"
        shown = [f"  {name}: {why}" for name, why in self.left.items()]
        done = f"its share of {', '.join(self.done)} is done" if self.done else "nothing could be done of its share"
        again = "run them again, or " if any(DECIDES in why for why in self.left.values()) else ""
        return "\n".join([f"{done}; left:", *shown, f"when all shards have ended, {again}run it without --shard"])


def failures_of(folder: Path, share: Share | None) -> Path:
    """Return the list of failures of a run, or of a shard."""
    return folder / (f"failures-{share.name}.csv" if share else FAILURES_FILE)


def run_shard(
    steps: Sequence[Step],
    store: Store,
    content_key: str,
    options: RunOptions,
    *,
    failures: Sequence[Failure] = (),
    told: Mapping[str, Mapping[str, Any]] = NOTHING,
) -> ShardResult:
    """Do the share of ``options`` of each step that is done image by image, as far as what it needs is there.

    Nothing is put aside and nothing removed, for others work on the folder.

    Args:
        steps: The plan; checked first.
        store: The run folder, opened for the same share.
        content_key: As of ``run_plan``.
        options: Processes, device and share, resolved.
        failures: What failed before, at intake.
        told: As of ``run_plan``.

    Raises:
        ConfigError: If the plan does not fit together.
        StoreError: If the folder cannot be written, or holds products of other settings.
    """
    share = options.share
    assert share is not None
    keys = step_keys(steps, content_key)
    _check_settled(store, keys, told)
    work = _Shard(store, keys, options, share)
    for step in steps_until(steps, options.until):
        work.carry_out(step)
    found = [*failures, *work.failures]
    write_failures(store.folder, found, failures_of(store.folder, share).name)
    result = ShardResult(found, list(work.seen), work.left)
    logger.info("shard %s: %s", share, result.text)
    return result


def _check_settled(store: Store, keys: Mapping[str, str], told: Mapping[str, Mapping[str, Any]]) -> None:
    """Write what the folder is to say of itself; refuse one that a run of the whole would change."""
    changes = [change for n, v in told.items() for change in store.changes(n, v, besides=CHANGES_NOTHING | FILES)]
    if changes or store.would_move(keys):
        why = "; ".join(changes[:5]) or "of steps"
        raise StoreError(
            f"{store.folder}: holds products of other settings or data ({why}); run it once without --shard, which "
            "puts them aside, or use a new --out folder"
        )
    for name, value in told.items():
        if not (store.folder / name).exists():
            write_json(store.folder / name, value)


@dataclass
class _Shard:
    """Goes through the steps, and remembers what each has left: all of it, or a share."""

    store: Store
    keys: Mapping[str, str]
    options: RunOptions
    share: Share
    seen: dict[str, str] = field(default_factory=dict)
    left: dict[str, str] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)

    def carry_out(self, step: Step) -> None:
        """Do the share of a step, or say why not."""
        folder = self.store.folder_of(step.name, self.keys[step.name])
        manifest = read_manifest(folder) if (folder / MANIFEST).exists() else None
        if manifest and manifest["complete"] and not step.repeat:
            self._take_complete(step, folder, manifest["products"])
        elif why := self._why_not(step, manifest):
            self.left[step.name] = why
        else:
            self._do(step, folder)

    def _take_complete(self, step: Step, folder: Path, products: Mapping[str, Any]) -> None:
        ledger = Ledger(folder)
        if ledger.digest != products["digest"] or ledger.unfit():
            self.left[step.name] = f"files are missing or damaged; {WHOLE} anew"
        else:
            self.seen[step.name] = products.get("grown_from", products["digest"])

    def _why_not(self, step: Step, manifest: Mapping[str, Any] | None) -> str:
        """Return why no share of a step can be done; empty where it can."""
        if missing := [name for name in step.needs if name not in self.seen]:
            return f"needs {' and '.join(missing)}"
        if step.work.share is None or step.repeat:
            return f"is done of all images at once; {WHOLE}, and then shards what comes after"
        parts = [name for name in step.needs if self.seen[name] == OWN]
        if step.work.decides and (others := [name for name in parts if not all_have_finished(self._folder(name))]):
            return f"{DECIDES}; run the shards again when all have done {' and '.join(others)}"
        if manifest and manifest.get("inputs", self._inputs(step)) != self._inputs(step):
            return f"was begun of other inputs; {WHOLE} anew"
        return ""

    def _folder(self, name: str) -> Path:
        return self.store.folder_of(name, self.keys[name])

    def _inputs(self, step: Step) -> dict[str, str]:
        """Return what is seen of the needed steps: digests of all their products, where these count."""
        found = {name: self.seen[name] for name in step.needs}
        if step.work.decides:
            found |= {name: Ledger(self._folder(name)).digest for name, seen in found.items() if seen == OWN}
        return found

    def _do(self, step: Step, folder: Path) -> None:
        assert step.work.share is not None
        self.store.check_there()
        inputs, needs = self._inputs(step), {name: self._folder(name) for name in step.needs}
        self.store.begin_step(step.name, self.keys[step.name], step.settings)
        begin_share(folder, self.share, inputs, needs)
        context = StepContext(folder, needs, self.options.make_engine(), self.options.device)
        with noting(folder) as written:
            found = step.work.share(context, self.share)
        self.store.check_there()
        Ledger(folder, self.share).add(written)
        failures = [replace(failure, step=step.name) for failure in found]
        Record(inputs, True, failures).write(folder, self.share)
        self.failures += failures
        self.seen[step.name] = OWN

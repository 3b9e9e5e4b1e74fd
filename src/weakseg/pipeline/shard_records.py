"""What shards have written of a step, and of what: a run of the whole takes it, where it was made of what is there."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from weakseg.errors import StoreError
from weakseg.files import read_json_object, write_json
from weakseg.pipeline.ledger import TAKEN, Ledger, ledger_of, ledgers_of_shards, read_ledger
from weakseg.pipeline.manifests import MANIFEST, read_manifest
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.share import SHARDS_FOLDER, Share

OWN = ""
"""Stands for the digest of a step of which a shard has seen its own share alone."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Record:
    """What a shard says of a step.

    Attributes:
        seen: Of each step that it needs the digest of the products, or ``OWN``.
        finished: Whether its share is done, but for failures.
        failures: Images of its share that failed.
    """

    seen: Mapping[str, str]
    finished: bool = False
    failures: Sequence[Failure] = field(default=())

    def write(self, folder: Path, share: Share) -> None:
        """Write it into a step's folder."""
        write_json(_path(folder, share.name), asdict(self))


def read_record(folder: Path, name: str) -> Record | None:
    """Return what the shard of a name says; ``None`` where it says nothing, or nothing that can be read."""
    path = _path(folder, name)
    try:
        value = read_json_object(path) if path.exists() else {}
        return Record(dict(value["seen"]), bool(value["finished"]), [Failure(**one) for one in value["failures"]])
    except (StoreError, KeyError, TypeError, ValueError):
        return None


def all_have_finished(folder: Path) -> bool:
    """Return whether each shard of some number of them has done its share of a step."""
    names = [path.stem for path in (folder / SHARDS_FOLDER).glob("*.json")]
    done = {name for name in names if (record := read_record(folder, name)) and record.finished}
    totals = {name.rpartition("-of-")[2] for name in done}
    return any({share.name for share in Share(1, int(total)).all} <= done for total in totals if total.isdecimal())


def fits(seen: Mapping[str, str], inputs: Mapping[str, str], needs: Mapping[str, Path]) -> bool:
    """Return whether what a shard has seen of the needed steps is what they hold now.

    Args:
        seen: Of its record.
        inputs: Digests of what they hold, or ``OWN`` where they are not complete.
        needs: Their folders.
    """
    return all(_fits(seen.get(name), digest, needs[name]) for name, digest in inputs.items())


def _fits(seen: str | None, now: str, folder: Path) -> bool:
    if seen == now:
        return True
    if seen is None or (seen != OWN and seen != read_manifest(folder).get("shared")):
        return False
    held = Ledger(folder).files
    paths = [*ledgers_of_shards(folder), *(folder / SHARDS_FOLDER).glob(f"*{TAKEN}")]
    lines = (line for path in paths for line in read_ledger(path, folder).items())
    return all(name in held and held[name].digest == each.digest for name, each in lines)


def drop_share(folder: Path, name: str) -> None:
    """Remove what the shard of a name has made of a step, unless others have made it too."""
    path = folder / SHARDS_FOLDER / f"{name}.jsonl"
    made = read_ledger(path, folder)
    path.unlink(missing_ok=True)
    _path(folder, name).unlink(missing_ok=True)
    others = Ledger(folder).files
    for each in (each for file, each in made.items() if file not in others):
        Path(each.path).unlink(missing_ok=True)


def take_shards(folder: Path, inputs: Mapping[str, str], needs: Mapping[str, Path]) -> None:
    """Enter what shards have made of a step into its ledger; what was made of other inputs is removed.

    Args:
        folder: Of the step; nobody else works on it.
        inputs: Digests of what the needed steps hold, which are complete.
        needs: Their folders.
    """
    if not (folder / MANIFEST).exists():
        return
    manifest, ledgers = read_manifest(folder), ledgers_of_shards(folder)
    if not ledgers and (manifest["complete"] or "inputs" in manifest):
        return
    for name in (path.stem for path in ledgers):
        record = read_record(folder, name)
        if record is None or not fits(record.seen, inputs, needs):
            logger.warning("%s: what shard %s made of other inputs is made anew", folder, name)
            drop_share(folder, name)
    ledger = Ledger(folder)
    if len(ledger):
        logger.info("%s: %d files of shards are taken", folder.name, len(ledger))
    taken: dict[str, Any] = {"inputs": dict(inputs), **manifest, **({"shared": ledger.close()} if len(ledger) else {})}
    write_json(folder / MANIFEST, taken)


def begin_share(folder: Path, share: Share, seen: Mapping[str, str], needs: Mapping[str, Path]) -> None:
    """Write what a shard is about to work of; what it made of other inputs before is removed."""
    before = read_record(folder, share.name)
    if (before is None and ledger_of(folder, share).exists()) or (before and not fits(before.seen, seen, needs)):
        drop_share(folder, share.name)
    Record(dict(seen)).write(folder, share)


def _path(folder: Path, name: str) -> Path:
    return folder / SHARDS_FOLDER / f"{name}.json"

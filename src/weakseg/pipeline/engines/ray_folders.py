"""Whether all machines of a Ray cluster see a folder, and run the same weakseg."""

import secrets
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from weakseg.errors import ConfigError, OutputError
from weakseg.files import TEMPORARY_PREFIX, owner
from weakseg.version import __version__

PATIENCE_S = 10.0  # in which a shared file system shows what another machine has written
CONTRACT = "all machines of a cluster need the data and the run folder at the same path, on a file system they share"

_seen: set[tuple[str, str]] = set()


def check_folder_of_all(folder: Path) -> None:
    """Refuse a folder that some machine of the cluster does not see, by a small file that each reads and answers.

    Raises:
        ConfigError: If one does not, or runs another version of weakseg; says which.
        OutputError: If the folder cannot be written.
    """
    import ray

    place = folder.resolve()
    here = ray.get_runtime_context().get_node_id()
    others = {node["NodeID"]: node for node in ray.nodes() if node["Alive"] and node["NodeID"] != here}
    others = {name: node for name, node in others.items() if (name, str(place)) not in _seen}
    if not others:
        return
    token = secrets.token_hex(8)
    probe = place / f"{TEMPORARY_PREFIX}{owner()}-{token}"
    try:
        probe.write_text(token)
        for name, answer in _asked(probe, token, others).items():
            _check_answer(place, probe, others[name], answer)
            _seen.add((name, str(place)))
    except OSError as error:
        raise OutputError(f"{folder}: cannot be written: {error.strerror}; choose another --out folder") from error
    finally:
        for path in (probe, *(_reply(probe, name) for name in others)):
            with suppress(OSError):
                path.unlink(missing_ok=True)


def _asked(probe: Path, token: str, nodes: Mapping[str, Any]) -> dict[str, tuple[str, str]]:
    """Return what each machine says of the small file: what is wrong, and its version of weakseg."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    task = ray.remote(num_cpus=0, max_retries=0)(answer_probe)
    calls = {
        name: task.options(scheduling_strategy=NodeAffinitySchedulingStrategy(name, soft=False)).remote(
            str(probe), token, str(_reply(probe, name))
        )
        for name in nodes
    }
    found = {}
    for name, call in calls.items():
        try:
            found[name] = ray.get(call, timeout=60)
        except ray.exceptions.RayError as error:
            found[name] = (f"it does not answer ({type(error).__name__}); is weakseg installed there?", __version__)
    return found


def answer_probe(probe: str, token: str, reply: str) -> tuple[str, str]:
    """Read the small file, write one beside it, and return what is wrong, and the version of weakseg."""
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            wrong = "" if Path(probe).read_text() == token else "it sees another file there"
            if not wrong:
                Path(reply).write_text(token)
            return wrong, __version__
        except OSError as error:
            if time.monotonic() > until:
                return f"it does not see the folder ({error.strerror})", __version__
            time.sleep(0.5)


def _check_answer(place: Path, probe: Path, node: Mapping[str, Any], answer: tuple[str, str]) -> None:
    machine = f"{node['NodeManagerHostname']} ({node['NodeManagerAddress']})"
    wrong, version = answer
    until = time.monotonic() + PATIENCE_S
    while not wrong and not _reply(probe, node["NodeID"]).exists():
        if time.monotonic() > until:
            wrong = "what it writes there is not seen here"
        time.sleep(0.1)
    if wrong:
        raise ConfigError(f"{place}: not shared with machine {machine}: {wrong}; {CONTRACT}")
    if version != __version__:
        raise ConfigError(f"machine {machine} has weakseg {version}, this one {__version__}; install the same")


def _reply(probe: Path, node: str) -> Path:
    return probe.with_name(f"{probe.name}-{node[:12]}")

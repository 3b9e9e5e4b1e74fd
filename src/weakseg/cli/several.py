"""A command as several processes, started by ``--gpus`` or a launcher: one speaks, and all end with an error of any."""

import logging
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence

from weakseg.cli.ends import (
    EXIT_ERROR,
    EXIT_INTERRUPTED,
    EXIT_OK,
    EXIT_TERMINATED,
    Terminated,
    drop_output,
    leave,
    say,
)
from weakseg.crew import Crew, crew, launched, work_alone
from weakseg.errors import ConfigError

TRAINING_VERBS = frozenset({"run", "compare", "train-segmenter", "train-instances"})
LOOK_S, PATIENCE_S = 0.2, 15.0

logger = logging.getLogger(__name__)


class SeveralWanted(Exception):
    """The command is to be started as several processes.

    Attributes:
        count: How many.
    """

    def __init__(self, count: int) -> None:
        super().__init__(f"{count} processes")
        self.count = count


def check_gpus(count: int, device: str) -> None:
    """Raise ``SeveralWanted`` if several GPUs are asked for, and this is the only process yet.

    Raises:
        ConfigError: If there are not so many, or a launcher has started another number of processes.
    """
    if count < 1:
        raise ConfigError(f"--gpus: 1 or more, got {count}")
    if count == 1:
        return
    if (joined := crew()).size > 1:
        if joined.size != count:
            raise ConfigError(f"--gpus {count}: a launcher has started {joined.size} processes; leave it out")
        return
    if device == "cpu":
        raise ConfigError(
            f"--gpus {count}: with --device cpu no GPU is used; leave one of them out. Processes without GPUs are "
            f"started by torchrun --nproc-per-node {count} -m weakseg ..."
        )
    from torch import cuda

    there = cuda.device_count()
    if there < count:
        named = ", ".join(cuda.get_device_name(number) for number in range(there))
        found = f"{there} here ({named}); ask for at most {there}" if there else "none here; see weakseg doctor"
        raise ConfigError(f"--gpus {count}: torch sees {found}")
    raise SeveralWanted(count)


def prepare(verb: str) -> Crew | None:
    """Let this process take its place among those that a launcher has started; ``None`` where it has nothing to do."""
    if (count := launched()) > 1 and verb not in TRAINING_VERBS:
        if os.environ.get("RANK") != "0":
            return None
        logger.info("%s: nothing is trained; one of %d processes works", verb, count)
        return work_alone()
    joined = crew()
    joined.watch(leave)
    if joined.follows:
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger("weakseg").setLevel(logging.ERROR)
        warnings.simplefilter("ignore")
        drop_output()
    return joined


def start(count: int, words: Sequence[str]) -> int:
    """Start a command as several processes of this machine, and return the exit code of the first, or of who failed.

    The processes find each other through this one, which ends them when it ends.
    """
    from torch.distributed import TCPStore  # type: ignore[attr-defined]

    store = TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    shared = {
        "WORLD_SIZE": str(count),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # this process has the store
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS") or str(max(1, (os.cpu_count() or 1) // count)),
    }
    command = [sys.executable, "-P", "-m", "weakseg", *words]  # whatever the working folder holds
    started: list[subprocess.Popen[bytes]] = []
    try:
        for rank in range(count):
            own = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
            started.append(subprocess.Popen(command, env={**os.environ, **shared, **own}))
        return _exit_code(started)
    except Terminated:
        return EXIT_TERMINATED
    except KeyboardInterrupt:  # from a terminal it reaches the others, too; they say what it means
        _wait(started)
        return EXIT_INTERRUPTED
    finally:
        _end(started)


def _exit_code(processes: Sequence["subprocess.Popen[bytes]"]) -> int:
    """Wait for all, or for one that fails and then a while for the others; return the exit code that counts."""
    while None in (codes := [process.poll() for process in processes]) and not any(codes):
        time.sleep(LOOK_S)
    codes = _wait(processes)
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            say(f"weakseg: process {rank} of {len(codes)} was ended by the system (signal {-code})")
    code = codes[0] or next((code for code in codes if code), EXIT_OK)
    return code if code >= 0 else EXIT_ERROR


def _wait(processes: Sequence["subprocess.Popen[bytes]"]) -> list[int | None]:
    """Wait for the end of all, but not for ever; return their exit codes."""
    deadline = time.monotonic() + PATIENCE_S
    while None in (codes := [process.poll() for process in processes]) and time.monotonic() < deadline:
        time.sleep(LOOK_S)
    return codes


def _end(processes: Sequence["subprocess.Popen[bytes]"]) -> None:
    """End what is left of some processes."""
    left = [process for process in processes if process.poll() is None]
    for process in left:
        process.send_signal(signal.SIGTERM)
    for process in left:
        try:
            process.wait(PATIENCE_S)
        except subprocess.TimeoutExpired:
            process.kill()


def told(joined: Crew | None, code: int, text: str) -> int:
    """Say why this process ends, unless another one has failed before; return the exit code."""
    if joined is None or joined.is_first_to_fail(code):
        say(text)
    return code


def ended(joined: Crew, code: int) -> int:
    """Return the exit code of a process that has done its part, once the first one is at its end, too."""
    joined.tell(code)
    joined.disband()
    return code

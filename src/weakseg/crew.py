"""The processes that one command was started as: the first leads, all of them train."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeVar

from weakseg.errors import ConfigError, WeaksegError

if TYPE_CHECKING:
    from torch import Tensor

Made = TypeVar("Made")

LAUNCHED = ("RANK", "WORLD_SIZE", "LOCAL_RANK")
_FURTHER = ("GROUP_RANK", "ROLE_RANK", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE", "ROLE_WORLD_SIZE")
WITHOUT_END = timedelta(days=365)  # the others wait while the first process works on images
TRAINING_STEP = timedelta(minutes=30)  # longer than any step of a training, or its saving, takes
LOOK_S, GRACE_S = 0.5, 1.0
_FAILED, _CODE = "weakseg/failed", "weakseg/code"


class TakenPartError(Exception):
    """A process that follows has taken part in a training: what comes after it is done by the first process alone."""


@dataclass(frozen=True)
class Crew:
    """The processes of a command, seen from one of them.

    Attributes:
        rank: Of this process; 0 leads: it alone plans, writes, reports and works on images.
        size: How many there are.
        local_rank: Of this process on its machine, and the number of its GPU.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0

    @property
    def leads(self) -> bool:
        """Whether this is the first process."""
        return self.rank == 0

    @property
    def follows(self) -> bool:
        """Whether this is one of the others."""
        return self.rank > 0

    def tell(self, value: Any = None) -> Any:
        """Return the value that the first process calls this with, in all processes; the others wait without limit.

        Raises:
            WeaksegError: If a process has ended meanwhile.
        """
        if self.size == 1:
            return value
        import torch.distributed as dist

        box = [value]
        with _peers():
            dist.broadcast_object_list(box, src=0, group=_group("cpu"))
        return box[0]

    def made_once(self, make: Callable[[], Made]) -> Made:
        """Return in all processes what the first one makes; the others wait."""
        found: Made = self.tell(make() if self.leads else None)
        return found

    def sum(self, values: "Tensor") -> "Tensor":
        """Replace values by their sums over all processes, and return them.

        Raises:
            WeaksegError: If a process has ended meanwhile.
        """
        return self._reduce(values, "SUM")

    def max(self, values: "Tensor") -> "Tensor":
        """Replace values by their maxima over all processes, and return them.

        Raises:
            WeaksegError: If a process has ended meanwhile.
        """
        return self._reduce(values, "MAX")

    def _reduce(self, values: "Tensor", operation: str) -> "Tensor":
        if self.size > 1:
            import torch.distributed as dist

            with _peers():
                dist.all_reduce(values, getattr(dist.ReduceOp, operation), group=_group(values.device.type))
        return values

    def group(self, device: str) -> Any:
        """Return torch's group of the processes for tensors of a kind of device."""
        return _group(device)

    def leave(self) -> None:
        """Raise ``TakenPartError`` in a process that follows."""
        if self.follows:
            raise TakenPartError

    def disband(self) -> None:
        """Part from the other processes; nothing is told or added up any more."""
        if self.size > 1:
            import torch.distributed as dist

            dist.destroy_process_group()

    def is_first_to_fail(self, code: int) -> bool:
        """Note that this process ends with an error, which the others end with; return whether no other one did."""
        if self.size == 1:
            return True
        with suppress(RuntimeError):  # the store ends with the launcher, which has told what there is to tell
            first = int(_store().add(_FAILED, 1)) == 1
            if first:
                _store().set(_CODE, str(code))
            return first
        return False

    def watch(self, end: Callable[[int], None]) -> None:
        """Call ``end`` with an exit code, from a thread, once another process has failed, or the launcher is gone."""
        if self.size > 1:
            _store()
            threading.Thread(target=_watch, args=(end,), name="weakseg-crew", daemon=True).start()


ALONE = Crew()
_current: Crew | None = None


def crew() -> Crew:
    """Return the processes of this command; those that a launcher has started are joined first.

    Raises:
        ConfigError: If the launcher does not say which process this is.
        WeaksegError: If the processes do not find each other.
    """
    global _current
    if _current is None:
        _current = _joined() if launched() > 1 else ALONE
    return _current


def launched() -> int:
    """Return how many processes a launcher has started that are not joined yet; 1 where none has."""
    text = os.environ.get("WORLD_SIZE") or "1"
    return int(text) if text.isdigit() else 1


def work_alone() -> Crew:
    """Let this process do without the others that a launcher has started beside it; return it."""
    global _current
    _current = ALONE
    _forget_launcher()
    return ALONE


def _joined() -> Crew:
    import torch.distributed as dist

    missing = [name for name in (*LAUNCHED[:2], "MASTER_ADDR", "MASTER_PORT") if not os.environ.get(name)]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE is {os.environ['WORLD_SIZE']}, but {', '.join(missing)} not set; start several processes by "
            "--gpus, torchrun or accelerate launch, or unset WORLD_SIZE"
        )
    rank, size = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
    try:
        store = _store()
        own = dist.PrefixStore("weakseg", store)  # type: ignore[attr-defined]
        dist.init_process_group("gloo", store=own, rank=rank, world_size=size)
        _group("cpu")
    except (RuntimeError, ValueError) as error:
        where = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
        raise WeaksegError(
            f"process {rank} of {size} on {socket.gethostname()} does not find the others at {where}: {error}"
        ) from error
    joined = Crew(rank, size, int(os.environ.get("LOCAL_RANK") or 0))
    _forget_launcher()
    return joined


def _forget_launcher() -> None:
    """Take out of the environment what says that there are several processes: workers and libraries are alone."""
    for name in [*LAUNCHED, *_FURTHER, *(name for name in os.environ if name.startswith("ACCELERATE_"))]:
        os.environ.pop(name, None)


@lru_cache(maxsize=1)
def _store() -> Any:
    """Return what the processes leave notes in; made at the first call, of what the launcher says."""
    from torch.distributed.rendezvous import rendezvous

    return next(iter(rendezvous("env://", timeout=TRAINING_STEP)))[0]


@lru_cache(maxsize=2)
def _group(device: str) -> Any:
    import torch.distributed as dist

    if device == "cpu":
        return dist.new_group(backend="gloo", timeout=WITHOUT_END)
    return dist.new_group(backend="nccl", timeout=TRAINING_STEP)


@contextmanager
def _peers() -> Iterator[None]:
    """Turn what is raised when another process has ended into an error that says so."""
    import torch

    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except RuntimeError as error:
        raise WeaksegError(
            f"another process of this command has ended ({str(error).splitlines()[0][:200]}); the same command goes on "
            "from what is finished"
        ) from error


def _watch(end: Callable[[int], None]) -> None:
    code = 2
    with suppress(RuntimeError):
        while not _store().check([_FAILED]):
            time.sleep(LOOK_S)
        time.sleep(GRACE_S)  # this process may be the one that tells
        code = int(_store().get(_CODE))
    time.sleep(GRACE_S)  # it may be at its end, too
    end(code)

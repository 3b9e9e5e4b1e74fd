"""Peak memory of this process and its children, sampled while a step works."""

import threading
from contextlib import suppress
from types import TracebackType

import psutil

INTERVAL_S = 0.5
GROWTH = 1.01
BYTES_PER_MB = 2**20


class PeakMemory:
    """Samples the memory of the process tree within a ``with`` block.

    A page that several processes share is counted once (Linux: proportional set size); where the system does not tell,
    resident sets are added. A peak between two samples can be missed. To tell proportional sets takes the system ten
    milliseconds and more a process: they are read where resident sets together are a hundredth above their highest.

    Attributes:
        peak_mb: Largest sum seen so far, in MiB.
    """

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self.peak_mb = 0.0
        self._interval_s = interval_s
        self._resident = 0.0  # the largest sum at which proportional sets were read
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="weakseg-memory", daemon=True)

    def __enter__(self) -> "PeakMemory":
        self._sample()
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join()
        self._sample()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval_s):
            self._sample()

    def _sample(self) -> None:
        with suppress(psutil.Error, OSError):  # a measure must not stop what it measures
            tree = _tree()
            resident = sum(map(_resident_bytes, tree))
            if resident > GROWTH * self._resident:
                self._resident = resident
                self.peak_mb = max(self.peak_mb, _together_mb(tree))


def tree_memory_mb() -> float:
    """Return what this process and its children, of any generation, occupy together, in MiB."""
    return _together_mb(_tree())


def _tree() -> list[psutil.Process]:
    own = psutil.Process()
    return [own, *own.children(recursive=True)]


def _together_mb(processes: list[psutil.Process]) -> float:
    return sum(map(_occupied_bytes, processes)) / BYTES_PER_MB


def _resident_bytes(process: psutil.Process) -> int:
    """Return the resident set of a process in bytes, or 0 where it has ended meanwhile or is not told."""
    with suppress(psutil.Error):
        return int(process.memory_info().rss)
    return 0


def _occupied_bytes(process: psutil.Process) -> int:
    """Return the share of a process in bytes, its resident set where that is not told, or 0 where it has ended."""
    try:
        full = process.memory_full_info()
        return int(getattr(full, "pss", 0) or full.rss)
    except psutil.Error:
        return _resident_bytes(process)

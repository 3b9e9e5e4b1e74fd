import subprocess
import sys

import psutil
import pytest

from weakseg.pipeline import memory
from weakseg.pipeline.memory import PeakMemory, tree_memory_mb

SIZE_MB = 200
TOLERANCE_MB = 60


PEAK = f"""
import time, numpy
from weakseg.pipeline.memory import PeakMemory, tree_memory_mb
with PeakMemory(0.01) as watched:
    before = watched.peak_mb
    block = numpy.ones({SIZE_MB} * 2**20, numpy.uint8)
    time.sleep(0.5)
    del block
print(before, watched.peak_mb, tree_memory_mb())
"""
CHILD = f"""
import subprocess, sys
from weakseg.pipeline.memory import tree_memory_mb
code = "x = b'1' * {SIZE_MB * 2**20}; print(1, flush=True); input()"
before = tree_memory_mb()
with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
    child.stdout.readline()
    print(before, tree_memory_mb())
    child.communicate(b"\\n")
"""


def measured(code: str) -> list[float]:
    """Return what a program prints: in a process of its own, other tests give no memory back while one measures."""
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return [float(word) for word in printed.split()]


def test_a_peak_that_has_passed_is_remembered() -> None:
    before, peak, after = measured(PEAK)
    assert peak - before == pytest.approx(SIZE_MB, abs=TOLERANCE_MB)
    assert peak > after + SIZE_MB / 2


def test_children_count() -> None:
    before, both = measured(CHILD)
    assert both - before == pytest.approx(SIZE_MB, abs=TOLERANCE_MB)


def test_the_thread_ends_with_the_block() -> None:
    with pytest.raises(ValueError, match="stop"), PeakMemory(0.01) as watched:
        raise ValueError("stop")
    assert not watched._thread.is_alive() and watched.peak_mb > 0


def test_a_system_that_tells_nothing_is_measured_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: psutil.Process, recursive: bool) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "children", refuse)
    with PeakMemory() as watched:
        pass
    assert watched.peak_mb == 0.0


def test_proportional_sets_are_read_where_resident_ones_have_grown(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are slow: of three samples the second, half a percent above the first, is not looked at again."""
    resident, read = iter([1000.0, 1005.0, 1020.0]), []
    monkeypatch.setattr(memory, "_tree", lambda: [psutil.Process()])
    monkeypatch.setattr(memory, "_resident_bytes", lambda _: next(resident))
    monkeypatch.setattr(memory, "_together_mb", lambda tree: read.append(tree) or 7.0 + len(read))
    watched = PeakMemory()
    for _ in range(3):
        watched._sample()
    assert len(read) == 2 and watched.peak_mb == 9.0


def test_without_proportional_sets_resident_ones_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    resident = psutil.Process().memory_info().rss / 2**20
    monkeypatch.setattr(psutil.Process, "memory_full_info", refuse)
    assert tree_memory_mb() >= 0.9 * resident

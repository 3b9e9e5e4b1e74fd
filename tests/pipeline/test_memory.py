import sys
import time
from subprocess import PIPE, Popen

import numpy as np
import psutil
import pytest

from weakseg.pipeline import memory
from weakseg.pipeline.engine import release_workers
from weakseg.pipeline.memory import PeakMemory, tree_memory_mb

SIZE_MB = 200
TOLERANCE_MB = 60


@pytest.fixture(autouse=True)
def _alone() -> None:
    """End idle processes of other tests: one that ends while memory is watched would be taken for memory given back."""
    release_workers()


def test_a_peak_that_has_passed_is_remembered() -> None:
    with PeakMemory(0.01) as watched:
        before = watched.peak_mb
        block = np.ones(SIZE_MB * 2**20, np.uint8)
        time.sleep(0.2)
        del block
    assert watched.peak_mb - before == pytest.approx(SIZE_MB, abs=TOLERANCE_MB)
    assert watched.peak_mb > tree_memory_mb() + SIZE_MB / 2


def test_children_count() -> None:
    code = f"x = b'1' * {SIZE_MB * 2**20}; print(1, flush=True); input()"
    before = tree_memory_mb()
    with Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE) as child:
        assert child.stdout is not None and child.stdout.readline()
        assert tree_memory_mb() - before == pytest.approx(SIZE_MB, abs=TOLERANCE_MB)
        child.communicate(b"\n")


def test_the_thread_ends_with_the_block() -> None:
    with pytest.raises(ValueError, match="stop"), PeakMemory(0.01) as watched:
        raise ValueError("stop")
    assert not watched._thread.is_alive() and watched.peak_mb > 0


def test_a_system_that_tells_nothing_is_measured_as_zero(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> float:
        raise psutil.AccessDenied(1)

    monkeypatch.setattr(memory, "tree_memory_mb", refuse)
    with PeakMemory() as watched:
        pass
    assert watched.peak_mb == 0.0


def test_without_proportional_sets_resident_ones_are_added(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    resident = psutil.Process().memory_info().rss / 2**20
    monkeypatch.setattr(psutil.Process, "memory_full_info", refuse)
    assert tree_memory_mb() >= 0.9 * resident

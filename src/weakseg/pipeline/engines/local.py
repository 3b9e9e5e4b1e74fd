"""Processes of this machine, by joblib."""

import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import torch
from joblib import Parallel, delayed
from joblib.externals.loky import ProcessPoolExecutor, get_reusable_executor
from joblib.externals.loky.process_executor import BrokenProcessPool

from weakseg.pipeline.engines import Item, Outcome, WorkerDied
from weakseg.pipeline.engines.orphans import end_with


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def one_thread() -> None:
    """Compute on one thread from here on, so that results do not depend on the number of processes."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)


@dataclass(frozen=True)
class LocalEngine:
    """Spreads calls over processes; one worker is this process itself.

    Attributes:
        workers: Number of processes.
    """

    workers: int = 1

    def check_folder(self, folder: Path) -> None:
        """Do nothing: what this process sees its workers see."""

    def map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome]]:
        """Yield each item with what ``work`` returned of it, in whatever order they end.

        Raises:
            WorkerDied: If a process was ended.
        """
        if min(self.workers, len(items)) <= 1:
            yield from self._here(work, items)
            return
        parallel = Parallel(
            n_jobs=min(self.workers, len(items)),
            backend="loky",
            return_as="generator_unordered",
            batch_size=1,
            pre_dispatch=2 * self.workers,
            max_nbytes=None,  # nothing in shared memory that a killed process would leave there
            initializer=_begin,
            initargs=(os.getpid(), Path.cwd()),  # idle ones of another folder are replaced
        )
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "A worker stopped while some jobs", UserWarning)  # it is replaced
            try:
                yield from parallel(delayed(_alone)(work, item) for item in items)
            except BrokenProcessPool as error:
                raise WorkerDied(title, _how(error)) from error

    def each_alone(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome | WorkerDied]]:
        """Yield each item with what ``work`` returned in a process of its own, or how that ended."""
        self.release()
        pool = None
        try:
            for item in items:
                pool = pool or ProcessPoolExecutor(1, initializer=_begin, initargs=(os.getpid(), Path.cwd()))
                try:
                    yield pool.submit(_alone, work, item).result()
                except BrokenProcessPool as error:
                    pool = None
                    yield item, WorkerDied(title, _how(error))
        finally:
            if pool:
                pool.shutdown(wait=True, kill_workers=True)

    def release(self) -> None:
        """End idle processes, so that a step of another kind has their memory."""
        get_reusable_executor().shutdown(wait=True)

    @staticmethod
    def _here(work: Callable[[Item], Outcome], items: Sequence[Item]) -> Iterator[tuple[Item, Outcome]]:
        threads = torch.get_num_threads(), cv2.getNumThreads()
        try:
            for item in items:
                yield _alone(work, item)
        finally:
            torch.set_num_threads(threads[0])
            cv2.setNumThreads(threads[1])


def _begin(parent: int, folder: Path) -> None:
    """Begin a process that ends with its parent, in the folder that relative paths start from."""
    os.chdir(folder)
    end_with(parent)


def _alone(work: Callable[[Item], Outcome], item: Item) -> tuple[Item, Outcome]:
    one_thread()
    return item, work(item)


def _how(error: BrokenProcessPool) -> str:
    """Return the signal that ended a process, such as ``SIGSEGV``, where the pool has seen it."""
    found = re.search(r"\b(SIG[A-Z]+)\(-\d+\)", str(error))
    return found[1] if found else ""

"""What the benchmarks share: rows with what they were measured on, and the memory of a run."""

import json
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np
import psutil
import torch
from torch.profiler import ProfilerActivity, profile

import weakseg

RESULTS = Path(__file__).parent / "results"


def append_rows(name: str, rows: Iterable[Mapping[str, object]], **about: object) -> None:
    """Append one JSON line a row to ``results/NAME.jsonl``, each with date, versions and platform."""
    always = {
        "date": time.strftime("%Y-%m-%d"),
        "weakseg": weakseg.__version__,
        "torch": torch.__version__,
        "platform": platform.platform(),
        "threads": torch.get_num_threads(),
    }
    RESULTS.mkdir(exist_ok=True)
    with (RESULTS / f"{name}.jsonl").open("a") as file:
        file.writelines(json.dumps({**row, **always, **about}) + "\n" for row in rows)


def peak_mb(run: Callable[[], object]) -> float:
    """Return how far resident memory rises during a run, sampled every millisecond."""
    process, done, most = psutil.Process(), threading.Event(), [0]

    def watch() -> None:
        while not done.wait(0.001):
            most[0] = max(most[0], process.memory_info().rss)

    before = process.memory_info().rss
    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run()
    finally:
        done.set()
        watcher.join()
    return max(0.0, (most[0] - before) / 2**20)


def allocated_mb(run: Callable[[], object]) -> float:
    """Return the most memory that torch's allocator has given out at once during a run."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        run()
    found = profiled.profiler.kineto_results.events() if profiled.profiler else []
    events = sorted((event for event in found if event.name() == "[memory]"), key=lambda event: event.start_ns())
    return float(np.cumsum([event.nbytes() for event in events]).max()) / 2**20

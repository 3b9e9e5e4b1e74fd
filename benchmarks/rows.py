"""What the benchmarks share: rows with what they were measured on, and the memory of a run."""

import json
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import psutil
import torch

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

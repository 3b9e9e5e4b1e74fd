"""Progress of long steps: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

PLAIN_INTERVAL_S = 10.0

Advance = Callable[[int], None]


class _RateColumn(ProgressColumn):
    """Steps per second since the start of the task."""

    def render(self, task: Task) -> Text:
        """Return ``"12.3/s"``."""
        speed = task.finished_speed or task.speed
        return Text(f"{speed:.2f}/s" if speed else "-/s")


@contextmanager
def track(title: str, total: int) -> Iterator[Advance]:
    """Yield a function that counts finished items; standard error shows the count, the rate and the time left."""
    console = Console(stderr=True)
    if total <= 0:
        yield lambda count: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), _RateColumn())
        with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
            task = bar.add_task(title, total=total)
            yield lambda count: bar.advance(task, count)
    else:
        line = _PlainLine(title, total)
        yield line.advance
        line.print()


class _PlainLine:
    """Prints ``title: done/total, rate, time left`` at most every ``PLAIN_INTERVAL_S`` seconds."""

    def __init__(self, title: str, total: int) -> None:
        self.title, self.total, self.done = title, total, 0
        self.start = self.last = time.monotonic()

    def advance(self, count: int) -> None:
        self.done += count
        if time.monotonic() - self.last >= PLAIN_INTERVAL_S and self.done < self.total:
            self.print()

    def print(self) -> None:
        self.last = time.monotonic()
        rate = self.done / max(self.last - self.start, 1e-9)
        left = (self.total - self.done) / rate if rate else 0.0
        print(f"{self.title}: {self.done}/{self.total}, {rate:.2f}/s, {left:.0f} s left", file=sys.stderr, flush=True)

"""Progress of long steps: a bar with rate and time left on a terminal, a plain line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from weakseg.crew import crew

PLAIN_INTERVAL_S = 10.0

Advance = Callable[[int], None]


class _RateColumn(ProgressColumn):
    """Items per second, and the time that is left by that rate."""

    def __init__(self, pace: "_Pace") -> None:
        super().__init__()
        self._pace = pace

    def render(self, task: Task) -> Text:
        """Return ``"12.30/s, 40 s left"``."""
        return Text(self._pace.text)


@contextmanager
def track(title: str, total: int, *, done: int = 0) -> Iterator[Advance]:
    """Yield a function that counts finished items; standard error shows the count, the rate and the time left.

    Of several processes of a command the first alone shows anything.

    Args:
        title: What is done.
        total: Number of items.
        done: How many of them were finished before; they count for no rate.
    """
    console = Console(stderr=True)
    pace = _Pace(total, done)
    if total <= 0 or crew().follows:
        yield lambda count: None
    elif console.is_terminal:
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, _RateColumn(pace), console=console) as bar:
            task = bar.add_task(title, total=total, completed=done)

            def advance(count: int) -> None:
                pace.advance(count)
                bar.advance(task, count)

            yield advance
    else:
        line = _PlainLine(title, pace)
        yield line.advance
        line.print()


def duration(seconds: float) -> str:
    """Return a time as people say it.

    >>> duration(0.04), duration(9.87), duration(312.4), duration(7384)
    ('0.0 s', '9.9 s', '5 min 12 s', '2 h 3 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


class _Pace:
    """How fast items are finished, from the first one on: what comes before it, such as loading, comes once."""

    def __init__(self, total: int, done: int) -> None:
        self.total, self.done = total, done
        self.start = self.now = time.monotonic()
        self._first: tuple[float, int] | None = None

    def advance(self, count: int) -> None:
        self.done += count
        self.now = time.monotonic()
        if self._first is None and count:
            self._first = self.now, self.done

    @property
    def rate(self) -> float:
        """Items per second; 0 before the second item tells."""
        if self._first is None or self.done <= self._first[1]:
            return 0.0
        return (self.done - self._first[1]) / max(self.now - self._first[0], 1e-9)

    @property
    def text(self) -> str:
        if self.done >= self.total:
            return f"{duration(self.now - self.start)}"
        return f"{self.rate:.2f}/s, {duration((self.total - self.done) / self.rate)} left" if self.rate else "begun"


class _PlainLine:
    """Prints ``title: done/total, rate, time left`` at most every ``PLAIN_INTERVAL_S`` seconds."""

    def __init__(self, title: str, pace: _Pace) -> None:
        self.title, self.pace = title, pace
        self.last = pace.start

    def advance(self, count: int) -> None:
        self.pace.advance(count)
        if self.pace.now - self.last >= PLAIN_INTERVAL_S and self.pace.done < self.pace.total:
            self.print()

    def print(self) -> None:
        self.last = self.pace.now
        with suppress(OSError):  # progress that cannot be shown stops nothing
            print(f"{self.title}: {self.pace.done}/{self.pace.total}, {self.pace.text}", file=sys.stderr, flush=True)

"""How work on images is spread: one protocol, behind which are processes of this machine, or of many."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, TypeVar

from weakseg.errors import WeaksegError

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class WorkerDied(WeaksegError):
    """A process that worked was ended, by the system or by what it worked on; what it worked on is not done."""

    def __init__(self, title: str, how: str = "") -> None:
        super().__init__(
            f"{title}: a process was ended by the system{f' ({how})' if how else ''}, most likely for want of memory; "
            "use fewer --workers"
        )
        self.how = how


class Engine(Protocol):
    """Spreads calls of a picklable function; each call computes on one thread, so that no result depends on others."""

    @property
    def workers(self) -> int:
        """Processes that work at once."""
        ...

    def check_folder(self, folder: Path) -> None:
        """Refuse a folder that is not there for every process that works.

        Raises:
            ConfigError: If one does not see it; says which machine's.
        """
        ...

    def map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome]]:
        """Yield each item with what ``work`` returned of it, in whatever order they end; ``title`` is for errors.

        Raises:
            WorkerDied: If a process was ended. Whatever else has been done is yielded first, as far as it is known;
                the next call has living processes.
        """
        ...

    def each_alone(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome | WorkerDied]]:
        """Yield each item with what ``work`` returned, or how its process ended: nothing else works meanwhile.

        Never in this process, so that an item that ends its process does not end the run.
        """
        ...

    def release(self) -> None:
        """Give back what idle processes hold, before work of another kind."""
        ...

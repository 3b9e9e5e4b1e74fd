"""How work on images is spread: one protocol, so that processes of this machine can give way to others."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

Item = TypeVar("Item")
Outcome = TypeVar("Outcome")


class Engine(Protocol):
    """Spreads calls of a picklable function; each call computes on one thread, so that no result depends on others."""

    @property
    def workers(self) -> int:
        """Processes that work at once."""
        ...

    def map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome]]:
        """Yield each item with what ``work`` returned of it, in whatever order they end; ``title`` is for errors."""
        ...

    def release(self) -> None:
        """Give back what idle processes hold, before work of another kind."""
        ...

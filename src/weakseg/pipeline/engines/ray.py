"""Processes of many machines, by Ray: actors that keep their models, on a file system that all machines share."""

import logging
import os
import sys
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weakseg.files import OWNER, owner
from weakseg.pipeline.engines import Item, Outcome, WorkerDied
from weakseg.pipeline.engines.ray_cluster import connect, cores_and_gpus
from weakseg.pipeline.engines.ray_folders import check_folder_of_all

IN_FLIGHT = 2
"""Calls of an actor at most: one that it works on, and one that waits, so that it never does."""
PATIENCE_S = 30.0

logger = logging.getLogger(__name__)


class _Pool:
    """The actors of this process, which are kept from one step to the next."""

    def __init__(self) -> None:
        self.address, self.gpus = "", False
        self.actors: list[Any] = []

    def connect(self, address: str, workers: int) -> None:
        """Connect with a cluster; actors of another one are none of it."""
        if connect(address, workers):
            self.actors = []

    def of(self, address: str, gpus: bool, wanted: int) -> list[Any]:
        """Return so many actors; those that are there are kept."""
        if (self.address, self.gpus) != (address, gpus):
            self.end()
            self.address, self.gpus = address, gpus
        self.actors += [_new_actor(gpus) for _ in range(wanted - len(self.actors))]
        return self.actors[:wanted]

    def drop(self, actors: Sequence[Any]) -> None:
        """End some actors, dead or alive."""
        import ray

        self.actors = [actor for actor in self.actors if actor not in actors]
        for actor in actors:
            with suppress(Exception):  # one that is dead already
                ray.kill(actor)

    def end(self) -> None:
        """End all."""
        if self.actors:
            self.drop(list(self.actors))


_POOL = _Pool()


class Worker:
    """What an actor is: it does the units of a call one after the other, on one thread."""

    def __init__(self, of: str, path: Sequence[str]) -> None:
        os.environ[OWNER] = of
        sys.path += [place for place in path if place not in sys.path]  # where the driver has its modules from

    def ready(self) -> None:
        """Return, once the actor has started."""

    def run(self, work: Callable[[Item], Outcome], items: Sequence[Item]) -> tuple[list[Outcome], Exception | None]:
        """Return what was made of each item, and the error that stopped it."""
        from weakseg.pipeline.engines.local import one_thread

        found: list[Outcome] = []
        try:
            for item in items:
                one_thread()
                found.append(work(item))
        except Exception as error:
            return found, error
        return found, None


def _new_actor(gpu: bool) -> Any:
    import ray

    options = {"num_cpus": 0, "num_gpus": 1} if gpu else {"num_cpus": 1}
    kept = {"max_restarts": 0, "max_task_retries": 0, "scheduling_strategy": "SPREAD"}
    return ray.remote(Worker).options(**options, **kept).remote(owner(), sys.path)


@dataclass(frozen=True)
class RayEngine:
    """Spreads calls over actors.

    Attributes:
        workers: Number of actors, each a process of one core, or of one GPU.
        address: Of a running cluster; empty: one on this machine, which ends with this process.
        units_per_call: How many units an actor gets at once at most: each call takes some milliseconds.
        gpus: Whether each actor has a GPU.
    """

    workers: int = 1
    address: str = ""
    units_per_call: int = 4
    gpus: bool = False

    def check_folder(self, folder: Path) -> None:
        """Refuse a folder that a machine of the cluster does not see.

        Raises:
            ConfigError: If one does not; says which, and why.
        """
        _POOL.connect(self.address, self.workers)
        check_folder_of_all(folder)

    def map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome]]:
        """Yield each item with what ``work`` returned of it, in whatever order they end.

        Raises:
            WorkerDied: If an actor was ended; the calls of the others are yielded first.
        """
        if items:
            yield from self._map(work, items, title, min(self.workers, len(items)), self._size(len(items)))

    def each_alone(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], *, title: str
    ) -> Iterator[tuple[Item, Outcome | WorkerDied]]:
        """Yield each item with what ``work`` returned in an actor beside which nothing works, or how that ended."""
        self.release()
        for item in items:
            try:
                yield from self._map(work, [item], title, 1, 1)
            except WorkerDied as death:
                yield item, death

    def release(self) -> None:
        """End the actors, so that a step of another kind has their memory."""
        _POOL.end()

    def _size(self, items: int) -> int:
        """Return how many units a call has: few where there are few, so that all actors end at about the same time."""
        return max(1, min(self.units_per_call, items // (4 * self.workers)))

    def _map(
        self, work: Callable[[Item], Outcome], items: Sequence[Item], title: str, actors: int, size: int
    ) -> Iterator[tuple[Item, Outcome]]:
        import ray

        _POOL.connect(self.address, self.workers)
        flight = _Flight(
            ray.put(work),
            deque(items[start : start + size] for start in range(0, len(items), size)),
            {actor.ready.remote(): actor for actor in _POOL.of(self.address, self.gpus, actors)},
        )
        try:
            while flight.goes_on:
                yield from flight.ended(title)
        finally:
            _POOL.drop([*flight.dead, *(actor for actor, _ in flight.calls.values())])
        if flight.dead:
            raise WorkerDied(title)


@dataclass
class _Flight:
    """The calls that are under way, and what is left; an actor gets work once it has started.

    Where a cluster has no room for an actor, the others do its work.
    """

    work: Any
    rest: deque[Sequence[Any]]
    starting: dict[Any, Any]
    calls: dict[Any, tuple[Any, Sequence[Any]]] = field(default_factory=dict)
    busy: Counter[Any] = field(default_factory=Counter)
    dead: list[Any] = field(default_factory=list)

    @property
    def goes_on(self) -> bool:
        """Whether anything is to be waited for: after a death, what the others were doing."""
        return bool(self.calls or (self.rest and self.starting and not self.dead))

    def ended(self, title: str) -> Iterator[tuple[Any, Any]]:
        """Wait for one call, give its actor the next, and yield what it has made."""
        import ray

        known = [*self.calls, *self.starting]
        if not (ended := ray.wait(known, timeout=PATIENCE_S)[0]):
            if self.starting:
                told = (title, len(self.starting), *cores_and_gpus())
                logger.warning(
                    "%s: %d workers still wait for room in the cluster of %d cores and %d GPUs in all", *told
                )
            return
        (call,) = ended
        actor, sent = self.calls.pop(call) if call in self.calls else (self.starting.pop(call), ())
        self.busy[actor] -= bool(sent)
        try:
            found, error = ray.get(call) or ((), None)
        except ray.exceptions.RayActorError:
            self.dead.append(actor)
            return
        while not self.dead and self._wants(actor):
            chunk = self.rest.popleft()
            self.calls[actor.run.remote(self.work, chunk)] = (actor, chunk)
            self.busy[actor] += 1
        yield from zip(sent, found, strict=False)
        if error:
            raise error

    def _wants(self, actor: Any) -> bool:
        """Return whether an actor gets a call: the last ones are for those that would do nothing."""
        if not self.rest or self.busy[actor] >= IN_FLIGHT:
            return False
        return self.busy[actor] == 0 or len(self.rest) > len(self.busy) + len(self.starting)

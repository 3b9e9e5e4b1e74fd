"""Spreads units over an engine; one that fails is named, one that ends its process too; neither stops the others."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

from weakseg.errors import WeaksegError
from weakseg.pipeline.attempts import Attempts, Outcome, attempt, given_up, marker_of
from weakseg.pipeline.engines import Engine, WorkerDied
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.share import Share
from weakseg.pipeline.units import Job, Unit
from weakseg.progress import Advance, track

TRIES = 3
"""How often processes may end before they have begun anything."""
MANY = 10
"""So many units that end their processes are no fault of the images, where none has been done."""

logger = logging.getLogger(__name__)


def run_units(
    job: Job,
    units: Sequence[Unit],
    *,
    title: str,
    engine: Engine,
    warn: Callable[[str], None] = logger.warning,
    share: Share | None = None,
) -> list[Failure]:
    """Run a job on what is not done of some units, and return the failures in their order.

    Each unit is computed by one thread, whatever the number of processes, so that results are the same for any. What
    is done is what the ledger of the job's folder lists, as it was written. A unit that ends the process that works on
    it, as want of memory and faults of libraries do, is tried again alone, and given up if it does so again.

    Args:
        job: What is done.
        units: From the job.
        title: For progress, and the step's name in failures.
        engine: Spreads the units.
        warn: Is told where images that were to be looked at together are not, so that their products are others.
        share: Whose units they are, where others work on the same folder.

    Raises:
        OutputError: If the output folder cannot be written: that is no image's fault, and stops all.
        WeaksegError: If processes end before they have begun, or at each of many units.
    """
    ledger = Ledger(job.out, share)
    todo = [unit for unit in (_undone(job, ledger, unit) for unit in units) if unit is not None]
    names = [name for unit in units for name in unit.products]
    with track(title, len(names), done=len(names) - sum(len(unit.products) for unit in todo)) as advance:
        spread = _Spread(job, title, engine, warn, ledger, advance)
        if todo:
            spread.carry_out(todo)
    if not share:  # others may be about to leave theirs
        Attempts(job.out).close()
    return [spread.failures[name] for name in names if name in spread.failures]


@dataclass
class _Spread:
    """Carries out units until each is done, or has failed."""

    job: Job
    title: str
    engine: Engine
    warn: Callable[[str], None]
    ledger: Ledger
    advance: Advance
    failures: dict[str, Failure] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)  # markers of what was given up
    done: int = 0
    idle: int = 0

    def carry_out(self, units: Sequence[Unit]) -> None:
        """Do all units: those together first that are not suspect."""
        attempts = Attempts(self.job.out)
        attempts.open()
        self.engine.check_folder(self.job.out)
        try:
            self._together(attempts, units)
        except BaseException:  # whoever stops the command says nothing against what was being worked on
            self._forget(attempts, units)
            raise
        self._forget(attempts, units)

    def _together(self, attempts: Attempts, units: Sequence[Unit]) -> None:
        suspects, todo = _apart(units, attempts.left())
        if suspects:
            logger.info(
                "%s: %d were being worked on when an earlier call ended; each is tried alone at the end: %s",
                self.title, len(suspects), _named(suspects),
            )  # fmt: skip
        while todo:
            again: list[Unit] = []
            left = {unit.id: unit for unit in todo}
            try:
                for unit, outcome in self.engine.map(partial(attempt, self.job, self.title), todo, title=self.title):
                    again += self._take(unit, outcome)
                    left.pop(unit.id, None)
            except WorkerDied as death:
                found, rest = _apart(list(left.values()), attempts.left())
                self._note_death(death, found, progress=len(left) < len(todo))
                suspects, again = [*suspects, *found], [*again, *rest]
            todo = again
            if len(suspects) >= MANY:
                self._alone(attempts, suspects)
                suspects = []
        self._alone(attempts, suspects)

    def _note_death(self, death: WorkerDied, suspects: Sequence[Unit], *, progress: bool) -> None:
        """Say that a process was ended; an error if that happens again and again to those that have begun nothing."""
        self.idle = 0 if progress or suspects else self.idle + 1
        if self.idle == TRIES:
            raise death
        how = f" ({death.how})" if death.how else ""
        told = f"; each of these is tried alone: {_named(suspects)}" if suspects else ""
        logger.warning("%s: a process was ended%s, the others go on%s", self.title, how, told)

    def _alone(self, attempts: Attempts, suspects: Sequence[Unit]) -> None:
        """Try units one at a time, each in a process that does nothing else."""
        todo = list(suspects)
        while todo:
            again: list[Unit] = []
            for unit in todo:
                attempts.end(unit)  # what is there afterwards is of this attempt
            for unit, outcome in self.engine.each_alone(partial(attempt, self.job, self.title), todo, title=self.title):
                if not isinstance(outcome, WorkerDied):
                    again += self._take(unit, outcome)
                elif marker_of(unit) in attempts.left():
                    again += self._give_up(attempts, unit, outcome.how)
                else:
                    self._note_death(outcome, (), progress=False)
                    again.append(unit)
            todo = again

    def _take(self, unit: Unit, outcome: Outcome) -> list[Unit]:
        """Note what came of a unit, and return what is to be tried again: of a batch that failed each image alone."""
        failure, written = outcome
        self.ledger.add(written)
        self.done += not failure
        if failure and unit.whole and failure.passing:  # what single images gave would stay for ever
            self.failures |= {name: replace(failure, image_id=name) for name in unit.products}
        elif failure and len(unit.products) > 1:
            text = f"{self.title}: {len(unit.samples)} images at once failed ({failure.reason}); each is tried alone"
            if unit.whole:
                self.warn(f"{text}, without the others: {', '.join(unit.products)}")
            else:
                logger.warning(text)
            return self._split(unit)
        elif failure:
            self.failures[failure.image_id] = failure
        self.advance(len(unit.products))
        return []

    def _split(self, unit: Unit) -> list[Unit]:
        left = [one for sample in unit.samples if (one := _undone(self.job, self.ledger, Unit((sample,))))]
        self.advance(len(unit.products) - len(left))
        return left

    def _give_up(self, attempts: Attempts, unit: Unit, how: str) -> list[Unit]:
        """Note that a unit has ended its process for the second time; of a batch each image is tried for itself."""
        if len(unit.products) > 1 and not unit.whole:
            attempts.end(unit)
            return self._split(unit)
        failure = given_up(unit, self.title, how)
        self.failures |= {name: replace(failure, image_id=name) for name in unit.products}
        self.kept.add(marker_of(unit))
        self.advance(len(unit.products))
        if len(self.kept) >= MANY and not self.done:
            raise WeaksegError(
                f"{self.title}: {len(self.kept)} images have ended their processes, and none was done; that is no "
                f"fault of theirs. The last: {failure.reason}. See weakseg doctor"
            )
        return []

    def _forget(self, attempts: Attempts, units: Sequence[Unit]) -> None:
        """Remove the markers of units that were not given up."""
        if left := attempts.left():
            singles = (Unit((sample,)) for unit in units for sample in unit.samples)
            for each in (*units, *singles):
                if marker_of(each) in left - self.kept:
                    attempts.end(each)


def _apart(units: Sequence[Unit], markers: frozenset[str]) -> tuple[list[Unit], list[Unit]]:
    """Return the units that have a marker, and the others."""
    marked = [unit for unit in units if markers and marker_of(unit) in markers]
    known = {unit.id for unit in marked}
    return marked, [unit for unit in units if unit.id not in known]


def _named(units: Sequence[Unit]) -> str:
    return ", ".join(unit.products[0] for unit in units[:5]) + (", ..." if len(units) > 5 else "")


def _undone(job: Job, ledger: Ledger, unit: Unit) -> Unit | None:
    """Return what is left to do of a unit; a batch that need not be whole loses the images that are done."""
    if unit.together or unit.whole:
        return None if all(ledger.holds(job.output(name)) for name in unit.products) else unit
    left = tuple(sample for sample in unit.samples if not ledger.holds(job.output(sample.id)))
    return Unit(left, seed=unit.seed) if left else None

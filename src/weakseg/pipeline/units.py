"""Work on images in units of one or several; a failing unit is named and does not stop the others."""

import hashlib
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Protocol

from weakseg.data.sample import WeakSample
from weakseg.errors import DataError, OutputError
from weakseg.files import Written, noting
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.ledger import Ledger
from weakseg.pipeline.plan import Failure
from weakseg.progress import track

MAX_NAME_BYTES = 240  # file systems end at 255; what is left is for suffixes

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Unit:
    """Images that are worked on at once.

    Attributes:
        samples: At least one; of a group the first is the one that the others help.
        name: Of the product of a group: an image's id where it is that image's, empty for the unit's own id.
        together: Whether the images make one product (a group), or one each (a batch, which may be split).
        seed: That the group was drawn with.
        whole: Whether what a batch makes of an image depends on the others of it, so that it is done whole or not.
    """

    samples: tuple[WeakSample, ...]
    name: str = ""
    together: bool = False
    seed: int = 0
    whole: bool = False

    @property
    def id(self) -> str:
        """The image's id, or a digest of seed and members: no list's order, only that of a group's members, counts."""
        ids = [sample.id for sample in self.samples]
        if len(ids) == 1:
            return ids[0]
        return hashlib.blake2b("\x1f".join([str(self.seed), *ids]).encode(), digest_size=8).hexdigest()

    @property
    def products(self) -> tuple[str, ...]:
        """Names of what the unit leaves: one for a group, one an image for a batch."""
        return (self.name or self.id,) if self.together else tuple(sample.id for sample in self.samples)


class Job(Protocol):
    """Work on units that leaves one file a product. Picklable, so that processes can share it."""

    @property
    def out(self) -> Path:
        """Folder of the files."""
        ...

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        """Return how the images are worked on; the same for any order of the list."""
        ...

    def output(self, name: str) -> Path:
        """Return the file of a product; where it is as it was written the work is done."""
        ...

    def run(self, unit: Unit) -> None:
        """Do a unit's work and write its files atomically."""
        ...


class ImageJob:
    """A job on single images, which says in ``one`` what is done to one.

    Attributes:
        out: Folder of the files.
        suffix: Of the files.
    """

    out: Path
    suffix: ClassVar[str]

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        """Return one unit an image."""
        return [Unit((sample,)) for sample in samples]

    def output(self, name: str) -> Path:
        """Return the file of an image."""
        return self.out / f"{name}{self.suffix}"

    def run(self, unit: Unit) -> None:
        """Do one image after the other."""
        for sample in unit.samples:
            self.one(sample)

    def one(self, sample: WeakSample) -> None:
        """Do the work on one image and write its file."""
        raise NotImplementedError


def batches(samples: Sequence[WeakSample], size: int) -> list[Unit]:
    """Return batches of at most ``size`` images, by id, so that their company depends on no list's order."""
    ordered = samples if size == 1 else sorted(samples, key=lambda sample: sample.id)
    return [Unit(tuple(ordered[start : start + size])) for start in range(0, len(ordered), size)]


def run_units(
    job: Job, units: Sequence[Unit], *, title: str, engine: Engine, warn: Callable[[str], None] = logger.warning
) -> list[Failure]:
    """Run a job on what is not done of some units, and return the failures in their order.

    Each unit is computed by one thread, whatever the number of processes, so that results are the same for any. What
    is done is what the ledger of the job's folder lists, as it was written.

    Args:
        job: What is done.
        units: From the job.
        title: For progress, and the step's name in failures.
        engine: Spreads the units.
        warn: Is told where images that were to be looked at together are not, so that their products are others.

    Raises:
        OutputError: If the output folder cannot be written: that is no image's fault, and stops all.
    """
    ledger = Ledger(job.out)
    todo = [unit for unit in (_undone(job, ledger, unit) for unit in units) if unit is not None]
    names = [name for unit in units for name in unit.products]
    failures: dict[str, Failure] = {}
    with track(title, len(names), done=len(names) - sum(len(unit.products) for unit in todo)) as advance:
        while todo:
            alone: list[Unit] = []
            for unit, (failure, written) in engine.map(partial(_attempt, job, title), todo, title=title):
                ledger.add(written)
                if failure and unit.whole and failure.passing:  # what single images gave would stay for ever
                    failures |= {name: replace(failure, image_id=name) for name in unit.products}
                elif failure and len(unit.products) > 1:
                    text = f"{title}: {len(unit.samples)} images at once failed ({failure.reason}); each is tried alone"
                    if unit.whole:
                        warn(f"{text}, without the others: {', '.join(unit.products)}")
                    else:
                        logger.warning(text)
                    left = [one for sample in unit.samples if (one := _undone(job, ledger, Unit((sample,))))]
                    alone += left
                    advance(len(unit.products) - len(left))
                    continue
                elif failure:
                    failures[failure.image_id] = failure
                advance(len(unit.products))
            todo = alone
    return [failures[name] for name in names if name in failures]


def _undone(job: Job, ledger: Ledger, unit: Unit) -> Unit | None:
    """Return what is left to do of a unit; a batch that need not be whole loses the images that are done."""
    if unit.together or unit.whole:
        return None if all(ledger.holds(job.output(name)) for name in unit.products) else unit
    left = tuple(sample for sample in unit.samples if not ledger.holds(job.output(sample.id)))
    return Unit(left, seed=unit.seed) if left else None


def _attempt(job: Job, title: str, unit: Unit) -> tuple[Failure | None, list[Written]]:
    """Do a unit's work, and return why it failed, and the files that it has written."""
    with noting() as written:
        try:
            _check_names(unit)
            job.run(unit)
        except OutputError:
            raise
        except Exception as error:  # any fault of one unit is reported, with its type, and must not stop the others
            company = [sample.id for sample in unit.samples[1:]] if unit.together else []
            beside = f"with {', '.join(map(repr, company))}: " if company else ""
            reason = f"{beside}{type(error).__name__}: {error}"
            return Failure(unit.products[0], title, reason, passing=is_passing(error)), written
    return None, written


def _check_names(unit: Unit) -> None:
    """Refuse an image whose products would have names that file systems do not take."""
    for sample in unit.samples:
        longest = max((len(os.fsencode(part)) for part in sample.id.split("/")), default=0)
        if longest > MAX_NAME_BYTES:
            raise DataError(
                f"{sample.image_path.name[:60]}...: the name has {longest} bytes without its suffix, and products have "
                f"longer ones; rename the image to at most {MAX_NAME_BYTES}"
            )


def is_passing(error: BaseException | None) -> bool:
    """Return whether an error, or what caused it, may be gone at another time: the system's, or want of memory."""
    while error is not None:
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            return True
        if isinstance(error, OSError) and error.errno is not None:  # Pillow's errors of content have none
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False

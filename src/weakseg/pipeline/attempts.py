"""One attempt at a unit: a marker lies beside its products meanwhile, and what goes wrong is a failure."""

import hashlib
import logging
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from weakseg.errors import DataError, OutputError
from weakseg.files import Written, noting, system_error, where_full
from weakseg.pipeline.plan import Failure
from weakseg.pipeline.units import Job, Unit

ATTEMPTS_FOLDER = ".attempts"
"""In the folder of the products; hidden, so that it is taken for no product, and no photograph has its name."""
MAX_NAME_BYTES = 240  # file systems end at 255; what is left is for suffixes

logger = logging.getLogger(__name__)

Outcome = tuple[Failure | None, list[Written]]


@dataclass(frozen=True)
class Attempts:
    """The markers of the units that are being worked on, one empty file each.

    A marker that is there when nobody works says that a process ended in the midst of its unit. That makes the unit
    suspect, and no more: with a process all that others work on may end, and whoever stops a command ends all of them.
    A suspect is tried alone, in a process of its own. Only if that dies, and the marker is there again, it was it.

    Attributes:
        out: Folder of the products.
    """

    out: Path

    @property
    def folder(self) -> Path:
        """Of the markers."""
        return self.out / ATTEMPTS_FOLDER

    def open(self) -> None:
        """Make the folder of the markers.

        Raises:
            OutputError: If that is not possible.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def close(self) -> None:
        """Remove the folder of the markers, unless some are left of what was given up."""
        with suppress(OSError):
            self.folder.rmdir()

    def left(self) -> frozenset[str]:
        """Return the names of the markers that are there."""
        with suppress(OSError):
            return frozenset(os.listdir(self.folder))  # noqa: PTH208
        return frozenset()

    def path(self, unit: Unit) -> Path:
        """Return the marker of a unit."""
        return self.folder / marker_of(unit)

    def begin(self, unit: Unit) -> None:
        """Leave a unit's marker.

        Raises:
            OutputError: If that is not possible, such as where the folder has gone meanwhile.
        """
        try:
            os.close(os.open(self.path(unit), os.O_CREAT | os.O_WRONLY, 0o666))
        except OSError as error:
            raise self._unwritable(error) from error

    def end(self, unit: Unit) -> None:
        """Remove a unit's marker."""
        with suppress(OSError):
            self.path(unit).unlink(missing_ok=True)

    def _unwritable(self, error: OSError) -> OutputError:
        return OutputError(
            f"{self.folder}: cannot be written: {error.strerror}; see that {self.out} is there, has free space"
            f"{where_full(self.folder, error)} and may be written, or choose another --out folder"
        )


def marker_of(unit: Unit) -> str:
    """Return the name of a unit's marker; ids have slashes."""
    return hashlib.blake2b(unit.id.encode(errors="surrogatepass"), digest_size=12).hexdigest()


def attempt(job: Job, title: str, unit: Unit) -> Outcome:
    """Do a unit's work, and return why it failed, and the files that it has written."""
    attempts = Attempts(job.out)
    attempts.begin(unit)
    try:
        with noting(job.out) as written:
            try:
                _check_names(unit)
                job.run(unit)
            except OutputError:
                raise
            except Exception as error:  # any fault of one unit is reported, with its type, and must not stop the others
                reason = f"{type(error).__name__}: {error}"
                return failure_of(unit, title, reason, passing=is_passing(error)), written
        return None, written
    finally:
        attempts.end(unit)


def failure_of(unit: Unit, title: str, reason: str, *, passing: bool) -> Failure:
    """Return the failure of a unit, which names those that a group was looked at with."""
    company = [sample.id for sample in unit.samples[1:]] if unit.together else []
    beside = f"with {', '.join(map(repr, company))}: " if company else ""
    return Failure(unit.products[0], title, beside + reason, passing=passing)


def given_up(unit: Unit, title: str, how: str) -> Failure:
    """Return the failure of a unit that has ended two processes, the second of which did nothing else.

    It counts as one that may pass, for memory may be had elsewhere; its marker stays, so that it is tried alone again.
    """
    why = {
        "SIGKILL": "the system has killed it, most likely for want of memory",
        "": "it was killed for want of memory, or a library failed",
    }.get(how, f"{how}: a library failed")
    reason = (
        f"its process was ended twice, the second time with nothing else at work ({why}); the next call tries it alone "
        "again: use a machine with more memory, save the image anew or smaller, or leave it out"
    )
    return failure_of(unit, title, reason, passing=True)


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
        if (found := system_error(error)) and found.errno is not None:  # Pillow's errors of content have none
            return True
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return False

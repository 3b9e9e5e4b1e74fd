"""What is worked on at once, units of one image or several, and what is done to them, jobs."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Protocol

from weakseg.data.sample import WeakSample


@dataclass(frozen=True, slots=True)
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

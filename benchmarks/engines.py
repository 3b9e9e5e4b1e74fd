"""Images a second by processes of this machine and by actors of Ray, on the same job, in turns.

Each turn makes masks of the same seeds of 300 small generated photographs, by a dense CRF, with either engine; what is
made is compared, and the workers of both have been started before. ``--cheap`` takes a job that does next to nothing,
which shows what an engine and the ledger cost a unit. Printed are the medians, their ratio and its range over turns.
"""

import argparse
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import cv2
import numpy as np
import torch

from weakseg.artifacts import LabelMap
from weakseg.data.sample import Tags, WeakSample
from weakseg.files import write_bytes
from weakseg.pipeline.attempts import Attempts
from weakseg.pipeline.engines import Engine
from weakseg.pipeline.engines.local import LocalEngine
from weakseg.pipeline.engines.ray import RayEngine
from weakseg.pipeline.spread import run_units
from weakseg.pipeline.units import ImageJob, Unit
from weakseg.settings.refine import RefineConfig
from weakseg.steps.refine import RefineJob

SIZE = (120, 160)


@dataclass(frozen=True)
class Cheap(ImageJob):
    """Writes a small file an image."""

    out: Path
    suffix: ClassVar[str] = ".txt"

    def one(self, sample: WeakSample) -> None:
        write_bytes(self.output(sample.id), sample.id.encode())


def write_photographs(root: Path, count: int) -> list[WeakSample]:
    """Write photographs of a disc on noise, and seeds of both, undecided between."""
    (root / "images").mkdir()
    samples = []
    for index in range(count):
        rng = np.random.default_rng(index)
        rows, columns = np.mgrid[: SIZE[0], : SIZE[1]]
        centre = rng.integers(40, 80), rng.integers(40, 120)
        distance = np.hypot(rows - centre[0], columns - centre[1])
        image = rng.integers(60, 140, (*SIZE, 3), dtype=np.uint8)
        image[distance < 30] += np.array((90, 20, 0), np.uint8)
        path = root / "images" / f"i{index:04}.png"
        cv2.imwrite(str(path), cv2.GaussianBlur(image, (5, 5), 0))
        LabelMap(np.select([distance < 15, distance > 50], [1, 0], 255).astype(np.uint8)).save(
            root / "seeds" / f"i{index:04}.png"
        )
        samples.append(WeakSample(path.stem, path, Tags(frozenset({1}))))
    return samples


def turn(engine: Engine, job: ImageJob, samples: list[WeakSample]) -> float:
    """Return the images a second of one run of the job."""
    begun = time.perf_counter()
    failures = run_units(job, job.units(samples), title=type(engine).__name__, engine=engine)
    seconds = time.perf_counter() - begun
    assert not failures
    return len(samples) / seconds


def contents(folder: Path, suffix: str) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob(f"*{suffix}")}


def marker_cost(folder: Path, count: int = 2000) -> float:
    """Return the microseconds of a marker that is made and removed."""
    attempts, units = Attempts(folder), [Unit((WeakSample(f"m{n}", Path(), Tags(frozenset())),)) for n in range(count)]
    attempts.open()
    begun = time.perf_counter()
    for unit in units:
        attempts.begin(unit)
        attempts.end(unit)
    return (time.perf_counter() - begun) / count * 1e6


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=300)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--units-per-call", default="4", help="with commas: each is measured")
    parser.add_argument("--cheap", action="store_true")
    given = parser.parse_args()
    engines: dict[str, Engine] = {"joblib": LocalEngine(given.workers)}
    for size in map(int, given.units_per_call.split(",")):
        engines[f"ray, {size} a call"] = RayEngine(given.workers, units_per_call=size)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        samples = write_photographs(root, given.images)

        def job(name: str) -> ImageJob:
            return Cheap(root / name) if given.cheap else RefineJob(root / "seeds", root / name, RefineConfig())

        rates: dict[str, list[float]] = {name: [] for name in engines}
        for number in range(given.turns + 1):  # the first starts the workers
            for name, engine in engines.items():
                rate = turn(engine, job(f"{name}-{number}"), samples[: 40 if number == 0 else None])
                rates[name] += [rate] if number else []
            made = [contents(root / f"{name}-{number}", job("").suffix) for name in engines]
            assert all(one == made[0] for one in made), "the engines have made different files"
        base = rates["joblib"]
        print(f"{given.images} images, {given.workers} workers, {given.turns} turns, torch {torch.__version__}")
        for name, found in rates.items():
            ratios = [a / b for a, b in zip(found, base, strict=True)]
            print(
                f"{name}: {statistics.median(found):.1f} images/s; ratio to joblib {statistics.median(ratios):.3f} "
                f"({min(ratios):.3f} to {max(ratios):.3f})"
            )
        print(f"a marker: {marker_cost(root / 'markers'):.0f} us")


if __name__ == "__main__":
    main()

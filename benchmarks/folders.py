"""What files cost where very many lie in one folder, against the same in folders of a thousand each.

    python benchmarks/folders.py [--files 1000 10000 100000 300000] [--at FOLDER ...]

Each file is made as weakseg makes one, but for flushing it to the disk: written beside its place, and moved there. Then
all are looked at (stat), opened and read, listed, and removed, each in a random order (seed 0) of which neither system
nor disk knows, but with what the system keeps in memory. The two layouts take turns, ``--rounds`` times, of which the
median counts.

Prints and appends a JSON line for each place and number to benchmarks/results/folders.jsonl: microseconds a file, and
what one folder costs in times of many.
"""

import argparse
import json
import os
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil
from rows import append_rows

CONTENT, A_FOLDER = bytes(1500), 1000
Seconds = dict[str, float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, nargs="*", default=[1000, 10_000, 100_000, 300_000])
    parser.add_argument("--at", type=Path, nargs="*", default=[Path(tempfile.gettempdir()), Path("/dev/shm")])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--named", default="", help="of the file system, where its kind says too little")
    given = parser.parse_args()
    for place in given.at:
        for number in given.files:
            row = {"system": given.named or file_system(place), "files": number, **measure(place, number, given.rounds)}
            print(json.dumps(row), flush=True)
            append_rows("folders", [row], rounds=given.rounds)


def file_system(place: Path) -> str:
    """Return the kind of the file system of a place."""
    mounts = [one for one in psutil.disk_partitions(all=True) if place.resolve().is_relative_to(one.mountpoint)]
    return max(mounts, key=lambda one: len(one.mountpoint)).fstype


def measure(place: Path, number: int, rounds: int) -> dict[str, dict[str, float]]:
    """Return microseconds a file, by layout and what is done."""
    names = {"one": one_folder(number), "many": many_folders(number)}
    found: dict[str, list[Seconds]] = {layout: [] for layout in names}
    for turn in range(rounds):
        for layout in sorted(names, reverse=bool(turn % 2)):
            with tempfile.TemporaryDirectory(dir=place) as folder:
                found[layout].append(costs(Path(folder), names[layout]))
    middle = {
        layout: {what: statistics.median(one[what] for one in each) for what in each[0]}
        for layout, each in found.items()
    }
    micro = {
        layout: {what: round(1e6 * value / number, 1) for what, value in of.items()} for layout, of in middle.items()
    }
    times = {what: round(value / middle["many"][what], 2) for what, value in middle["one"].items()}
    return {**micro, "times": times}


def one_folder(number: int) -> list[str]:
    return [f"{index:09d}.png" for index in range(number)]


def many_folders(number: int) -> list[str]:
    return [f"{index // A_FOLDER:05d}/{index:09d}.png" for index in range(number)]


def costs(folder: Path, names: Sequence[str]) -> Seconds:
    """Return the seconds that each thing takes for all files."""
    top = os.fspath(folder)
    paths = [f"{top}/{name}" for name in names]
    for parent in dict.fromkeys(os.path.dirname(path) for path in paths):  # noqa: PTH120 - as fast as it gets
        os.makedirs(parent, exist_ok=True)  # noqa: PTH103
    mixed = random.Random(0).sample(paths, len(paths))
    return {
        "create": timed(lambda: [create(path) for path in paths]),
        "stat": timed(lambda: [os.stat(path) for path in mixed]),  # noqa: PTH116
        "open": timed(lambda: [read(path) for path in mixed]),
        "list": timed(lambda: [os.listdir(parent) for parent, _, _ in os.walk(top)]),  # noqa: PTH208
        "remove": timed(lambda: [os.unlink(path) for path in mixed]),  # noqa: PTH108
    }


def create(path: str) -> None:
    """Write a file beside its place, and move it there."""
    temporary = f"{os.path.dirname(path)}/.part-{os.path.basename(path)}"  # noqa: PTH119, PTH120
    number = os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
    os.write(number, CONTENT)
    os.close(number)
    os.replace(temporary, path)  # noqa: PTH105


def read(path: str) -> bytes:
    number = os.open(path, os.O_RDONLY)
    content = os.read(number, len(CONTENT))
    os.close(number)
    return content


def timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()

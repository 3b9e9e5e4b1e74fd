"""How the cost of a data set grows with its photographs: opening, checking, a whole comparison, and finding it done.

    python benchmarks/scale.py --images 1000 10000 100000 [--workers 2] [--folder FOLDER]
    python benchmarks/scale.py --tags /path/to/voc/tags_train_aug.csv

Photographs are generated, 32 x 32 pixels with a rectangle each (seed: the number of the photograph), tags of 80 classes
in a CSV file, and activations as other programs write them, 8 x 8; with ``--tags`` names and tags are those of a CSV
file. ``weakseg data check`` opens and checks them; ``weakseg compare cam`` takes them through activations, seeds, masks
without a CRF, and reliability, so that what is measured is what weakseg does around the work; the same command once
more finds all of it done. Each is a process of its own.

Prints and appends a JSON line for each data set to benchmarks/results/scale.jsonl: seconds, processor seconds, most
resident memory of the main process (sampled every half second), milliseconds an image by step, and how many files are
in the fullest folder. Goals: open and check 100,000 in 60 s, find it done in 20 s, 1 GB, and a cost an image that is
the same from 1,000 to 100,000 within a fifth.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
from rows import append_rows

CLASSES, SIDE, CELLS, SAMPLE_SECONDS = 80, 32, 8, 0.5


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, nargs="*", default=[1000, 10_000, 100_000])
    parser.add_argument("--tags", type=Path, help="CSV file of image names and tags, instead of generated ones")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where all goes, and stays; else a temporary one")
    given = parser.parse_args()
    tables = [read_tags(given.tags)] if given.tags else [generated_tags(number) for number in given.images]
    with tempfile.TemporaryDirectory() as temporary:
        for tags in tables:
            row = measure(tags, (given.folder or Path(temporary)) / str(len(tags)), given.workers)
            print(json.dumps(row))
            append_rows("scale", [row], workers=given.workers, tags=given.tags.name if given.tags else "generated")


def read_tags(path: Path) -> dict[str, tuple[str, ...]]:
    """Return the tags of a CSV file by the name of the photograph."""
    with path.open(newline="", encoding="utf-8") as file:
        return {image: tuple(tags.split(";")) for image, tags in list(csv.reader(file))[1:]}


def generated_tags(number: int) -> dict[str, tuple[str, ...]]:
    """Return one tag for each of some photographs."""
    drawn = np.random.default_rng(0).integers(CLASSES, size=number)
    return {f"{index:06d}.jpg": (f"class{label:02d}",) for index, label in enumerate(drawn.tolist())}


def measure(tags: dict[str, tuple[str, ...]], folder: Path, workers: int) -> dict[str, Any]:
    """Return what a data set of these tags takes."""
    write_data(tags, folder)
    data = ["--data.root", str(folder), "--data.images", "images", "--data.train", "tags.csv"]
    plain = ["--seeds.crf.iterations", "0", "--masks.crf.iterations", "0", "--workers", str(workers)]
    own = ["--methods", "cam", "--activations.from_folder", str(folder / "maps"), "--out", str(folder / "out"), *plain]
    checked = run(["data", "check", *data])
    first, again = run(["compare", "cam", *own, *data]), run(["compare", "cam", *own, *data])
    manifests = [json.loads(path.read_text()) for path in (folder / "out").glob("steps/*/manifest.json")]
    steps = {one["step"]: 1000 * one["summary"]["seconds"] / len(tags) for one in manifests}
    folders = [path for path in folder.rglob("*") if path.is_dir()]
    return {
        "images": len(tags),
        "check": checked,
        "first": first,
        "again": again,
        "ms_an_image": {name: round(value, 2) for name, value in sorted(steps.items())},
        "most_files": max(sum(1 for _ in path.iterdir()) for path in folders),
    }


def write_data(tags: dict[str, tuple[str, ...]], folder: Path) -> None:
    """Write photographs, tags, and activations of each tag, which are high in a rectangle."""
    for name in ("images", "maps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    labels = sorted({tag for of_image in tags.values() for tag in of_image})
    (folder / "classes.txt").write_text("".join(f"{label}\n" for label in labels))
    with (folder / "tags.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image", "tags"))
        writer.writerows((name, ";".join(of_image)) for name, of_image in tags.items())
    for number, (name, of_image) in enumerate(tags.items()):
        draw = np.random.default_rng(number)
        top, left = draw.integers(0, SIDE // 2, 2)
        place = np.s_[top : top + SIDE // 2, left : left + SIDE // 2]
        image, heat = np.full((SIDE, SIDE, 3), draw.integers(256, size=3), np.uint8), np.zeros((SIDE, SIDE), np.float32)
        image[place], heat[place] = draw.integers(256, size=3), 1.0
        cv2.imwrite(str(folder / "images" / name), image)
        small = cv2.resize(heat, (CELLS, CELLS), interpolation=cv2.INTER_AREA)
        maps = {labels.index(tag): small for tag in of_image}
        np.save(folder / "maps" / f"{Path(name).stem}.npy", maps, allow_pickle=True)  # type: ignore[arg-type]


def run(words: Sequence[str]) -> dict[str, float]:
    """Run a command, and return seconds, processor seconds and the most memory of its main process."""
    begun, most, spent = time.monotonic(), 0, 0.0
    with tempfile.TemporaryFile() as told:
        command = [sys.executable, "-m", "weakseg", *words]
        with subprocess.Popen(command, stdout=told, stderr=subprocess.STDOUT) as started:
            process = psutil.Process(started.pid)
            while started.poll() is None:
                try:
                    times = process.cpu_times()
                    most, spent = max(most, process.memory_info().rss), times.user + times.system
                except psutil.Error:
                    break
                time.sleep(SAMPLE_SECONDS)
        if started.returncode:
            told.seek(0)
            raise SystemExit(told.read().decode()[-4000:])
    return {"seconds": round(time.monotonic() - begun, 1), "cpu": round(spent, 1), "mb": round(most / 2**20)}


if __name__ == "__main__":
    main()

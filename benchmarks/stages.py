"""Images per second of every stage, on photographs that come with scikit-image.

    python benchmarks/stages.py [--repeats 7] [--threads 1]

Prints a table, and appends one JSON line a row to benchmarks/results/stages.jsonl. Times depend on the machine: compare
rows of one run only.
"""

import argparse
import resource
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import torch
from PIL import Image
from rows import append_rows

from weakseg.data.classes import Classes
from weakseg.data.image import load_rgb
from weakseg.data.sample import Tags, WeakSample
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.ops.resample import resize_image, scaled_size
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.segment import SegmentConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import train_classifier
from weakseg.stages.predict import predict_image
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import seed_image
from weakseg.stages.segment import load_segmenter, train_segmenter
from weakseg.training.loop import FitPlace

NAMES = ("cat", "coffee", "rocket", "astronaut")
LONG_SIDE = 320


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(name, work, given.repeats) for name, work in stages(Path(folder)).items()]
    append_rows("stages", rows, images=f"{len(NAMES)} photographs, long side {LONG_SIDE}")
    print(f"{'stage':<18} {'images/s':>9} {'slowest':>9} {'fastest':>9} {'peak MB':>8}")
    for row in rows:
        print(f"{row['stage']:<18} {row['median']:9.2f} {row['min']:9.2f} {row['max']:9.2f} {row['peak_mb']:8.0f}")


def measure(stage: str, work: Callable[[], int], repeats: int) -> dict[str, str | float]:
    """Return images per second (minimum, median, maximum) of ``repeats`` calls after one that is not counted."""
    work()
    rates = []
    for _ in range(repeats):
        begun = time.perf_counter()
        count = work()
        rates.append(count / (time.perf_counter() - begun))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"stage": stage, "median": statistics.median(rates), "min": min(rates), "max": max(rates), "peak_mb": peak}


def stages(folder: Path) -> dict[str, Callable[[], int]]:
    """Return each stage as a function that does all photographs and returns how many; products are made once before."""
    samples = [write_sample(folder, name) for name in NAMES]
    images = [sample.load_image() for sample in samples]
    model = build_word_classifier(["cat"])
    acts = [activate_image(model, image, (1,), ActivateConfig()) for image in images]
    seeds = [seed_image(act, image, SeedConfig()) for act, image in zip(acts, images, strict=True)]
    for sample, seed in zip(samples, seeds, strict=True):
        seed.save(folder / "masks" / f"{sample.id}.png")
    classes, once = Classes(("cat",)), FitConfig(epochs=1, batch_size=4)
    place = FitPlace(folder / "segmenter")
    train_segmenter(samples, folder / "masks", classes, config=SegmentConfig(fit=once), place=place)
    segmenter, _ = load_segmenter(folder / "segmenter" / "model.safetensors")

    def each(work: Callable[..., object], *columns: list[object]) -> Callable[[], int]:
        def run() -> int:
            return len([work(*row) for row in zip(*columns, strict=True)])

        return run

    def fit(train: Callable[[FitPlace], object]) -> Callable[[], int]:
        def run() -> int:
            with tempfile.TemporaryDirectory() as place:
                train(FitPlace(Path(place)))
            return len(samples)

        return run

    learning = ClassifierConfig(frozen=False, fit=once)
    return {
        "load": each(lambda sample: load_rgb(sample.image_path), samples),
        "activate": each(lambda image: activate_image(model, image, (1,), ActivateConfig()), images),
        "seed": each(lambda act, image: seed_image(act, image, SeedConfig()), acts, images),
        "refine": each(lambda seed, image: refine_image(seed, image, RefineConfig()), seeds, images),
        "predict": each(lambda image: predict_image(segmenter, image, PredictConfig()), images),
        "predict with CRF": each(lambda image: predict_image(segmenter, image, PredictConfig(crf=True)), images),
        "train classifier": fit(lambda place: train_classifier(samples, [], classes, config=learning, place=place)),
        "train segmenter": fit(
            lambda place: train_segmenter(
                samples, folder / "masks", classes, config=SegmentConfig(fit=once), place=place
            )
        ),
    }


def write_sample(folder: Path, name: str) -> WeakSample:
    """Write one photograph, reduced to ``LONG_SIDE``, and return it as a tagged sample."""
    image = np.ascontiguousarray(getattr(skimage.data, name)())
    image = resize_image(image, scaled_size(image.shape[:2], 1.0, max_side=LONG_SIDE))
    Image.fromarray(image).save(folder / f"{name}.png")
    return WeakSample(name, folder / f"{name}.png", Tags(frozenset({1})))


if __name__ == "__main__":
    main()

"""An exported segmenter against torch: time of a photograph from pixels to labels, and labels that agree.

    python benchmarks/deploy.py --photographs FOLDER [--model model.safetensors] [--count 20] [--repeats 5] [--int8]
    python benchmarks/deploy.py --photographs FOLDER --head tree

Without a model it is the default segmenter of 21 classes, of this head or another, that has learned nothing: its head
is drawn at random, and its time is that of a trained one. Each photograph is brought to each size; torch
(``predict_image`` at one scale) and onnxruntime take turns, with one thread and with two, and with ``--int8`` the file
of 8 bits. Prints rows and appends them, one for a size and number of threads, to benchmarks/results/deploy.jsonl. Times
depend on the machine: compare rows of one run only.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from rows import append_rows

from weakseg.data.dataset import open_plain_folder
from weakseg.deploy.agreement import single_scale
from weakseg.deploy.export import export_onnx
from weakseg.deploy.network import Given
from weakseg.deploy.quantize import Tried, export_int8
from weakseg.nn.exported.file import open_session
from weakseg.nn.segmenters import build_segmenter, completed
from weakseg.nn.weights import save_model
from weakseg.ops.resample import resize_image
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter

SIZES = ((320, 213), (500, 375))  # columns, rows
CLASSES = 21
Image = NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photographs", type=Path, required=True)
    parser.add_argument("--model", type=Path)
    parser.add_argument("--head", default=SegmenterConfig().head, help="without --model")
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--int8", action="store_true")
    given = parser.parse_args()
    samples = open_plain_folder(given.photographs)
    chosen = samples[:: max(1, len(samples) // given.count)][: given.count]
    with tempfile.TemporaryDirectory() as folder:
        model = given.model or untrained(Path(folder) / "model.safetensors", given.head)
        files = {"onnx": Path(folder) / "model.onnx"}
        print(export_onnx(Given(model), files["onnx"]).sentence)
        if given.int8:
            files["int8"] = Path(folder) / "int8.onnx"
            others = [s.load_image() for s in samples if s not in chosen][:64]
            print(export_int8(Given(model), files["int8"], Tried(others[::2], others[1::2]))[1].sentence)
        rows = [
            measured(model, files, [resized(s.load_image(), size) for s in chosen], threads, given.repeats)
            for size in SIZES
            for threads in (1, 2)
        ]
    append_rows(
        "deploy",
        rows,
        onnxruntime=onnxruntime.__version__,
        trained=given.model is not None,
        head="" if given.model else given.head,
    )


def untrained(path: Path, head: str) -> Path:
    """Write the default segmenter with weights of the head that make labels differ."""
    torch.manual_seed(0)
    config = completed(SegmenterConfig(head=head))  # type: ignore[arg-type]
    header = {"kind": "segmenter", "classes": [f"class {n}" for n in range(CLASSES)], "model": asdict(config)}
    model = build_segmenter(config, CLASSES)
    for weights in model.head.parameters():
        weights.data.normal_(std=0.3)
    save_model(path, model, header)
    return path


def resized(image: Image, size: tuple[int, int]) -> Image:
    """Return a photograph of (columns, rows), turned where it stands upright; stretched where it is of another form."""
    return resize_image(image, size if image.shape[0] > image.shape[1] else size[::-1])


def measured(model: Path, files: dict[str, Path], images: list[Image], threads: int, repeats: int) -> dict[str, object]:
    """Return medians of seconds a photograph, ratios to torch and labels that agree."""
    torch.set_num_threads(threads)
    segmenter, config = load_segmenter(model)[0], single_scale(Given(model))
    ways: dict[str, Callable[[Image], Image]] = {"torch": lambda image: predict_image(segmenter, image, config).labels}
    ways |= {name: labels_of(path, threads) for name, path in files.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    agreed: dict[str, list[float]] = {name: [] for name in files}
    for repeat in range(repeats + 1):  # the first does not count
        for image in images:
            found = {}
            for name, way in ways.items():
                begun = time.perf_counter()
                found[name] = way(image)
                if repeat:
                    seconds[name].append(time.perf_counter() - begun)
            for name in files if not repeat else ():
                agreed[name].append(float((found[name] == found["torch"]).mean()))
    times = {name: statistics.median(values) for name, values in seconds.items()}
    row: dict[str, object] = {"size": max(images[0].shape[:2]), "threads_each": threads, "images": len(images)}
    row |= {f"{name}_ms": round(1000 * value, 2) for name, value in times.items()}
    row |= {f"{name}_ratio": round(times["torch"] / times[name], 2) for name in files}
    row |= {f"{name}_labels": round(100 * statistics.mean(agreed[name]), 4) for name in files}
    row |= {f"{name}_labels_least": round(100 * min(agreed[name]), 4) for name in files}
    print(row, flush=True)
    return row


def labels_of(path: Path, threads: int) -> Callable[[Image], Image]:
    session = open_session(path.read_bytes(), str(path), threads)
    return lambda image: session.run(["labels"], {"images": image[None]})[0][0]  # type: ignore[no-any-return]


if __name__ == "__main__":
    main()

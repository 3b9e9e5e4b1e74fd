"""What a GPU takes: operators, WSGCN and A2GNN over images of VOC's size, and a step of a segmenter.

    python benchmarks/gpu.py [--only wsgcn crf ...] [--minutes 10]
    python benchmarks/gpu.py --device cpu --small        # the same code on small images, where there is no GPU

Images have 375 x 500 pixels. Each time is the median of some, after a first one that does not count, with the device
waited for. The processor does the same with one thread, an image at a time where that is how runs work on it;
``core`` says how many times longer it takes, ``machine`` the same divided by the number of cores, each with an image.
WSGCN's time is extrapolated from 256 images to the 10,582 of VOC: networks alone, without reading, graphs and writing.
After ``--minutes`` no further case begins. Appends one JSON line a row to benchmarks/results/gpu.jsonl.
"""

import argparse
import copy
import functools
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import skimage.data
import torch
from a2gnn import build_scene as a2gnn_scene
from rows import append_rows
from torch import Tensor
from wsgcn import build_scene as wsgcn_scene

from weakseg.methods.a2gnn.config import PRESETS
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.complete import GcnTask, complete_by_gcn
from weakseg.methods.wsgcn.config import GcnConfig, WsgcnConfig
from weakseg.nn.segmenters import build_segmenter
from weakseg.ops.crf import dense_crf
from weakseg.ops.sparse import SparseMatrix, block_diagonal
from weakseg.ops.stencil import half_disc, half_square, stencil_matrix
from weakseg.ops.tile_attention import cosine_attention
from weakseg.ops.tiles import build_tiles, grid_places
from weakseg.ops.tree_filter import minimum_spanning_tree, tree_filter
from weakseg.ops.walk import build_walk
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.segment import SegmentConfig, SegmenterConfig
from weakseg.stages.segment import segmenter_loss
from weakseg.steps.per_image import CHUNK

VOC_IMAGES, GOAL_MINUTES = 10_582, 2.0
LABELS = 4
HEAD = f"{'case':<44} {'images':>6} {'ms an image':>12} {'core':>8} {'machine':>8} {'MB':>8}"
LINE = "{case:<44} {images:6} {ms_an_image:12.2f} {core:>8} {machine:>8} {peak_mb:8.0f}"
Work = Callable[[str], Callable[[], object]]


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Attributes:
        image: (rows, columns) of a photograph.
        images: Of a batch.
        all_images: That VOC's time is extrapolated from.
        share: Of the steps of trainings.
        crop: Side of the segmenter's crops.
        backbone: Of the segmenter.
        repeats: Times a median is taken of.
    """

    image: tuple[int, int]
    images: int
    all_images: int
    share: float
    crop: int
    backbone: str
    repeats: int

    def grid(self, stride: int) -> tuple[int, int]:
        """Return (rows, columns) of cells."""
        return -(-self.image[0] // stride), -(-self.image[1] // stride)

    def steps(self, count: int) -> int:
        """Return how many steps of a training are taken."""
        return max(1, round(self.share * count))


WHOLE = Scale((375, 500), CHUNK, 256, 1.0, 321, "resnet50", 3)
SMALL = Scale((24, 40), 2, 4, 0.01, 32, "resnet10t", 1)


@dataclass(frozen=True)
class Case:
    """What is measured.

    Attributes:
        name: Of the row.
        images: That the work is for.
        work: From a device to what is done there again and again.
        alone: The same for one image, as it is done on a processor; ``None``: ``work`` itself.
    """

    name: str
    images: int
    work: Work
    alone: Work | None = None


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="few small images, to try the script")
    parser.add_argument("--minutes", type=float, default=10.0, help="after which no further case begins")
    parser.add_argument("--only", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    given = parser.parse_args(arguments)
    if given.device == "cuda" and not torch.cuda.is_available():
        print("no GPU: torch sees none on this machine, so nothing was measured; --device cpu --small tries the script")
        return 0
    scale, end = SMALL if given.small else WHOLE, time.monotonic() + 60 * given.minutes
    print(f"{device_name(given.device)}; {os.cpu_count()} cores of the processor\n{HEAD}")
    failed = 0
    for group in given.only:
        for case in GROUPS[group](scale):
            if time.monotonic() > end:
                print(f"{case.name}: left out, for {given.minutes:g} minutes are over; --only {group} measures it")
                continue
            try:
                row = measure(case, given.device, scale.repeats)
            except Exception as error:  # the others are measured all the same
                print(f"{case.name}: failed, {type(error).__name__}: {error}", flush=True)
                failed += 1
                continue
            append_rows("gpu", [row], device=device_name(given.device), cores=os.cpu_count(), small=given.small)
            print(LINE.format(**row), flush=True)
            if case.name == WSGCN_ALL:
                tell_voc(row, given.device, small=given.small)
    return min(failed, 1)


def device_name(device: str) -> str:
    """Return what the device is called."""
    return torch.cuda.get_device_name() if device == "cuda" else "processor"


def measure(case: Case, device: str, repeats: int) -> dict[str, Any]:
    """Return the row of a case."""
    seconds, peak = timed(case.work, device, repeats)
    core_s = core_seconds(case.work) / case.images if case.alone is None else core_seconds(case.alone)
    each = seconds / case.images
    return {
        "case": case.name,
        "images": case.images,
        "seconds": seconds,
        "ms_an_image": 1000 * each,
        "core_s": core_s,
        "core": f"{core_s / each:.1f}x",
        "machine": f"{core_s / each / (os.cpu_count() or 1):.1f}x",
        "peak_mb": peak,
    }


@functools.cache  # cases may have it in common
def core_seconds(work: Work) -> float:
    """Return the seconds that one thread of the processor takes."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return timed(work, "cpu", 1)[0]
    finally:
        torch.set_num_threads(threads)


def timed(work: Work, device: str, repeats: int) -> tuple[float, float]:
    """Return the median seconds of the work, after one that does not count, and the GPU's most memory in MiB."""
    run, on_gpu = work(device), device == "cuda"
    run()
    if on_gpu:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        run()
        if on_gpu:
            torch.cuda.synchronize()
        times.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else 0.0
    del run
    if on_gpu:
        torch.cuda.empty_cache()
    return statistics.median(times), peak


def tell_voc(row: dict[str, Any], device: str, *, small: bool) -> None:
    """Append and print what WSGCN takes for all images of VOC, by the time of those that were measured."""
    minutes = VOC_IMAGES * row["ms_an_image"] / 60_000
    voc = {"case": "WSGCN, VOC's images, extrapolated", "images": VOC_IMAGES, "minutes": minutes, "goal": GOAL_MINUTES}
    append_rows("gpu", [voc], device=device_name(device), of=row["images"], small=small)
    verdict = "" if small else f", {'within' if minutes <= GOAL_MINUTES else 'over'} the goal of {GOAL_MINUTES:g}"
    print(f"WSGCN over {VOC_IMAGES:,} images, extrapolated from {row['images']}: {minutes:.2f} minutes{verdict}")


WSGCN_ALL = "WSGCN, the images that VOC is extrapolated from"


def wsgcn_cases(scale: Scale) -> Iterator[Case]:
    """Yield WSGCN on a batch of images, and on all; an image at a time on the processor."""
    config = WsgcnConfig(gcn=replace(GcnConfig(), steps=scale.steps(GcnConfig().steps)))
    scenes = [wsgcn_scene(scale.grid(4), seed) for seed in range(min(8, scale.images))]

    def work(count: int, device: str) -> Callable[[], object]:
        tasks = [
            GcnTask(replace(scenes[i % len(scenes)], seed=i), tuple(range(LABELS)), scale.image) for i in range(count)
        ]
        chunks = [tasks[first : first + CHUNK] for first in range(0, count, CHUNK)]
        return lambda: [complete_by_gcn(chunk, config, device=device) for chunk in chunks]

    alone = functools.partial(work, 1)
    yield Case("WSGCN, a batch of images", scale.images, functools.partial(work, scale.images), alone)
    yield Case(WSGCN_ALL, scale.all_images, functools.partial(work, scale.all_images), alone)


def a2gnn_cases(scale: Scale) -> Iterator[Case]:
    """Yield A2GNN on a batch of images with and without boxes; an image at a time on the processor."""
    for kind in ("boxes", "tags"):
        preset = PRESETS[kind]
        steps = {name: scale.steps(getattr(preset, name)) for name in ("first_steps", "second_steps")}
        config = replace(preset, **steps, memory_mb=40_000)
        some = [a2gnn_scene(kind == "boxes", config, scale.image, seed) for seed in range(min(8, scale.images))]
        problems = [replace(some[i % len(some)], image_id=str(i)) for i in range(scale.images)]

        def work(count: int, device: str, problems: Any = problems, config: Any = config) -> Callable[[], object]:
            return lambda: train_a2gnn(problems[:count], config, device=device)

        alone = functools.partial(work, 1)
        yield Case(f"A2GNN, {kind}, a batch of images", scale.images, functools.partial(work, scale.images), alone)


def crf_cases(scale: Scale) -> Iterator[Case]:
    """Yield the dense CRF of an image, built and inferred."""
    photograph = np.ascontiguousarray(skimage.data.astronaut()[: scale.image[0], : scale.image[1]])
    unary = torch.rand(LABELS, *scale.image, generator=torch.Generator().manual_seed(0))

    def work(device: str) -> Callable[[], object]:
        image, there = torch.from_numpy(photograph).to(device), unary.to(device)
        return lambda: dense_crf(there, image, CrfParams())

    yield Case("dense CRF, 4 labels, 10 updates", 1, work)


def sparse_cases(scale: Scale) -> Iterator[Case]:
    """Yield products with a batch of grids, there and back, and walks on them."""
    grids, values = _grids(scale), torch.rand(scale.images * _cells(scale.grid(4)), LABELS)

    def product(device: str) -> Callable[[], object]:
        matrix, leaf = grids.to(device), values.to(device).requires_grad_()
        return lambda: matrix.times(leaf).sum().backward()

    def walked(device: str) -> Callable[[], object]:
        walk, there = build_walk(grids.to(device), 256, error=1e-3), values.to(device)
        return lambda: walk.apply(there)

    yield Case("sparse product, 69 neighbours, there and back", scale.images, product)
    yield Case("walk of 256 steps, error 1e-3", scale.images, walked)


def _cells(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _grids(scale: Scale) -> SparseMatrix:
    """Return the affinities of a batch of grids of four pixels a cell."""
    offsets, noise = half_disc(5), torch.Generator().manual_seed(0)
    one = stencil_matrix(torch.rand(len(offsets), *scale.grid(4), generator=noise), offsets, diagonal=1.0)
    return block_diagonal([one] * scale.images)


def attention_cases(scale: Scale) -> Iterator[Case]:
    """Yield a layer of cosine attention, there and back, on a batch of grids of eight pixels a cell."""
    size, offsets, noise = scale.grid(8), half_square(4), torch.Generator().manual_seed(0)
    one = stencil_matrix(torch.rand(len(offsets), *size, generator=noise), offsets, diagonal=1.0)
    graphs = build_tiles([one.pattern] * scale.images, [grid_places(size)] * scale.images)
    values = torch.randn(scale.images * _cells(size), 256, generator=noise).relu()

    def work(device: str) -> Callable[[], object]:
        tiles, weights = graphs.to(device), torch.ones(scale.images, device=device).requires_grad_()
        edges = tiles.spread(torch.cat([one.values] * scale.images).to(device))
        leaf = tiles.scatter(values.to(device)).flatten(0, 1).requires_grad_()
        return lambda: cosine_attention(tiles, leaf, weights, edges).sum().backward()

    yield Case("cosine attention, 81 neighbours, 256 channels", scale.images, work)


def tree_cases(scale: Scale) -> Iterator[Case]:
    """Yield the filter along a tree, there and back; the tree itself is made by the processor, and does not count."""
    size, noise = scale.grid(4), torch.Generator().manual_seed(0)
    tree = minimum_spanning_tree(torch.rand(3, *size, generator=noise))
    values, apart = torch.rand(_cells(size), 16, 16, generator=noise), torch.rand(_cells(size), 16, generator=noise)

    def work(device: str) -> Callable[[], object]:
        there = tree._replace(order=tree.order.to(device), parents=tree.parents.to(device))
        leaf, distances = values.to(device).requires_grad_(), apart.to(device)
        return lambda: tree_filter(leaf, distances, there).sum().backward()

    yield Case("tree filter, 16 groups of 16 channels", 1, work)


def segmenter_cases(scale: Scale) -> Iterator[Case]:
    """Yield a step of SGD of a segmenter on crops, in single precision and in bfloat16; one crop on the processor."""
    config = SegmentConfig(SegmenterConfig(BackboneConfig(scale.backbone, 16, "none"), "largefov"))
    torch.manual_seed(0)
    model = build_segmenter(config.model, 20)
    batch = 8

    def work(count: int, half: bool, device: str) -> Callable[[], object]:
        own = copy.deepcopy(model).to(device).train()
        optimizer = torch.optim.SGD(own.parameters(), lr=1e-3, momentum=0.9)
        images = 255 * torch.rand(count, 3, scale.crop, scale.crop, device=device)
        labels = torch.randint(0, 21, (count, scale.crop, scale.crop), device=device)

        def step() -> Tensor:
            with torch.autocast(device, dtype=torch.bfloat16, enabled=half):
                loss = segmenter_loss(own, [images, labels], config=config)
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            return loss

        return step

    for half in (False, True):
        name = f"segmenter step, {scale.backbone}, {'bfloat16' if half else 'float32'}"
        yield Case(name, batch, functools.partial(work, batch, half), functools.partial(work, 1, False))


GROUPS: dict[str, Callable[[Scale], Iterator[Case]]] = {
    "wsgcn": wsgcn_cases,
    "a2gnn": a2gnn_cases,
    "segmenter": segmenter_cases,
    "crf": crf_cases,
    "sparse": sparse_cases,
    "attention": attention_cases,
    "tree": tree_cases,
}

if __name__ == "__main__":
    sys.exit(main())

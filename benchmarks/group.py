"""Messages between images against the published formulation, and the time that drawing groups takes.

    python benchmarks/group.py [--threads 2] [--repeats 5] [--voc TABLE.csv]

``messages``: 28 x 28 cells, 512 channels, two groups of four images, three rounds of messages without the updates
between them, forward and backward; against a loop over directed edges that projects both images of each and holds its
N x N attention. Prints how many times longer the loop takes, by the clock and in processor time; how much memory each
takes beyond what both return, as torch's allocator counts it; and how far values and gradients differ.
``groups``: an epoch of groups of four, and a partition, of 82,783 images with 80 classes, 2.9 each, with a long tail;
and of a table of tags; in processor time. ``accumulation``: what a running maximum of 1,000 activations costs in the
store, against one PNG that is read and written for each; in processor time. Appends one JSON line a row to
benchmarks/results/group.jsonl.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from rows import allocated_mb, append_rows, peak_mb
from torch import Tensor

from weakseg.data.classes import Classes
from weakseg.data.formats.tags import read_table
from weakseg.data.groups import TagGroups
from weakseg.data.sample import Tags, WeakSample
from weakseg.graph.image_group import complete_edges
from weakseg.nn.graphs.image_graph import ImageGraph
from weakseg.settings.group import ImageGraphConfig
from weakseg.stages.accumulated import AccumulatedMaps
from weakseg.stages.map_index import MapIndex, MappedImage

CELLS, CHANNELS, SIZE, GROUPS, ROUNDS = 28, 512, 4, 2, 3
IMAGES, CLASSES, PER_IMAGE = 82_783, 80, 2.9
HEAD = f"{'messages':<9} {'ratio':>6} {'CPU':>6} {'s':>6} {'loop s':>7} {'MB':>5} {'loop MB':>8}  differ by"
LINE = "{what:<9} {ratio:6.2f} {cpu_ratio:6.2f} {seconds:6.2f} {loop_s:7.2f} {mb:5.0f} {loop_mb:8.0f}  {difference:.1e}"
GROUPS_HEAD = f"{'groups of':<22} {'images':>7} {'tag sets':>9} {'index s':>8} {'epoch s':>8} {'parts s':>8} {'MB':>5}"
STORE_LINE = "accumulation: {us:.1f} us a map in the store, {png_us:.0f} us as PNG, ratio {ratio:.0f}"
GROUPS_LINE = "{what:<22} {images:7d} {sets:9d} {index_s:8.2f} {epoch_s:8.2f} {partition_s:8.2f} {peak_mb:5.0f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--voc", type=Path, help="table of tags, image and labels, such as VOC's")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(GROUPS_HEAD)
    tables = {given.voc.name: from_table(given.voc)} if given.voc else {}  # the small first: freed memory is used again
    tables["COCO-like statistics"] = coco_like()
    for name, samples in tables.items():
        row = measure_groups(name, samples)
        append_rows("group", [row])
        print(GROUPS_LINE.format(**row), flush=True)
    row = measure_messages(given.repeats)
    append_rows("group", [row])
    print("", HEAD, LINE.format(**row), sep="\n")
    row = measure_accumulation(given.repeats)
    append_rows("group", [row])
    print(STORE_LINE.format(**row))


def measure_messages(repeats: int) -> dict[str, object]:
    """Return times, interleaved, memory, and the largest difference relative to the largest value."""
    noise = torch.Generator().manual_seed(0)
    states = torch.rand(SIZE * GROUPS, CHANNELS, CELLS, CELLS, generator=noise).requires_grad_()
    slope = torch.randn(states.shape, generator=noise)
    network = ImageGraph(CHANNELS, ImageGraphConfig(aggregate="mean", self_edge=False))
    edges = complete_edges(torch.arange(len(states)) // SIZE)
    wanted = [states, network.query.weight, network.key.weight]

    def rounds(send: Callable[[Tensor], Tensor]) -> list[Tensor]:
        found = states
        for _ in range(ROUNDS):
            found = send(found)
        return [found, *torch.autograd.grad(found, wanted, slope)]

    runs = {
        "ours": lambda: rounds(lambda sent: network.neighbors(sent, edges)),
        "loop": lambda: rounds(lambda sent: looped(network, sent, edges)),
    }
    pairs = list(zip(*(run() for run in runs.values()), strict=True))  # warms up
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in runs}
    for name, run in [*runs.items()] * repeats:
        begun = time.perf_counter(), time.process_time()
        run()
        times[name].append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    took = {name: [statistics.median(one) for one in zip(*found, strict=True)] for name, found in times.items()}
    returned = sum(one.nbytes for one, _ in pairs) / 2**20
    differing = [(a.detach(), b.detach()) for a, b in pairs]
    memory = {name: allocated_mb(run) - returned for name, run in runs.items()}
    return {
        "what": "messages",
        "ratio": took["loop"][0] / took["ours"][0],
        "cpu_ratio": took["loop"][1] / took["ours"][1],
        "seconds": took["ours"][0],
        "loop_s": took["loop"][0],
        "mb": memory["ours"],
        "loop_mb": memory["loop"],
        "difference": max(float((a - b).abs().max() / b.abs().max()) for a, b in differing),
    }


def looped(network: ImageGraph, states: Tensor, edges: Tensor) -> Tensor:
    """Return the mean of messages, edge by edge, each direction computed anew, as in the published code."""
    received: list[list[Tensor]] = [[] for _ in states]
    for sender, receiver in edges.T.tolist():
        query = network.query(states[receiver : receiver + 1]).flatten(2)
        key = network.key(states[sender : sender + 1]).flatten(2)
        attention = torch.softmax(query.mT @ key, -1)
        received[receiver].append(states[sender].flatten(1) @ attention[0].T)
    return torch.stack([sum(some, torch.zeros(())) / len(some) for some in received]).reshape(states.shape)


def measure_accumulation(repeats: int) -> dict[str, object]:
    """Return microseconds a map, of 500 images of two classes with 28 x 28 cells whose maps are there already."""
    images = [MappedImage(f"{index:06}", (375, 500), (CELLS, CELLS), (1, 2)) for index in range(500)]
    store = AccumulatedMaps(MapIndex.of(Classes(("one", "two")), images))
    noise = np.random.default_rng(0)
    maps = [(image.id, k, noise.integers(0, 256, (CELLS, CELLS), np.uint8)) for image in images for k in (1, 2)]

    def stored() -> None:
        for image_id, class_id, found in maps:
            store.merge(image_id, class_id, found)

    with tempfile.TemporaryDirectory() as folder:

        def as_png() -> None:
            for image_id, class_id, found in maps:
                path = Path(folder) / f"{image_id}_{class_id}.png"
                known = np.asarray(Image.open(path)) if path.exists() else found
                Image.fromarray(np.maximum(known, found)).save(path)

        own, png = (_median_seconds(run, repeats) / len(maps) for run in (stored, as_png))
    return {"what": "accumulation", "ratio": png / own, "us": 1e6 * own, "png_us": 1e6 * png}


def _median_seconds(run: Callable[[], None], repeats: int) -> float:
    """Return the median processor time of a run, after one that warms up."""
    run()
    times = []
    for _ in range(repeats):
        begun = time.process_time()
        run()
        times.append(time.process_time() - begun)
    return statistics.median(times)


def measure_groups(what: str, samples: Sequence[WeakSample]) -> dict[str, object]:
    """Return what index, epoch and partition take of processor time, and the memory of all three."""
    found: dict[str, float] = {}

    def run() -> None:
        begun = time.process_time()
        groups = TagGroups(samples, SIZE)
        indexed = time.process_time()
        groups.epoch(0, 1)
        drawn = time.process_time()
        groups.partition()
        found.update(index_s=indexed - begun, epoch_s=drawn - indexed, partition_s=time.process_time() - drawn)

    peak = peak_mb(run)
    sets = len({sample.tags.present for sample in samples})
    return {"what": what, "images": len(samples), "sets": sets, **found, "peak_mb": peak}


def coco_like() -> list[WeakSample]:
    """Return images whose number of classes is one more than a Poisson number, classes as by Zipf."""
    rng = np.random.default_rng(0)
    counts = 1 + rng.poisson(PER_IMAGE - 1, IMAGES)
    chances = -np.log(np.arange(1, CLASSES + 1)) + rng.gumbel(size=(IMAGES, CLASSES))
    order = 1 + np.argsort(-chances, axis=1)
    path = Path("a.jpg")
    return [
        WeakSample(f"image{index:06}", path, Tags(frozenset(row[:count].tolist())))
        for index, (row, count) in enumerate(zip(order, counts, strict=True))
    ]


def from_table(table: Path) -> list[WeakSample]:
    """Return the images of a table of tags."""
    read = read_table(table)
    tags = read.bind(Classes.from_labels(None, read.class_names))
    return [WeakSample(image_id, Path("a.jpg"), one) for image_id, one in tags.items()]


if __name__ == "__main__":
    main()

"""One step of DGCN's growth against its literal formulation, and against the network's own work in that step.

    python benchmarks/dgcn.py [--threads 2] [--repeats 5]

16 images of 41 x 41 cells, 480 features, one class in half of them and two in the others. ``literal``: the matrix of
all distances, sorted, and networkx's minimum cut with floats as capacities, of two images, times eight; its labels are
compared with ours. ``network``: forward and backward of the embedded backbone at stride 8 with its head, on two images
of 321 x 321 pixels, times eight. ``crf``: what the boundary loss adds. Prints ratios, milliseconds and memory, and
appends one JSON line a row to benchmarks/results/dgcn.jsonl. Needs networkx, which scikit-image brings.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from dataclasses import replace

import networkx
import numpy as np
import skimage.data
import torch
from rows import append_rows, peak_mb
from torch import Tensor
from torch.nn import functional as F

from weakseg.nn.losses import floored, seeding_loss
from weakseg.nn.segmenters import build_segmenter
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.grow import BoundaryConfig, GrowthConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.grow import Grower, Outputs

IMAGES, SIDE, CELLS, CHANNELS, CLASSES, FEW = 16, 321, 41, 480, 20, 2
HEAD = f"{'growth against':<22} {'ratio':>7} {'ms':>8} {'other ms':>9} {'MB':>6} {'other':>6}  note"
LINE = "{against:<22} {ratio:7.2f} {ms:8.0f} {other_ms:9.0f} {peak_mb:6.0f} {other_peak_mb:6.0f}  {note}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(HEAD)
    for row in rows(given.threads, given.repeats):
        append_rows("dgcn", [row])
        print(LINE.format(**row), flush=True)


def rows(threads: int, repeats: int) -> list[dict[str, object]]:
    """Return what growth takes, beside the literal formulation, the network and the CRF, interleaved."""
    batch = build_batch()
    grower = Grower(GrowthConfig(), BoundaryConfig(weight=0.0), threads=threads)
    with_crf = replace(grower, growth=GrowthConfig("none"), boundary=BoundaryConfig())
    step = network_step(batch[0][:FEW])
    runs = {"growth": lambda: grower.batch(*batch), "network": step, "crf": lambda: with_crf.batch(*batch)}
    times: dict[str, list[float]] = {name: [] for name in runs}
    for name, run in [*runs.items()] * (repeats + 1):
        times[name].append(seconds(run))
    took = {name: statistics.median(found[1:]) for name, found in times.items()}  # the first warms up
    took["network"] *= IMAGES / FEW
    peaks = {name: peak_mb(run) for name, run in runs.items()}
    labels: list[Tensor] = []
    literal_s = seconds(lambda: labels.extend(literal(batch, index) for index in range(FEW)))
    peaks["literal"] = peak_mb(lambda: literal(batch, 0))
    ours = [one.labels for one in grower.batch(*batch)[:FEW]]
    equal = sum(int((a == b).sum()) for a, b in zip(ours, labels, strict=True)) / sum(x.numel() for x in ours)
    took["literal"] = literal_s * IMAGES / FEW
    notes = {
        "literal": f"{equal:.2%} of the labels are the same",
        "network": f"growth is {took['growth'] / took['network']:.1%} of forward and backward",
        "crf": "of the boundary loss, with seeds alone",
    }
    return [
        {
            "against": name,
            "ratio": took[name] / took["growth"],
            "ms": 1e3 * took["growth"],
            "other_ms": 1e3 * took[name],
            "peak_mb": peaks["growth"],
            "other_peak_mb": peaks[name],
            "note": note,
        }
        for name, note in notes.items()
    ]


def seconds(run: Callable[[], object]) -> float:
    begun = time.perf_counter()
    run()
    return time.perf_counter() - begun


def build_batch() -> tuple[Tensor, Tensor, Tensor, Outputs]:
    """Return crops of a photograph: features are noisy means of colour, classes levels of red, a tenth is seeded."""
    noise = torch.Generator().manual_seed(0)
    photograph = torch.from_numpy(np.array(skimage.data.astronaut())).permute(2, 0, 1)[None].float()
    places = torch.randint(0, 512 - 256, (IMAGES, 2), generator=noise).tolist()
    crops = torch.cat([photograph[..., y : y + 256, x : x + 256] for y, x in places])
    images = F.interpolate(crops, (SIDE, SIDE), mode="bilinear", align_corners=False)
    colors = F.interpolate(images, (CELLS, CELLS), mode="area") / 255
    mixed = torch.einsum("dc,bchw->bdhw", torch.randn(CHANNELS, 3, generator=noise), colors - 0.5)
    levels = list((mixed + 0.3 * torch.randn(mixed.shape, generator=noise)).split(CHANNELS // 5, 1))
    count = 2 + torch.arange(IMAGES)[:, None, None] % 2  # labels of an image: background, and one or two classes
    truth = (colors[:, 0] * count).long().minimum(count - 1)
    logits = 3.0 * F.one_hot(truth, CLASSES + 1).permute(0, 3, 1, 2) + torch.randn(
        IMAGES, CLASSES + 1, CELLS, CELLS, generator=noise
    )
    known = torch.rand(truth.shape, generator=noise) < 0.1
    labels = F.interpolate(torch.where(known, truth, 255)[:, None].float(), (SIDE, SIDE), mode="nearest-exact")
    tags = (torch.arange(1, CLASSES + 1) < count[:, :, 0]).float()
    return images, labels[:, 0].long(), tags, Outputs(floored(logits.softmax(1)), levels)


def network_step(images: Tensor) -> Callable[[], object]:
    """Return a step of the network on images, with a loss that costs next to nothing."""
    config = SegmenterConfig(BackboneConfig(output_stride=8))
    model = build_segmenter(config, CLASSES).train()
    labels = torch.zeros(len(images), CELLS, CELLS, dtype=torch.int64)

    def step() -> None:
        found = model(images, further=("levels",))
        seeding_loss(floored(found.logits.softmax(1)), labels).backward()
        model.zero_grad()

    return step


def literal(batch: tuple[Tensor, Tensor, Tensor, Outputs], index: int) -> Tensor:
    """Return the labels of an image by all distances, sorted, and a maximum flow in Python."""
    _, _, tags, found = batch
    config = GrowthConfig().completed
    assert config.threshold is not None
    probs = found.probs[index].flatten(1).double()
    seeds = Grower(GrowthConfig("none"), BoundaryConfig(weight=0.0)).batch(*batch)[index].seeds.flatten()
    points = torch.cat([F.normalize(level[index], dim=0) for level in found.levels]).flatten(1).T.double()
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(math.inf)
    near = distances.argsort(1)[:, : config.neighbors]
    labels, present = seeds.clone(), [int(c) + 1 for c in tags[index].nonzero()]
    for label in present:
        graph = networkx.Graph()
        for p, others in enumerate(near.tolist()):
            graph.add_edges_from((p, q, {"capacity": config.link_weight}) for q in others)
        for p, (h, seed) in enumerate(zip(probs[label].clamp(1e-4, 1 - 1e-4).tolist(), seeds.tolist(), strict=True)):
            hard = 1e3 if seed != 255 else 0.0
            own = hard if seed == label else 0.0 if hard else -math.log(1 - h)
            graph.add_edge("s", p, capacity=own)
            graph.add_edge(p, "t", capacity=0.0 if seed == label else hard or -math.log(h))
        _, (side, _) = networkx.minimum_cut(graph, "s", "t")
        for p in side - {"s"}:
            if seeds[p] == 255 and probs[label, p] > config.threshold:
                labels[p] = label
    return labels.reshape(CELLS, CELLS)


if __name__ == "__main__":
    main()

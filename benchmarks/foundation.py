"""What features of other networks cost and are worth in the graph of one photograph.

    python benchmarks/foundation.py cost [--networks vit_small_patch14_dinov2.lvd142m ...] [--enlarged 1 2]
    python benchmarks/foundation.py masks --msrc /path/to/msrc [--list fit] [--most 60] \
        [--name vit_small_patch14_dinov2.lvd142m --file dinov2.pth --levels 1 --weights 8 16 32 --enlarged 1 2]

``cost``: one image of 375 x 500 pixels and random weights, on one thread: processor seconds of the network and of the
graph that is made of its features, how many cells and channels it has, what torch gives out at most, what a run keeps
of an image, and the seconds of A2GNN's mask of a box on that graph. ``times`` is all three over those of the embedded
network.

``masks``: mean IoU in percent of masks of `weakseg.Photograph` from a tight box around each object, and from a stroke
along each (``benchmarks/drawn_masks.py``), for each kind of graph: of the embedded network, of its colours alone, and,
with ``--name``, of the network whose weights are in ``--file``, or are random where there is none: a control that has
its cells, and knows nothing. ``gain`` is the mean difference from the embedded one, with its standard error over masks.

Prints and appends JSON lines to benchmarks/results/foundation.jsonl.
"""

import argparse
import json
import math
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import timm
import torch
from drawn_masks import VOID, marks_of, shuffled
from rows import allocated_mb, append_rows

from weakseg import Photograph
from weakseg.data.annotations import Box, Drawn
from weakseg.data.simulate_drawn import TrueObject, true_objects
from weakseg.data.truth import EvalSample
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.marks import Marks
from weakseg.progress import track
from weakseg.settings.backbone import EMBEDDED
from weakseg.settings.graph import FeaturesConfig, FreeGraphConfig
from weakseg.stages.build_graph import free_graph
from weakseg.stages.features import feature_backbone, feature_maps

SIZE = (375, 500)
NETWORKS = (
    EMBEDDED,
    "vit_small_patch14_dinov2.lvd142m",
    "vit_small_patch16_dinov3.lvd1689m",
    "vit_base_patch16_clip_224.openai",
    "vit_base_patch14_dinov2.lvd142m",
)
KINDS = ("box", "stroke")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    verbs = parser.add_subparsers(required=True, dest="verb")
    cost = verbs.add_parser("cost")
    cost.add_argument("--networks", nargs="+", default=NETWORKS)
    cost.add_argument("--enlarged", nargs="+", type=float, default=[1.0, 2.0])
    masks = verbs.add_parser("masks")
    masks.add_argument("--msrc", type=Path, required=True)
    masks.add_argument("--list", default="fit", choices=("fit", "held"))
    masks.add_argument("--most", type=int, default=60)
    masks.add_argument("--name", default="")
    masks.add_argument("--file", default="")
    masks.add_argument("--levels", type=int, nargs="+", default=[1])
    masks.add_argument("--weights", type=float, nargs="+", default=[16.0])
    masks.add_argument("--enlarged", type=float, nargs="+", default=[1.0])
    given = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        rows = costs(given, Path(folder)) if given.verb == "cost" else list(worth(given, Path(folder)))
    for row in rows:
        print(json.dumps(row))
    append_rows("foundation", rows, verb=given.verb)


def random_weights(name: str, folder: Path) -> str:
    """Return a file with random weights of a network of timm."""
    path = folder / f"{name}.pth"
    if not path.exists():
        torch.manual_seed(0)
        torch.save(timm.create_model(name, num_classes=0).state_dict(), path)
    return str(path)


def costs(given: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """Return a row for each network, and how much larger it sees the image."""
    image = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    rows = []
    for name in given.networks:
        for enlarged in given.enlarged:
            features = FeaturesConfig(name, "" if name == EMBEDDED else random_weights(name, folder), enlarged)
            levels = 3 if name == EMBEDDED else 1
            config = FreeGraphConfig(stride=8, levels=levels, features=features)
            rows.append({"network": name, "enlarged": enlarged, **cost_of(config, image, folder)})
    base = rows[0]["seconds"] + rows[0]["graph"] + rows[0]["mask"]
    return [{**row, "times": round((row["seconds"] + row["graph"] + row["mask"]) / base, 2)} for row in rows]


def cost_of(config: FreeGraphConfig, image: Any, folder: Path) -> dict[str, Any]:
    """Return what features, graph and mask of one photograph take."""
    backbone = feature_backbone(config.features)
    feature_maps(backbone, image[:64, :64], config)  # what is made once
    begun = time.process_time()
    maps = feature_maps(backbone, image, config)
    seen = time.process_time()
    graph = free_graph(image, config, maps=maps)
    built = time.process_time()
    maps.save(folder / "maps.safetensors")
    options = SegmentOptions(method="a2gnn")
    options = replace(options, drawn=replace(options.drawn, graph=replace(config, max_side=max(SIZE))))
    photograph = Photograph(image)
    photograph.prepare(options)
    marks = Marks(("thing",), Drawn(boxes=(Box(1, 100, 120, 300, 380),)))
    ready = time.process_time()
    photograph.segment(marks, options)
    masked = time.process_time()
    return {
        "cells": [list(level.shape[1:]) for level in maps.levels],
        "channels": graph.features.shape[1],
        "seconds": round(seen - begun, 2),
        "graph": round(built - seen, 2),
        "mask": round(masked - ready, 2),
        "allocated_mb": round(allocated_mb(lambda: feature_maps(backbone, image, config))),
        "kept_mb": round((folder / "maps.safetensors").stat().st_size / 2**20, 2),
    }


def worth(given: argparse.Namespace, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield a row for each kind of mark and of graph."""
    graphs = dict(graphs_of(given, folder))
    photographs = shuffled(given.msrc, given.list)[: given.most]
    found: dict[tuple[str, str], list[float]] = {}
    with track("masks", len(photographs)) as advance:
        for one in photographs:
            for key, iou in ious(one, graphs):
                found.setdefault(key, []).append(iou)
            advance(1)
    for (kind, name), values in found.items():
        gain = np.array(values) - np.array(found[kind, "embedded"])
        error = float(gain.std(ddof=1)) / math.sqrt(len(gain))
        told = {"iou": round(float(np.mean(values)), 2), "gain": round(float(gain.mean()), 2), "error": round(error, 2)}
        yield {"kind": kind, "graph": name, "list": given.list, "masks": len(values), **told}


def graphs_of(given: argparse.Namespace, folder: Path) -> Iterator[tuple[str, FreeGraphConfig]]:
    """Yield the kinds of graphs by a name."""
    usual = SegmentOptions().drawn.graph
    yield "embedded", usual
    yield "colours", replace(usual, feature_weight=0.0)
    for enlarged in (by for by in given.enlarged if by > 1):
        yield f"embedded, enlarged {enlarged:g}", replace(usual, features=FeaturesConfig(enlarged=enlarged))
    if given.name:
        file = given.file or random_weights(given.name, folder)
        for levels in given.levels:
            for weight in given.weights:
                for enlarged in given.enlarged:
                    features = FeaturesConfig(given.name, file, enlarged)
                    name = f"{given.name}{'' if given.file else ', random'}, levels {levels}, weight {weight:g}"
                    config = replace(usual, levels=levels, feature_weight=weight, features=features)
                    yield f"{name}, enlarged {enlarged:g}", config


def ious(one: EvalSample, graphs: dict[str, FreeGraphConfig]) -> Iterator[tuple[tuple[str, str], float]]:
    """Yield the IoU of each kind of mark and graph for each class of a photograph."""
    truth = one.load_truth()
    objects = true_objects(truth, one.load_objects())
    photograph = Photograph(one.sample.load_image(), name=one.id)
    for class_id in sorted(one.sample.tags.present):
        own = [TrueObject(1, item.mask) for item in objects if item.class_id == class_id]
        for kind in KINDS:
            marks = Marks((str(class_id),), marks_of(own, (truth != class_id) & (truth != VOID), kind, (0, one.id)))
            for name, graph in graphs.items():
                yield (kind, name), iou_of(photograph, marks, graph, truth, class_id)


def iou_of(photograph: Photograph, marks: Marks, graph: FreeGraphConfig, truth: Any, class_id: int) -> float:
    """Return the IoU of one mask in percent, pixels of no class left out."""
    options = SegmentOptions(method="a2gnn")
    options = replace(options, drawn=replace(options.drawn, graph=graph))
    mask, known = photograph.segment(marks, options).mask == 1, truth != VOID
    wanted = truth == class_id
    return 100.0 * float((mask & wanted).sum()) / max(1, int(((mask | wanted) & known).sum()))


if __name__ == "__main__":
    main()

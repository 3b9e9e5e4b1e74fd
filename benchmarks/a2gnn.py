"""A2GNN's training of one image against the dense formulation: N x N attention, features enlarged to all pixels.

    python benchmarks/a2gnn.py [--threads 2] [--repeats 3] [--dense-steps 4] [--only boxes tags]

A grid of 47 x 63 cells of 8 pixels, 448 features, 256 hidden units, 3 layers, a window of 9 x 9 cells, background and 3
classes, from the same initial weights, dropout off. ``boxes``: 3 boxes, 150 + 150 steps; ``tags``: none, 50 + 50.
Prints how many times longer the dense side takes, peak memory of each, and how far the losses agree after as many steps
as the dense side took; appends one JSON line a row to benchmarks/results/a2gnn.jsonl. The dense side takes few steps of
each phase, and its time is scaled to all of them; ours is that of the whole training, set-up included.
"""

import argparse
import statistics
import time
from dataclasses import replace

import numpy as np
import skimage.data
import torch
from rows import append_rows, peak_mb
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.methods.a2gnn.config import PRESETS, A2gnnConfig
from weakseg.methods.a2gnn.problem import A2gnnProblem, crf_kernel, normalized_colors, pixel_seeds
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.nn.graphs.graph_layers import build_network, initial_weights
from weakseg.ops.readout import GridReadout
from weakseg.ops.stencil import half_square
from weakseg.ops.tiles import grid_places
from weakseg.rng import generator_for

IMAGE, CHANNELS, LABELS = (375, 500), 448, 4
BOXES = (Box(1, 20, 30, 220, 250), Box(2, 100, 200, 360, 420), Box(3, 250, 20, 370, 180))
HEAD = f"{'labels':<7} {'ratio':>6} {'s':>7} {'dense s':>8} {'MB':>6} {'dense':>6}  losses differ by"
LINE = "{labels:<7} {ratio:6.1f} {seconds:7.2f} {dense_s:8.1f} {peak_mb:6.0f} {dense_peak_mb:6.0f}  {difference:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--dense-steps", type=int, default=4, help="of each phase")
    parser.add_argument("--only", nargs="*", default=["boxes", "tags"], choices=["boxes", "tags"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(HEAD)
    for labels in given.only:
        config = PRESETS[labels]
        config = replace(config, network=replace(config.network, dropout=0.0), consistency="published")
        row = measure(build_scene(labels == "boxes", config), config, given.repeats, given.dense_steps)
        row = {"labels": labels, **row, "steps": config.first_steps + config.second_steps}
        append_rows("a2gnn", [row], dense_steps=2 * given.dense_steps)
        print(LINE.format(**row), flush=True)


def build_scene(with_boxes: bool, config: A2gnnConfig, size: tuple[int, int] = IMAGE, seed: int = 0) -> A2gnnProblem:
    """Return a photograph's problem: features are noisy means of colour, seeds four levels of red."""
    photograph = skimage.data.astronaut()[: size[0], : size[1]]
    readout = GridReadout(size)
    pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() / 255
    colors = F.interpolate(pixels, readout.size, mode="area")[0]
    noise = torch.Generator().manual_seed(seed)
    mixed = torch.einsum("dc,chw->dhw", torch.randn(CHANNELS, 3, generator=noise), colors - 0.5)
    features = F.normalize((mixed + 0.3 * torch.randn(CHANNELS, *readout.size, generator=noise)).relu(), p=1, dim=0)
    offsets = half_square(4)
    graph = build_pixel_graph(features, feature_affinity(mixed, offsets), offsets)
    levels = (pixels[0, 0] * LABELS).long().clamp(max=LABELS - 1)
    known = torch.rand(size, generator=noise) < 0.4
    labels = torch.where(known, levels, 255).to(torch.uint8).numpy()
    kernel = crf_kernel(normalized_colors(photograph), readout, config.kernel)
    label_ids = tuple(range(LABELS))
    seeds = pixel_seeds(LabelMap(labels), label_ids, readout)
    boxes = BOXES if with_boxes else ()
    places = grid_places(readout.size)
    return A2gnnProblem(
        f"scene {seed}" if seed else "scene",
        graph.features,
        graph.affinity,
        readout,
        label_ids,
        seeds,
        boxes,
        kernel,
        places,
    )


def measure(problem: A2gnnProblem, config: A2gnnConfig, repeats: int, dense_steps: int) -> dict[str, object]:
    """Return times, memory and the largest relative difference of the losses."""
    few = replace(config, first_steps=dense_steps, second_steps=dense_steps)
    (ours,) = train_a2gnn([problem], few)  # also what is done once in a process
    peak = peak_mb(lambda: train_a2gnn([problem], few))
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        train_a2gnn([problem], config)
        times.append(time.perf_counter() - begun)
    found: dict[str, float] = {}
    phases: list[float] = []
    dense_peak = peak_mb(lambda: phases.extend(train_dense(problem, few, found)))
    dense_s = phases[0] * config.first_steps + phases[1] * config.second_steps
    return {
        "ratio": dense_s / statistics.median(times),
        "seconds": statistics.median(times),
        "dense_s": dense_s,
        "peak_mb": peak,
        "dense_peak_mb": dense_peak,
        "difference": max(abs(ours.losses[name] - found[name]) / max(abs(found[name]), 1e-3) for name in found),
        "losses": ours.losses,
        "dense_losses": found,
    }


def train_dense(problem: A2gnnProblem, config: A2gnnConfig, found: dict[str, float]) -> list[float]:
    """Train as published, with N x N attention and maps of all pixels; return the median seconds a step of each phase.

    ``found`` receives the terms after the last step.
    """
    scene = DenseScene(problem, config)
    drawn = [generator_for(0, problem.image_id, "a2gnn/init")]
    first = initial_weights(build_network(config.network), CHANNELS, [LABELS], drawn)
    weights = [w[0].requires_grad_() for w in first]
    optimizer = torch.optim.Adam(weights, lr=config.lr, weight_decay=config.weight_decay)
    medians = []
    for second_phase, steps in ((False, config.first_steps), (True, config.second_steps)):
        times = []
        for _ in range(steps):
            begun = time.perf_counter()
            terms = scene.terms(weights, second_phase=second_phase)
            optimizer.zero_grad()
            (terms["seeds"] + terms["points"] + terms["pull"] + config.crf_weight * terms["crf"]).backward()
            optimizer.step()
            times.append(time.perf_counter() - begun)
        medians.append(statistics.median(times))
    with torch.no_grad():
        found.update({name: float(value) for name, value in scene.terms(weights, second_phase=True).items()})
    return medians


class DenseScene:
    """One image in the dense formulation."""

    def __init__(self, problem: A2gnnProblem, config: A2gnnConfig) -> None:
        nodes = len(problem.features)
        self.problem, self.config = problem, config
        self.edges = config.network.beta * problem.affinity.to_dense(max_nodes=nodes)
        pattern = problem.affinity.pattern
        self.outside = torch.ones(nodes, nodes, dtype=torch.bool)
        self.outside[pattern.rows, pattern.columns.long()] = False
        self.labels = torch.full(IMAGE, 255)
        assert problem.seeds.pixels is not None
        self.labels[tuple(problem.seeds.pixels.T)] = problem.seeds.labels
        padding = [8 * cells - side for cells, side in zip(SIZE, IMAGE, strict=True)]
        self.labels = F.pad(self.labels, (0, padding[1], 0, padding[0]), value=255)
        assert problem.kernel is not None
        self.kernel = problem.kernel.to_dense(max_nodes=nodes)

    def terms(self, weights: list[Tensor], *, second_phase: bool) -> dict[str, Tensor]:
        """Return the four terms."""
        hidden, logits = self.forward(weights)
        enlarged = enlarge(logits)
        labels, nothing = self.labels, logits.new_zeros(())
        found = {"seeds": nothing, "points": nothing, "pull": nothing, "crf": nothing}
        if self.problem.boxes:
            features = enlarge(hidden)
            found["points"], found["pull"], picked = self.of_boxes(enlarged, features)
            labels = self.consistent(features.detach(), picked) if second_phase else labels
        background = labels.where(labels == 0, torch.tensor(255))
        foreground = labels.where(labels > 0, torch.tensor(255))
        for part in (background, foreground):
            found["seeds"] = found["seeds"] + F.cross_entropy(enlarged[None], part[None], ignore_index=255)
        if second_phase:
            probs = torch.softmax(logits, 1)
            found["crf"] = (self.kernel * (1 - probs @ probs.T)).sum() / len(probs)
        return found

    def forward(self, weights: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Return features and logits of the nodes."""
        first, scale, last = weights
        hidden = F.relu(self.problem.features @ first)
        for w in scale:
            norms = hidden.norm(dim=1, keepdim=True)
            cosines = (hidden @ hidden.T) / (norms @ norms.T + 1e-12)
            scores = (w * cosines + self.edges * (cosines > 0)).masked_fill(self.outside, -1e9)
            hidden = torch.softmax(scores, 1) @ hidden
        return hidden, hidden @ last

    def of_boxes(self, logits: Tensor, features: Tensor) -> tuple[Tensor, Tensor, list[Tensor]]:
        """Return the losses of the boxes' points, and the features of each box's points."""
        losses, apart, pairs, picked = [], logits.new_zeros(()), 0, []
        for label, rows, columns in self.problem.usable_boxes:
            inside, map_inside = logits[:, rows, columns], features[:, rows, columns]
            score = torch.softmax(inside, 0)[label].detach()
            y = torch.cat([torch.arange(score.shape[0]), score.argmax(0)])
            x = torch.cat([score.argmax(1), torch.arange(score.shape[1])])
            losses.append(F.cross_entropy(inside[:, y, x].T, torch.full((len(y),), label), reduction="none"))
            own = map_inside[:, y, x].T
            picked.append(own.detach())
            unit = F.normalize(own, dim=1)
            apart, pairs = apart + (1 - unit @ unit.T).sum(), pairs + len(y) ** 2
        return torch.cat(losses).mean(), apart / pairs, picked

    def consistent(self, features: Tensor, picked: list[Tensor]) -> Tensor:
        """Return the seeds that the published check leaves."""
        labels = self.labels.clone()
        for (label, rows, columns), own in zip(self.problem.usable_boxes, picked, strict=True):
            agree = torch.cosine_similarity(features[:, rows, columns], own.mean(0)[:, None, None], dim=0) > 0
            part = labels[rows, columns]
            part[(part == label) & ~agree] = 255
        return labels


SIZE = GridReadout(IMAGE).size


def enlarge(values: Tensor) -> Tensor:
    """Return ``(C, H, W)`` of the padded image from ``(N, C)``."""
    maps = values.T.reshape(1, -1, *SIZE)
    return F.interpolate(maps, scale_factor=8, mode="bilinear", align_corners=False)[0]


if __name__ == "__main__":
    main()

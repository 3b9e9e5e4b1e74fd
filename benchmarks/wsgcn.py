"""WSGCN's training of one image against the dense formulation: N x N propagation matrix and N x N Laplacian.

    python benchmarks/wsgcn.py [--threads 2] [--repeats 3] [--only affinity walk] [--steps 250]

A grid of 94 x 125 cells, 160 features, background and 3 classes, from the same initial weights, dropout off. Prints how
many times longer the dense side takes, set-up included, peak memory of each, and how far the losses after the last
step agree; appends one JSON line a row to benchmarks/results/wsgcn.jsonl. The dense sides run once, and take minutes.
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

from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.methods.wsgcn.batch import GcnProblem
from weakseg.methods.wsgcn.complete import smoothness_matrix
from weakseg.methods.wsgcn.config import GcnConfig, PropagationConfig, SmoothnessConfig
from weakseg.methods.wsgcn.gcn import gcn_weights, train_gcn
from weakseg.ops.stencil import half_disc

SIZE, CHANNELS, LABELS = (94, 125), 160, 4
HEAD = f"{'graph':<10} {'ratio':>7} {'s':>7} {'dense s':>8} {'MB':>6} {'dense':>6}  losses differ by"
LINE = "{graph:<10} {ratio:7.1f} {seconds:7.2f} {dense_s:8.1f} {peak_mb:6.0f} {dense_peak_mb:6.0f}  {difference:.2%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--only", nargs="*", default=["affinity", "walk"], choices=["affinity", "walk"])
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    problem = build_scene()
    print(HEAD)
    for kind in given.only:
        config = GcnConfig(PropagationConfig(kind, walk_error=1e-2), dropout=0.0, steps=given.steps)
        row = measure(problem, config, given.repeats)
        append_rows("wsgcn", [row], steps=given.steps)
        print(LINE.format(**row), flush=True)


def build_scene(size: tuple[int, int] = SIZE, seed: int = 0) -> GcnProblem:
    """Return a photograph's problem: boundaries are its colour edges, features noisy means of colour.

    Args:
        size: (rows, columns) of the grid.
        seed: Of noise and labels; each but 0 also looks at another part of the photograph.
    """
    photograph = skimage.data.astronaut()[8 * seed : 8 * seed + 384, :500]
    pixels = torch.from_numpy(np.array(photograph)).permute(2, 0, 1)[None].float() / 255
    colors = F.interpolate(pixels, size, mode="area")[0]
    edges = torch.stack([F.pad(colors.diff(dim=d).square().sum(0), pad) for d, pad in ((1, (0, 0, 0, 1)), (2, (0, 1)))])
    boundary = (6 * edges.sum(0).sqrt()).clamp(0, 1)
    noise = torch.Generator().manual_seed(seed)
    mixing = torch.randn(CHANNELS, 3, generator=noise)
    features = torch.einsum("dc,chw->dhw", mixing, colors - 0.5) + 0.5 * torch.randn(CHANNELS, *size, generator=noise)
    offsets = half_disc(5)
    graph = build_pixel_graph(features, boundary_affinity(boundary, offsets) ** 10, offsets)
    nodes = size[0] * size[1]
    labels = torch.full((nodes,), 255)
    chosen = torch.randperm(nodes, generator=noise)[: int(0.4 * nodes)]
    labels[chosen] = (colors.flatten(1)[0, chosen] * LABELS).long().clamp(max=LABELS - 1)  # by red, in four levels
    return GcnProblem(graph, smoothness_matrix(photograph, graph, SmoothnessConfig()), labels, LABELS, seed)


def measure(problem: GcnProblem, config: GcnConfig, repeats: int) -> dict[str, object]:
    """Return times, memory and the largest relative difference of the losses."""
    train_gcn([problem], replace(config, steps=5))  # what is done once in a process
    times = []
    for _ in range(repeats):
        begun = time.perf_counter()
        (solution,) = train_gcn([problem], config)
        times.append(time.perf_counter() - begun)
    peak = peak_mb(lambda: train_gcn([problem], replace(config, steps=20)))
    begun, found = time.perf_counter(), {}
    dense_peak = peak_mb(lambda: found.update(train_dense(problem, config)))
    dense_s = time.perf_counter() - begun
    ours = solution.losses
    return {
        "graph": config.propagation.kind,
        "ratio": dense_s / statistics.median(times),
        "seconds": statistics.median(times),
        "dense_s": dense_s,
        "peak_mb": peak,
        "dense_peak_mb": dense_peak,
        "difference": max(abs(ours[name] / found[name] - 1) for name in found),
        "losses": ours,
        "dense_losses": found,
    }


def train_dense(problem: GcnProblem, config: GcnConfig) -> dict[str, float]:
    """Train as the published code does, with dense matrices; return the terms after the last step."""
    features, labels, nodes = problem.graph.features, problem.labels, problem.num_nodes
    propagation = dense_propagation(problem.graph.affinity.to_dense(max_nodes=nodes), config.propagation)
    smoothness = problem.smoothness.to_dense(max_nodes=nodes)
    laplacian = torch.diag(smoothness.sum(1)) - smoothness
    del smoothness
    weights = [w[0].requires_grad_() for w in gcn_weights([problem], CHANNELS, LABELS, config.hidden)]
    optimizer = torch.optim.Adam(weights, lr=config.lr, weight_decay=config.weight_decay)

    def terms() -> dict[str, Tensor]:
        w1, b1, w2, b2 = weights
        hidden = F.relu(propagation @ (features @ w1) + b1)
        log_probs = torch.log_softmax(propagation @ (hidden @ w2) + b2, dim=1)
        foreground, background, unknown = (labels > 0) & (labels < 255), labels == 0, labels == 255
        return {
            "foreground": F.nll_loss(log_probs[foreground], labels[foreground]),
            "background": F.nll_loss(log_probs[background], labels[background]),
            "entropy": -(log_probs.exp() * log_probs).sum(1)[unknown].mean(),
            "laplacian": (log_probs * (laplacian @ log_probs)).sum() / nodes,
        }

    for _ in range(config.steps):
        found = terms()
        total = found["foreground"] + found["background"] + config.entropy * found["entropy"]
        optimizer.zero_grad()
        (total + config.laplacian * found["laplacian"]).backward()
        optimizer.step()
    with torch.no_grad():
        return {name: float(value) for name, value in terms().items()}


def dense_propagation(affinity: Tensor, config: PropagationConfig) -> Tensor:
    """Return the dense matrix; for the walk its power by repeated squaring."""
    identity = torch.eye(len(affinity))
    if config.kind == "affinity":
        looped = affinity + identity
        return looped / looped.sum(1, keepdim=True)
    transition = affinity / affinity.sum(1, keepdim=True)
    return 0.5 * (identity + torch.linalg.matrix_power(transition, config.walk_steps))


if __name__ == "__main__":
    main()

"""GRM's reasoning layer, and ReCAM's features of classes, against formulations that repeat features for each class.

    python benchmarks/grm.py [--threads 2] [--repeats 3] [--batch 10]

41 x 41 cells, 256 channels, 20 and 80 classes, forward and backward to features and class vectors. ``official`` is the
same function in its collapsed form, ``recommended`` the layer that tells classes apart, against the same formulation.
``recam``: features of the present classes of images with 32 x 32 cells and 2048 channels, four of them (with 80 classes
one), forward and backward to features and class scores, against the masks of all classes times the repeated features.
Prints how many times longer the published one takes, by the clock and in processor time; how much memory each takes
beyond what it returns, as torch's allocator counts it; and how far values and gradients differ, relative to the largest
of each. Appends one JSON line a row to benchmarks/results/grm.jsonl.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple

import torch
from rows import allocated_mb, append_rows
from torch import Tensor

from weakseg.nn.classifiers.recam import present_features
from weakseg.nn.graphs.class_gcn import ClassGcn
from weakseg.nn.graphs.reasoning import ClassAttention, CollapsedReasoning, Reasoning

CELLS, CHANNELS, CLASSES = 41, 256, (20, 80)
RECAM_CELLS, RECAM_CHANNELS = 32, 2048
RECAM_CASES = ((20, 2, 4), (20, 20, 4), (80, 3, 1), (80, 80, 1))  # classes, of them present, images
HEAD = (
    f"{'layer':<24} {'ratio':>6} {'CPU':>6} {'s':>8} {'publ. s':>8} {'MB':>6} {'publ. MB':>9} {'ratio':>6}  differ by"
)
LINE = (
    "{what:<24} {ratio:6.1f} {cpu_ratio:6.1f} {seconds:8.4f} {published_s:8.3f} {mb:6.1f} {published_mb:9.0f} "
    "{mb_ratio:6.0f}  {difference}"
)


class Measured(NamedTuple):
    """What a computation returns, and what it takes: medians of seconds, and MiB beyond what it returns."""

    values: Sequence[Tensor]
    seconds: float
    cpu_seconds: float
    mb: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--batch", type=int, default=10)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    print(HEAD)
    for row in (*reasoning_rows(given.batch, given.repeats), *recam_rows(given.repeats)):
        append_rows("grm", [row])
        print(LINE.format(**row), flush=True)


def reasoning_rows(batch: int, repeats: int) -> Iterator[dict[str, object]]:
    """Yield a row for both layers and each number of classes."""
    noise = torch.Generator().manual_seed(0)
    features = torch.rand(batch, CHANNELS, CELLS, CELLS, generator=noise).requires_grad_()
    slope = torch.randn(features.shape, generator=noise)
    for classes in CLASSES:
        vectors = torch.rand(classes, CHANNELS, generator=noise).requires_grad_()
        gcn = ClassGcn(torch.zeros(classes, 1), torch.eye(classes), (CHANNELS,))
        attention, official = ClassAttention(gcn, CHANNELS), CollapsedReasoning(gcn, CHANNELS)
        attention.gate.data.fill_(1.0)
        weight = torch.cat([official.score.weight[0], torch.randn(CHANNELS, generator=noise)]).detach()

        def with_gradients(added: Callable[[Tensor, Tensor], Tensor], other: Tensor = vectors) -> list[Tensor]:
            values = features + added(features, other)
            return [values.detach(), *torch.autograd.grad(values, (features, other), slope)]

        published = measure(partial(with_gradients, partial(repeated, weight=weight)), repeats)
        layers: dict[str, Reasoning] = {"official": official, "recommended": attention}
        for name, layer in layers.items():
            ours = measure(partial(with_gradients, layer.added), repeats)
            same = name == "official"
            yield {"what": f"{name}, {classes} classes", **compared(ours, published, same=same), "batch": batch}


def recam_rows(repeats: int) -> Iterator[dict[str, object]]:
    """Yield a row for ReCAM's features of few classes, and of all."""
    for classes, shown, batch in RECAM_CASES:
        noise = torch.Generator().manual_seed(0)
        features = torch.rand(batch, RECAM_CHANNELS, RECAM_CELLS, RECAM_CELLS, generator=noise).requires_grad_()
        scores = torch.randn(batch, classes, RECAM_CELLS, RECAM_CELLS, generator=noise).requires_grad_()
        slope = torch.randn(batch * shown, RECAM_CHANNELS, generator=noise)
        present = torch.zeros(batch, classes, dtype=torch.bool)
        present[:, :shown] = True

        def with_gradients(
            seen: Callable[[Tensor, Tensor, Tensor], Tensor],
            inputs: tuple[Tensor, Tensor] = (features, scores),
            of: Tensor = present,
            slope: Tensor = slope,
        ) -> list[Tensor]:
            values = seen(*inputs, of)
            return [values.detach(), *torch.autograd.grad(values, inputs, slope)]

        published = measure(partial(with_gradients, expanded), repeats)
        ours = measure(partial(with_gradients, present_features), repeats)
        yield {"what": f"recam, {shown} of {classes}", **compared(ours, published, same=True), "batch": batch}


def expanded(features: Tensor, scores: Tensor, present: Tensor) -> Tensor:
    """Return ReCAM's features of present classes from ``(B, K, C, h, w)`` products of all masks and all features."""
    maps = scores.relu()
    masks = maps / (maps.amax((2, 3), keepdim=True) + 1e-5)
    return (masks[:, :, None] * features[:, None]).mean((3, 4))[present]


def repeated(features: Tensor, vectors: Tensor, weight: Tensor) -> Tensor:
    """Return what the published mapping adds: ``w . [x_i; v_m]`` of cells and classes side by side, softmax over i."""
    cells = features.flatten(2).mT  # (B, N, D)
    size = (*cells.shape[:2], len(vectors), -1)
    pairs = torch.cat([cells[:, :, None].expand(*size), vectors.expand(*size)], dim=-1)  # (B, N, M, 2 D)
    weights = (pairs @ weight).softmax(1)
    return (weights @ vectors).relu().mT.reshape(features.shape)


def measure(run: Callable[[], list[Tensor]], repeats: int) -> Measured:
    """Return what a computation returns and takes, after it has been done once."""
    values = run()
    times = []
    for _ in range(repeats):
        begun = time.perf_counter(), time.process_time()
        run()
        times.append((time.perf_counter() - begun[0], time.process_time() - begun[1]))
    seconds, cpu_seconds = (statistics.median(some) for some in zip(*times, strict=True))
    returned = sum(one.nbytes for one in values) / 2**20
    return Measured(values, seconds, cpu_seconds, allocated_mb(run) - returned)


def compared(ours: Measured, theirs: Measured, *, same: bool) -> dict[str, object]:
    """Return a row; ``same``: both are the same function."""
    pairs = zip(ours.values, theirs.values, strict=True)
    differ = max(float((one - other).abs().max() / other.abs().max()) for one, other in pairs)
    return {
        "ratio": theirs.seconds / ours.seconds,
        "cpu_ratio": theirs.cpu_seconds / ours.cpu_seconds,
        "seconds": ours.seconds,
        "published_s": theirs.seconds,
        "mb": ours.mb,
        "published_mb": theirs.mb,
        "mb_ratio": theirs.mb / max(ours.mb, 0.1),
        "difference": f"{differ:.1e}" if same else "another function",
    }


if __name__ == "__main__":
    main()

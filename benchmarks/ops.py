"""Every operator against its dense version and the best library that does the same, interleaved in one process.

    python benchmarks/ops.py [--repeats 7] [--threads 1 2] [--only crf walk ...]

Prints ratios (how many times less time than the other), peak memory of each side, and agreement; appends one JSON line
a row to benchmarks/results/ops.jsonl. Ratios of one run count, not times. One thread is timed by the processor's time,
which other work on the machine disturbs less, several by the clock. Needs the development dependencies.
"""

import argparse
import copy
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import cv2
import numpy as np
import pydensecrf.densecrf
import scipy.sparse
import skimage.data
import torch
from rows import append_rows, peak_mb
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import threadpool_limits
from torch import Tensor, nn

from weakseg.graph.boundary import boundary_affinity
from weakseg.graph.knn import nearest_neighbors
from weakseg.nn.backbones.depthwise import phase_dilated
from weakseg.ops.crf import dense_crf
from weakseg.ops.low_rank_walk import low_rank_walk
from weakseg.ops.neighborhood import neighborhood_attention
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.stencil import half_disc, half_square, stencil_matrix
from weakseg.ops.walk import walk
from weakseg.settings.crf import CrfParams

HEAD = (
    f"{'operator':<46} {'threads':>7} {'against':<20} {'ratio':>7} {'ms':>8} {'other':>8} {'MB':>6} {'other':>6}  note"
)
LINE = (
    "{operator:<46} {threads:7} {against:<20} {ratio:7.2f} {ms:8.1f} {other_ms:8.1f} {peak_mb:6.0f} "
    "{other_peak_mb:6.0f}  {note}"
)
Run = Callable[[], object]


@dataclass(frozen=True)
class Case:
    """One operator and what it is compared with.

    Attributes:
        name: Operator and size.
        ours: Does the work once.
        other_name: What the other side is.
        other: Does the same work once.
        repeats: How often, where less than usual (the other side is slow).
        other_counts: How many times the other side's work is needed; its time is multiplied.
        note: Says in words how far the results agree.
    """

    name: str
    ours: Run
    other_name: str
    other: Run
    repeats: int | None = None
    note: Callable[[], str] = lambda: ""
    other_counts: int = 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--only", nargs="*", default=list(GROUPS), choices=list(GROUPS))
    given = parser.parse_args()
    print(HEAD)
    for group in given.only:
        for case in GROUPS[group]():
            for threads in given.threads:
                torch.set_num_threads(threads)
                cv2.setNumThreads(threads)
                with threadpool_limits(threads):  # of scikit-learn and NumPy
                    row = measure(case, given.repeats, time.process_time if threads == 1 else time.perf_counter)
                append_rows("ops", [row])
                print(LINE.format(**row, threads=threads), flush=True)


def measure(case: Case, repeats: int, clock: Callable[[], float]) -> dict[str, object]:
    """Return medians of interleaved runs after one that is not counted, and the memory that one run needs."""
    peaks = peak_mb(case.ours), peak_mb(case.other)
    ours, other = [], []
    for _ in range(case.repeats or repeats):
        for run, times in ((case.ours, ours), (case.other, other)):
            begun = clock()
            run()
            times.append(1e3 * (clock() - begun))
    other = [case.other_counts * taken for taken in other]
    medians = statistics.median(ours), statistics.median(other)
    return {
        "operator": case.name,
        "against": case.other_name,
        "ratio": medians[1] / medians[0],
        "ratio_range": [min(other) / max(ours), max(other) / min(ours)],
        "ms": medians[0],
        "other_ms": medians[1],
        "runs": len(ours),
        "peak_mb": peaks[0],
        "other_peak_mb": peaks[1],
        "note": case.note(),
    }


def photograph(height: int, width: int) -> np.ndarray:
    return cv2.resize(skimage.data.coffee(), (width, height), interpolation=cv2.INTER_AREA)


def crf_cases() -> Iterator[Case]:
    """A photograph at full size with four labels, and at the size of a network's scores with those of VOC."""
    for height, width, labels in ((375, 500, 4), (41, 41, 21)):
        image, unary, params = photograph(height, width), noisy_unary(height, width, labels), CrfParams()
        ours = partial(dense_crf, torch.from_numpy(unary), torch.from_numpy(image), params)
        other = partial(reference_crf, unary, image, params)

        def same(ours: Callable[[], Tensor] = ours, other: Callable[[], np.ndarray] = other) -> str:
            return f"{100 * np.mean(ours().argmax(0).numpy() == other().argmax(0)):.2f} % same labels"

        name = f"dense CRF, {height} x {width}, {labels} labels, 10 iterations"
        yield Case(name, ours, "pydensecrf2", other, note=same)


def noisy_unary(height: int, width: int, labels: int) -> np.ndarray:
    """Return ``(L, H, W)`` energies of scores for shares of the blurred brightness, with noise."""
    grey = cv2.GaussianBlur(cv2.cvtColor(photograph(height, width), cv2.COLOR_RGB2GRAY), (0, 0), width / 62.5)
    classes = np.digitize(grey, np.quantile(grey, np.arange(1, labels) / labels))  # as coarse as activations
    coarse = np.random.default_rng(0).random((24, 32, labels))
    noise = cv2.resize(coarse, (width, height)).transpose(2, 0, 1)
    scores = 0.5 * (classes == np.arange(labels)[:, None, None]) + 0.4 * noise
    return np.ascontiguousarray(-np.log(np.clip(scores, 1e-5, 1)), np.float32)


def reference_crf(unary: np.ndarray, image: np.ndarray, params: CrfParams) -> np.ndarray:
    """Return what pydensecrf, the authors' own C++, makes of it."""
    labels, height, width = unary.shape
    crf = pydensecrf.densecrf.DenseCRF2D(width, height, labels)
    crf.setUnaryEnergy(unary.reshape(labels, -1))
    crf.addPairwiseGaussian(sxy=params.gaussian_sigma_px, compat=params.gaussian_weight)
    sigmas = {"sxy": params.bilateral_sigma_px, "srgb": params.bilateral_sigma_rgb}
    crf.addPairwiseBilateral(**sigmas, rgbim=image, compat=params.bilateral_weight)
    return np.array(crf.inference(params.iterations)).reshape(unary.shape)


def walk_cases() -> Iterator[Case]:
    """256 steps on the boundary graph of IRNet, against eight squarings of the dense matrix."""
    height, width, offsets = 94, 125, half_disc(5)
    grey = torch.from_numpy(photograph(height, width)).float().mean(-1) / 255
    edges = torch.zeros(height, width)
    edges[1:, 1:] = (grey[1:, 1:] - grey[:-1, 1:]).abs() + (grey[1:, 1:] - grey[1:, :-1]).abs()
    boundary = (3 * edges).clamp(0, 1)
    affinity = stencil_matrix(boundary_affinity(boundary, offsets) ** 10, offsets, diagonal=1.0)
    scores = torch.rand(height * width, 3, generator=torch.Generator().manual_seed(0))

    dense = affinity.to_dense(max_nodes=20_000)
    dense /= dense.sum(1, keepdim=True)
    doubled = SparseMatrix(affinity.pattern, affinity.values.double())
    exact = walk(doubled, scores.double(), 256)

    def relative(run: Callable[[], Tensor]) -> Callable[[], str]:
        return lambda: f"relative error {float((run() - exact).norm() / exact.norm()):.1e}"

    direct = partial(walk, affinity, scores, 256)
    expanded = partial(walk, affinity, scores, 256, error=1e-3)
    factors = low_rank_walk(affinity, 256, 64, generator=torch.Generator().manual_seed(0))
    name = "IRNet walk, 94 x 125, 3 classes"
    squaring = Case(f"{name}, direct", direct, "8 dense squarings", lambda: dense @ dense, 1, relative(direct))
    yield replace(squaring, other_counts=8)  # one of the eight is timed
    yield Case(f"{name}, Chebyshev", expanded, "direct", direct, note=relative(expanded))
    rank = partial(factors.apply, scores)
    yield Case(f"{name}, rank 64 (built before)", rank, "direct", direct, note=relative(rank))


def product_cases() -> Iterator[Case]:
    """A X and its gradient in X on a grid with radius 5."""
    offsets = half_disc(5)
    weights = torch.rand(len(offsets), 94, 125, generator=torch.Generator().manual_seed(0))
    ours = stencil_matrix(weights, offsets, diagonal=1.0)
    ours.pattern.transposed  # noqa: B018 - built once a graph, not once a product
    dense = ours.to_dense(max_nodes=20_000)
    pattern = ours.pattern
    arrays = (ours.values.numpy(), pattern.columns.numpy(), pattern.row_starts.numpy())
    library = scipy.sparse.csr_array(arrays, shape=ours.shape)
    flipped = library.T.tocsr()
    index = torch.stack([pattern.rows, pattern.columns.long()])
    coo = torch.sparse_coo_tensor(index, ours.values, ours.shape, check_invariants=False)

    def multiply_scipy(x: np.ndarray, grad: np.ndarray) -> None:
        library @ x
        flipped @ grad

    for columns in (4, 16):
        x, grad = torch.rand(ours.shape[1], columns), torch.rand(ours.shape[0], columns)
        sides: dict[str, Run] = {
            "torch dense": partial(step, dense, x, grad),
            "torch.sparse COO": partial(step, coo, x, grad),
            "scipy.sparse": partial(multiply_scipy, x.numpy(), grad.numpy()),
        }
        for name, other in sides.items():
            yield Case(f"A X, 11750 nodes, 69 neighbours, {columns} columns", partial(step, ours, x, grad), name, other)


def step(matrix: SparseMatrix | Tensor, x: Tensor, grad: Tensor) -> Tensor | None:
    """Multiply, and bring a gradient back to ``x``."""
    x = x.clone().requires_grad_()
    (matrix @ x).backward(grad)
    return x.grad


def attention_cases() -> Iterator[Case]:
    """81 neighbours on a 47 x 63 grid, 256 channels; forward and backward in scores and values."""
    generator = torch.Generator().manual_seed(0)
    offsets = half_square(4)
    pattern = stencil_matrix(torch.zeros(len(offsets), 47, 63), offsets).pattern
    nodes = pattern.num_rows
    scores, values = torch.randn(pattern.num_entries, generator=generator), torch.randn(nodes, 256, generator=generator)
    pattern.transposed, pattern.cells  # noqa: B018 - built once a graph
    index = (pattern.rows, pattern.columns.long())

    def ours() -> tuple[Tensor, ...]:
        s, v = scores.clone().requires_grad_(), values.clone().requires_grad_()
        out = neighborhood_attention(pattern, s, v)
        return (out.detach(), *torch.autograd.grad(out.square().sum(), (s, v)))

    def other() -> tuple[Tensor, ...]:
        full = torch.full((nodes, nodes), -torch.inf)
        full[index] = scores
        full.requires_grad_()
        v = values.clone().requires_grad_()
        out = torch.softmax(full, dim=1) @ v
        by_scores, by_values = torch.autograd.grad(out.square().sum(), (full, v))
        return out.detach(), by_scores[index], by_values

    def agreement() -> str:
        worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(ours(), other(), strict=True))
        return f"largest relative difference {worst:.1e}"

    yield Case("attention, 2961 nodes, 81 neighbours, 256 ch.", ours, "dense softmax", other, note=agreement)


def knn_cases() -> Iterator[Case]:
    """Nine nearest of the others in 256 channels."""
    for nodes in (1681, 11750):
        features = torch.rand(nodes, 256, generator=torch.Generator().manual_seed(0))
        array = features.numpy()

        def other(array: np.ndarray = array) -> np.ndarray:
            search = NearestNeighbors(n_neighbors=9, algorithm="brute").fit(array)
            return search.kneighbors(return_distance=False)  # of the points themselves: self is left out

        def same(features: Tensor = features, other: Callable[[], np.ndarray] = other) -> str:
            found = nearest_neighbors(features, 9)[0].numpy()
            return f"{100 * np.mean(np.sort(found) == np.sort(other())):.2f} % same"

        ours = partial(nearest_neighbors, features, 9)
        yield Case(f"exact kNN, {nodes} nodes, 256 channels, K = 9", ours, "scikit-learn brute", other, note=same)


def depthwise_cases() -> Iterator[Case]:
    """Dilated depthwise 5 x 5 of 1,152 channels, forward and backward: the last stage of the embedded backbone."""
    for side, dilation, batch in ((16, 2, 4), (32, 4, 1)):
        options = {"padding": 2 * dilation, "dilation": dilation, "groups": 1152, "bias": False}
        torch.manual_seed(0)
        model = nn.Sequential(nn.Conv2d(1152, 1152, 5, **options)).to(memory_format=torch.channels_last)
        phased = copy.deepcopy(model)
        phase_dilated(phased)
        x = torch.rand(batch, 1152, side, side).contiguous(memory_format=torch.channels_last)

        def gradients(module: nn.Module, x: Tensor = x) -> tuple[Tensor, ...]:
            given = x.clone().requires_grad_()
            return torch.autograd.grad(module(given).square().sum(), (given, *module.parameters()))

        def agreement(
            model: nn.Module = model,
            phased: nn.Module = phased,
            of: Callable[[nn.Module], tuple[Tensor, ...]] = gradients,
        ) -> str:
            worst = max(float((a - b).abs().max() / b.abs().max()) for a, b in zip(of(phased), of(model), strict=True))
            return f"largest relative difference {worst:.1e}"

        name = f"depthwise 5 x 5, dilation {dilation}, {batch} x {side} x {side}"
        yield Case(name, partial(gradients, phased), "torch conv2d", partial(gradients, model), note=agreement)


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "crf": crf_cases,
    "walk": walk_cases,
    "product": product_cases,
    "attention": attention_cases,
    "knn": knn_cases,
    "depthwise": depthwise_cases,
}

if __name__ == "__main__":
    main()

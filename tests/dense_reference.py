"""The slow, obvious version of the operators, from their formulas alone; tests compare the library with these.

Pairwise kernels are N x N, pixels are visited one by one. Nothing here imports weakseg, except for type names.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Array = NDArray[np.float64] | Tensor
VOID = 255


def gaussian_kernel(features: Tensor) -> Tensor:
    """Return ``K_ij = exp(-||f_i - f_j||^2 / 2)`` for ``(N, d)`` features; the diagonal is one."""
    distance = torch.cdist(features, features, compute_mode="donot_use_mm_for_euclid_dist")
    return distance.square_().mul_(-0.5).exp_()  # in place: 4800 pixels are 184 MB


def position_features(height: int, width: int, sigma_px: float) -> Tensor:
    """Return ``(N, 2)`` features (x, y) / sigma of the pixels in row-major order."""
    positions = [(column, row) for row in range(height) for column in range(width)]
    return torch.tensor(positions, dtype=torch.float64) / sigma_px


def bilateral_features(image: Tensor, sigma_px: float, sigma_rgb: float) -> Tensor:
    """Return ``(N, 5)`` features (x, y) / sigma_px, (R, G, B) / sigma_rgb."""
    height, width, _ = image.shape
    position = position_features(height, width, sigma_px)
    return torch.cat([position, image.reshape(-1, 3).double() / sigma_rgb], dim=1)


def normalize_symmetric(kernel: Tensor) -> Tensor:
    """Return ``diag(n) K diag(n)`` with ``n_i = (sum_j K_ij)^(-1/2)``, the pixel itself included."""
    scale = kernel.sum(1).rsqrt()
    return scale[:, None] * kernel * scale[None, :]


def mean_field(unary: Tensor, kernels: list[tuple[Tensor, float]], iterations: int) -> Tensor:
    """Return ``Q <- softmax(-U + sum_m w_m K_m Q)``, T times from ``softmax(-U)``, for ``(L, N)`` energies."""
    probs = torch.softmax(-unary, dim=0)
    for _ in range(iterations):
        messages = [weight * probs @ kernel.T for kernel, weight in kernels]
        probs = torch.softmax(-unary + sum(messages, torch.zeros_like(unary)), dim=0)
    return probs


def permutohedral_filter(
    features: NDArray[np.float64], values: NDArray[np.float64], *, backwards: bool = False
) -> NDArray[np.float64]:
    """Return ``(N, L)`` values filtered on the permutohedral lattice, with one dictionary of vertices.

    Step by step after dense-crf.md, section 2.5 (the scheme of Adams, Baek and Davis 2010, as in pydensecrf).
    """
    d = features.shape[1]
    corners_of = [simplex_corners(elevate(point)) for point in features]
    lattice: dict[tuple[int, ...], NDArray[np.float64]] = {}
    for corners, value in zip(corners_of, values, strict=True):
        for key, weight in corners:
            lattice[key] = lattice.get(key, 0.0) + weight * value
    for axis in reversed(range(d + 1)) if backwards else range(d + 1):
        step = np.array([d if coordinate == axis else -1 for coordinate in range(d + 1)])
        nothing = np.zeros(values.shape[1])
        around = {key: [lattice.get(tuple(np.add(key, sign * step)), nothing) for sign in (-1, 1)] for key in lattice}
        lattice = {key: value + 0.5 * (around[key][0] + around[key][1]) for key, value in lattice.items()}
    out = [sum(weight * lattice[key] for key, weight in corners) for corners in corners_of]
    return np.array(out) / (1 + 2.0**-d)


def elevate(point: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the ``d + 1`` coordinates, of sum zero, of a point of ``d`` unit-variance features."""
    d = len(point)
    c = [point[i] * math.sqrt(2 / 3) * (d + 1) / math.sqrt((i + 1) * (i + 2)) for i in range(d)]
    return np.array([sum(c)] + [sum(c[j:]) - j * c[j - 1] for j in range(1, d + 1)])


def simplex_corners(y: NDArray[np.float64]) -> list[tuple[tuple[int, ...], float]]:
    """Return the ``d + 1`` lattice vertices around an elevated point, each with its barycentric weight."""
    d = len(y) - 1
    v = np.round(y / (d + 1)).astype(int)
    r, excess = v * (d + 1), int(v.sum())
    gap = y - r
    rank = [sum(gap[j] > gap[i] or (gap[j] == gap[i] and j < i) for j in range(d + 1)) + excess for i in range(d + 1)]
    for i in range(d + 1):
        turn = (d + 1) * (int(rank[i] < 0) - int(rank[i] > d))
        rank[i], r[i] = rank[i] + turn, r[i] + turn
    b = np.zeros(d + 2)
    for i in range(d + 1):
        u = (y[i] - r[i]) / (d + 1)
        b[d - rank[i]] += u
        b[d - rank[i] + 1] -= u
    b[0] += 1 + b[d + 1]
    keys = [tuple(int(r[i]) + (k if rank[i] <= d - k else k - d - 1) for i in range(d + 1)) for k in range(d + 1)]
    return list(zip(keys, b[: d + 1].tolist(), strict=True))


def exact_crf(
    unary: Tensor,
    image: Tensor,
    *,
    iterations: int,
    gaussian: tuple[float, float],
    bilateral: tuple[float, float, float],
) -> Tensor:
    """Return exact mean-field marginals, in the precision of the unary.

    Args:
        unary: ``(L, H, W)`` energies.
        image: ``(H, W, 3)`` uint8.
        iterations: T.
        gaussian: (sigma_px, weight).
        bilateral: (sigma_px, sigma_rgb, weight).
    """
    height, width, _ = image.shape
    features = (position_features(height, width, gaussian[0]), bilateral_features(image, *bilateral[:2]))
    near, alike = (normalize_symmetric(gaussian_kernel(f.to(unary.dtype))) for f in features)
    both = near.mul_(gaussian[1]).add_(alike, alpha=bilateral[2])  # one product for two
    return mean_field(unary.flatten(1), [(both, 1.0)], iterations).reshape(unary.shape)


def confusion_matrix(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], num_classes: int) -> NDArray[np.int64]:
    """Return ``C[truth, prediction]``, pixel by pixel; the last column counts undecided predictions."""
    counts = np.zeros((num_classes + 1, num_classes + 2), np.int64)
    for actual, guessed in zip(truth.ravel().tolist(), prediction.ravel().tolist(), strict=True):
        if actual != VOID:
            counts[actual, num_classes + 1 if guessed == VOID else guessed] += 1
    return counts


def class_iou(truth: NDArray[np.uint8], prediction: NDArray[np.uint8], class_id: int) -> float:
    """Return intersection over union of one class as sets of pixels; NaN where the truth does not show it."""
    known = truth != VOID
    actual, guessed = (truth == class_id) & known, (prediction == class_id) & known
    return float((actual & guessed).sum() / (actual | guessed).sum()) if actual.any() else math.nan


def bilinear(plane: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """Return ``(h, w)`` resized: source = max((target + 1/2) in/out - 1/2, 0), neighbours clamped to the border."""
    out = np.zeros(size)
    for row in range(size[0]):
        for column in range(size[1]):
            y, x = (
                max((target + 0.5) * plane.shape[axis] / size[axis] - 0.5, 0.0)
                for axis, target in ((0, row), (1, column))
            )
            top, left = min(int(y), plane.shape[0] - 1), min(int(x), plane.shape[1] - 1)
            below, right = min(top + 1, plane.shape[0] - 1), min(left + 1, plane.shape[1] - 1)
            dy, dx = y - top, x - left
            upper = plane[top, left] * (1 - dx) + plane[top, right] * dx
            lower = plane[below, left] * (1 - dx) + plane[below, right] * dx
            out[row, column] = upper * (1 - dy) + lower * dy
    return out


def labels_at_threshold(
    scores: NDArray[np.float32], class_ids: tuple[int, ...], threshold: np.float32
) -> NDArray[np.uint8]:
    """Return, pixel by pixel, the first class with the highest score if that is above the threshold, else 0."""
    labels = np.zeros(scores.shape[1:], np.uint8)
    for row, column in np.ndindex(labels.shape):
        best = int(np.argmax(scores[:, row, column]))
        if scores[best, row, column] > threshold:
            labels[row, column] = class_ids[best]
    return labels


def average_precision(scores: list[float], targets: list[float]) -> float:
    """Return ``sum over distinct thresholds of (recall gained) x precision``; NaN targets are left out."""
    pairs = [(score, target) for score, target in zip(scores, targets, strict=True) if not math.isnan(target)]
    present = sum(target for _, target in pairs)
    if not present:
        return math.nan
    area, recall_before = 0.0, 0.0
    for threshold in sorted({score for score, _ in pairs}, reverse=True):
        shown = [target for score, target in pairs if score >= threshold]
        recall = sum(shown) / present
        area += (recall - recall_before) * sum(shown) / len(shown)
        recall_before = recall
    return area


def matrix_from_edges(edges: Tensor, weights: Tensor, shape: tuple[int, int], duplicates: str = "sum") -> Tensor:
    """Return the matrix edge by edge; entries that are named more than once are added, or the largest counts."""
    named: dict[tuple[int, ...], list[Tensor]] = {}
    for cell, weight in zip(edges.T.tolist(), weights, strict=True):
        named.setdefault(tuple(cell), []).append(weight)
    matrix = weights.new_zeros(shape)
    for cell, values in named.items():
        matrix[cell] = torch.stack(values).sum() if duplicates == "sum" else torch.stack(values).amax()
    return matrix


def degree_power(matrix: Tensor, power: float) -> Tensor:
    """Return the ``(N,)`` row sums to a power, 0 for a row of zeros."""
    sums = matrix.sum(1)
    return torch.where(sums > 0, torch.where(sums > 0, sums, 1) ** power, 0)


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return the softmax over the cells of the mask in each row of a matrix, 0 outside, a row without cells is 0."""
    raised = torch.where(mask, torch.exp(scores), 0)
    return degree_power(raised, -1)[:, None] * raised


def cosines(features: Tensor) -> Tensor:
    """Return the ``(N, N)`` cosines between ``(N, C)`` features, none of them zero."""
    norms = (features * features).sum(1).sqrt()
    return (features @ features.T) / (norms[:, None] * norms[None, :])


def stencil_matrix(weights: Tensor, offsets: tuple[tuple[int, int], ...], diagonal: Tensor) -> Tensor:
    """Return the ``(N, N)`` matrix of ``(P, h, w)`` weights, cell by cell; neighbours outside the grid are skipped."""
    height, width = diagonal.shape
    matrix = weights.new_zeros(height * width, height * width)
    for row, column in np.ndindex(height, width):
        cell = row * width + column
        matrix[cell, cell] = diagonal[row, column]
        for plane, (y, x) in enumerate(offsets):
            if 0 <= row + y < height and 0 <= column + x < width:
                neighbor = (row + y) * width + column + x
                matrix[cell, neighbor] = matrix[neighbor, cell] = weights[plane, row, column]
    return matrix


def walk_matrix(affinity: Tensor, steps: int) -> Tensor:
    """Return ``(S^-1 A)^t``, multiplied out; a node without edges stays where it is."""
    rows = [row / row.sum() if row.sum() > 0 else row for row in affinity]
    transition = torch.stack(rows) + torch.diag((affinity.sum(1) == 0).to(affinity.dtype))
    power = torch.eye(len(affinity), dtype=affinity.dtype)
    for _ in range(steps):
        power = power @ transition
    return power


def cells_between(offset: tuple[int, int]) -> list[tuple[int, int]]:
    """Return the cells in the box that (0, 0) and the offset span that lie less than 1 from the line through both."""
    y, x = offset
    box = [(i * (1 if y >= 0 else -1), j * (1 if x >= 0 else -1)) for i in range(abs(y) + 1) for j in range(abs(x) + 1)]
    return [(i, j) for i, j in box if abs(y * j - x * i) / math.hypot(y, x) < 1 - 1e-9]


def neighbor_pairs(
    size: tuple[int, int], offsets: tuple[tuple[int, int], ...]
) -> list[tuple[int, tuple[int, int], tuple[int, int]]]:
    """Return the number of the offset, the cell and its neighbour, for all that lie in the grid."""
    cells = [
        (plane, cell, (cell[0] + d[0], cell[1] + d[1])) for plane, d in enumerate(offsets) for cell in np.ndindex(size)
    ]
    return [(p, a, b) for p, a, b in cells if 0 <= b[0] < size[0] and 0 <= b[1] < size[1]]


def boundary_affinity(boundary: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """Return ``(P, h, w)``: one less the largest of the ``(h, w)`` boundary between each cell and its neighbour."""
    maps = boundary.new_zeros(len(offsets), *boundary.shape)
    for plane, (row, column), _ in neighbor_pairs((boundary.shape[0], boundary.shape[1]), offsets):
        path = [boundary[row + y, column + x] for y, x in cells_between(offsets[plane])]
        maps[plane, row, column] = 1 - torch.stack(path).amax()
    return maps


def feature_affinity(features: Tensor, offsets: tuple[tuple[int, int], ...]) -> Tensor:
    """Return ``(P, h, w)`` from ``(C, h, w)``: exp(-mean absolute difference) of each cell and its neighbour."""
    maps = features.new_zeros(len(offsets), *features.shape[1:])
    for plane, (row, column), (y, x) in neighbor_pairs((features.shape[1], features.shape[2]), offsets):
        maps[plane, row, column] = torch.exp(-(features[:, row, column] - features[:, y, x]).abs().mean())
    return maps


def color_position_weights(
    image: Tensor, offsets: tuple[tuple[int, int], ...], color: float, position: float
) -> Tensor:
    """Return ``(P, h, w)`` from ``(C, h, w)``: exp(-colour distance^2 / c - distance^2 / p) of neighbours."""
    maps = image.new_zeros(len(offsets), *image.shape[1:])
    for plane, (row, column), (y, x) in neighbor_pairs((image.shape[1], image.shape[2]), offsets):
        far = ((row - y) ** 2 + (column - x) ** 2) / position
        maps[plane, row, column] = torch.exp(-((image[:, row, column] - image[:, y, x]) ** 2).sum() / color - far)
    return maps


def laplacian_energy(affinity: Tensor, maps: Tensor) -> Tensor:
    """Return ``tr(Q^T (D - W) Q)`` for an ``(N, N)`` affinity and ``(C, h, w)`` maps."""
    columns = maps.flatten(1).T
    return torch.trace(columns.T @ (torch.diag(affinity.sum(1)) - affinity) @ columns)


def gated_crf_energy(affinity: Tensor, probs: Tensor) -> Tensor:
    """Return ``(1/N) sum_ij k_ij sum over classes a != b of p_i^a p_j^b`` for ``(C, h, w)`` maps."""
    columns = probs.flatten(1).T
    different = 1 - torch.eye(len(probs), dtype=probs.dtype)
    return (affinity * (columns @ different @ columns.T)).sum() / len(columns)


def nearest_nodes(features: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k nearest other rows of each row and their distances, from all pairs, ties by lower index."""
    rows = features.double()
    squared = (rows[:, None] - rows).square().sum(2)  # (N, N)
    squared.fill_diagonal_(math.inf)
    nearest, neighbors = squared.sort(dim=1, stable=True)
    k = min(k, len(rows) - 1)
    return neighbors[:, :k], nearest[:, :k].sqrt()


def cut_energy(labels: NDArray[np.bool_], weights: Array, source: Array, sink: Array) -> float:
    """Return ``sum_p y_p t_p + (1 - y_p) s_p + sum_{p<q} w_pq |y_p - y_q|``."""
    total = sum(float(sink[p]) if label else float(source[p]) for p, label in enumerate(labels))
    pairs = ((p, q) for p in range(len(labels)) for q in range(p) if labels[p] != labels[q])
    return total + sum(float(weights[p, q]) for p, q in pairs)


def minimum_cuts(weights: Array, source: Array, sink: Array, slack: float) -> tuple[float, list[NDArray[np.bool_]]]:
    """Return the least energy of all 2^N labellings, and the labellings within ``slack`` of it."""
    labellings = [np.array(labels, bool) for labels in np.ndindex((2,) * len(source))]
    energies = [cut_energy(labels, weights, source, sink) for labels in labellings]
    least = min(energies)
    return least, [labels for labels, energy in zip(labellings, energies, strict=True) if energy <= least + slack]


def touching_regions(regions: NDArray[np.int64]) -> NDArray[np.float64]:
    """Return ``(R, R)``: one where a pixel of the row's region has one of the column's among its eight neighbours."""
    touch = np.zeros((regions.max() + 1,) * 2)
    for row, column in np.ndindex(regions.shape):
        around = regions[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2]
        for other in around.ravel():
            touch[regions[row, column], other] = float(other != regions[row, column])
    return touch


def pool_regions(regions: NDArray[np.int64], maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return ``(R, C)`` means over each region's pixels of ``(C, h, w)`` maps resized to the image."""
    planes = np.stack([bilinear(plane, (regions.shape[0], regions.shape[1])) for plane in maps])
    return np.stack([planes[:, regions == region].mean(axis=1) for region in range(regions.max() + 1)])


def wsgcn_partial(
    maps: NDArray[np.float64],
    strict: NDArray[np.float64],
    lenient: NDArray[np.float64],
    *,
    power: float,
    kept: float,
    floor: float,
    confidence: float,
) -> NDArray[np.int64]:
    """Return partial labels, cell by cell, after wsgcn.md, section 2.3: 0, 1..K for the maps in their order, 255.

    ``strict`` and ``lenient`` are the ``(K + 1, h, w)`` marginals of the CRF at the low and the high exponent.
    """
    cells = list(np.ndindex(maps.shape[1:]))
    raw = {cell: [(1 - maps[(slice(None), *cell)].max()) ** power, *maps[(slice(None), *cell)]] for cell in cells}
    best = {cell: int(np.argmax(scores)) for cell, scores in raw.items()}
    low = {cell: int(np.argmax(strict[(slice(None), *cell)])) for cell in cells}
    least = {0: confidence}
    for label in set(low.values()) - {0}:
        ranked = sorted(raw[cell][label] for cell in cells if best[cell] == label and raw[cell][label] > floor)
        place = len(ranked) - math.ceil(round(kept * len(ranked), 6))  # floor((1 - kept) n)
        least[label] = ranked[place] if place < len(ranked) else math.inf
    labels = np.full(maps.shape[1:], VOID, np.int64)
    for cell in cells:
        wanted = low[cell] if low[cell] else VOID
        if int(np.argmax(lenient[(slice(None), *cell)])) == 0:
            wanted = 0
        mixed = [lenient[(0, *cell)], *strict[(slice(1, None), *cell)]]
        sure = best[cell] in low.values() and raw[cell][best[cell]] > least[best[cell]]
        if sure and max(mixed) >= confidence and wanted == int(np.argmax(mixed)):
            labels[cell] = wanted
    return labels


def wsgcn_propagation(affinity: Tensor, kind: str, steps: int, diagonal: str = "once") -> Tensor:
    """Return the ``(N, N)`` matrix of the graph convolutions for a symmetric affinity with its diagonal of ones."""
    eye = torch.eye(len(affinity), dtype=affinity.dtype)
    if kind == "walk":
        return 0.5 * (eye + walk_matrix(affinity, steps))
    if kind == "walk_maxsym":
        mass = walk_matrix(affinity, steps).T  # G = (A S^-1)^t
        affinity = torch.stack([torch.stack([mass[i, j], mass[j, i]]).amax() for i, j in np.ndindex(*mass.shape)])
        affinity = affinity.reshape(mass.shape)
    elif diagonal == "once":
        affinity = affinity - torch.diag(affinity.diagonal())
    looped = affinity + eye
    return looped if kind == "affinity_plain" else looped / looped.sum(1)[:, None]


def gcn_log_probs(propagation: Tensor, features: Tensor, weights: list[Tensor], kept: Tensor | None = None) -> Tensor:
    """Return ``log softmax(P h W2 + b2)``, ``h = relu(P X W1 + b1)`` times ``kept``, by dense products."""
    first, first_bias, second, second_bias = weights
    hidden = torch.relu(propagation @ (features @ first) + first_bias)
    hidden = hidden if kept is None else hidden * kept
    return torch.log_softmax(propagation @ (hidden @ second) + second_bias, 1)


def wsgcn_losses(log_probs: Tensor, labels: Tensor, smoothness: Tensor, smoothed: str) -> dict[str, Tensor]:
    """Return the four terms of WSGCN, node by node, for ``(N, C)`` values, ``(N,)`` labels and ``(N, N)`` weights."""
    nodes = list(zip(log_probs, labels.tolist(), strict=True))
    terms = {
        "foreground": [-row[label] for row, label in nodes if label not in (0, VOID)],
        "background": [-row[0] for row, label in nodes if label == 0],
        "entropy": [-sum(value.exp() * value for value in row) for row, label in nodes if label == VOID],
    }
    found = {name: torch.stack(term).mean() if term else log_probs.new_zeros(()) for name, term in terms.items()}
    values = log_probs if smoothed == "log_probs" else log_probs.exp()
    laplacian = torch.diag(smoothness.sum(1)) - smoothness
    return {**found, "laplacian": torch.trace(values.T @ laplacian @ values) / len(values)}


def train_wsgcn(
    propagation: Tensor,
    features: Tensor,
    labels: Tensor,
    smoothness: Tensor,
    weights: list[Tensor],
    *,
    kept: list[Tensor | None],
    scales: dict[str, float],
    smoothed: str = "log_probs",
    biases: bool = True,
    lr: float = 0.01,
    decay: float = 5e-4,
) -> tuple[Tensor, dict[str, float]]:
    """Return probabilities and losses after a step of Adam (betas .9 and .999) for each of the ``kept`` hidden units.

    ``scales`` weigh the terms of ``wsgcn_losses``; ``decay`` is added to the gradient, times the weight.
    """
    first, first_bias, second, second_bias = (weight.clone().requires_grad_() for weight in weights)
    trained = [first, first_bias, second, second_bias] if biases else [first, second]
    weights = [first, first_bias, second, second_bias] if biases else [first, torch.zeros(1), second, torch.zeros(1)]
    moments = adam_moments(trained)
    for step, units in enumerate(kept, start=1):
        terms = wsgcn_losses(gcn_log_probs(propagation, features, weights, units), labels, smoothness, smoothed)
        adam_step(trained, sum(scales[name] * term for name, term in terms.items()), moments, step, lr=lr, decay=decay)
    with torch.no_grad():
        found = gcn_log_probs(propagation, features, weights)
        losses = wsgcn_losses(found, labels, smoothness, smoothed)
    return found.exp(), {name: float(term) for name, term in losses.items()}


def window_pairs(size: tuple[int, int], radius: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """Return all ordered pairs of cells at most ``radius`` apart along both axes, each cell and itself included."""
    cells = list(np.ndindex(size))
    return [(a, b) for a in cells for b in cells if max(abs(a[0] - b[0]), abs(a[1] - b[1])) <= radius]


def window_affinity_losses(
    features: Tensor, labels: Tensor, colors: Tensor, inside: Tensor, radius: int, *, own_pairs: bool = True
) -> tuple[Tensor, Tensor]:
    """Return ``L_Ac`` and ``L_Ar`` of A2GNN (a2gnn.md, 2.2 and 2.3) for batches, pair by pair.

    Args:
        features: ``(B, C, h, w)``.
        labels: ``(B, h, w)`` in {0..K, 255}.
        colors: ``(B, 3, h, w)``, as the kernel takes them.
        inside: ``(B, h, w)`` bool.
        radius: Of the window, in cells.
        own_pairs: Count each cell and itself in ``L_Ac``.
    """
    terms: dict[str, list[Tensor]] = {"background": [], "foreground": [], "different": [], "regular": []}
    for image, of_labels in enumerate(labels.tolist()):
        for a, b in window_pairs((labels.shape[1], labels.shape[2]), radius):
            delta = (features[(image, slice(None), *a)] - features[(image, slice(None), *b)]).abs().mean()
            first, second = of_labels[a[0]][a[1]], of_labels[b[0]][b[1]]
            if VOID not in (first, second) and (a != b or own_pairs):
                kind = "different" if first != second else "foreground" if first else "background"
                likely = 1 - torch.exp(-delta) if first != second else torch.exp(-delta)
                terms[kind].append(-torch.log(likely + 1e-5))
            if inside[(image, *a)] and inside[(image, *b)]:
                apart = ((a[0] - b[0]) ** 2 + (a[1] - b[1]) ** 2) / (2 * 6**2)
                unlike = ((colors[(image, slice(None), *a)] - colors[(image, slice(None), *b)]) ** 2).sum() / (
                    2 * 0.1**2
                )
                terms["regular"].append(torch.exp(-apart - unlike) * delta * float(a != b))
    mean = {kind: torch.stack(found).mean() if found else features.new_zeros(()) for kind, found in terms.items()}
    contrast = 0.25 * mean["background"] + 0.25 * mean["foreground"] + 0.5 * mean["different"]
    return contrast, mean["regular"]


def pixel_correlation(theta: Tensor, maps: Tensor) -> Tensor:
    """Return ``(C, h, w)`` maps mixed by the correlations of ``(D, h, w)`` features (seam.md, 2.3), pair by pair."""
    pixels, values = theta.flatten(1).T, maps.flatten(1)
    unit = [pixel / (pixel.norm() + 1e-5) for pixel in pixels]
    alike = torch.stack([torch.stack([(a @ b).clamp(min=0) for b in unit]) for a in unit])
    columns = [values @ (alike[:, j] / (alike[:, j].sum() + 1e-5)) for j in range(len(unit))]
    return torch.stack(columns, 1).reshape(maps.shape)


def adam_moments(weights: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
    """Return zeros for the means of slopes and of their squares."""
    return [(torch.zeros_like(weight), torch.zeros_like(weight)) for weight in weights]


def adam_step(
    weights: list[Tensor],
    loss: Tensor | int,
    moments: list[tuple[Tensor, Tensor]],
    step: int,
    *,
    lr: float,
    decay: float,
) -> None:
    """Take one step of Adam, in place: betas .9 and .999; ``decay`` times the weight is added to the gradient."""
    assert isinstance(loss, Tensor)
    slopes = torch.autograd.grad(loss, weights, allow_unused=True)
    for weight, slope, (mean, square) in zip(weights, slopes, moments, strict=True):
        if slope is None:
            continue
        slope = slope + decay * weight.detach()
        mean.mul_(0.9).add_(0.1 * slope)
        square.mul_(0.999).add_(0.001 * slope**2)
        weight.data -= lr * mean / (1 - 0.9**step) / ((square / (1 - 0.999**step)).sqrt() + 1e-8)


def square_mask(size: tuple[int, int], radius: int) -> Tensor:
    """Return ``(N, N)`` bool: the cells whose rows and columns differ by the radius at most."""
    cells = list(np.ndindex(size))
    near = [[max(abs(a - c), abs(b - d)) <= radius for c, d in cells] for a, b in cells]
    return torch.tensor(near)


def safe_cosines(features: Tensor) -> Tensor:
    """Return ``(N, N)`` cosines, 0 where a feature is zero."""
    norms = (features * features).sum(1)
    units = torch.where(norms[:, None] > 0, features / torch.where(norms > 0, norms, 1).sqrt()[:, None], 0)
    return units @ units.T


def cosine_attention(values: Tensor, mask: Tensor, affinity: Tensor, w: Tensor | float, beta: float) -> Tensor:
    """Return ``P H`` with ``P = softmax(w cos + beta [cos > 0] E)`` over the cells of the mask."""
    cosines = safe_cosines(values)
    return masked_softmax(w * cosines + beta * (cosines > 0) * affinity, mask) @ values


def additive_attention(values: Tensor, mask: Tensor, source: Tensor, target: Tensor) -> Tensor:
    """Return ``P g`` with ``P = softmax(LeakyReLU(a^T [g_i ; g_j]))`` over the cells of the mask, pair by pair."""
    both = torch.cat([source, target])
    nodes = range(len(values))
    scores = torch.stack([torch.stack([both @ torch.cat([values[i], values[j]]) for j in nodes]) for i in nodes])
    return masked_softmax(torch.nn.functional.leaky_relu(scores, 0.2), mask) @ values


def normalized_adjacency(affinity: Tensor, kind: str) -> Tensor:
    """Return ``D^-1/2 A D^-1/2`` or ``D^-1 A``."""
    if kind == "rows":
        return torch.diag(degree_power(affinity, -1)) @ affinity
    return torch.diag(degree_power(affinity, -0.5)) @ affinity @ torch.diag(degree_power(affinity, -0.5))


def a2gnn_outputs(
    kind: str,
    weights: list[Tensor],
    features: Tensor,
    affinity: Tensor,
    mask: Tensor,
    *,
    beta: float = 10,
    heads: int = 1,
    normalization: str = "symmetric",
    kept: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Return ``(N, F)`` hidden units before the last layer and ``(N, C)`` logits, by dense products.

    ``kept`` are the factors of dropout, for networks with cosine attention.
    """
    if kind == "gcn":
        w0, b0, w1, b1 = weights
        matrix = normalized_adjacency(torch.where(mask, affinity, 0), normalization)
        hidden = torch.relu(matrix @ features @ w0 + b0)
        return hidden, matrix @ hidden @ w1 + b1
    if kind == "gat":
        w0, s0, t0, b0, w1, s1, t1, b1 = weights
        parts = (features @ w0).chunk(heads, 1)
        mixed = [additive_attention(g, mask, s, t) for g, s, t in zip(parts, s0, t0, strict=True)]
        hidden = torch.nn.functional.elu(torch.cat(mixed, 1) + b0)
        return hidden, additive_attention(hidden @ w1, mask, s1[0], t1[0]) + b1
    first, scale, last = weights
    hidden = torch.relu(features @ first)
    hidden = hidden if kept is None else hidden * kept
    for w in scale if kind != "mlp" else ():
        hidden = cosine_attention(hidden, mask, affinity, w, beta if kind == "a2gnn" else 0)
    return hidden, hidden @ last


def pixel_matrix(grid: tuple[int, int], stride: int) -> Tensor:
    """Return ``(h stride, w stride, N)``: what each pixel takes of each cell when a map is enlarged bilinearly."""
    size = (grid[0] * stride, grid[1] * stride)
    cells = np.eye(grid[0] * grid[1]).reshape(-1, *grid)
    return torch.stack([torch.from_numpy(bilinear(cell, size)) for cell in cells], -1)


def box_points(score: Tensor) -> list[tuple[int, int]]:
    """Return the best pixel of each row and of each column of ``(H, W)`` scores, the first of equals."""
    height, width = score.shape
    rows = [(y, max(range(width), key=lambda x, y=y: (float(score[y, x]), -x))) for y in range(height)]
    return rows + [(max(range(height), key=lambda y, x=x: (float(score[y, x]), -y)), x) for x in range(width)]


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine of two vectors, 0 where one is zero."""
    norms = (a @ a).sqrt() * (b @ b).sqrt()
    return a @ b / norms if norms > 0 else norms * 0


def a2gnn_terms(
    hidden: Tensor,
    logits: Tensor,
    pixels: Tensor,
    seeds: NDArray[np.int64],
    boxes: list[tuple[int, slice, slice]],
    kernel: Tensor,
    *,
    score: str = "probability",
    check: str = "none",
) -> dict[str, Tensor]:
    """Return A2GNN's terms, pixel by pixel, with all pairs of points, after a2gnn.md, sections 2.6 and 2.7.

    ``pixels`` is a ``pixel_matrix``, ``seeds`` a map of label indices on it, ``boxes`` label, rows and columns.
    """
    enlarged, features = pixels @ logits, pixels @ hidden
    seeds = seeds.copy()
    points, apart, pairs = [], [logits.new_zeros(())], 0
    for label, rows, columns in boxes:
        inside = enlarged[rows, columns].detach()
        maps = inside.softmax(-1)[..., label] if score == "probability" else inside[..., label]
        picked = [(rows.start + y, columns.start + x) for y, x in box_points(maps)]
        points += [-enlarged[p].log_softmax(0)[label] for p in picked]
        apart.append((1 - safe_cosines(torch.stack([features[p] for p in picked]))).sum())
        pairs += len(picked) ** 2
        prototype = torch.stack([features[p] for p in picked]).mean(0)
        centre = hidden.mean(0) if check == "centred" else 0 * prototype
        for y, x in np.ndindex(seeds.shape):
            within = rows.start <= y < rows.stop and columns.start <= x < columns.stop
            if check != "none" and within and seeds[y, x] == label:
                agrees = cosine(features[y, x] - centre, prototype - centre) > 0
                seeds[y, x] = label if agrees else VOID
    losses: dict[bool, list[Tensor]] = {True: [], False: []}
    for pixel in zip(*np.nonzero(seeds != VOID), strict=True):
        losses[bool(seeds[pixel] == 0)].append(-enlarged[pixel].log_softmax(0)[int(seeds[pixel])])
    nothing = logits.new_zeros(())
    return {
        "seeds": sum((torch.stack(part).mean() for part in losses.values() if part), nothing),
        "points": torch.stack(points).mean() if points else nothing,
        "pull": torch.stack(apart).sum() / max(pairs, 1),
        "crf": gated_crf_energy(kernel, logits.softmax(1).T[:, None]),
    }


def seeding_loss(probs: Tensor, labels: Tensor) -> Tensor:
    """Return the mean over images of the mean ``-log H`` of all class pixels plus that of background pixels."""
    total = probs.new_zeros(())
    for maps, plane in zip(probs, labels, strict=True):
        for wanted in (False, True):
            cells = [(y, x) for y, x in np.ndindex(*plane.shape) if plane[y, x] != 255 and (plane[y, x] == 0) == wanted]
            losses = [-torch.log(maps[int(plane[y, x]), y, x]) for y, x in cells]
            total = total + (torch.stack(losses).mean() if losses else 0) / len(probs)
    return total


def boundary_loss(probs: Tensor, refined: Tensor) -> Tensor:
    """Return the mean over pixels of ``sum_c Q_c log clip(Q_c / H_c)``."""
    total, (batch, labels, height, width) = probs.new_zeros(()), probs.shape
    for index in np.ndindex(batch, labels, height, width):
        ratio = refined[index] / probs[index]
        total = total + refined[index] * torch.log(torch.clip(ratio, 0.05, 20))
    return total / (batch * height * width)


def cell_seeds(labels: NDArray[np.int64], size: tuple[int, int]) -> NDArray[np.int64]:
    """Return what most pixels of each cell have, the lowest of equals."""
    height, width = labels.shape
    found = np.zeros(size, np.int64)
    for row, column in np.ndindex(*size):
        members = [
            int(labels[y, x])
            for y, x in np.ndindex(height, width)
            if y * size[0] // height == row and x * size[1] // width == column
        ]
        found[row, column] = min(set(members), key=lambda label: (-members.count(label), label))
    return found


def dgcn_labels(
    graph: Tensor, probs: Tensor, seeds: Tensor, classes: tuple[int, ...], threshold: float
) -> tuple[Tensor, bool]:
    """Return DGCN's labels by trying every labelling, and whether no other one is as good.

    Args:
        graph: ``(N, N)`` capacities.
        probs: ``(L, N)``.
        seeds: ``(N,)`` in {0..L - 1, 255}.
        classes: Of the image.
        threshold: θ.
    """
    labels, unique = seeds.clone(), True
    for label in classes:
        own, others = seeds == label, (seeds != 255) & (seeds != label)
        if not own.any():
            continue
        clipped = probs[label].double().clamp(1e-4, 1 - 1e-4)
        source, sink = -torch.log(1 - clipped), -torch.log(clipped)
        source[own], sink[own], source[others], sink[others] = 1e3, 0, 0, 1e3
        _, best = minimum_cuts(graph.numpy(), source.numpy(), sink.numpy(), 1e-6)
        unique &= len(best) == 1
        for node in np.flatnonzero(best[0]):
            if seeds[node] == 255 and probs[label, node] > threshold:
                labels[node] = label
    return labels, unique


def dsrg_labels(
    refined: Tensor, seeds: Tensor, present: tuple[int, ...], thresholds: tuple[float, float]
) -> NDArray[np.int64]:
    """Return DSRG's labels by growing from each seed to its eight neighbours; thresholds of classes, of background."""
    height, width = seeds.shape
    label, kept = seeds.numpy().copy(), seeds.numpy().copy()
    for y, x in np.ndindex(height, width):
        best = max((0, *present), key=lambda c: float(refined[c, y, x]))
        if refined[best, y, x] > thresholds[best == 0]:
            label[y, x] = best
    for c in (0, *present):
        waiting = [(y, x) for y, x in np.ndindex(height, width) if seeds[y, x] == c and label[y, x] == c]
        seen = set(waiting)
        while waiting:
            y, x = waiting.pop()
            kept[y, x] = c
            for v, u in np.ndindex(3, 3):
                near = (y + v - 1, x + u - 1)
                inside = 0 <= near[0] < height and 0 <= near[1] < width
                if inside and near not in seen and label[near] == c and seeds[near] in (c, 255):
                    seen.add(near)
                    waiting.append(near)
    return kept


def co_attention_message(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Return ``softmax(q k^T) v`` of ``(M, w)`` receiving and ``(N, w)``, ``(N, C)`` sending cells, cell by cell."""
    rows = []
    for asked in query:
        weights = (key @ asked - (key @ asked).max()).exp()
        rows.append((weights[:, None] * value).sum(0) / weights.sum())
    return torch.stack(rows)


def conv_gru(message: Tensor, state: Tensor, weights: dict[str, Tensor]) -> Tensor:
    """Return ``(1 - u) h + u o`` of ``(C, H, W)``; weights: gates (u, then r) and candidate, each with its bias."""
    pad = weights["gates.weight"].shape[-1] // 2

    def conv(name: str, one: Tensor, other: Tensor) -> Tensor:
        z = torch.cat([one, other])[None]
        return torch.nn.functional.conv2d(z, weights[f"{name}.weight"], weights[f"{name}.bias"], padding=pad)[0]

    update, reset = conv("gates", message, state).sigmoid().chunk(2)
    return (1 - update) * state + update * conv("candidate", message, reset * state).tanh()


def class_gcn(vectors: Tensor, adjacency: Tensor, weights: list[Tensor], slope: float, last: bool) -> Tensor:
    """Return ``s(A V W)`` of each layer in turn, row by row; s: x, or ``slope x`` below 0; last: follows all."""
    for index, weight in enumerate(weights):
        rows = []
        for row in adjacency:
            total = sum(
                (share * vector for share, vector in zip(row, vectors, strict=True)), torch.zeros_like(vectors[0])
            )
            rows.append(total @ weight)
        vectors = torch.stack(rows)
        if last or index < len(weights) - 1:
            vectors = torch.where(vectors > 0, vectors, slope * vectors)
    return vectors


def class_reasoning(features: Tensor, vectors: Tensor, scores: Tensor, over: str) -> tuple[Tensor, Tensor]:
    """Return h, the softmax of ``(N, M)`` scores over "pixels" or "classes", and ``x_i + sum_m h_im v_m``.

    Args:
        features: ``(N, D)``, x.
        vectors: ``(M, D)``, v.
        scores: Of pixels and classes.
        over: Axis that weights sum to one over.
    """
    weights = scores.exp() / scores.exp().sum(0 if over == "pixels" else 1, keepdim=True)
    rows = [sum((h * v for h, v in zip(row, vectors, strict=True)), torch.zeros_like(vectors[0])) for row in weights]
    return weights, features + torch.stack(rows)


def additive_scores(features: Tensor, vectors: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """Return ``w . [x_i; v_m] + b`` of each pair, ``(N, M)``."""
    return torch.stack([torch.stack([weight @ torch.cat([x, v]) + bias for v in vectors]) for x in features])


def image_graph(
    states: list[Tensor], edges: list[tuple[int, int]], weights: dict[str, Tensor], rounds: int, *, transposed: bool
) -> list[Tensor]:
    """Return the states of images ``(C, H, W)``, which may differ in size, after rounds of the paper's messages.

    Args:
        states: h of each image.
        edges: (sender, receiver).
        weights: P (query), Q (key), the self edge's, and those of ``conv_gru``.
        rounds: How many.
        transposed: Whether scores of an edge to a later image are those of the other direction, transposed.
    """

    def flat(state: Tensor, name: str = "") -> Tensor:
        cells = state.flatten(1).T
        return cells @ weights[name][:, :, 0, 0].T if name else cells

    for _ in range(rounds):
        found = []
        for receiver, state in enumerate(states):
            own = [flat(state, f"self_edge.{name}.weight") for name in ("query", "key", "value")]
            message = co_attention_message(own[0], own[1], own[2]) + flat(state)
            for sender in (one for one, other in edges if other == receiver):
                names = ["query.weight", "key.weight"]
                if transposed and sender < receiver:
                    names.reverse()
                asked, asking = flat(state, names[0]), flat(states[sender], names[1])
                message = message + co_attention_message(asked, asking, flat(states[sender]))
            gru = {name[4:]: value for name, value in weights.items() if name.startswith("gru.")}
            found.append(conv_gru(message.T.reshape(state.shape), state, gru))
        states = found
    return states


def recam_features(features: Tensor, scores: Tensor, present: list[tuple[int, int]]) -> Tensor:
    """Return ``(R, C)`` features of (image, class) pairs, of ``(B, C, h, w)`` features and ``(B, K, h, w)`` scores."""
    rows = []
    for image, class_index in present:
        cam = scores[image, class_index].clamp(min=0)
        rows.append((cam / (cam.max() + 1e-5) * features[image]).mean((1, 2)))
    return torch.stack(rows)


def recam_loss(logits: Tensor, pairs: list[tuple[int, int]], images: int) -> float:
    """Return the mean over images of the mean of ``-log softmax(s_c)[c]`` over the classes of an image."""
    total = 0.0
    for image in range(images):
        own = [row for row, pair in enumerate(pairs) if pair[0] == image]
        losses = [-float(torch.log_softmax(logits[row], 0)[pairs[row][1]]) for row in own]
        total += sum(losses) / len(own) if own else 0.0
    return total / images

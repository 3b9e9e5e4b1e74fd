"""Calls of operators that a GPU has to answer as the processor does: one of each kind, with gradients where it has any.

A case takes a device and returns tensors, whichever way they come, on any device. ``tests/gpu`` carries them out on a
GPU; ``tests/ops/test_named_gpu.py`` on one in name.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from sparse_graphs import noise
from weakseg.graph import boundary, feature_affinity, image_group, knn, pixel_graph, region_graph, superpixel
from weakseg.ops import (
    blend,
    cam,
    centroids,
    co_attention,
    crf,
    fuse,
    gates,
    graph_dropout,
    growing,
    harmonic,
    labels,
    laplacian,
    low_rank_walk,
    mincut,
    neighborhood,
    normalize,
    permutohedral,
    readout,
    resample,
    restart_walk,
    separability,
    sparse,
    sparse_product,
    stencil,
    tile_attention,
    tiles,
    tree_filter,
    trimap,
    walk,
)
from weakseg.settings.crf import CrfParams

Case = Callable[[str], Any]
CASES: dict[str, Case] = {}
SIZE, FIVE = (9, 12), stencil.half_disc(3)
CELLS = SIZE[0] * SIZE[1]


def case(function: Case) -> Case:
    """Enter a case by its name."""
    CASES[function.__name__] = function
    return function


def flattened(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of a result on the processor, numbers and sparse matrices as tensors, too."""
    if isinstance(value, Tensor):
        yield value.detach().cpu()
    elif isinstance(value, sparse.SparseMatrix):
        yield from flattened((value.pattern.row_starts, value.pattern.columns, value.values))
    elif isinstance(value, bool | int | float):
        yield torch.tensor(value)
    elif isinstance(value, Mapping):
        yield from flattened(list(value.values()))
    elif value is not None:
        for part in value:
            yield from flattened(part)


def with_gradients(device: str, function: Callable[..., Tensor], *inputs: Tensor) -> list[Tensor | None]:
    """Return the value of a function of leaves on the device, and the gradients of a random combination of it."""
    leaves = [x.detach().clone().to(device).requires_grad_() for x in inputs]
    value = function(*leaves)
    (value * noise(*value.shape, dtype=value.dtype, seed=9).to(device)).sum().backward()
    return [value, *(leaf.grad for leaf in leaves)]


def uniform(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def photograph(*size: int, seed: int = 0) -> Tensor:
    """Return an image of flat fields and noise, ``(H, W, 3)`` uint8."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.randint(90, 130, (*size, 3), generator=generator, dtype=torch.uint8)
    image[: size[0] // 2, size[1] // 3 :] //= 2
    return image


def grid(device: str, *, seed: int = 1) -> sparse.SparseMatrix:
    """Return the affinities of a grid, with ones on the diagonal."""
    return stencil.stencil_matrix(uniform(len(FIVE), *SIZE, seed=seed).to(device), FIVE, diagonal=1.0)


def regions(device: str) -> Tensor:
    """Return twelve regions of 3 x 3 cells."""
    rows, columns = torch.arange(SIZE[0]) // 3, torch.arange(SIZE[1]) // 3
    return (rows[:, None] * 4 + columns).to(device)


def seeds(device: str, *, seed: int = 2) -> Tensor:
    """Return ``(N,)`` labels 0, 1, 2, and 255 at most cells."""
    known = torch.tensor([0, 1, 2, 255, 255, 255, 255, 255])
    return known[torch.randint(0, 8, (CELLS,), generator=torch.Generator().manual_seed(seed))].to(device)


def probabilities(device: str, labels: int = 3) -> Tensor:
    return torch.softmax(2 * noise(labels, *SIZE), 0).to(device)


@case
def crf_of_one_image(device: str) -> Any:
    image = photograph(16, 21).to(device)
    return with_gradients(device, lambda unary: crf.dense_crf(unary, image, CrfParams()), noise(3, 16, 21))


@case
def crf_of_two_images(device: str) -> Any:
    images = [photograph(16, 21).to(device), photograph(9, 13, seed=1).to(device)]
    built = crf.build_crf(images, CrfParams(), dtype=torch.float64)
    return built.infer_batch([noise(3, 16, 21).to(device), noise(2, 9, 13).to(device)])


@case
def crf_of_labels(device: str) -> Any:
    unary = crf.unary_from_labels(seeds(device).reshape(SIZE), 3).double()
    scores = crf.unary_from_scores(probabilities(device)), crf.unary_from_softmax(probabilities(device))
    return unary, scores, crf.dense_crf(unary, photograph(*SIZE).to(device), CrfParams())


@case
def lattice_of_points(device: str) -> Any:
    groups = torch.arange(60).remainder(2).to(device)
    near, far = (permutohedral.build_lattice(s * noise(60, 4).to(device), groups=groups) for s in (1.0, 5e3))
    return [with_gradients(device, lattice.filter, noise(60, 3, seed=1)) for lattice in (near, far)]


@case
def energies_of_pairs(device: str) -> Any:
    weights = uniform(len(FIVE), *SIZE)
    lattice = permutohedral.build_lattice(noise(CELLS, 3, seed=4).to(device))
    return [
        with_gradients(device, lambda w, q: laplacian.laplacian_energy(w, FIVE, q), weights, noise(2, *SIZE)),
        with_gradients(device, lambda w, q: laplacian.gated_crf_energy(w, FIVE, q), weights, probabilities("cpu")),
        with_gradients(device, lambda q: laplacian.dense_crf_energy(lattice, q), probabilities("cpu")),
    ]


@case
def sparse_products(device: str) -> Any:
    pattern, values = grid(device).pattern, grid("cpu").values
    left, right = noise(CELLS, 5), noise(CELLS, 5, seed=1)
    return [
        with_gradients(device, lambda v, x: sparse_product.product(pattern, v, x), values, left),
        with_gradients(device, lambda v, x: sparse_product.product(pattern, v, x), values, left[:, :1]),
        with_gradients(device, lambda a, b: sparse_product.edge_dot(pattern, a, b), left, right),
    ]


@case
def sparse_matrices(device: str) -> Any:
    matrix, index = grid(device), torch.tensor([5, 5, 0, 90]).to(device)
    parts = matrix.transpose(), matrix.take_rows(index), matrix.scale(matrix.row_sums(), matrix.diagonal())
    edges = torch.tensor([[0, 1, 1, 0], [2, 0, 0, 2]]).to(device)
    merged = [
        with_gradients(
            device,
            lambda w, how=how: sparse.matrix_from_edges(edges, w, (2, 3), duplicates=how).to_dense(),
            noise(4),
        )
        for how in ("sum", "amax")
    ]
    matrix.pattern.check()
    return parts, merged, matrix.to_dense(), sparse.block_diagonal([matrix, grid(device, seed=2)])


@case
def sparse_matrices_moved(device: str) -> Any:
    return grid("cpu").to(device), grid(device).to("cpu")


@case
def normalized_matrices(device: str) -> Any:
    matrix = grid(device)
    upper = sparse.matrix_from_edges(torch.tensor([[0, 0, 1], [1, 2, 0]]).to(device), uniform(3).to(device), (3, 3))
    kinds = normalize.normalize_rows, normalize.normalize_columns, normalize.normalize_symmetric
    further = normalize.add_self_loops(upper), normalize.symmetrize(upper), normalize.symmetrize(upper, "max")
    return [kind(matrix) for kind in kinds], further, normalize.laplacian(matrix)


@case
def stencils(device: str) -> Any:
    return stencil.stencil_weights(grid(device), SIZE, FIVE)


@case
def neighborhoods(device: str) -> Any:
    pattern, features = grid(device).pattern, noise(CELLS, 5)
    attended = lambda x: neighborhood.neighborhood_attention(pattern, neighborhood.edge_cosine(pattern, x), x)  # noqa: E731
    return with_gradients(device, attended, features)


def tiled(device: str) -> tuple[tiles.Tiles, sparse.SparseMatrix]:
    """Return the tiles of two grids, moved to the device, and the edges of both."""
    matrices = [grid("cpu"), grid("cpu", seed=3)]
    built = tiles.build_tiles([m.pattern for m in matrices], [tiles.grid_places(SIZE), None])
    return built.to(device), sparse.block_diagonal(matrices).to(device)


@case
def tiles_of_graphs(device: str) -> Any:
    moved, matrix = tiled(device)
    there = tiles.build_tiles([grid(device).pattern] * 2, [tiles.grid_places(SIZE), None])
    fields = ("places", "columns", "cells", "outside", "mirror", "barrier", "empty")
    values = noise(2 * CELLS, 3).to(device)
    return [getattr(there, name) for name in fields], moved.gather(moved.scatter(values)), moved.spread(matrix.values)


@case
def tile_attentions(device: str) -> Any:
    graphs, matrix = tiled(device)
    edges, places = graphs.spread(matrix.values), graphs.num_places * 2
    filled = graphs.scatter(noise(2 * CELLS, 6).to(device)).flatten(0, 1).cpu()
    kept = (uniform(2, *graphs.outside.shape, seed=5) > 0.3).double().to(device)
    heads = lambda v, s, t: tile_attention.additive_attention(graphs, v, s, t, edges, kept)  # noqa: E731
    return [
        with_gradients(device, lambda v: tile_attention.mix(graphs, edges, v), filled),
        with_gradients(
            device, lambda v, w: tile_attention.cosine_attention(graphs, v, w, edges), filled, uniform(2, seed=6)
        ),
        with_gradients(device, heads, filled.reshape(places, 2, 3), noise(places, 2, seed=7), noise(places, 2, seed=8)),
    ]


@case
def messages_between_images(device: str) -> Any:
    edges = torch.tensor([[0, 1, 2, 2], [1, 0, 0, 1]]).to(device)
    mask = (uniform(3, 20, seed=3) > 0.2).to(device)
    inputs = noise(3, 20, 4), noise(3, 20, 4, seed=1), noise(3, 20, 6, seed=2)
    results = [
        with_gradients(device, lambda q, k, v, f=f: f(q, k, v, edges, key_mask=mask, chunk=300), *inputs)
        for f in (co_attention.co_attention, co_attention.edge_messages)
    ]
    without = with_gradients(device, lambda q, k, v: co_attention.co_attention(q, k, v, edges), *inputs)
    return results, without, co_attention.cell_mean(inputs[2].to(device), mask)


@case
def dropout_of_graphs(device: str) -> Any:
    dropped, mask = torch.tensor([True, False]).to(device), (uniform(2, *SIZE) > 0.2).to(device)
    return [
        with_gradients(
            device,
            lambda h, kind=kind: graph_dropout.graph_dropout(h, dropped, mask=kind, cell_mask=mask),
            noise(2, 5, *SIZE),
        )
        for kind in ("binary", "times_mean")
    ]


@case
def walks(device: str) -> Any:
    fixed, values = grid(device), noise(CELLS, 2)
    learned = grid("cpu")

    def with_affinity(weights: Tensor, x: Tensor) -> Tensor:
        return walk.walk(sparse.SparseMatrix(fixed.pattern, weights), x, 3)

    apart = [
        with_gradients(device, lambda x, how=how, e=e: walk.walk(fixed, x, 40, convention=how, error=e), values)
        for how, e in (("average", 0.0), ("average", 1e-3), ("mass", 1e-3))
    ]
    both = sparse.SparseMatrix(learned.pattern, learned.values)
    maps = walk.walk_scores(noise(2, *SIZE).to(device), uniform(len(FIVE), *SIZE).to(device), FIVE, beta=2.0, steps=5)
    return apart, with_gradients(device, with_affinity, both.values, values)[:1], maps


@case
def walks_that_return(device: str) -> Any:
    weights = normalize.normalize_rows(grid(device))
    return restart_walk.restart_walk(weights, torch.tensor([3, 50]).to(device))


@case
def walks_of_low_rank(device: str) -> Any:
    generator = torch.Generator().manual_seed(0)  # of the processor: the same noise everywhere
    found = low_rank_walk.low_rank_walk(grid(device), 16, 20, generator=generator)
    return found.apply(noise(CELLS, 2).to(device)), found.error < 1


@case
def labels_that_walks_meet(device: str) -> Any:
    return harmonic.harmonic_labels(grid(device), seeds(device), 3)


@case
def labels_that_grow(device: str) -> Any:
    graph, own = _capacities(device), seeds(device)
    confidence, limits = probabilities(device).flatten(1), growing.Thresholds(0.5, 0.6)
    levels = [noise(1, 4, *SIZE).to(device), noise(1, 6, 5, 6).to(device)]
    cuts, met = growing.cut_claims(graph, confidence, own, (0, 1, 2)), growing.harmonic_claims(graph, own)
    return (
        growing.node_features(levels, SIZE, position_weight=0.5),
        growing.node_features(levels, SIZE, norm="global"),
        growing.cell_seeds(own.reshape(SIZE), (4, 5)),
        growing.cell_seeds(own.reshape(SIZE), (4, 5), corners=True),
        list(cuts.values()),
        list(met.values()),
        growing.accepted(cuts, confidence, own, limits),
        growing.region_labels(probabilities(device), own.reshape(SIZE), (1, 2), limits),
    )


def _capacities(device: str) -> sparse.SparseMatrix:
    return stencil.stencil_matrix(uniform(len(FIVE), *SIZE, seed=1).to(device), FIVE)


@case
def minimum_cuts(device: str) -> Any:
    graph = sparse.matrix_from_edges(
        torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]]).to(device), torch.tensor([1.0, 1, 0.5, 0.5]).to(device), (3, 3)
    )
    first, last = (torch.arange(3).eq(i).to(device) for i in (0, 2))
    links = mincut.terminal_links(torch.tensor([0.9, 0.6, 0.1]).to(device), first, last, graph)
    return links, mincut.min_cut(graph, *links).foreground


@case
def trees(device: str) -> Any:
    tree = tree_filter.minimum_spanning_tree(noise(3, *SIZE).to(device))
    filtered = lambda x, d: tree_filter.tree_filter(x, d, tree)  # noqa: E731
    return tree.order, tree.parents, with_gradients(device, filtered, noise(CELLS, 2, 3), uniform(CELLS, 2))


def towards_centres(rows: int, columns: int) -> Tensor:
    """Return the ``(2, h, w)`` field of cells that are drawn to one of two centres, so that nothing is amplified."""
    places = torch.stack(torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")).double()
    centres = torch.tensor([[rows / 3, columns / 4], [rows / 2, 3 * columns / 4]], dtype=torch.float64)
    wanted = torch.where(places[1] < columns / 2, centres[0][:, None, None], centres[1][:, None, None])
    return 0.4 * (wanted - places) + 0.02 * noise(2, rows, columns)


@case
def objects_of_centres(device: str) -> Any:
    field = towards_centres(*SIZE).to(device)
    ends = centroids.find_centroids(field)
    groups = centroids.group_cells(field, ends, weak_below=1.0)
    assert groups.max() == 1
    maps = torch.rand(2, *SIZE, generator=torch.Generator().manual_seed(0)).to(device)
    found = centroids.detections(maps, (1, 4), background=0.4, min_fraction=0.02)
    none = centroids.detections(maps[:0], ())
    split = centroids.split_by_groups(maps, groups)
    return ends, groups, split, found.class_ids, found.scores, found.masks, none.masks


@case
def pixels_of_nodes(device: str) -> Any:
    rows, columns = (torch.randint(0, n, (30,), generator=torch.Generator().manual_seed(n)).to(device) for n in SIZE)
    found = readout.GridReadout(SIZE, 4), readout.RegionReadout(regions(device))
    return [(one.at(rows, columns), one.maps(noise(one.num_nodes, 3).to(device))) for one in found]


@case
def resized_maps(device: str) -> Any:
    maps, fill = noise(2, *SIZE).to(device), torch.ones(1, 3, 1, 1).to(device)
    return (
        resample.resize_maps(maps, (5, 20)),
        resample.resample_cells(maps, (4, 5), (30, 40), resample.Cells(1.5, 4), (2, 1)),
        resample.block_means(maps, 4),
        resample.padded_to(noise(2, 3, 5, 7, dtype=torch.float32).to(device), 8, 4, fill),
        resample.bilinear_taps(9, 4, device),
    )


@case
def blended_tiles(device: str) -> Any:
    whole = noise(2, 20, 30).to(device)
    return [rows for _, rows in blend.blend_tiles((20, 30), 12, 4, lambda tile: whole[:, tile.rows, tile.columns])]


@case
def evidence_and_labels(device: str) -> Any:
    maps, scores = uniform(2, *SIZE).to(device), probabilities(device)
    pairs = [uniform(2, 3, *size, seed=i).to(device) for i, size in enumerate((SIZE, (5, 6)))]
    kinds = [labels.background_score(maps, kind, 0.4) for kind in ("threshold", "power", "none")]
    best = labels.best_label(scores, (0, 3, 7))
    return (
        cam.normalize_evidence(cam.merge_evidence(pairs, SIZE)),
        cam.normalize_evidence(cam.merge_evidence(pairs, SIZE), by="range"),
        cam.class_features(pairs[0][:, :2], noise(2, 5, *SIZE).to(device)),
        kinds,
        best,
        labels.merge_confident(best, best.flip(0)),
        trimap.trimap(scores, scores.flip(1)),
        trimap.confident_trimap(maps, scores, scores.flip(1), least=0.3),
        fuse.fuse_scores(scores, uniform(3, *SIZE, seed=4).to(device)),
    )


@case
def gates_of_classes(device: str) -> Any:
    logits, targets = noise(4, 5).to(device), torch.tensor([0.0, 1, torch.nan, 1, 0]).expand(4, 5).to(device)
    return gates.rank_gate(logits, targets), gates.probability_gate(logits, targets, 0.4)


@case
def separated_features(device: str) -> Any:
    steps = torch.linspace(0.1, 0.9, 5, dtype=torch.float64).to(device)
    return separability.separability(noise(3, 40).to(device), uniform(40).to(device), steps)


@case
def affinities_of_maps(device: str) -> Any:
    return [
        with_gradients(device, lambda b: boundary.boundary_affinity(b, FIVE), uniform(2, *SIZE)),
        with_gradients(device, lambda f: feature_affinity.feature_affinity(f, FIVE), noise(2, 4, *SIZE)),
        with_gradients(
            device,
            lambda i: feature_affinity.color_position_weights(
                i, FIVE, color_denominator=0.5, position_denominator=20.0
            ),
            uniform(3, *SIZE),
        ),
    ]


@case
def nearest_nodes(device: str) -> Any:
    features = noise(300, 5, dtype=torch.float32)
    features[200:] = features[:100]  # equal ones
    several = knn.nearest_neighbors(features.to(device), 6, block=64)
    return several, knn.knn_graph(noise(40, 3).to(device), 4)


@case
def superpixels(device: str) -> Any:
    own, image = regions(device), photograph(*SIZE).to(device)
    near = superpixel.region_adjacency(own)
    features = uniform(12, 5).to(device)
    affinity = region_graph.region_affinity(features, sparse.SparseMatrix(near.pattern, near.values.double()))
    chosen = [region_graph.select_edges(affinity, rule) for rule in ("threshold", "helper")]
    majority = region_graph.majority_labels(own, seeds(device).reshape(SIZE).to(torch.uint8))
    pooled = superpixel.region_pooling(own, (4, 5))
    painted = superpixel.paint_regions(own, features)
    return superpixel.slic_regions(image, 6), near, affinity, chosen, majority, pooled, painted


@case
def groups_of_images(device: str) -> Any:
    targets = torch.tensor([[1.0, 0], [1, 1], [0, 1], [torch.nan, 0]]).to(device)
    groups = torch.tensor([0, 0, 0, 1]).to(device)
    stacked, mask = image_group.stack_states([noise(2, 3, 4).to(device), noise(2, 2, 5).to(device)])
    edges = image_group.group_edges(targets, groups), image_group.complete_edges(groups)
    return edges, stacked, mask, image_group.unstack_maps(stacked, mask)


@case
def graphs_of_pixels(device: str) -> Any:
    affinity = uniform(len(FIVE), *SIZE).to(device)
    graph = pixel_graph.build_pixel_graph(uniform(4, *SIZE).to(device), affinity, FIVE)
    return graph.features, graph.affinity, [pixel_graph.normalize_nodes(graph.features, norm) for norm in ("l1", "l2")]


def names_of(cases: Mapping[str, Case] | None = None) -> Sequence[str]:
    return sorted(CASES if cases is None else cases)

import numpy as np
import pytest
import torch

from weakseg.errors import ShapeError
from weakseg.ops.harmonic import harmonic_labels
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.stencil import half_square, stencil_matrix

TINY = 1e-12


def chain(*weights: float) -> SparseMatrix:
    """Return a path with a diagonal, which must not count."""
    offsets = ((0, 1),)
    values = torch.tensor([[[*weights, 0.0]]], dtype=torch.float64)
    return stencil_matrix(values, offsets, diagonal=7.0)


def grid(seed: int) -> SparseMatrix:
    offsets = half_square(1)
    weights = torch.rand(len(offsets), 5, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return stencil_matrix(weights, offsets, diagonal=1.0)


def test_between_two_seeds_the_edges_decide() -> None:
    found = harmonic_labels(chain(1.0, 3.0), torch.tensor([0, 255, 1]), 3, least=TINY)
    assert torch.allclose(found, torch.tensor([[1, 0, 0], [0.25, 0.75, 0], [0, 1, 0]], dtype=torch.float64))


def test_resistances_add_up() -> None:
    found = harmonic_labels(chain(1.0, 2.0, 4.0), torch.tensor([0, 255, 255, 1]), 2, least=TINY)
    assert torch.allclose(found[:, 1], torch.tensor([0, 1, 1.5, 1.75], dtype=torch.float64) / 1.75)


def test_equals_the_dense_solution_and_rows_sum_to_one() -> None:
    affinity, seeds = grid(0), torch.full((30,), 255)
    seeds[torch.tensor([2, 17, 29])] = torch.tensor([0, 1, 2])
    found = harmonic_labels(affinity, seeds, 3, least=0.01)
    dense = affinity.to_dense()
    weights = torch.where(dense > 0, dense + 0.01, 0.0).fill_diagonal_(0)
    free = seeds == 255
    laplacian = torch.diag(weights.sum(1)) - weights
    given = torch.nn.functional.one_hot(seeds[~free], 3).double()
    wanted = torch.linalg.solve(laplacian[free][:, free], weights[free][:, ~free] @ given)
    assert torch.allclose(found[free], wanted)
    assert torch.allclose(found.sum(1), torch.ones(30, dtype=torch.float64))


def test_the_order_of_nodes_does_not_count() -> None:
    dense, seeds = grid(1).to_dense(), torch.full((30,), 255)
    seeds[torch.tensor([0, 13])] = torch.tensor([1, 0])
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    edges = dense[order][:, order].nonzero().T
    other = matrix_from_edges(edges, dense[order][:, order][edges[0], edges[1]], (30, 30))
    assert torch.allclose(harmonic_labels(other, seeds[order], 2), harmonic_labels(grid(1), seeds, 2)[order])


def test_seeds_alone_are_what_they_are() -> None:
    found = harmonic_labels(chain(1.0), torch.tensor([1, 0]), 2)
    assert np.array_equal(found.numpy(), [[0, 1], [1, 0]])


@pytest.mark.parametrize("seeds", [[255, 255, 255], [0, 255, 3], [-1, 255, 0], [0, 1]])
def test_unusable_seeds(seeds: list[int]) -> None:
    with pytest.raises(ShapeError, match="seeds"):
        harmonic_labels(chain(1.0, 1.0), torch.tensor(seeds), 2)


def test_a_node_that_reaches_no_seed() -> None:
    apart = matrix_from_edges(torch.tensor([[0, 1], [1, 0]]), torch.ones(2, dtype=torch.float64), (3, 3))
    with pytest.raises(ShapeError, match="reaches no seed"):
        harmonic_labels(apart, torch.tensor([0, 255, 255]), 2)

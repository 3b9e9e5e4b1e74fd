"""Sparse matrices of all kinds, and how tests compare what is made of them."""

from collections.abc import Callable

import torch
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.stencil import half_disc, stencil_matrix

# A = [[0, 2, 0], [3, 0, 4], [0, 0, 5]], its edges in no order.
EDGES = torch.tensor([[2, 1, 0, 1], [2, 2, 1, 0]])
WEIGHTS = torch.tensor([5.0, 4.0, 2.0, 3.0], dtype=torch.float64)


def noise(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def three_nodes() -> SparseMatrix:
    return matrix_from_edges(EDGES, WEIGHTS, (3, 3))


def matrix_at(mask: Tensor, *, dtype: torch.dtype = torch.float64, seed: int = 1) -> SparseMatrix:
    """Return a matrix with random values where the mask is true."""
    edges = mask.nonzero().T
    return matrix_from_edges(edges, noise(edges.shape[1], dtype=dtype, seed=seed), (mask.shape[0], mask.shape[1]))


def special_masks() -> dict[str, Tensor]:
    """Return the patterns at the edge of what there is; some have three blocks of 64 rows."""
    complete = torch.ones(7, 7, dtype=torch.bool)
    gap = torch.zeros(150, 20, dtype=torch.bool)
    gap[[0, 5, 140, 149], [19, 3, 0, 7]] = True
    return {
        "nothing": torch.zeros(0, 0, dtype=torch.bool),
        "no columns": torch.zeros(3, 0, dtype=torch.bool),
        "no rows": torch.zeros(0, 3, dtype=torch.bool),
        "no entries": torch.zeros(4, 4, dtype=torch.bool),
        "one node": torch.zeros(1, 1, dtype=torch.bool),
        "one node with a loop": torch.ones(1, 1, dtype=torch.bool),
        "complete": complete,
        "every other node": ~torch.eye(7, dtype=torch.bool),  # K = N - 1
        "empty first, middle and last row": complete * torch.tensor([0, 1, 1, 0, 1, 1, 0], dtype=torch.bool)[:, None],
        "wide": noise(3, 200) > 1,
        "tall": noise(200, 3) > 1,
        "an empty block of rows": gap,
    }


def grid() -> SparseMatrix:
    return stencil_matrix(noise(34, 9, 11), half_disc(5), diagonal=1.0)


def star() -> SparseMatrix:
    """Return a hub with 150 leaves, both ways: the rows of its leaves are short, and the hub's reaches everywhere."""
    mask = torch.zeros(151, 151, dtype=torch.bool)
    mask[75], mask[:, 75] = True, True
    return matrix_at(mask)


def scattered() -> SparseMatrix:
    return matrix_at(noise(170, 170) > 2)


def rectangle() -> SparseMatrix:
    return matrix_at(noise(140, 90) > 1.5)


GRAPHS = (grid, star, scattered, rectangle)
every_graph = each("build", GRAPHS)


def value_and_gradients(function: Callable[..., Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
    """Return the value, and by each input the gradient of a random combination of it."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    value = function(*leaves)
    nothing = sum((0 * leaf.sum() for leaf in leaves), value.new_zeros(()))  # so that each leaf takes part
    total = (value * noise(*value.shape, dtype=value.dtype, seed=9)).sum() + nothing
    return value.detach(), *torch.autograd.grad(total, leaves)


def densely(pattern: Pattern, values: Tensor) -> Tensor:
    """Return the dense matrix of a pattern, from its arrays alone."""
    rows = [row for row, count in enumerate(pattern.row_starts.diff().tolist()) for _ in range(count)]
    edges = torch.tensor([rows, pattern.columns.tolist()], dtype=torch.int64)
    return dense.matrix_from_edges(edges, values, (len(pattern.row_starts) - 1, pattern.num_columns))


def same(found: SparseMatrix, expected: SparseMatrix) -> None:
    assert found.shape == expected.shape
    torch.testing.assert_close(found.pattern.row_starts, expected.pattern.row_starts, rtol=0, atol=0)
    torch.testing.assert_close(found.pattern.columns, expected.pattern.columns, rtol=0, atol=0)
    torch.testing.assert_close(found.values, expected.values)


def close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    tolerance = 1e-5 if found[0].dtype == torch.float32 else 1e-12
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)

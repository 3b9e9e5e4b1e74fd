import pytest
import torch
from torch import Tensor

from cases import assert_exact
from weakseg.errors import ShapeError
from weakseg.ops.restart_walk import restart_walk
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges


def matrix(dense: Tensor) -> SparseMatrix:
    return matrix_from_edges(dense.nonzero().T.contiguous(), dense[dense > 0], (len(dense), len(dense)))


def walked(rows: list[list[float]], **settings: float) -> Tensor:
    """``R[s, t]``: how often the walk from s is at t."""
    dense = torch.tensor(rows, dtype=torch.float64)
    return restart_walk(matrix(dense), torch.arange(len(rows)), **settings).T  # type: ignore[arg-type]


def close(found: Tensor, expected: list[list[float]]) -> None:
    torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=6e-7)


def random_graph(size: int, *, seed: int = 0) -> Tensor:
    """Weights of edges that lead both ways, or one, some away from nodes that nothing leads away from."""
    generator = torch.Generator().manual_seed(seed)
    dense = torch.rand(size, size, generator=generator, dtype=torch.float64) * 3
    dense = dense * (torch.rand(size, size, generator=generator) < 0.3)
    dense.fill_diagonal_(0)
    dense[size // 2] = 0
    return dense


class TestOfTheCard:
    def test_two_nodes(self) -> None:  # grm.md, oracle 4
        close(walked([[0, 1], [1, 0]]), [[0.540541, 0.459459], [0.459459, 0.540541]])

    def test_three_nodes(self) -> None:  # grm.md, oracle 5
        found = walked([[0, 2, 1], [2, 0, 0], [1, 0, 0]])
        close(found[:1], [[0.540541, 0.306306, 0.153153]])

    def test_chain_with_a_dead_end(self) -> None:  # grm.md, oracle 6
        found = walked([[0, 1, 0], [0, 0, 1], [0, 0, 0]])
        close(found, [[0.388727, 0.330418, 0.280855], [0, 0.540541, 0.459459], [0, 0, 1]])
        assert int(((found * found.T) > 0).sum()) == 3  # there is no way back, so that E is diagonal


class TestDefinition:
    def test_closed_form_without_losses(self) -> None:
        # R = c (I - (1 - c) P)^-1, where rows of P sum to one
        dense = random_graph(12) + 0.5
        transition = dense / dense.sum(1, keepdim=True)
        expected = 0.15 * torch.linalg.inv(torch.eye(12, dtype=torch.float64) - 0.85 * transition)
        assert_exact(walked(dense.tolist(), tolerance=1e-14), expected)

    def test_closed_form_with_losses(self) -> None:
        # the fixed point is g / sum g, g = (I - (1 - c) P^T)^-1 e_s: what is lost comes back at the seed
        dense = random_graph(12) * 0.2
        assert bool((dense.sum(1) < 1).any())
        transition = dense / dense.sum(1, keepdim=True).clamp(min=1)
        solved = torch.linalg.inv(torch.eye(12, dtype=torch.float64) - 0.7 * transition)
        expected = solved / solved.sum(1, keepdim=True)
        assert_exact(walked(dense.tolist(), restart=0.3, tolerance=1e-14), expected)

    def test_tolerance_and_steps(self) -> None:
        dense = random_graph(12)
        exact = walked(dense.tolist(), tolerance=0.0)
        assert float((walked(dense.tolist()) - exact).abs().sum(1).max()) < 1e-8
        assert 1e-3 < float((walked(dense.tolist(), max_steps=3) - exact).abs().sum(1).max()) < 1
        assert_exact(walked(dense.tolist(), max_steps=1).sum(1), torch.ones(12, dtype=torch.float64))

    def test_relabelled_nodes(self) -> None:
        dense = random_graph(10, seed=2)
        order = torch.randperm(10, generator=torch.Generator().manual_seed(1))
        mixed = walked(dense[order][:, order].tolist(), tolerance=1e-14)
        assert_exact(mixed, walked(dense.tolist(), tolerance=1e-14)[order][:, order])

    def test_seeds(self) -> None:
        weights = matrix(random_graph(10))
        both = restart_walk(weights, torch.tensor([7, 2, 7]))
        assert_exact(both[:, 0], both[:, 2])
        assert_exact(both[:, 1:2], restart_walk(weights, torch.tensor([2])), atol=1e-8)
        assert restart_walk(weights, torch.tensor([], dtype=torch.int64)).shape == (10, 0)

    def test_changes_nothing_in_place(self) -> None:
        weights = matrix(random_graph(8))
        before, seeds = weights.values.clone(), torch.arange(3)
        first = restart_walk(weights, seeds)
        assert torch.equal(restart_walk(weights, seeds), first) and torch.equal(weights.values, before)


def test_bad_input() -> None:
    weights = matrix(random_graph(4))
    seeds = torch.tensor([0])
    edge = torch.tensor([[0], [1]])
    with pytest.raises(ShapeError, match="expected a square matrix"):
        restart_walk(matrix_from_edges(edge, torch.ones(1), (2, 3)), seeds)
    with pytest.raises(ShapeError, match="a negative weight"):
        restart_walk(matrix_from_edges(edge, -torch.ones(1), (2, 2)), seeds)
    for wrong in (torch.tensor([4]), torch.tensor([-1]), torch.tensor([0.0])):
        with pytest.raises(ShapeError, match="seeds: expected int64"):
            restart_walk(weights, wrong)
    with pytest.raises(ShapeError, match="seeds"):
        restart_walk(weights, seeds[None])
    for wrong_settings in ({"restart": 0.0}, {"restart": 1.0}, {"max_steps": 0}):
        with pytest.raises(ShapeError, match="restart, max_steps: need"):
            restart_walk(weights, seeds, **wrong_settings)  # type: ignore[arg-type]

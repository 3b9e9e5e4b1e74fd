import pytest
import torch
from torch import Tensor

import dense_reference as dense
from cases import assert_exact, each
from tiled_graphs import noise, uniform
from weakseg.errors import ShapeError
from weakseg.nn.graphs.class_gcn import ClassGcn

M, D = 4, 5


def network(widths: tuple[int, ...] = (6, 3), **settings: object) -> ClassGcn:
    torch.manual_seed(0)
    adjacency = uniform(M, M, seed=1) / M
    return ClassGcn(noise(M, D, seed=2), adjacency, widths, **settings).double()  # type: ignore[arg-type]


class TestClassGcn:
    @each(
        ("widths", "last", "slope"),
        [((6, 3), True, 0.2), ((6, 3), False, 0.2), ((3,), True, 0.0), ((2, 7, 3), True, 0)],
    )
    def test_equals_its_formula(self, widths: tuple[int, ...], last: bool, slope: float) -> None:
        gcn = network(widths, last_activation=last, negative_slope=slope, dropout=0.5).eval()
        expected = dense.class_gcn(gcn.vectors, gcn.adjacency, list(gcn.weights), slope, last)
        assert_exact(gcn(), expected)

    def test_a_graph_without_relations_is_a_perceptron_of_each_class(self) -> None:
        vectors = noise(M, D)
        gcn = ClassGcn(vectors, torch.eye(M), (6, 3)).double()
        for index in range(M):
            alone = ClassGcn(vectors[index : index + 1], torch.eye(1), (6, 3)).double()
            alone.weights = gcn.weights
            assert_exact(gcn()[index], alone()[0])

    def test_classes_in_another_order(self) -> None:
        gcn, order = network(), torch.tensor([2, 0, 3, 1])
        other = ClassGcn(gcn.vectors[order], gcn.adjacency[order][:, order], (6, 3)).double()
        other.vectors, other.adjacency = gcn.vectors[order], gcn.adjacency[order][:, order]
        other.weights = gcn.weights
        assert_exact(other(), gcn()[order])

    def test_calls_change_no_buffer(self) -> None:
        # grm.md, oracle 8
        gcn = network()
        before = {name: value.clone() for name, value in gcn.named_buffers()}
        first = gcn()
        first.sum().backward()
        assert_exact(gcn(), first)
        assert_exact(dict(gcn.named_buffers()), before, rtol=0, atol=0)

    def test_dropout_in_training_alone(self) -> None:
        gcn = network(widths=(400, 3), dropout=0.3)
        assert_exact(gcn.eval()(), gcn.eval()())
        torch.manual_seed(1)
        found = torch.stack([gcn.train()() for _ in range(2)])
        assert (found[0] - found[1]).abs().max() > 1e-3
        inner = network(widths=(400, 400), dropout=0.3, negative_slope=1.0).train()  # linear: the second is a product
        inner.weights[1].data = torch.eye(400, dtype=torch.float64)
        inner.adjacency = torch.eye(M, dtype=torch.float64)
        dropped = (inner() == 0).double().mean()
        assert 0.25 < dropped < 0.35

    def test_initial_weights(self) -> None:
        # grm.md, 2.4: U(-1 / sqrt(out), 1 / sqrt(out))
        weights = ClassGcn(noise(M, 50), torch.eye(M), (400, 16)).weights
        for weight, bound in zip(weights, (0.05, 0.25), strict=True):
            assert 0.99 * bound < weight.abs().max() <= bound
            assert abs(weight.std() - bound / 3**0.5) < 0.02 * bound

    def test_gradient(self) -> None:
        gcn = network(negative_slope=0.2)

        def function(first: Tensor, second: Tensor) -> Tensor:
            return torch.func.functional_call(gcn, {"weights.0": first, "weights.1": second}, ())  # type: ignore[no-any-return]

        assert torch.autograd.gradcheck(function, tuple(w.detach().requires_grad_() for w in gcn.weights))

    def test_one_class(self) -> None:
        assert ClassGcn(noise(1, D), torch.eye(1), (6, 3))().shape == (1, 3)

    def test_what_is_no_graph_is_refused(self) -> None:
        good, square = noise(M, D), torch.eye(M)
        for vectors, adjacency, widths, message in (
            (noise(M), square, (3,), r"vectors: expected shape \(M, D\)"),
            (noise(0, D), noise(0, 0), (3,), "one class and one value at least"),
            (good, torch.eye(3), (3,), "adjacency: 4 classes need a square"),
            (good.fill_diagonal_(torch.nan), square, (3,), "vectors: holds NaN"),
            (noise(M, D), square / 0, (3,), "adjacency: holds NaN"),
            (noise(M, D), square, (), "widths: every layer"),
            (noise(M, D), square, (3, 0), "widths: every layer"),
        ):
            with pytest.raises(ShapeError, match=message):
                ClassGcn(vectors, adjacency, widths)

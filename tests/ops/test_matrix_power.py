import math

import pytest
import torch

from cases import each
from sparse_graphs import matrix_at, noise, three_nodes
from weakseg.errors import ShapeError
from weakseg.ops.matrix_power import power_coefficients, power_times
from weakseg.ops.sparse import SparseMatrix


class TestCoefficients:
    @pytest.mark.parametrize(("error", "degree"), [(1e-2, 42), (1e-3, 52), (1e-4, 62)])
    def test_degrees_of_the_card(self, error: float, degree: int) -> None:
        # irnet.md, section 6 (v), wsgcn.md, section 6, 3: t = 256
        coefficients = power_coefficients(256, error)
        assert len(coefficients) - 1 == degree
        assert 1 - float(coefficients.sum()) < error

    @each("steps", [0, 1, 2, 3, 8, 13, 40, 256])
    def test_coefficients_are_binomials(self, steps: int) -> None:
        expected = [0.0] * (steps + 1)
        for j in range(steps // 2 + 1):
            k = steps - 2 * j
            expected[k] = math.comb(steps, j) * 2.0 ** (1 - steps) * (0.5 if k == 0 else 1)
        found = power_coefficients(steps, 0.0)
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-11, atol=0)

    @each(("steps", "error"), [(7, 0.3), (64, 1e-2), (255, 1e-3), (256, 1e-6), (5000, 1e-3)])
    def test_largest_error_on_the_interval(self, steps: int, error: float) -> None:
        coefficients = power_coefficients(steps, error)
        angle = torch.linspace(0, math.pi, 2001, dtype=torch.float64)
        degree = torch.arange(len(coefficients), dtype=torch.float64)
        polynomial = (coefficients * torch.cos(angle[:, None] * degree)).sum(1)
        off = (polynomial - torch.cos(angle) ** steps).abs()
        dropped = 1 - float(coefficients.sum())
        assert float(off.max()) == pytest.approx(dropped, rel=1e-6)
        assert float(off[0]) == pytest.approx(dropped, rel=1e-6)
        assert dropped <= error
        if len(coefficients) > 2:
            assert dropped + float(coefficients[-1]) > error  # no shorter one would do


def test_power_times_is_differentiable_in_a_plain_matrix() -> None:
    pattern, x = matrix_at(torch.ones(3, 3, dtype=torch.bool)).pattern, noise(3, 2).requires_grad_()
    weights = (noise(9) / 9).requires_grad_()
    assert torch.autograd.gradcheck(lambda w, x: power_times(SparseMatrix(pattern, w), x, 3), (weights, x))


def test_one_step_after_the_other_and_the_expansion() -> None:
    # The expansion holds for symmetric matrices with eigenvalues in [-1, 1].
    half = noise(6, 6)
    full = half + half.T
    matrix = matrix_at(torch.ones(6, 6, dtype=torch.bool))
    matrix = SparseMatrix(matrix.pattern, (full / torch.linalg.eigvalsh(full).abs().max()).flatten())
    x, expected = noise(6, 2), torch.linalg.matrix_power(matrix.to_dense(), 40)
    torch.testing.assert_close(power_times(matrix, x, 0), x, rtol=0, atol=0)
    torch.testing.assert_close(power_times(matrix, x, 40), expected @ x)
    off = power_times(matrix, x, 40, error=1e-3) - expected @ x
    assert 0 < float(off.norm()) <= 1e-3 * float(x.norm())


@each(("steps", "error"), [(-1, 0.0), (4, -1e-3), (4, 1.0), (4, math.nan)])
def test_senseless_settings_are_refused(steps: int, error: float) -> None:
    with pytest.raises(ShapeError, match="steps, error"):
        power_times(three_nodes(), noise(3, 1), steps, error=error)

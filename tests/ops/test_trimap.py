import pytest
import torch
from scipy.optimize import brentq
from torch import Tensor

from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.labels import background_score
from weakseg.ops.trimap import confident_trimap, trimap


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def readings(activations: Tensor, low: float = 4, high: float = 24) -> tuple[Tensor, Tensor]:
    first, second = (torch.cat([background_score(activations, "power", power), activations]) for power in (low, high))
    return first, second


class TestTrimap:
    def test_table(self) -> None:
        # seam.md, 2.6: (strict, lenient) -> label: (1, 1), (0, 1), (0, 0), (1, 0), which background wins.
        strict = torch.tensor([[0.0, 1], [1, 0], [1, 0], [0, 1]]).T[:, None]
        lenient = torch.tensor([[0.0, 1], [0, 1], [1, 0], [1, 0]]).T[:, None]
        assert trimap(strict, lenient).tolist() == [[1, 255, 0, 0]]

    @each(("power", "expected"), [(4, 0.276), (6, 0.222), (16, 0.123), (24, 0.094), (32, 0.077)])
    def test_equivalent_constant_backgrounds(self, power: float, expected: float) -> None:
        # seam.md, oracle 12: the root of (1 - m)^power = m.
        def gap(value: float) -> float:
            return float(background_score(torch.full((1, 1, 1), value).double(), "power", power)) - value

        root = brentq(gap, 0, 1)
        assert root == pytest.approx(expected, abs=5e-4)
        for side, label in ((-1e-3, 0), (1e-3, 1)):
            stack = readings(torch.full((1, 1, 1), root + side).double(), power, power)[0]
            assert int(stack.argmax(0)) == label

    def test_without_crf_foreground_is_no_background(self) -> None:
        # seam.md, oracle 12
        strict, lenient = readings(uniform(3, 8, 9))
        assert not ((strict.argmax(0) > 0) & (lenient.argmax(0) == 0)).any()

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match="strict is"):
            trimap(uniform(3, 2, 2), uniform(2, 2, 2))


class TestConfident:
    def test_a_ramp(self) -> None:
        # seam.md, oracle 13: all of the class; the upper 39 or 40 of 100 pixels. CRFs are sure of it.
        activations = torch.linspace(0.2, 1, 100).double().reshape(1, 1, 100)
        sure = torch.cat([torch.zeros(1, 1, 100), torch.ones(1, 1, 100)]).double()
        found = confident_trimap(activations, sure, sure)
        assert found[0, :60].eq(255).all() and found[0, 61:].eq(1).all()
        assert int((found == 1).sum()) in (39, 40)

    @each("seed", range(5))
    def test_a_subset_of_the_trimap(self, seed: int) -> None:
        # seam.md, oracle 13
        activations = uniform(2, 9, 10, seed=seed)
        strict, lenient = (10 * stack.log() for stack in readings(activations))
        strict, lenient = strict.softmax(0), lenient.softmax(0)
        whole = trimap(strict, lenient)
        kept = confident_trimap(activations, strict, lenient)
        assert bool(((kept == whole) | (kept == 255)).all())
        assert 0 < int((kept != 255).sum()) < int((whole != 255).sum())

    def test_background(self) -> None:
        activations = torch.tensor([[[0.0, 0.005, 0.05]]]).double()
        background = torch.tensor([[[1.0, 1, 1]], [[0, 0, 0]]]).double()
        # (1 - .05)^24 = .29 is no sure background
        assert confident_trimap(activations, background, background).tolist() == [[0, 0, 255]]
        assert confident_trimap(activations, background, 0.5 * background).eq(255).all()  # no CRF is sure

    def test_without_classes(self) -> None:
        found = confident_trimap(torch.zeros(0, 2, 3), torch.ones(1, 2, 3), torch.ones(1, 2, 3))
        assert found.eq(0).all()

    def test_refusals(self) -> None:
        with pytest.raises(ShapeError, match="share"):
            confident_trimap(uniform(1, 2, 2), uniform(2, 2, 2), uniform(2, 2, 2), share=0)
        with pytest.raises(ShapeError, match="activations with a background"):
            confident_trimap(uniform(1, 2, 2), uniform(3, 2, 2), uniform(3, 2, 2))

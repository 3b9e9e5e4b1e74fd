import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.nn.pairs.pair_losses import Pairs, affinity_loss, displacement_loss, label_pairs
from weakseg.ops.stencil import Offset, half_disc

THREE, FIVE = half_disc(3), half_disc(5)
EPS = 1e-5
sizes = st.tuples(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6))


def random_labels(shape: tuple[int, ...], seed: int = 0) -> Tensor:
    """Return labels 0, 1, 2 and 255."""
    return torch.tensor([0, 1, 2, 255])[torch.randint(0, 4, shape, generator=torch.Generator().manual_seed(seed))]


def random_values(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def listed_pairs(labels: Tensor, offsets: tuple[Offset, ...]) -> dict[str, list[tuple[int, ...]]]:
    """Return (image, offset, row, column, row, column) of the pairs of each kind, one after the other."""
    found: dict[str, list[tuple[int, ...]]] = {"background": [], "foreground": [], "different": []}
    for image, one in enumerate(labels.tolist()):
        for plane, (row, column), (y, x) in dense.neighbor_pairs((len(one), len(one[0])), offsets):
            first, second = one[row][column], one[y][x]
            if 255 not in (first, second):
                alike = "foreground" if first else "background"
                found[alike if first == second else "different"].append((image, plane, row, column, y, x))
    return found


def dense_affinity_loss(affinity: Tensor, labels: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    total = affinity.new_zeros(())
    for kind, pairs in listed_pairs(labels, offsets).items():
        weight = 0.5 if kind == "different" else 0.25
        for image, plane, row, column, _, _ in pairs:
            value = affinity[image, plane, row, column]
            right = 1 - value if kind == "different" else value
            total = total - weight * torch.log(right + EPS) / (len(pairs) + EPS)
    return total


def dense_displacement_loss(field: Tensor, labels: Tensor, offsets: tuple[Offset, ...]) -> Tensor:
    total = field.new_zeros(())
    kinds = listed_pairs(labels, offsets)
    for kind in ("foreground", "background"):
        for image, plane, row, column, y, x in kinds[kind]:
            rest = field[image, :, row, column] - field[image, :, y, x]
            if kind == "foreground":
                rest = rest - field.new_tensor(offsets[plane])
            total = total + 0.5 * rest.abs().sum() / (2 * len(kinds[kind]) + EPS)
    return total


def towards(centre: tuple[float, float], size: tuple[int, int]) -> Tensor:
    """Return the ``(1, 2, h, w)`` field that leads from each cell to one place."""
    rows, columns = torch.meshgrid(torch.arange(size[0]), torch.arange(size[1]), indexing="ij")
    return torch.stack([centre[0] - rows, centre[1] - columns])[None].double()


class TestLabelPairs:
    def test_by_hand(self) -> None:
        # psa.md, oracle 8: pairs to the right, and down to the left, on
        #   0 0 1
        #   2 1 1
        #   . . 0      (a point is undecided)
        labels = torch.tensor([[[0, 0, 1], [2, 1, 1], [255, 255, 0]]])
        background, foreground, different = label_pairs(labels, ((0, 1), (1, -1)))
        assert background.nonzero().tolist() == [[0, 0, 0, 0]]
        assert foreground.nonzero().tolist() == [[0, 0, 1, 1], [0, 1, 0, 2]]
        assert different.nonzero().tolist() == [[0, 0, 0, 1], [0, 0, 1, 0], [0, 1, 0, 1]]

    @settings(max_examples=25)
    @given(sizes, st.integers(0, 99))
    def test_equals_the_list_of_pairs(self, shape: tuple[int, int, int], seed: int) -> None:
        labels = random_labels(shape, seed)
        expected, found = listed_pairs(labels, FIVE), label_pairs(labels, FIVE)
        for kind, members in zip(Pairs._fields, found, strict=True):
            assert members.shape == (shape[0], len(FIVE), *shape[1:])
            assert sorted(map(tuple, members.nonzero().tolist())) == sorted(pair[:4] for pair in expected[kind])

    def test_all_pairs_are_of_one_kind(self) -> None:
        # psa.md, oracle 2: sum over offsets of (h - |dy|)(w - |dx|) is 93,314 on 47 x 63.
        labels = random_labels((1, 47, 63)).clamp(max=2)
        kinds = torch.stack([*label_pairs(labels, FIVE)]).sum(0)
        assert int(kinds.max()) == 1
        assert int(kinds.sum()) == 93_314

    def test_one_undecided_cell(self) -> None:
        # irnet.md, oracle 9: of sum (12 - |dy|)(12 - |dx|) pairs a cell in the middle has 2 x 34.
        labels = random_labels((1, 12, 12)).clamp(max=2)
        whole = sum(int(kind.sum()) for kind in label_pairs(labels, FIVE))
        labels[0, 6, 5] = 255
        kinds = label_pairs(labels, FIVE)
        assert whole == sum((12 - abs(y)) * (12 - abs(x)) for y, x in FIVE)
        assert sum(int(kind.sum()) for kind in kinds) == whole - 68
        assert not any(bool(kind[..., 6, 5].any()) for kind in kinds)

    def test_undecided_cells_are_not_alike(self) -> None:
        assert not torch.stack([*label_pairs(torch.full((1, 6, 6), 255), FIVE)]).any()

    @pytest.mark.parametrize("size", [(1, 1), (1, 4), (3, 2)])
    def test_grids_smaller_than_the_radius(self, size: tuple[int, int]) -> None:
        labels = torch.ones(1, *size, dtype=torch.int64)
        assert int(label_pairs(labels, FIVE).foreground.sum()) == len(dense.neighbor_pairs(size, FIVE))

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"labels: expected shape \(B, h, w\)"):
            label_pairs(torch.zeros(3, 3, dtype=torch.int64), FIVE)


class TestAffinityLoss:
    labels = torch.tensor([[0, 0, 0, 1, 1, 2, 2]] * 6)[None]

    def shape(self) -> tuple[int, ...]:
        return (1, len(FIVE), 6, 7)

    @pytest.mark.parametrize(("value", "expected"), [(1.0, 5.756457), (0.5, 0.693127)])
    def test_constant_affinity(self, value: float, expected: float) -> None:
        # psa.md, oracle 9: for 1 it is (-1e-5 - 1e-5) / 4 + 11.512925 / 2; for 1/2, -ln(0.50001) three times.
        loss = affinity_loss(torch.full(self.shape(), value).double(), label_pairs(self.labels, FIVE))
        assert float(loss) == pytest.approx(expected, abs=3e-6)

    def test_perfect(self) -> None:
        # irnet.md, oracle 10: -ln(1 + 1e-5) for each kind.
        pairs = label_pairs(self.labels, FIVE)
        perfect = (~pairs.different).double()
        assert float(affinity_loss(perfect, pairs)) == pytest.approx(-1e-5, abs=1e-8)

    @each(
        ("labels", "weight", "right"),
        [([0, 0], 0.25, 0.3), ([4, 4], 0.25, 0.3), ([0, 4], 0.5, 0.7), ([3, 4], 0.5, 0.7), ([255, 0], 0.0, 0.3)],
    )
    def test_missing_kinds_count_nothing(self, labels: list[int], weight: float, right: float) -> None:
        # psa.md, oracle 10; irnet.md, oracle 11.
        affinity = torch.full((1, 1, 1, 2), 0.3, dtype=torch.float64, requires_grad=True)
        loss = affinity_loss(affinity, label_pairs(torch.tensor([[labels]]), ((0, 1),)))
        assert float(loss.detach()) == pytest.approx(-weight * math.log(right + EPS) / (1 + EPS), rel=1e-7)
        loss.backward()
        assert affinity.grad is not None and torch.isfinite(affinity.grad).all()

    def test_no_pairs_at_all(self) -> None:
        affinity = torch.zeros(1, len(FIVE), 4, 4, requires_grad=True)
        loss = affinity_loss(affinity, label_pairs(torch.full((1, 4, 4), 255), FIVE))
        loss.backward()
        assert float(loss.detach()) == 0
        assert affinity.grad is not None and float(affinity.grad.abs().max()) == 0

    @settings(max_examples=15)
    @given(sizes, st.integers(0, 99))
    def test_equals_the_sum_over_the_list(self, shape: tuple[int, int, int], seed: int) -> None:
        labels = random_labels(shape, seed)
        affinity = random_values(shape[0], len(THREE), *shape[1:], seed=seed).requires_grad_()
        found = affinity_loss(affinity, label_pairs(labels, THREE))
        expected = dense_affinity_loss(affinity, labels, THREE)
        torch.testing.assert_close(found, expected)
        by_found, by_expected = (
            torch.autograd.grad(loss + 0 * affinity.sum(), affinity)[0] for loss in (found, expected)
        )
        torch.testing.assert_close(by_found, by_expected)

    def test_gradient(self) -> None:
        pairs = label_pairs(random_labels((2, 3, 4)), THREE)
        affinity = (0.1 + 0.8 * random_values(2, len(THREE), 3, 4)).requires_grad_()
        assert torch.autograd.gradcheck(lambda a: affinity_loss(a, pairs), (affinity,))

    def test_counts_are_over_the_whole_batch(self) -> None:
        labels = torch.stack([torch.zeros(4, 4), torch.full((4, 4), 255)]).long()
        labels[1, 0, :2] = 0
        affinity = random_values(2, len(THREE), 4, 4)
        whole = affinity_loss(affinity, label_pairs(labels, THREE))
        torch.testing.assert_close(whole, dense_affinity_loss(affinity, labels, THREE))
        one, other = (affinity_loss(affinity[i : i + 1], label_pairs(labels[i : i + 1], THREE)) for i in (0, 1))
        assert abs(float(whole - one)) < abs(float(whole - other))  # 33 of its 34 pairs are of the first image

    def test_another_number_of_offsets_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="affinity is"):
            affinity_loss(torch.zeros(1, len(THREE), 6, 7), label_pairs(self.labels, FIVE))


class TestDisplacementLoss:
    objects = torch.ones(1, 7, 8, dtype=torch.int64)

    def test_all_cells_lead_to_one_centre(self) -> None:
        # irnet.md, oracle 10
        loss = displacement_loss(towards((3.5, 2.25), (7, 8)), label_pairs(self.objects, FIVE), FIVE)
        assert float(loss) == 0

    def test_two_objects_have_a_centre_each(self) -> None:
        labels = torch.tensor([[1] * 4 + [2] * 4] * 7)[None]
        field = torch.cat([towards((3, 1), (7, 8))[..., :4], towards((3, 6), (7, 8))[..., 4:]], dim=3)
        assert float(displacement_loss(field, label_pairs(labels, FIVE), FIVE)) == 0

    @pytest.mark.parametrize("shift", [0.0, 2.5])
    def test_background_may_lead_anywhere_together(self, shift: float) -> None:
        # irnet.md, oracle 10: zero for D = 0; unchanged by a constant.
        field = torch.full((1, 2, 7, 8), shift).double()
        assert float(displacement_loss(field, label_pairs(0 * self.objects, FIVE), FIVE)) == 0

    def test_no_displacement_within_an_object(self) -> None:
        # irnet.md, oracle 10: mean of (|dy| + |dx|) / 2 over the pairs, and half of that in the sum of both losses.
        pairs = dense.neighbor_pairs((7, 8), FIVE)
        mean = sum((abs(FIVE[plane][0]) + abs(FIVE[plane][1])) / 2 for plane, _, _ in pairs) / len(pairs)
        loss = displacement_loss(torch.zeros(1, 2, 7, 8).double(), label_pairs(self.objects, FIVE), FIVE)
        assert float(loss) == pytest.approx(mean / 2, rel=1e-6)

    @pytest.mark.parametrize("labels", [[[255, 255]], [[0, 1]], [[255, 1]]])
    def test_no_pairs(self, labels: list[list[int]]) -> None:
        # irnet.md, oracle 11
        field = random_values(1, 2, 1, 2).requires_grad_()
        loss = displacement_loss(field, label_pairs(torch.tensor([labels]), THREE), THREE)
        loss.backward()
        assert float(loss.detach()) == 0
        assert field.grad is not None and float(field.grad.abs().max()) == 0

    @settings(max_examples=15)
    @given(sizes, st.integers(0, 99))
    def test_equals_the_sum_over_the_list(self, shape: tuple[int, int, int], seed: int) -> None:
        labels = random_labels(shape, seed)
        field = (6 * random_values(shape[0], 2, *shape[1:], seed=seed) - 3).requires_grad_()
        found = displacement_loss(field, label_pairs(labels, THREE), THREE)
        expected = dense_displacement_loss(field, labels, THREE)
        torch.testing.assert_close(found, expected)
        by_found, by_expected = (torch.autograd.grad(loss + 0 * field.sum(), field)[0] for loss in (found, expected))
        torch.testing.assert_close(by_found, by_expected)

    def test_gradient(self) -> None:
        # All 48 values differ, by less than one: away from the kinks, which lie at whole differences.
        order = torch.randperm(48, generator=torch.Generator().manual_seed(0)).double()
        field = (order / 49).reshape(2, 2, 3, 4).requires_grad_()
        pairs = label_pairs(random_labels((2, 3, 4)), THREE)
        assert pairs.foreground.any() and pairs.background.any()
        assert torch.autograd.gradcheck(lambda f: displacement_loss(f, pairs, THREE), (field,))

    def test_a_factor_reaches_the_gradient(self) -> None:
        field = random_values(1, 2, 7, 8).requires_grad_()
        pairs = label_pairs(self.objects, FIVE)
        (once,) = torch.autograd.grad(displacement_loss(field, pairs, FIVE), field)
        (thrice,) = torch.autograd.grad(3 * displacement_loss(field, pairs, FIVE), field)
        torch.testing.assert_close(thrice, 3 * once)

    @pytest.mark.parametrize("shape", [(1, 3, 7, 8), (2, 7, 8)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match=r"field: expected shape \(B, 2, h, w\)"):
            displacement_loss(torch.zeros(shape), label_pairs(self.objects, FIVE), FIVE)

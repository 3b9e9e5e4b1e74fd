from collections.abc import Sequence

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from weakseg.nn.graphs.per_image import Adam, ImageDropout, kept_units, plan_batches


def drop(
    nodes: Sequence[int], seeds: Sequence[int], like: Tensor, *, dropout: float, hidden: int = 16
) -> Tensor | None:
    """Return the factors of images of some numbers of nodes."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    return kept_units(generators, [(count, hidden) for count in nodes], dropout, like)


class TestDropout:
    def test_share_and_scale(self) -> None:
        kept = drop([5000], [0], torch.zeros(1, 5000, 6), dropout=0.3)
        assert kept is not None and kept.shape == (1, 5000, 16)
        assert float((kept == 0).double().mean()) == pytest.approx(0.3, abs=0.005)
        assert kept.unique().tolist() == pytest.approx([0, 1 / 0.7], rel=1e-4)
        columns, rows = (kept == 0).double().mean(1), (kept == 0).double().mean(2)
        assert float((columns - 0.3).abs().max()) < 0.03
        assert float(rows.var()) == pytest.approx(0.3 * 0.7 / 16, rel=0.1)  # independent units

    def test_factors_are_exact_in_double_precision(self) -> None:
        # 0.6, the attention of gat: no float32 in between
        kept = drop([50], [0], torch.zeros(1, 50, 6, dtype=torch.float64), dropout=0.6)
        assert kept is not None and kept.unique().tolist() == [0, 65536 / (65536 - round(0.6 * 65536))]

    def test_none(self) -> None:
        assert drop([3], [0], torch.zeros(1, 3, 6), dropout=0.0) is None

    def test_masks_are_those_of_each_image(self) -> None:
        kept = drop([7] * 3, [0, 1, 0], torch.zeros(3, 7, 6, dtype=torch.float64), dropout=0.5, hidden=3)
        assert kept is not None and kept.dtype == torch.float64
        assert kept[0].equal(kept[2]) and not kept[0].equal(kept[1])

    def test_padding_takes_no_random_numbers(self) -> None:
        sizes = [(7, 3), (3, 2), (5, 3)]
        together, alone = ([torch.Generator().manual_seed(seed) for seed in range(3)] for _ in range(2))
        for _ in range(3):  # later steps too
            kept = kept_units(together, sizes, 0.5, torch.zeros(3, 7, 6))
            assert kept is not None and kept.shape == (3, 7, 3)
            for row, (nodes, units), generator in zip(kept, sizes, alone, strict=True):
                own = kept_units([generator], [(nodes, units)], 0.5, torch.zeros(1, nodes, 6))
                assert own is not None and row[:nodes, :units].equal(own[0])
                assert not row[nodes:].any() and not row[:, units:].any()

    def test_of_units(self) -> None:
        generators = [torch.Generator().manual_seed(seed) for seed in (0, 1)]
        units = torch.ones(2, 6, 4)
        found = ImageDropout(generators, 0.5, [6, 3])(units)
        assert found.unique().tolist() == [0, 2] and not found[1, 3:].any()
        assert ImageDropout(generators, 0.0, [6, 3])(units) is units


class TestBatches:
    def test_what_fits(self) -> None:
        costs = [2, 6, 3, 6, 1]
        assert plan_batches(costs, 1e-9) == [[1], [3], [2], [0], [4]]
        assert plan_batches(costs, 1e9) == [[1, 3, 2, 0, 4]]
        assert plan_batches([], 1) == []

    @settings(max_examples=40)
    @given(st.lists(st.floats(0.1, 10), max_size=12), st.floats(1, 40))
    def test_laws(self, costs: list[float], limit: float) -> None:
        batches = plan_batches(costs, limit)
        assert sorted(index for members in batches for index in members) == list(range(len(costs)))
        for members in batches:
            assert len(members) == 1 or len(members) * max(costs[index] for index in members) <= limit


def test_adam_is_that_of_torch() -> None:
    generator = torch.Generator().manual_seed(0)
    ours, theirs = ([torch.linspace(-1, 1, 5).requires_grad_(), torch.ones(2, 3).requires_grad_()] for _ in range(2))
    own, other = Adam(ours, lr=0.03, weight_decay=5e-4), torch.optim.Adam(theirs, lr=0.03, weight_decay=5e-4)
    for _ in range(20):
        for one, two in zip(ours, theirs, strict=True):
            one.grad = torch.randn(one.shape, generator=generator)
            two.grad = one.grad.clone()
        own.step()
        other.step()
    assert ours[0].grad is None
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=0, atol=1e-7)

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from weakseg.errors import ShapeError
from weakseg.ops.separability import separability

THRESHOLDS = torch.tensor([0.25, 0.5, 0.75])


def by_definition(features: np.ndarray, values: np.ndarray, threshold: float) -> float:
    """Between-class variance over the whole variance, cell by cell."""
    unit = features / (np.linalg.norm(features, axis=0) + 1e-6)
    mean = unit.mean(1)
    between = 0.0
    for kind in (values > threshold, values <= threshold):
        if kind.sum() < 3:
            return float("nan")
        between += kind.mean() * ((unit[:, kind].mean(1) - mean) ** 2).sum()
    return float(between / ((unit - mean[:, None]) ** 2).sum(0).mean())


@given(st.integers(0, 2**31), st.integers(6, 40))
def test_it_is_the_share_of_variance_between_both_kinds(seed: int, cells: int) -> None:
    rng = np.random.default_rng(seed)
    features, values = rng.normal(size=(5, cells)), rng.random(cells)
    found = separability(torch.from_numpy(features), torch.from_numpy(values), THRESHOLDS.double())
    expected = [by_definition(features, values, float(threshold)) for threshold in THRESHOLDS]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-4, atol=1e-6)
    known = found[~found.isnan()]
    assert bool(((known >= 0) & (known <= 1 + 1e-6)).all())


def test_two_kinds_of_features_are_told_apart_where_they_part() -> None:
    """All variance lies between both kinds, however long features are."""
    kind = torch.arange(20) >= 12
    features = torch.where(kind, torch.tensor([[1.0], [0.0]]), torch.tensor([[0.0], [1.0]])) * torch.arange(1.0, 21)
    found = separability(features, torch.arange(20) / 20, torch.tensor([0.3, 0.575, 0.8]))
    assert found[1] == pytest.approx(1, abs=1e-4)
    assert found.argmax() == 1


def test_where_nothing_is_on_one_side() -> None:
    features = torch.ones(2, 8)
    assert bool(separability(features, torch.full((8,), 0.6), THRESHOLDS).isnan().all())
    assert not separability(features, torch.arange(8) / 8, THRESHOLDS[:2]).isnan().any()  # no variance: 0


def test_shapes_are_checked() -> None:
    with pytest.raises(ShapeError, match="one for each of 8 cells"):
        separability(torch.ones(2, 8), torch.ones(7), THRESHOLDS)

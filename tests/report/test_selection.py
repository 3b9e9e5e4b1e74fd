import pytest

from cases import each
from weakseg.errors import ShapeError
from weakseg.report import choose


def test_few_images_are_all_shown_and_nothing_is_said():
    selection = choose([0.3, None, 0.1], 3)
    assert selection.indices == (0, 1, 2)
    assert selection.sentence == ""


def test_worst_best_and_even_sample():
    selection = choose([index / 100 for index in range(100)], 9)
    assert selection.indices[:3] == (0, 1, 2)
    assert selection.indices[-3:] == (97, 98, 99)
    assert selection.indices[3:6] == (18, 50, 81)  # middles of the thirds of 3..96: 3 + (1, 3, 5) * 94 / 6
    assert selection.sentence == "showing 9 of 100: the worst 3, the best 3, and an even sample"


def test_unknown_values_are_neither_worst_nor_best():
    values = [None] * 50 + [0.5, 0.1, 0.9, float("nan")]
    chosen = choose(values, 6).indices
    assert {51, 52} <= set(chosen)
    assert len(chosen) == len(set(chosen)) == 6


def test_without_any_value_the_sample_is_even():
    selection = choose([None] * 1000, 10)
    assert selection.indices == tuple(range(50, 1000, 100))
    assert selection.sentence == "showing 10 of 1,000: an even sample"


@each("limit", [1, 2, 3, 5, 299])
def test_exactly_the_limit_is_shown(limit):
    assert len(set(choose([index % 7 / 7 for index in range(300)], limit).indices)) == limit


def test_a_limit_below_one_is_refused():
    with pytest.raises(ShapeError, match="max_cards"):
        choose([1.0], 0)

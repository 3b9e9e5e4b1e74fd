"""What to draw next: exact gains of small folders, and laws that hold for all."""

import random
import time
from dataclasses import replace

import pytest

from weakseg.errors import DataError
from weakseg.stages.known import KnownClass, KnownPhotograph, MarkKind, State
from weakseg.stages.queue import Candidate, Expected, Line, label_seconds, what_to_draw

STEEP = Expected(
    now={kind: Line(0.2, 1.0) for kind in ("tag", "click", "stroke", "box")},
    after={"click": Line(0.5, 0.5), "stroke": Line(0.7, 0.7), "box": Line(0.9, 0.9)},
    rejected=0.1,
    usual=0.5,
    disagreement=(0.5, 0.4),
)


def _photograph(name: str, *classes: KnownClass, state: State = "tags") -> KnownPhotograph:
    return KnownPhotograph(name, state, classes)


def _draw(*photographs: KnownPhotograph, kinds: tuple[MarkKind, ...] = ("box",)) -> list[Candidate]:
    return what_to_draw(photographs, kinds=kinds, expected=STEEP)


def _cat(reliability: float | None = 0.5, **more: object) -> KnownClass:
    return replace(KnownClass("cat", reliability, 0.2), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("kind", "count", "seconds"),
    [("tag", 20, 20), ("click", 1, 4.8), ("click", 3, 6.6), ("stroke", 1, 21.8), ("box", 1, 7), ("box", 4, 28)],
)
def test_seconds(kind: MarkKind, count: int, seconds: float) -> None:
    """By data/effort.py: a click 2.4 s, a further one 0.9, a stroke 10.9, a box 7, a look at a class 1."""
    assert label_seconds(kind, count) == pytest.approx(seconds)


def test_the_gain_of_one_photograph() -> None:
    """From 0.2 + 0.8 x 0.5 = 0.6 to 0.9, of one class and the background: half of 30 points."""
    (one,) = _draw(_photograph("a", _cat()))
    assert (one.photograph, one.name, one.kind) == ("a", "cat", "box")
    assert one.gain == pytest.approx(15) and one.seconds == 7 and one.rate == pytest.approx(15 / 7)
    assert one.reason == "its mask may be better (reliability 0.50)"


def _rise(now: float, after: float, masks: tuple[float, float], areas: tuple[float, float]) -> float:
    """Return by how much the IoU of a class of two photographs rises when the first one's mask becomes better."""
    together = [(mask + area) / (1 + now) for mask, area in zip(masks, areas, strict=True)]
    made = 2 * areas[0] / (1 + after)
    return (now * together[1] + after * made) / (together[1] + made) - now


def test_areas_share_the_class() -> None:
    """Masks of 0.3 and 0.1, so 0.2 on average: 0.25 and 0.15 are expected."""
    known = [_photograph(name, KnownClass("cat", 0.5, share)) for name, share in (("a", 0.3), ("b", 0.1))]
    found = _draw(*known)
    assert [one.photograph for one in found] == ["a", "b"]
    one, other = (
        _rise(0.6, 0.9, masks, areas) for masks, areas in (((0.3, 0.1), (0.25, 0.15)), ((0.1, 0.3), (0.15, 0.25)))
    )
    assert [each.gain for each in found] == pytest.approx([100 * one / 2, 100 * other / 2])


def test_a_class_without_a_mask_is_expected_to_be_as_large_as_elsewhere() -> None:
    first, _ = _draw(_photograph("a", KnownClass("cat")), _photograph("b", _cat()))
    before, after = (0.6 * 0.25) / (0.25 + 0.2), (0.6 * 0.25 + 0.9 * 0.4 / 1.9) / (0.25 + 0.4 / 1.9)
    assert first.photograph == "a" and first.gain == pytest.approx(100 * (after - before) / 2)


def test_rare_classes_come_first() -> None:
    common = [_photograph(f"a{number}", KnownClass("dog", 0.5, 0.2)) for number in range(9)]
    first, *others = _draw(*common, _photograph("z", _cat()))
    assert first.photograph == "z" and first.gain == pytest.approx(30 / 3)
    rise = _rise(0.6, 0.9, (0.2, 8 * 0.2), (0.2, 8 * 0.2))
    assert all(one.gain == pytest.approx(100 * rise / 3) for one in others) and rise < 0.3 / 8
    assert "the class is rare (1 photograph)" in first.reason and "rare" not in others[0].reason


def test_more_seconds_come_later_and_ties_are_by_id() -> None:
    found = _draw(_photograph("a", _cat(objects=2)), _photograph("c", _cat()), _photograph("b", _cat()))
    assert [one.photograph for one in found] == ["b", "c", "a"]
    assert found[0].gain == pytest.approx(found[2].gain) and found[2].seconds == 2 * found[0].seconds


def test_less_reliable_masks_come_first() -> None:
    found = _draw(*(_photograph(str(value), _cat(value)) for value in (0.6, 0.1, 0.3)))
    assert [one.photograph for one in found] == ["0.1", "0.3", "0.6"]


def test_the_kind_that_brings_most_a_second_is_chosen() -> None:
    """From 0.2: a click brings 0.3 in 4.8 s, a box 0.7 in 7 s; of nine objects 12.0 s against 63 s."""
    kinds: tuple[MarkKind, ...] = ("click", "stroke", "box")
    (few,), (many,) = (_draw(_photograph("a", _cat(0.0, objects=count)), kinds=kinds) for count in (1, 9))
    assert (few.kind, many.kind) == ("box", "click")
    assert _draw(_photograph("a", _cat(0.9)), kinds=("click", "stroke")) == []  # 0.92 now: neither would help


def test_accepted_photographs_never_come_but_count_as_area() -> None:
    one, other = _photograph("a", _cat(0.0), state="accepted"), _photograph("b", _cat(0.5))
    (found,) = _draw(one, other)
    together = [0.4 / 1.2, 0.4 / 1.6]  # of an IoU of 0.2, and of 0.6
    before = (0.2 * together[0] + 0.6 * together[1]) / sum(together)
    after = (0.2 * together[0] + 0.9 * 0.4 / 1.9) / (together[0] + 0.4 / 1.9)
    assert found.photograph == "b" and found.gain == pytest.approx(100 * (after - before) / 2)


def test_rejected_masks_are_expected_to_be_bad() -> None:
    (found,) = _draw(_photograph("a", _cat(0.9), state="rejected"))
    assert found.gain == pytest.approx(80 / 2) and found.reason == "its mask was rejected"
    (again,) = _draw(_photograph("a", _cat(0.9, made_from="box"), state="rejected"))
    assert again.kind == "box"


def test_a_photograph_of_which_nothing_is_known_gets_tags() -> None:
    """Two classes to look for, 2 s; a tag's mask of reliability 0.5 has an IoU of 0.6."""
    found = _draw(_photograph("a", _cat(1.0)), _photograph("b", state="nothing"), kinds=("tag", "box"))
    assert [(one.photograph, one.name, one.kind) for one in found] == [("b", "", "tag")]
    assert found[0].seconds == 1 and found[0].gain == pytest.approx(100 * 0.6 / 2 / 2)
    assert _draw(_photograph("b", state="nothing")) == []


def test_classes_without_a_mask() -> None:
    (found,) = _draw(_photograph("a", KnownClass("cat")))
    assert found.gain == pytest.approx(90 / 2) and found.reason == "it has no mask"


def test_what_was_drawn_is_not_asked_again() -> None:
    assert _draw(_photograph("a", _cat(0.1, drawn="box"), state="drawn")) == []
    assert _draw(_photograph("a", _cat(0.1, made_from="box"), state="drawn")) == []
    (found,) = _draw(_photograph("a", _cat(0.1, drawn="click"), state="drawn"), kinds=("click", "box"))
    assert found.kind == "box" and found.gain == pytest.approx(40 / 2)


def test_disagreement_counts_beside_reliability() -> None:
    """0.6 less 0.4 x (0.75 - 0.5) is 0.5."""
    (found,) = _draw(_photograph("a", _cat(disagreement=0.75)))
    assert found.gain == pytest.approx(40 / 2) and "two masks of it have an IoU of 0.25" in found.reason


def test_the_order_of_the_arguments_does_not_count() -> None:
    draw = random.Random(0)
    known = [
        _photograph(
            f"p{number}", *(KnownClass(name, draw.random(), draw.random() / 2) for name in draw.sample("abc", 2))
        )
        for number in range(50)
    ]
    first = what_to_draw(known)
    draw.shuffle(known)
    assert what_to_draw(known) == first
    assert [one.rate for one in first] == sorted((one.rate for one in first), reverse=True)


def test_a_photograph_that_is_given_twice_is_refused() -> None:
    with pytest.raises(DataError, match="image 'a': is given twice"):
        _draw(_photograph("a"), _photograph("a"))


def test_nothing() -> None:
    assert what_to_draw([]) == [] and what_to_draw([_photograph("a")]) == []


def test_ten_thousand_photographs_take_seconds() -> None:
    draw = random.Random(0)
    known = [
        _photograph(
            f"p{number}", *(KnownClass(name, draw.random(), draw.random()) for name in draw.sample("abcdef", 2))
        )
        for number in range(10_000)
    ]
    start = time.process_time()
    assert len(what_to_draw(known)) > 5_000
    assert time.process_time() - start < 4

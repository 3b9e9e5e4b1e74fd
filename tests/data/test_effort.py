import pytest

from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.effort import SECONDS, Effort, labelling_effort, mask_seconds, total_effort


def test_the_table_gives_the_published_seconds_a_photograph() -> None:
    """Bearman et al. (2016): 20 classes; 1.5 classes and 2.8 objects a photograph, hence two of 1 + 2 classes."""
    one, two = (Drawn(points=tuple(Point(c, 1, 1) for c in range(1, n + 1))) for n in (1, 2))
    points = [labelling_effort(d, frozenset(), 20).seconds for d in (one, two)]
    assert sum(points) / 2 == pytest.approx(22.1)
    one, two = (Drawn(scribbles=tuple(Scribble(c, ((1, 1),)) for c in range(1, n + 1))) for n in (1, 2))
    scribbles = [labelling_effort(d, frozenset(), 20).seconds for d in (one, two)]
    assert sum(scribbles) / 2 == pytest.approx(34.9, abs=0.06)
    assert labelling_effort(Drawn(), frozenset({1}), 20).seconds == 20
    assert 18.5 * SECONDS["class"] + 2.8 * SECONDS["object mask"] == pytest.approx(239.7)
    assert mask_seconds(3, 2, 20) == 18 + 3 * 79


def test_clicks_and_lengths() -> None:
    boxes = Drawn(boxes=(Box(1, 0, 0, 2, 2), Box(1, 0, 0, 2, 2)))
    assert labelling_effort(boxes, frozenset({1}), 3) == Effort(8, 0.0, 2 + 2 * 7)
    points = Drawn(points=(Point(1, 0, 0), Point(1, 1, 1), Point(2, 1, 1)))
    assert labelling_effort(points, frozenset({1, 2}), 3).seconds == pytest.approx(1 + 2 * 2.4 + 0.9)
    strokes = Drawn(scribbles=(Scribble(2, ((0, 0), (3, 4), (3, 6))), Scribble(0, ((1, 1),))))
    assert labelling_effort(strokes, frozenset({2}), 3) == Effort(2, 7.0, 2 + 2 * 10.9)
    assert labelling_effort(Drawn(), frozenset({1, 3}), 3) == Effort(2, 0.0, 3.0)


def test_efforts_add() -> None:
    assert total_effort([Effort(1, 2.0, 3.0), Effort(1, 0.5, 1.0)]) == Effort(2, 2.5, 4.0)
    assert total_effort([]) == Effort()

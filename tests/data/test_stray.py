"""Labels outside of their photograph are measured and named."""

import pytest

from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.stray import share_outside, stray_marks

SIZE = (40, 60)


@pytest.mark.parametrize(
    ("mark", "share"),
    [
        (Box(1, 0, 0, 40, 60), 0),
        (Box(1, 0, -30, 40, 30), 0.5),
        (Box(1, 0, 0, 80, 120), 0.75),
        (Box(1, 50, 0, 60, 10), 1),
        (Box(1, -20, 70, -10, 80), 1),
        (Point(1, 0, 0), 0),
        (Point(1, 39.9, 59.9), 0),
        (Point(1, 5, 60), 1),
        (Point(1, 5, -1), 1),
        (Scribble(1, ((3, 3), (40, 60), (3, 70), (-1, 3))), 0.5),
        (Scribble(1, ((50, 3),)), 1),
    ],
)
def test_shares(mark: Box | Point | Scribble, share: float) -> None:
    assert share_outside(mark, SIZE) == pytest.approx(share)


def test_a_fifth_is_no_reason_to_speak() -> None:
    """Weak labels card, oracle 7."""
    inside, outside = [(3.0, 3.0)] * 4, [(3.0, 70.0)]
    assert not list(stray_marks(Drawn(scribbles=(Scribble(1, tuple(inside + outside)),)), SIZE))
    ((share, what),) = stray_marks(Drawn(scribbles=(Scribble(1, tuple(inside + 2 * outside)),)), SIZE)
    assert share == pytest.approx(1 / 3) and what.startswith("scribble at (3, 3) is by 33% outside of the photograph")


def test_marks_are_named_as_they_are_typed() -> None:
    drawn = Drawn((Box(2, 0, 10, 40, 130),), (Point(0, 5, 200), Point(1, 5, 5)))
    assert [what for _, what in stray_marks(drawn, SIZE, ("cat", "dog"))] == [
        "box of 'dog' at (10, 0, 130, 40) is by 58% outside of the photograph of 60 x 40 pixels",
        "point of 'background' at (200, 5) is outside of the photograph of 60 x 40 pixels",
    ]

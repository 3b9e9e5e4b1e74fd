"""What was drawn on one photograph."""

import pytest

from weakseg.data.annotations import Box, Drawn, LabelKind, Point, Region, Scribble
from weakseg.data.counts import DrawnCounts, count_drawn
from weakseg.data.regions import deciding, outlines_of, whole_runs
from weakseg.data.sample import Tags, WeakSample

BOX, POINT, LINE = Box(1, 0, 0, 1, 1), Point(2, 0, 0), Scribble(0, ((0, 0),))
REGION, STROKE, CROWD = (Region(class_id, (1, 2), b"11") for class_id in (3, 4, 255))
EVERY = Drawn((BOX,), (POINT,), (LINE,), (REGION, CROWD), (STROKE,))


@pytest.mark.parametrize(
    ("drawn", "kind"),
    [
        (Drawn(), "tags"),
        (Drawn(points=(POINT,)), "points"),
        (Drawn(points=(POINT,), scribbles=(LINE,)), "scribbles"),
        (Drawn(points=(POINT,), strokes=(STROKE,)), "scribbles"),
        (Drawn(boxes=(BOX,), strokes=(STROKE,)), "boxes"),
        (EVERY, "regions"),
    ],
)
def test_strongest(drawn: Drawn, kind: LabelKind) -> None:
    assert drawn.strongest == kind


def test_what_decides_where_no_region_does() -> None:
    below = Region(255, REGION.size, whole_runs(REGION.size))
    assert deciding(EVERY) == "boxes" and outlines_of(EVERY) == (REGION, CROWD)
    for regions in ((REGION, CROWD), (CROWD, REGION)):  # whatever is to be ignored
        assert deciding(Drawn(regions=regions)) == "regions" and outlines_of(Drawn(regions=regions)) == regions
    partial = Drawn(regions=(below, REGION))
    assert deciding(partial) == "tags" and outlines_of(partial) == (REGION,)
    assert deciding(Drawn(points=(POINT,))) == "points" and deciding(Drawn()) == "tags"


def test_class_ids() -> None:
    assert EVERY.class_ids == {1, 2, 3, 4}


def test_only() -> None:
    assert EVERY.only("scribbles") == Drawn(scribbles=(LINE,), strokes=(STROKE,))
    assert EVERY.only("boxes") == Drawn(boxes=(BOX,))
    assert EVERY.only("tags") == Drawn()
    assert EVERY.of_kind("tags") == ()


def test_replaced_by() -> None:
    other = Drawn(scribbles=(Scribble(1, ((5, 5),)),), boxes=(Box(2, 0, 0, 9, 9),))
    assert EVERY.replaced_by(other) == Drawn(other.boxes, (POINT,), other.scribbles, (REGION, CROWD))
    assert EVERY.replaced_by(Drawn()) == EVERY


def test_counts(tmp_path) -> None:
    tags = Tags(frozenset())
    drawn = [EVERY, Drawn(points=(POINT, POINT)), Drawn()]
    samples = [WeakSample(str(n), tmp_path / f"{n}", tags, one) for n, one in enumerate(drawn)]
    assert count_drawn(samples, 4) == DrawnCounts(
        shapes={
            "regions": (0, 0, 0, 1, 0),
            "boxes": (0, 1, 0, 0, 0),
            "scribbles": (1, 0, 0, 0, 1),
            "points": (0, 0, 3, 0, 0),
        },
        strongest={"regions": 1, "points": 1, "tags": 1},
        ignored=1,
        partly={"boxes": 1},
    )
    assert count_drawn(samples[2:], 4) == DrawnCounts({}, {"tags": 1})

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from weakseg.data.annotations import (
    AnnotatedImage,
    AnnotationTable,
    Box,
    Drawn,
    Dropped,
    Point,
    Region,
    Scribble,
    Shape,
)
from weakseg.data.binding import BoundImage, bind, bind_image
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import Classes
from weakseg.data.regions import runs_of_mask
from weakseg.data.sample import Tags
from weakseg.errors import DataError

CLASSES = Classes(("cat", "dog"))
SIZE = (4, 6)


def bound(*shapes: Shape, size: tuple[int, int] | None = SIZE, class_map: ClassMap | None = None, **more) -> BoundImage:
    return bind_image(AnnotatedImage("a.jpg", shapes, "f: a", size=size, **more), CLASSES, class_map)


def box(*edges: float, label: str = "cat") -> Shape:
    top, left, bottom, right = edges
    return Shape("box", label, ((top, left), (bottom, right)), "f: box")


def point(row: float, column: float, label: str = "cat") -> Shape:
    return Shape("point", label, ((row, column),), "f: point")


def scribble(*path: tuple[float, float], label: str = "cat") -> Shape:
    return Shape("scribble", label, path, "f: scribble")


def region(mask: np.ndarray, label: str = "cat", *, ignored: bool = False) -> Shape:
    return Shape("region", label, (), "f: region", mask.shape, runs_of_mask(mask), ignored)


def test_boxes_are_cut_at_the_border() -> None:
    assert bound(box(-1, 1.5, 2.5, 9)).drawn.boxes == (Box(1, 0, 1.5, 2.5, 6),)
    assert bound(box(-1, 1.5, 2.5, 9), size=None).drawn.boxes == (Box(1, -1, 1.5, 2.5, 9),)


@pytest.mark.parametrize("edges", [(4, 0, 5, 1), (0, 6, 1, 9), (-3, 0, 0, 3), (0, -3, 3, 0)])
def test_a_box_outside_is_dropped_and_its_class_stays(edges: tuple[float, ...]) -> None:
    result = bound(box(*edges, label="dog"))
    assert result.dropped == {"f: box": "box of 'dog' lies outside the photograph"}
    assert (result.drawn, result.tags) == (Drawn(), Tags(frozenset({2})))


@pytest.mark.parametrize("edges", [(1, 1, 1, 3), (1, 3, 2, 3), (2, 1, 1, 3)])
@pytest.mark.parametrize("size", [None, SIZE])
def test_a_box_without_area_is_dropped(edges: tuple[float, ...], size: tuple[int, int] | None) -> None:
    result = bound(box(*edges), size=size)
    assert result.dropped == {"f: box": "box of 'cat' has no area"}
    assert result.tags.present == {1}


def test_background_has_points_and_scribbles_but_no_box() -> None:
    shapes = [point(1, 1, "background"), scribble((1, 1), label="_background_"), box(0, 0, 1, 1, label="background")]
    result = bound(*shapes)
    assert result.drawn == Drawn(points=(Point(0, 1, 1),), scribbles=(Scribble(0, ((1, 1),)),))
    assert result.dropped == {"f: box": "box of 'background' says nothing: background has no boxes"}
    assert result.tags == Tags(frozenset())


def test_points() -> None:
    """The edge belongs to the last pixel; what lies beyond is dropped."""
    corners = bound(point(0, 0), point(4, 6), point(3.5, 5.5)).drawn.points
    assert [corner.pixel(SIZE) for corner in corners] == [(0, 0), (3, 5), (3, 5)]
    for row, column in ((-0.5, 1), (1, -0.5), (4.5, 1), (1, 6.5)):
        result = bound(point(row, column))
        assert result.dropped == {"f: point": "point of 'cat' lies outside the photograph"}
        assert result.tags.present == {1}
    assert bound(point(-0.5, 5.5), size=None).dropped  # a missing click, whatever the size
    assert bound(point(99, 5.5), size=None).drawn.points == (Point(1, 99, 5.5),)


def test_scribbles_are_moved_inside() -> None:
    result = bound(scribble((3.5, 0.5), (3.5, 16.5), (-2, 1), (1, 1), (1, 2), (1, 3), (1, 4), (1, 5), (1, 6), (2, 5)))
    path = result.drawn.scribbles[0].path
    assert path[:3] == ((3.5, 0.5), (3.5, 5.5), (0.5, 1)) and path[8] == (1, 5.5)
    assert result.strayed == ()  # exactly a fifth


def test_a_scribble_outside_is_dropped() -> None:
    assert bound(scribble((3.5, 16.5), (9, 2))).dropped == {
        "f: scribble": "scribble of 'cat' lies outside the photograph"
    }
    assert bound(scribble()).dropped == {"f: scribble": "scribble of 'cat' has no points"}


def test_boxes_that_are_cut_by_more_than_a_fifth_are_named() -> None:
    rows, columns = SIZE
    assert bound(box(0, 0, rows + 0.5, columns + 0.5)).strayed == ()
    assert bound(box(0, 0, rows, 3 * columns)).strayed == ("f: box",)
    assert bound(box(-rows, 0, 2 * rows, 1)).drawn.boxes == (Box(1, 0, 0, rows, 1),)


def test_one_warning_for_all_labels_that_stray(caplog: pytest.LogCaptureFixture) -> None:
    images = tuple(AnnotatedImage(n, (scribble((1, 1), (9, 9)),), f"f: {n}", size=SIZE) for n in ("a", "b"))
    with caplog.at_level(logging.WARNING):
        bind(AnnotationTable(Path("f"), images), CLASSES)
    assert [record.getMessage()[:56] for record in caplog.records] == [
        "f: 2 boxes or scribbles lie outside of their photograph "
    ]


def test_regions() -> None:
    mask = np.zeros(SIZE, bool)
    assert bound(region(mask)).dropped == {"f: region": "region of 'cat' has no pixel inside the photograph"}
    mask[1, 2] = True
    assert bound(region(mask)).drawn.regions == (Region(1, SIZE, runs_of_mask(mask)),)
    result = bound(region(mask, ignored=True), region(mask, "__ignore__", ignored=True))
    assert [one.class_id for one in result.drawn.regions] == [255, 255]
    assert result.tags == Tags(frozenset(), frozenset({1}))  # a crowd of cats: nobody knows how many, or where
    other = bound(region(mask), size=(6, 4))
    assert "region of 'cat' has 4 x 6 pixels, but its photograph 6 x 4" in other.dropped["f: region"]
    assert "needs the size of its photograph" in bound(Shape("region", "cat", (), "f")).dropped["f"]
    assert other.tags == Tags(frozenset({1}))


def test_what_has_no_region_is_not_background(caplog: pytest.LogCaptureFixture) -> None:
    """Regions label a photograph completely, unless something is on it, or was left out, that none of them shows."""
    mask = np.zeros(SIZE, bool)
    mask[1, 2] = True
    shown, below = Region(1, SIZE, runs_of_mask(mask)), Region(255, SIZE, runs_of_mask(np.ones(SIZE, bool)))
    whole = bound(region(mask), point(1, 2), tags=frozenset({"cat"}), unknown=frozenset({"dog"}))
    assert whole.drawn.regions == (shown,) and not whole.partial
    left_out = Dropped("why", frozenset({"cat"}))
    for shapes, more in (
        ((point(0, 0, "dog"),), {}),
        ((box(0, 0, 2, 2, label="dog"),), {}),
        ((), {"tags": frozenset({"dog"})}),
        ((), {"dropped": {"f: 1": left_out}}),
        ((), {"dropped": {"f: 1": Dropped("why")}}),
        ((), {"dropped": {"f: 1": Dropped("why", frozenset(), ignored=True)}}),  # who knows which pixels
        ((replace(region(mask.T), where="f: other"),), {}),  # of another size: one of the regions is lost
    ):
        partial = bound(region(mask), *shapes, **more)
        assert partial.drawn.regions == (below, shown) and partial.partial
        assert not bound(*shapes, **more).partial  # without regions nothing is background
    for one in (Dropped("why", frozenset()), Dropped("why", frozenset({"dog"}), certain=False)):
        assert bound(region(mask), dropped={"f: 1": one}).drawn.regions == (shown,)
    image = AnnotatedImage("a.jpg", (region(mask),), "f: a", size=SIZE, dropped={"f: 1": left_out})
    with caplog.at_level(logging.WARNING):
        bind(AnnotationTable(Path("f"), (image,)), CLASSES)
    assert "on 1 photographs classes are outlined, and others are there that are not" in caplog.text


def test_classes_that_are_ignored() -> None:
    class_map = ClassMap(ignore=frozenset({"sky"}))
    mask = np.ones(SIZE, bool)
    result = bound(box(0, 0, 1, 1, label="sky"), region(mask, "sky"), class_map=class_map, tags=frozenset({"sky"}))
    assert result.dropped == {"f: box": "box of 'sky' is to be ignored"}
    assert [one.class_id for one in result.drawn.regions] == [255]
    assert result.tags == Tags(frozenset())


def test_a_class_that_is_ignored_is_unknown_where_it_is_labelled() -> None:
    """It may be among the given classes all the same, as written, or as it is renamed or merged."""
    ignored = (ClassMap(ignore=frozenset({"dog"})), ClassMap({"d": "dog"}, ignore=frozenset({"dog"})))
    merged = ClassMap(merge={"dog": ("d", "hound")}, ignore=frozenset({"dog"}))
    shows = ({"tags": frozenset({"NAME"})}, {"unknown": frozenset({"NAME"})}, {"dropped": "NAME"}, {"shape": "NAME"})
    for class_map, name in ((ignored[0], "dog"), (ignored[1], "d"), (merged, "hound")):
        for case in shows:
            more = {key: frozenset({name}) for key in case if key in ("tags", "unknown")}
            if "dropped" in case:
                more = {"dropped": {"f: 1": Dropped("why", frozenset({name}))}}
            shapes = [box(0, 0, 1, 1, label=name)] if "shape" in case else []
            assert bound(*shapes, class_map=class_map, **more).tags == Tags(frozenset(), frozenset({2}))
    swap = ClassMap({"cat": "dog", "dog": "cat"})
    assert bound(point(1, 1), class_map=swap).tags == Tags(frozenset({2}))


def test_what_was_left_out_is_never_absent() -> None:
    def tags(labels: frozenset[str] | None, **more: object) -> Tags:
        return bound(point(1, 1), dropped={"f: 1": Dropped("why", labels, **more)}).tags

    assert tags(frozenset({"dog"})) == Tags(frozenset({1, 2}))
    assert tags(frozenset({"dog", "cat"}), certain=False) == Tags(frozenset({1}), frozenset({2}))
    assert tags(None) == tags(None, certain=False) == Tags(frozenset({1}), frozenset({2}))
    assert tags(frozenset()) == tags(frozenset({"__ignore__"}), certain=False) == Tags(frozenset({1}))
    with pytest.raises(DataError, match=r"f: 1: unknown class 'catt'; did you mean"):
        tags(frozenset({"catt"}))


def test_tags_given_and_drawn_add_up_and_the_rest_is_absent() -> None:
    assert bound(point(1, 1), tags=frozenset({"dog", "background"})).tags == Tags(frozenset({1, 2}))
    assert bound(point(1, 1)).tags == Tags(frozenset({1}))
    assert bound(unknown=frozenset({"dog"})).tags == Tags(frozenset(), frozenset({2}))
    assert bound(point(1, 1, "dog"), unknown=frozenset({"dog"})).tags == Tags(frozenset({2}))


@pytest.mark.parametrize("more", [{"tags": frozenset({"catt"})}, {"unknown": frozenset({"catt"})}])
def test_unknown_class(more: dict[str, frozenset[str]]) -> None:
    with pytest.raises(DataError, match=r"f: point: unknown class 'catt'; did you mean 'cat'\?; or rename, merge or"):
        bound(point(1, 1, "catt"))
    with pytest.raises(DataError, match=r"f: a: unknown class 'catt'; did you mean 'cat'"):
        bound(**more)


def test_tables_keep_what_the_reader_dropped() -> None:
    images = (AnnotatedImage("b/x.jpg", (box(9, 9, 10, 10),), "f: b", size=SIZE), AnnotatedImage("a", (), "f: a"))
    result = bind(AnnotationTable(Path("f"), images, skipped={"f: 7": "why"}), CLASSES, ClassMap({"x": "y"}))
    assert list(result.labels) == ["b/x", "a"]
    assert dict(result.dropped) == {"f: 7": "why", "f: box": "box of 'cat' lies outside the photograph"}

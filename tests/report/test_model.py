import numpy as np
import pytest

from weakseg.errors import ShapeError
from weakseg.report import Card, Chart, Panel, Report, Table
from weakseg.report.model import PictureTable

PANEL = Panel("photo", np.zeros((2, 3, 3), np.uint8))


@pytest.mark.parametrize("image", [np.zeros((2, 3), np.uint8), np.zeros((2, 3, 3)), np.zeros((0, 3, 3), np.uint8)])
def test_a_panel_is_rgb_and_not_empty(image):
    with pytest.raises(ShapeError, match="panel 'x'"):
        Panel("x", image)


def test_a_panel_has_a_known_kind():
    with pytest.raises(ShapeError, match="kind 'heat'"):
        Panel("x", PANEL.image, "heat")  # type: ignore[arg-type]


@pytest.mark.parametrize("value", [-0.1, 63.4, float("inf")])
def test_measures_are_fractions(value):
    with pytest.raises(ShapeError, match="iou"):
        Card("a", (), (PANEL,), iou=value)
    with pytest.raises(ShapeError, match="reliability"):
        Card("a", (), (PANEL,), reliability=value)


def test_a_card_has_a_picture():
    with pytest.raises(ShapeError, match="at least one panel"):
        Card("a", (), ())


def test_table_rows_are_full():
    with pytest.raises(ShapeError, match="row 1 has 1 cells for 2 columns"):
        Table("t", ("a", "b"), ((1, 2), (3,)))


def test_chart_values_are_percent():
    with pytest.raises(ShapeError, match="series 'masks', class 'cat'"):
        Chart("c", {"masks": {"cat": 101.0}})


def test_image_ids_are_unique_and_class_ids_in_range():
    card = Card("a", (), (PANEL,))
    with pytest.raises(ShapeError, match=r"repeated: \['a'\]"):
        Report(title="r", cards=(card, card))
    with pytest.raises(ShapeError, match=r"1\.\.254"):
        Report(title="r", legend={"background": 0})


def test_ranked_by_iou_only_where_there_is_one():
    assert Report(title="r", cards=(Card("a", (), (PANEL,), float("nan"), 0.5),)).measure == "reliability"
    assert Report(title="r", cards=(Card("a", (), (PANEL,), 0.0),)).measure == "iou"


def test_rows_of_pictures_are_full_and_rgb():
    table = PictureTable("t", ("a", "b"), (("first", (PANEL.image, None)), ("second", (PANEL.image, PANEL.image))))
    assert table.count == 3
    with pytest.raises(ShapeError, match="pictures 't': row 'first' has 1 places for 2 columns"):
        PictureTable("t", ("a", "b"), (("first", (PANEL.image,)),))
    with pytest.raises(ShapeError, match="row 'first'"):
        PictureTable("t", ("a",), (("first", (np.zeros((2, 3)),)),))

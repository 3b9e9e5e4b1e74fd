import numpy as np
import pytest

from weakseg.errors import ShapeError
from weakseg.report import Card, Chart, Panel, Report, Table
from weakseg.report.chart import layout
from weakseg.report.formatting import flatten_settings, format_cell, format_column

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
    with pytest.raises(ShapeError, match="confidence"):
        Card("a", (), (PANEL,), confidence=value)


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
    assert Report(title="r", cards=(Card("a", (), (PANEL,), float("nan"), 0.5),)).measure == "confidence"
    assert Report(title="r", cards=(Card("a", (), (PANEL,), 0.0),)).measure == "iou"


def test_columns_share_decimals():
    assert format_column([0.12345, 0.2, float("nan"), None]) == ("0.1235", "0.2000", "–", "–")
    assert format_column([12345.6, 1.0]) == ("12,346", "1")
    assert format_column([1e-5, 2e-4]) == ("1.0e-05", "2.0e-04")
    assert format_column([True, 1234, "<b>", np.float32(0.5)]) == ("yes", "1,234", "<b>", "0.5")
    assert format_cell(57.10) == "57.1"
    assert format_cell(float("inf")) == "inf"


def test_settings_are_spelled_as_flags():
    settings = {"seed": 0, "segment": {"crop": [3, 4], "decay": {"rate": None}}, "empty": {}, "name": "a b"}
    assert list(flatten_settings(settings)) == [
        ("seed", "0"),
        ("segment.crop", "[3, 4]"),
        ("segment.decay.rate", "null"),
        ("empty", "{}"),
        ("name", "a b"),
    ]


def test_bars_are_as_long_as_their_values():
    (plot,) = layout(Chart("c", {"seeds": {"cat": 40.0}, "masks": {"dog": float("nan"), "cat": 55.55}}))
    assert [group.name for group in plot.groups] == ["cat", "dog"]
    assert [bar.width for group in plot.groups for bar in group.bars] == [40.0, 55.55, 0.0, 0.0]
    assert plot.description == "cat, seeds: 40.0; cat, masks: 55.5; dog, seeds: –; dog, masks: –"
    last = plot.groups[-1].bars[-1]
    assert last.top + 12 <= plot.height


def test_many_classes_are_dealt_to_two_plots():
    plots = layout(Chart("c", {"masks": {f"class {index}": 1.0 for index in range(21)}}))
    assert [len(plot.groups) for plot in plots] == [11, 10]
    assert layout(Chart("c", {})) == ()

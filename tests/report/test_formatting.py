import numpy as np
import pytest

from weakseg.errors import ShapeError
from weakseg.report.formatting import (
    check_within,
    flatten_settings,
    format_cell,
    format_column,
    format_percent,
    is_numeric,
    known,
)


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


def test_what_is_unknown():
    assert known(None) is None and known(float("nan")) is None and known(0) == 0.0
    assert (format_percent(0.634), format_percent(float("nan"))) == ("63.4", "–")


def test_columns_of_numbers():
    assert is_numeric([1, 2.5, None, float("nan"), np.float32(1)])
    assert not is_numeric([1, "a"]) and not is_numeric([None]) and not is_numeric([])


def test_values_beyond_their_range_are_named():
    for value in (None, float("nan"), 0.0, 1.0):
        check_within("iou", value, 1.0)
    for value in (-0.1, 1.1):
        with pytest.raises(ShapeError, match=r"iou: expected a value in \[0, 1\]"):
            check_within("iou", value, 1.0)

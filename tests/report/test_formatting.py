import numpy as np

from weakseg.report.formatting import flatten_settings, format_cell, format_column


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

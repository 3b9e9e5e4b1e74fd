import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.values import as_list, as_number, as_record, as_size, as_text, number_of_text, shown
from weakseg.errors import DataError


@given(value=st.floats(-1e299, 1e299))
def test_text_of_a_number_gives_it_back(value: float) -> None:
    assert number_of_text(f" {value!r} ", "x", "f") == value


@pytest.mark.parametrize(
    "value", [None, True, "1", [1], {}, math.nan, math.inf, -math.inf, 1e300, 10**400, -(10**400)], ids=repr
)
def test_no_number(value: object) -> None:
    with pytest.raises(DataError, match=r"^f\.json: entry 3: x must be a finite number, got .*; correct it$"):
        as_number(value, "x", "f.json: entry 3")


@pytest.mark.parametrize(
    "text", [None, "", " ", "one", "1,5", "1_0", "nan", "inf", "0x10", "1e", "1e999", "9" * 500, "١", "--1"]
)
def test_no_number_in_a_text(text: str | None) -> None:
    with pytest.raises(DataError, match=r"^f: xmin must be a (finite )?number, got .*; correct it$"):
        number_of_text(text, "xmin", "f")


@pytest.mark.parametrize(("rows", "columns"), [(0, 5), (5, 0), (-1, 5), (1.5, 2), (2, 1.5)])
def test_no_size(rows: float, columns: float) -> None:
    with pytest.raises(DataError, match=r"size must be whole numbers of at least 1, got .* x "):
        as_size(rows, columns, "f")


def test_size() -> None:
    assert as_size(4.0, 6, "f") == (4, 6)
    with pytest.raises(DataError, match="more than the limit of 100,000,000 pixels"):
        as_size(1e9, 1e9, "f")


def test_wrong_types_are_named_but_never_unfolded() -> None:
    bomb: list[object] = ["ha"]
    for _ in range(40):
        bomb = [bomb, bomb]
    with pytest.raises(DataError, match=r"f: clicks must be an object, got a list of 2; correct it"):
        as_record(bomb, "clicks", "f")
    with pytest.raises(DataError, match=r"f: clicks must be a list, got an object of 1"):
        as_list({"a": bomb}, "clicks", "f")
    with pytest.raises(DataError, match=r"f: label must be text, got ' '; add or correct it"):
        as_text(" ", "label", "f")
    assert as_text(" cat\n", "label", "f") == "cat"
    assert shown("x" * 1000) == repr("x" * 200 + "...")
    assert (shown(None), shown(True), shown(10**40), shown(-3)) == ("None", "True", "a huge number", "-3")

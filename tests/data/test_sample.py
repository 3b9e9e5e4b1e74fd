from pathlib import Path

import numpy as np
import pytest

from weakseg.data.annotations import Drawn, Point, Region, Scribble
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError


def test_targets_have_three_states() -> None:
    targets = Tags(frozenset({3}), frozenset({1})).targets(3)
    np.testing.assert_array_equal(targets, np.array([np.nan, 0, 1], np.float32))
    assert targets.dtype == np.float32


def test_no_tags() -> None:
    np.testing.assert_array_equal(Tags(frozenset()).targets(2), [0, 0])


def test_present_and_unknown_at_once() -> None:
    with pytest.raises(DataError, match=r"classes \[2\] are present and unknown"):
        Tags(frozenset({1, 2}), frozenset({2}))


@pytest.mark.parametrize("image_id", ["", ".", "..", "/a", "a/../../b", "a\nb"])
def test_id_that_is_no_path_below_a_folder(image_id: str) -> None:
    with pytest.raises(DataError, match="image id"):
        WeakSample(image_id, Path("a.jpg"), Tags(frozenset()))


def test_load_image(tmp_path: Path, write_image) -> None:
    pixels = write_image(tmp_path / "a.png")
    np.testing.assert_array_equal(WeakSample("a", tmp_path / "a.png", Tags(frozenset())).load_image(), pixels)


@pytest.mark.parametrize(
    ("tags", "drawn", "nothing"),
    [
        (Tags(frozenset()), Drawn(), True),
        (Tags(frozenset()), Drawn(scribbles=(Scribble(0, ((1.0, 1.0),)),)), True),
        (Tags(frozenset()), Drawn(points=(Point(1, 1.0, 1.0),)), False),
        (Tags(frozenset()), Drawn(regions=(Region(255, (1, 1), b"01"),)), False),
        (Tags(frozenset({1})), Drawn(), False),
        (Tags(frozenset(), frozenset({2})), Drawn(), False),
    ],
)
def test_what_shows_nothing(tags: Tags, drawn: Drawn, nothing: bool) -> None:
    assert WeakSample("a", Path("a.jpg"), tags, drawn).shows_nothing is nothing

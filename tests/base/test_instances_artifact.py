import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cases import each
from weakseg.errors import DataError, ShapeError, StoreError, WeaksegError
from weakseg.instances import Instances

SIZE = (6, 8)


def objects() -> Instances:
    """Two objects that overlap; the second has a hole."""
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, :4, :4] = True
    masks[1, 1:6, 2:7] = True
    masks[1, 3, 4] = False
    return Instances.of(masks, [3, 1], scores=[0.25, 0.75], boxes=[(0, 0, 4, 4), (0.5, 1.5, 6, 7.25)])


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    objects().save(tmp_path / "a.instances.json")
    found = Instances.load(tmp_path / "a.instances.json")
    assert found == objects()
    np.testing.assert_array_equal(found.masks, objects().masks)


def test_no_objects_are_saved_and_loaded(tmp_path: Path) -> None:
    none = Instances.of(np.zeros((0, *SIZE), np.bool_), [])
    none.save(tmp_path / "a.instances.json")
    assert Instances.load(tmp_path / "a.instances.json") == none
    assert len(none) == 0 and none.masks.shape == (0, *SIZE) and none.areas == ()


def test_boxes_are_tight_and_scores_one_where_not_given() -> None:
    found = Instances.of(objects().masks, [3, 1])
    assert found.boxes == ((0, 0, 4, 4), (1, 2, 6, 7)) and found.scores == (1, 1)


def test_areas_are_pixels() -> None:
    assert objects().areas == (16, 24)


@given(st.permutations([0, 1]), st.integers(0, 2))
def test_chosen_objects_keep_what_is_theirs(order: list[int], count: int) -> None:
    found, source = objects().chosen(order[:count]), objects()
    np.testing.assert_array_equal(found.masks, source.masks[order[:count]])
    assert found.scores == tuple(source.scores[n] for n in order[:count])
    assert found.class_ids == tuple(source.class_ids[n] for n in order[:count])


@each(
    ("change", "message"),
    [
        ({"class_ids": (1,)}, "want one of each"),
        ({"class_ids": (0, 1)}, "class ids are integers from 1 on"),
        ({"class_ids": (1.5, 1)}, "class ids are integers from 1 on"),
        ({"scores": (0.5, 1.5)}, "scores must lie in"),
        ({"scores": (0.5, float("nan"))}, "scores must lie in"),
        ({"boxes": ((0, 0, 4, 4), (3, 0, 3, 4))}, "boxes need finite"),
        ({"boxes": ((0, 0, 4, 4), (0, 0, float("inf"), 4))}, "boxes need finite"),
        ({"image_size": (6, 9)}, "object 0: counts cover 48 pixels"),
        ({"runs": (b"`1", b"`1")}, "object 0 has no pixel"),
        ({"runs": (b"\xff\xff", b"`1")}, "counts hold"),
    ],
)
def test_what_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises((ShapeError, DataError), match=message):
        replace(objects(), **change)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"b\.instances\.json: no such instances"):
        Instances.load(tmp_path / "b.instances.json")


@each(
    "text",
    [
        "",
        "{",
        "[]",
        "{}",
        "null",
        '{"kind": "masks"}',
        '{"kind": "instances", "image_size": [6, 8], "objects": [{}]}',
        "\udcff",
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(StoreError, match="not a file of instances"):
        Instances.load(tmp_path / "a.json")


@settings(max_examples=30)
@given(st.data())
def test_a_file_with_anything_in_it_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: Any) -> None:
    """Above all no runs get through that pycocotools would write past its memory."""
    path = tmp_path_factory.mktemp("any") / "a.json"
    values = st.none() | st.integers(-3, 99) | st.floats() | st.text(max_size=9) | st.lists(st.integers(-1, 9))
    keys = st.sampled_from(["class_id", "score", "box", "counts"])
    objects().save(path)
    document = json.loads(path.read_text())
    document["objects"][0][data.draw(keys)] = data.draw(values)
    path.write_text(json.dumps(document))
    try:
        assert Instances.load(path).masks.shape == (2, *SIZE)
    except WeaksegError as error:
        assert str(path) in str(error)

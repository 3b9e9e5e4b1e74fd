"""What the page writes of a photograph: regions of all forms, classes that are open, accepted masks."""

import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.annotations import AnnotatedImage
from weakseg.data.binding import BoundImage, bind_image
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.drawn_record import read_record, verdict_of
from weakseg.data.regions import deciding, is_whole, mask_of_runs, runs_of_brush, runs_of_mask
from weakseg.errors import DataError
from weakseg.stages.weak_seeds import paint_regions

SIZE = (12, 16)
CLASSES = Classes(("cow", "sheep"))


def _read(**keys: object) -> AnnotatedImage:
    return read_record("a/b", {"size": list(SIZE), **keys}, "weakseg.json: image 'a/b'")


def _bound(**keys: object) -> BoundImage:
    return bind_image(_read(**keys), CLASSES)


def _disc(row: float, column: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    return (rows - row) ** 2 + (columns - column) ** 2 <= radius**2


def test_a_brush_of_one_position_paints_the_pixels_whose_centres_it_covers() -> None:
    runs = runs_of_brush(((5.0, 6.0),), 2.5, SIZE, "here")
    assert np.array_equal(mask_of_runs(runs, SIZE), _disc(5, 6, 2.5))


def test_a_brush_along_a_line_is_the_union_of_its_discs() -> None:
    path = ((2.0, 2.0), (9.0, 12.0), (9.0, 3.0))
    painted = mask_of_runs(runs_of_brush(path, 1.75, SIZE, "here"), SIZE)
    steps = np.linspace(0, 1, 2000)
    legs = pairwise(path)
    wanted = np.zeros(SIZE, bool)
    for (r0, c0), (r1, c1) in legs:
        for t in steps:
            wanted |= _disc(r0 + t * (r1 - r0), c0 + t * (c1 - c0), 1.75)
    assert np.array_equal(painted, wanted)


def test_a_brush_partly_outside_is_cut() -> None:
    assert mask_of_runs(runs_of_brush(((0.0, 0.0),), 2.0, SIZE, "here"), SIZE).sum() == 3  # (0, 0), (0, 1), (1, 0)


def test_regions_lie_on_each_other_in_their_order() -> None:
    runs = runs_of_mask(np.eye(*SIZE, dtype=bool)).decode()
    bound = _bound(
        regions=[
            {"class": "cow", "outline": [[0, 0], [0, 16], [12, 16], [12, 0]]},
            {"class": "sheep", "runs": runs},
            {"class": "background", "path": [[0.5, 0.5]], "radius": 0.6},
        ]
    )
    mask = paint_regions(bound.drawn.regions, SIZE).labels
    wanted = np.where(np.eye(*SIZE, dtype=bool), 2, 1)
    wanted[0, 0] = 0
    assert np.array_equal(mask, wanted)
    assert bound.tags.present == {1, 2}


def test_a_region_to_be_ignored_is_undecided_and_needs_no_class() -> None:
    regions = [{"class": "cow", "path": [[6, 6]], "radius": 3}, {"ignored": True, "path": [[1, 1]], "radius": 2}]
    assert paint_regions(_bound(regions=regions).drawn.regions, SIZE).labels[0, 0] == 255


def test_an_accepted_mask_decides_every_pixel_over_all_that_was_drawn() -> None:
    cow = _disc(6, 8, 3)
    bound = _bound(
        tags=["cow"],
        boxes=[{"class": "cow", "rectangle": [1, 1, 11, 14]}],
        regions=[{"class": "sheep", "path": [[1, 1]], "radius": 1}],
        mask={"cow": runs_of_mask(cow).decode()},
        verdict="accepted",
    )
    assert np.array_equal(paint_regions(bound.drawn.regions, SIZE).labels, cow.astype(np.uint8))
    assert len(bound.drawn.boxes) == 1 and is_whole(bound.drawn) and deciding(bound.drawn) == "regions"


def test_classes_are_present_open_or_absent() -> None:
    tags = _bound(tags=["cow"], unknown=["cow", "sheep"]).tags
    assert tags.present == {1} and tags.unknown == {2}


@pytest.mark.parametrize(
    ("keys", "reason"),
    [
        ({"verdict": "fine"}, "verdict must be one of accepted, rejected"),
        ({"verdict": "accepted"}, "an accepted photograph has a 'mask'"),
        ({"mask": {}}, "an accepted photograph has a 'mask'"),
        ({"file": "a/c.jpg"}, "is another photograph's"),
        ({"colour": "red"}, "unknown key 'colour'"),
    ],
)
def test_a_malformed_record_is_left_out_with_its_reason(keys: dict[str, object], reason: str) -> None:
    (entry,) = _read(**keys).dropped.values()
    assert reason in entry.reason and entry.labels is None


@pytest.mark.parametrize(
    ("region", "reason"),
    [
        ({"class": "cow", "path": [[1, 1]]}, "radius must be a finite number"),
        ({"class": "cow", "path": [[1, 1]], "radius": 0}, "a brush of radius 0"),
        ({"class": "cow", "path": [[1, 1]], "radius": 1e9}, "reaches farther outside"),
        ({"class": "cow", "path": [[500, 1]], "radius": 2}, "reaches farther outside"),
        ({"class": "cow", "path": [], "radius": 2}, "needs at least 1 positions"),
        ({"class": "cow", "outline": [[1, 1], [2, 2]]}, "needs at least 3 positions"),
        ({"class": "cow", "runs": "zzz"}, "runs"),
        ({"class": "cow"}, "outline, path or runs must be text"),
        ({"class": "cow", "ignored": "yes", "path": [[1, 1]], "radius": 2}, "ignored must be true or false"),
    ],
)
def test_one_bad_region_is_left_out_alone(region: dict[str, object], reason: str) -> None:
    image = _read(regions=[region, {"class": "sheep", "path": [[6, 6]], "radius": 2}])
    assert [shape.label for shape in image.shapes] == ["sheep"]
    assert reason in next(iter(image.dropped.values())).reason


def test_a_verdict_is_read_apart_from_the_labels() -> None:
    assert verdict_of({"verdict": "rejected"}, "here") == "rejected" and verdict_of({}, "here") is None
    with pytest.raises(DataError, match="verdict"):
        verdict_of({"verdict": 3}, "here")


def test_the_file_is_a_data_set_of_its_own(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("deep/one.jpg", "two.png"):
        Image.fromarray(np.zeros((*SIZE, 3), np.uint8)).save(tmp_path / name)
    images = {
        "deep/one": {"file": "deep/one.jpg", "size": SIZE, "tags": ["cow"], "unknown": ["sheep"], "revision": 3},
        "two": {"size": SIZE, "points": [{"class": "sheep", "position": [3, 3]}]},
    }
    document = {"weakseg": 1, "kind": "page", "classes": ["cow", "sheep"], "images": images}
    (tmp_path / "weakseg.json").write_text(json.dumps(document))
    data = open_dataset(DataConfig(root=str(tmp_path), format="weakseg", train="weakseg.json"))
    found = {sample.id: sample for sample in data.splits["train"]}
    assert found["deep/one"].tags.unknown == {2} and found["two"].tags.present == {2}
    assert found["two"].image_path.name == "two.png" and data.classes.names == ("cow", "sheep")


def test_of_an_accepted_mask_with_a_class_that_cannot_be_read_nothing_is_background() -> None:
    image = _read(tags=["cow"], mask={"cow": "zzz", "sheep": runs_of_mask(_disc(6, 8, 3)).decode()}, verdict="accepted")
    assert not image.shapes and [entry.labels for entry in image.dropped.values()] == [frozenset({"cow"})]


def test_a_region_of_no_form_is_none_whatever_it_claims() -> None:
    image = _read(regions=[{"class": "cow", "whole": False}])
    assert not image.shapes and "outline, path or runs" in next(iter(image.dropped.values())).reason

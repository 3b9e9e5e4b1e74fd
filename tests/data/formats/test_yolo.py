from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import ConfigError, DataError


@pytest.fixture
def root(tmp_path: Path, write_image) -> Path:
    """Images of 8 x 10 pixels: a, b (no label file), sub/c; val d."""
    for number, name in enumerate(("train/a", "train/b", "train/sub/c", "val/d")):
        write_image(tmp_path / f"images/{name}.png", 8, 10, seed=number)
        (tmp_path / f"labels/{name}").parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / "data.yaml").write_text("path: ../somewhere\ntrain: images/train\nnames: {0: cat, 1: dog}\n")
    label(tmp_path, "train/sub/c", "")
    label(tmp_path, "val/d", "1 0.5 0.5 1 1\n")
    return tmp_path


def label(root: Path, name: str, text: str) -> None:
    (root / f"labels/{name}.txt").write_text(text)


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "yolo", "train": "images/train", **settings}))


def test_boxes(root: Path) -> None:
    label(root, "train/a", "0 0.5 0.5 0.2 0.5\n\n1 0.95 0.5 0.3 0.25\r\n")
    dataset = read(root, val="images/val")
    assert dataset.classes.names == ("cat", "dog")
    a, b, c = dataset.splits["train"]
    assert [sample.id for sample in (a, b, c)] == ["train/a", "train/b", "train/sub/c"]
    assert a.drawn.boxes == (Box(1, 2, 4, 6, 6), Box(2, 3, 8, 5, 10))
    assert (a.tags, b.tags, c.tags) == (Tags(frozenset({1, 2})), Tags(frozenset()), Tags(frozenset()))
    (d,) = dataset.splits["val"]
    assert (d.id, d.drawn.boxes) == ("val/d", (Box(2, 0, 0, 8, 10),))
    assert dataset.sizes == {"train/a": (8, 10), "val/d": (8, 10)}
    assert a.load_image().shape == (8, 10, 3)


@given(box=st.tuples(st.integers(0, 500), st.integers(0, 500), st.integers(1, 499), st.integers(1, 499)))
def test_round_trip(tmp_path_factory, box: tuple[int, int, int, int]) -> None:
    root = tmp_path_factory.getbasetemp() / "yolo"
    if not root.exists():
        from PIL import Image

        (root / "images").mkdir(parents=True)
        (root / "labels").mkdir()
        Image.new("L", (1000, 1000)).save(root / "images/a.png")
        (root / "classes.txt").write_text("cat\n")
    top, left, height, width = box
    values = ((left + width / 2) / 1000, (top + height / 2) / 1000, width / 1000, height / 1000)
    label(root, "a", "0 " + " ".join(map(repr, values)))
    ((found,),) = (sample.drawn.boxes for sample in read(root, train="images").splits["train"])
    expected = (top, left, top + height, left + width)
    np.testing.assert_allclose((found.top, found.left, found.bottom, found.right), expected, atol=1e-9)


def test_segments(root: Path) -> None:
    label(root, "train/a", "1 0.2 0.25 0.6 0.25 0.6 0.75 0.4 0.75 0.2 0.75\n")
    (region,) = read(root).splits["train"][0].drawn.regions
    expected = np.zeros((8, 10), bool)
    expected[2:6, 2:6] = True
    assert region.class_id == 2
    np.testing.assert_array_equal(mask_of_runs(region.runs, region.size), expected)


def test_nine_values_are_not_guessed(root: Path) -> None:
    label(root, "train/a", "0 0.2 0.25 0.6 0.25 0.6 0.75 0.2 0.75\n")
    with pytest.raises(DataError, match=r"a\.txt:1: 9 values are an outline of four points, or an oriented box; set"):
        read(root)
    drawn = read(root, yolo="segments").splits["train"][0].drawn
    assert mask_of_runs(drawn.regions[0].runs, (8, 10)).sum() == 16
    assert read(root, yolo="boxes").splits["train"][0].drawn.boxes == (Box(1, 2, 2, 6, 6),)


@pytest.mark.parametrize(
    ("layout", "train", "folder", "image_id"),
    [
        ("images/a", "images", "labels/a", "a"),
        ("x/images/a", "x/images", "x/labels/a", "x/images/a"),
        ("p/a", "p", "p/a", "p/a"),
    ],
)
def test_layouts(tmp_path: Path, write_image, layout: str, train: str, folder: str, image_id: str) -> None:
    write_image(tmp_path / f"{layout}.jpg", 8, 10)
    (tmp_path / folder).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / f"{folder}.txt").write_text("0 .5 .5 1 1")
    (sample,) = read(tmp_path, train=train, classes=("cat",)).splits["train"]
    assert (sample.id, sample.drawn.boxes) == (image_id, (Box(1, 0, 0, 8, 10),))
    assert sample.load_image().shape == (8, 10, 3)


def test_names(root: Path) -> None:
    label(root, "train/a", "1 .5 .5 1 1")
    (root / "data.yaml").write_text("names: [cat, dog]")
    assert read(root).splits["train"][0].tags == Tags(frozenset({2}))
    assert read(root, classes=("dog",)).splits["train"][0].tags == Tags(frozenset({1}))
    (root / "data.yaml").unlink()
    assert read(root, classes=("dog", "cat")).splits["train"][0].tags == Tags(frozenset({2}))
    with pytest.raises(DataError, match=r"no data\.yaml, and no class names; add it, or set data\.classes"):
        read(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file must be an object, got None"),
        ("names:", "names must be a list, or a map from number to name, got None"),
        ("names: 3", "names must be a list, or a map .* got 3"),
        ("names: []", "names must be a list"),
        ("names: [cat, 3]", "a name must be text, got 3"),
        ("names: {0: cat, 2: dog}", r"names must be numbered 0\.\.1 without gaps"),
        ("names: {a: cat}", r"names must be numbered 0\.\.0 without gaps"),
        ("names: [cat", "cannot be read as YAML"),
        ("names: [cat, cat]", "'cat' is listed more than once"),
    ],
)
def test_bad_names(root: Path, text: str, message: str) -> None:
    (root / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        read(root)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 .5 .5 1 1", r"class '2' is none of 0\.\.1; correct it, or data\.yaml"),
        ("-1 .5 .5 1 1", "class '-1' is none of"),
        ("cat .5 .5 1 1", "class 'cat' is none of"),
        ("1.0 .5 .5 1 1", "class '1.0' is none of"),
        ("9" * 5000 + " .5 .5 1 1", "class '9+...' is none of"),
        ("0", "1 values; want class and x y w h"),
        ("0 .5 .5 1", "4 values; want class and x y w h"),
        ("0 .5 .5 1 1 .9", r"6 values; .* \(A line of 6 values is a prediction with its confidence"),
        ("0 .5 .5 1 1 .9 .1 .1", "8 values; want"),
        ("0 nan .5 1 1", "a coordinate must be a number, got 'nan'"),
        ("0 .5 .5 1 x", "a coordinate must be a number, got 'x'"),
        ("0 50 50 10 10", r"50 is no part of a photograph; YOLO's values are normalised to 0\.\.1"),
    ],
)
def test_refused(root: Path, line: str, message: str) -> None:
    label(root, "train/a", f"\n{line}\n")
    with pytest.raises(DataError, match=rf"a\.txt:2: {message}"):
        read(root)


def test_a_broken_photograph_fails_alone_and_late(root: Path) -> None:
    label(root, "train/a", "0 .5 .5 1 1")
    (root / "images/train/a.png").write_bytes(b"no image")
    dataset = read(root)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))
    (reason,) = dataset.dropped.values()
    assert reason.startswith("the size of the photograph is not known: ")


def test_folders(root: Path, tmp_path_factory) -> None:
    with pytest.raises(DataError, match=r"data\.train: .*data\.yaml is no folder; give the folder of photographs"):
        read(root, train="data.yaml")
    with pytest.raises(DataError, match="no photographs"):
        read(root, train="labels")
    with pytest.raises(DataError, match="leads outside"):
        read(root, train="../images")
    with pytest.raises(ConfigError, match=r"data\.train: format 'yolo' needs it"):
        read(root, train="")
    outside = tmp_path_factory.mktemp("outside") / "a.txt"
    outside.write_text("0 .5 .5 1 1")
    (root / "labels/train/a.txt").symlink_to(outside)
    with pytest.raises(DataError, match="leads outside"):
        read(root)

import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from weakseg.data.annotations import Box, Drawn, Point
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
    with pytest.raises(DataError, match=r"no data\.yaml or classes\.txt, and no class names; add one, or set"):
        read(root)
    (root / "data.yaml").write_text("names: {'1': 2024, '0': 1.5}")
    assert read(root).classes.names == ("1.5", "2024")


def test_names_beside_the_labels(root: Path) -> None:
    """As LabelImg writes them. The number of a class is that of its line, also where background is the first."""
    label(root, "train/a", "1 .5 .5 1 1\n0 .5 .5 .5 .5")
    (root / "data.yaml").unlink()
    for folder in ("", "labels", "labels/train"):
        (root / folder / "classes.txt").write_text("background\ndog\n")
        dataset = read(root, classes=("dog", "cat"))
        sample = dataset.splits["train"][0]
        assert sample.tags == Tags(frozenset({1})) and sample.drawn.boxes == (Box(1, 0, 0, 8, 10),)
        assert [reason.partition(":")[0] for reason in dataset.dropped.values()] == ["box of 'background' says nothing"]
    (root / "labels/train/classes.txt").write_text("dog\ndog\n")
    with pytest.raises(DataError, match=r"labels/train/classes\.txt: 'dog' is listed more than once"):
        read(root)
    (root / "labels/train/classes.txt").write_text("")
    with pytest.raises(DataError, match=r"labels/train/classes\.txt: names no class"):
        read(root)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file must be an object, got None"),
        ("names:", "names must be a list, or a map from number to name, got None"),
        ("names: 3", "names must be a list, or a map .* got 3"),
        ("names: []", "names must be a list"),
        ("names: [cat, [3]]", "a name must be text, got a list of 1"),
        ("names: [yes, no]", "a name is read as True; put it in quotes"),
        ("names: [cat]\nkpt_shape: 3", "kpt_shape must be the number of key points, and 2 or 3 values each, got 3"),
        ("names: [cat]\nkpt_shape: [3, 4]", "kpt_shape must be the number"),
        ("names: [cat]\nkpt_shape: [0, 2]", "kpt_shape must be the number"),
        ("names: [cat]\nkpt_shape: [true, 2]", "kpt_shape must be the number"),
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
        ("2 .5 .5 1 1", r"class '2' is none of 0\.\.1; correct it, or the names"),
        ("-1 .5 .5 1 1", "class '-1' is none of"),
        ("cat .5 .5 1 1", "the number of the class must be a number, got 'cat'"),
        ("0.5 .5 .5 1 1", "class '0.5' is none of"),
        ("9" * 399 + " .5 .5 1 1", "the number of the class must be a finite number"),
        ("9" * 5000 + " .5 .5 1 1", r"the number of the class must be a number, got '9+\.\.\."),
        ("0", "1 values; want class and x y w h"),
        ("0 .5 .5 1", "4 values; want class and x y w h"),
        ("0 .5 .5 1 1 .9", r"6 values; .* \(6 are a prediction with its confidence; a pose needs kpt_shape"),
        ("0 .5 .5 1 1 .9 .1 .1", "8 values; want"),
        ("0 .5 .5 0 1", "a box of 8 x 0 pixels has no area"),
        ("0 .1 .1 .2 .2 .3 .3", "it covers no pixel of the image of 8 x 10 pixels"),
        ("0 nan .5 1 1", "a coordinate must be a number, got 'nan'"),
        ("0 .5 .5 1 x", "a coordinate must be a number, got 'x'"),
        ("0 50 50 10 10", r"50 is no part of a photograph; YOLO's values are normalised to 0\.\.1"),
    ],
)
def test_lines_that_are_left_out(root: Path, line: str, message: str) -> None:
    """The class stays, or may be any where the number is none."""
    label(root, "train/a", f"\n{line}\n1 .5 .5 1 1\n")
    dataset = read(root)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("labels/train/a.txt:2") and re.match(message, reason) and len(reason) < 400
    sample = dataset.splits["train"][0]
    assert sample.drawn.boxes == (Box(2, 0, 0, 8, 10),)
    known = line.split()[0] == "0"
    assert sample.tags == (Tags(frozenset({1, 2})) if known else Tags(frozenset({2}), frozenset({1})))


def test_a_file_that_is_no_text_is_left_out(root: Path) -> None:
    (root / "labels/train/a.txt").write_bytes(b"\xff\xfe0")
    dataset = read(root, train="images")
    assert dataset.splits["train"][0].tags == Tags(frozenset(), frozenset({1, 2}))
    assert "not UTF-8" in next(iter(dataset.dropped.values()))


def test_numbers_as_numpy_writes_them(root: Path) -> None:
    label(root, "train/a", "1.0 5e-1 5.000e-01 1e+0 1.0")
    assert read(root).splits["train"][0].drawn.boxes == (Box(2, 0, 0, 8, 10),)


class TestPoses:
    """``kpt_shape`` says that lines are a box and key points."""

    BOX = "0 0.5 0.5 0.4 0.5"
    EXPECTED = Box(1, 2, 3, 6, 7)

    def drawn(self, root: Path, shape: str, line: str, **settings: object) -> Dataset:
        (root / "data.yaml").write_text(f"names: [cat, dog]\nkpt_shape: {shape}")
        label(root, "train/a", line)
        return read(root, **settings)

    def test_visible_points(self, root: Path) -> None:
        for shape, points in (
            ("[4, 3]", " 0.3 0.25 2 0 0 0 0.5 0.75 1 0.9 0.9 0"),
            ("[3, 2]", " 0.3 0.25 0 0 0.5 0.75"),
            ("[2, 2]", " 0.3 0.25 0.5 0.75"),  # of nine values, but kpt_shape decides
        ):
            drawn = self.drawn(root, shape, self.BOX + points).splits["train"][0].drawn
            assert drawn == Drawn(boxes=(self.EXPECTED,), points=(Point(1, 2, 3), Point(1, 6, 5)))

    def test_a_box_alone(self, root: Path) -> None:
        assert self.drawn(root, "[4, 3]", self.BOX).splits["train"][0].drawn == Drawn(boxes=(self.EXPECTED,))

    def test_another_number_of_values_is_left_out(self, root: Path) -> None:
        dataset = self.drawn(root, "[4, 3]", f"{self.BOX} 0.3 0.25 2")
        assert dataset.splits["train"][0].tags == Tags(frozenset({1}))
        (reason,) = dataset.dropped.values()
        assert reason == "8 values, but kpt_shape [4, 3] wants 17, or 5 of a box alone"

    def test_what_may_be_a_pose_is_no_outline_without_kpt_shape(self, root: Path) -> None:
        line = f"{self.BOX} 0.3 0.25 2 0.4 0.4 1 0.5 0.75 1 0.9 0.9 0"
        (root / "data.yaml").write_text("names: [cat, dog]")
        label(root, "train/a", line)
        dataset = read(root)
        assert dataset.splits["train"][0].drawn == Drawn()
        assert "17 values are an outline, or a pose of 4 key points" in next(iter(dataset.dropped.values()))
        assert read(root, yolo="segments").splits["train"][0].drawn.regions


class TestLists:
    """A text file with the path of one photograph a line stands for the folder."""

    def ids(self, root: Path, *lines: str, path: str = "train.txt") -> list[str]:
        (root / path).parent.mkdir(exist_ok=True)
        (root / path).write_text("\n".join(lines))
        label(root, "train/a", "1 .5 .5 1 1")
        dataset = read(root, train=path)
        assert all(
            sample.tags == Tags(frozenset({2})) for sample in dataset.splits["train"] if sample.id.endswith("/a")
        )
        return [sample.id for sample in dataset.splits["train"]]

    def test_paths_of_this_and_other_computers(self, root: Path) -> None:
        for start in ("", "./", "../", "/content/data/", "D:\\data\\", "data/"):
            assert self.ids(root, f"{start}images/train/a.png", "images/val/d.png") == [
                "images/train/a",
                "images/val/d",
            ]
        assert self.ids(root, "../images/train/a.png", path="lists/train.txt") == ["images/train/a"]
        assert self.ids(root, "images/train/a.png", "./images/train/a.png") == ["images/train/a"]

    def test_what_is_not_there_fails_by_itself(self, root: Path) -> None:
        assert self.ids(root, "images/train/a.png", "images/train/gone.png") == ["images/train/a", "images/train/gone"]

    def test_what_leads_outside_is_left_out_alone(self, root: Path) -> None:
        assert self.ids(root, "../../etc/passwd", "images/train/a.png") == ["images/train/a"]
        ((where, reason),) = read(root, train="train.txt").dropped.items()
        assert where.endswith("train.txt:1") and "leads outside the data folder" in reason

    def test_no_list(self, root: Path) -> None:
        with pytest.raises(DataError, match=r"train\.txt: lists no photographs"):
            self.ids(root)
        with pytest.raises(DataError, match=r"train\.txt:1: .*leads outside the data folder"):
            self.ids(root, "../../etc/passwd")


def test_no_labels_at_all_are_no_empty_labels(root: Path) -> None:
    (root / "labels").rename(root / "other")
    with pytest.raises(DataError, match=r"images/train: none of its 3 photographs has labels, such as .*train/a\.txt"):
        read(root)


def test_many_names_take_no_longer_than_their_number(root: Path) -> None:
    """The search for repeated names was quadratic: 50,000 took minutes."""
    (root / "data.yaml").write_text(f"names: {json.dumps([f'c{n}' for n in range(20_000)])}")
    with pytest.raises(DataError, match="20000 names, but masks of 8 bits hold 254"):
        read(root)


def test_a_broken_photograph_fails_alone_and_late(root: Path) -> None:
    label(root, "train/a", "0 .5 .5 1 1")
    (root / "images/train/a.png").write_bytes(b"no image")
    dataset = read(root)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))
    (reason,) = dataset.dropped.values()
    assert reason.startswith("the size of the photograph is not known: ")


def test_folders(root: Path, tmp_path_factory) -> None:
    with pytest.raises(DataError, match=r"data\.train: .*gone does not exist; give the folder of photographs"):
        read(root, train="gone")
    with pytest.raises(DataError, match=r"data\.yaml: is no folder of photographs and no list of them"):
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
    dataset = read(root)
    assert dataset.splits["train"][0].tags == Tags(frozenset(), frozenset({1, 2}))
    assert ["leads outside" in reason for reason in dataset.dropped.values()] == [True]

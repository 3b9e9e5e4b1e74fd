"""A label format is a parser and an entry in the catalogue: every place that takes labels then knows it."""

import json
from pathlib import Path
from typing import Any

import pytest

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Box, Drawn, Shape
from weakseg.data.check import check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.catalogue import FORMATS
from weakseg.data.formats.label_format import LabelFormat, by_itself
from weakseg.data.paths import parse_json, read_text
from weakseg.data.readers.label_file import labels_of
from weakseg.data.sample import Tags
from weakseg.errors import ConfigError, DataError

LABELS = {"tool": "made up", "marks": {"a.png": ["cat", [1, 2, 3, 4]], "b.png": ["dog", [0, 0, 9, 9]]}}
CAT, DOG = Box(1, 2, 1, 4, 3), Box(2, 0, 0, 9, 9)


def read_table(path: Path) -> AnnotationTable:
    """Return the one box of each photograph: class, and left, top, right, bottom."""
    document: Any = parse_json(path, read_text(path, "label file"))
    images = []
    for name, (label, (left, top, right, bottom)) in document["marks"].items():
        shape = Shape("box", label, ((top, left), (bottom, right)), f"{path}: {name}")
        images.append(AnnotatedImage(name, (shape,), str(path)))
    return AnnotationTable(path, tuple(images), ("cat", "dog"))


@pytest.fixture(params=[".made", ".json"])
def labels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, write_image: Any) -> str:
    """The name of a file of a made-up format, with a suffix of its own or one that other formats have too."""
    known = LabelFormat("Made Up", by_itself(read_table), (request.param,), lambda content: content.has_keys("tool"))
    monkeypatch.setitem(FORMATS, "made_up", known)
    for number, name in enumerate("abc"):
        write_image(tmp_path / f"images/{name}.png", 10, 12, seed=number)
    (tmp_path / f"boxes{request.param}").write_text(json.dumps(LABELS))
    return f"boxes{request.param}"


def test_it_is_a_data_set(labels: str, tmp_path: Path) -> None:
    dataset = open_dataset(DataConfig(str(tmp_path), format="made_up", train=labels))
    assert dataset.classes.names == ("cat", "dog")
    a, b = dataset.splits["train"]
    assert (a.drawn, b.drawn) == (Drawn(boxes=(CAT,)), Drawn(boxes=(DOG,)))
    assert (a.tags, b.tags) == (Tags(frozenset({1})), Tags(frozenset({2})))
    report = check_dataset(dataset)
    assert report.drawn["train"].shapes == {"boxes": (0, 1, 1)} and report.failures == ()


def test_its_labels_are_drawn_over_another_format(labels: str, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,label\na.png,cat\nb.png,dog\nc.png,dog\n")
    dataset = open_dataset(DataConfig(str(tmp_path), train="t.csv", drawn=labels))
    assert [s.drawn for s in dataset.splits["train"]] == [Drawn(boxes=(CAT,)), Drawn(boxes=(DOG,)), Drawn()]
    assert check_dataset(dataset).drawn["train"].strongest == {"boxes": 2, "tags": 1}


def test_it_labels_one_photograph(labels: str, tmp_path: Path) -> None:
    (shape,) = labels_of(tmp_path / "images/b.png", tmp_path / labels).shapes
    assert (shape.label, shape.positions) == ("dog", ((0, 0), (9, 9)))


def test_the_files_of_other_formats_stay_theirs(labels: str, tmp_path: Path) -> None:
    for content in ({"a.png": ["cat"]}, {"a": [{"x": 3, "y": 2, "cls": 8}]}):
        (tmp_path / "other.json").write_text(json.dumps(content))
        image = labels_of(tmp_path / "images/a.png", tmp_path / "other.json")
        assert image.tags | {shape.label for shape in image.shapes} == {"cat"}


def test_errors_name_it(labels: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"unknown .madeup.; did you mean .made_up.\? There are voc, .*made_up"):
        DataConfig(format="madeup", train=labels)
    with pytest.raises(DataError, match=r"no label file; give a file of LabelMe, .*, Made Up"):
        labels_of(tmp_path / "images/a.png", tmp_path / "images/a.png")
    (tmp_path / "t.csv").write_text("image,label\na.png,cat\n")
    with pytest.raises(DataError, match=r"no file of drawn labels; give a file of .*, Made Up, a folder of"):
        open_dataset(DataConfig(str(tmp_path), train="t.csv", drawn="images/a.png"))


def test_where_it_is_not_meant_it_is_not_taken(labels: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = LabelFormat("Made Up", by_itself(read_table), (".made",), uses=frozenset({"photograph"}))
    monkeypatch.setitem(FORMATS, "made_up", known)
    with pytest.raises(ConfigError, match="unknown 'made_up'"):
        DataConfig(format="made_up", train=labels)


def test_a_folder_of_its_files(labels: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def read_folder(folder: Path) -> AnnotationTable:
        return read_table(folder / labels)

    known = LabelFormat("Made Up", by_itself(read_folder), (Path(labels).suffix,), one_each=True)
    monkeypatch.setitem(FORMATS, "made_up", known)
    (tmp_path / "drawn").mkdir()
    (tmp_path / labels).rename(tmp_path / "drawn" / labels)
    (tmp_path / "t.csv").write_text("image,label\na.png,cat\nc.png,dog\n")
    dataset = open_dataset(DataConfig(str(tmp_path), train="t.csv", drawn="drawn"))
    assert [s.drawn for s in dataset.splits["train"]] == [Drawn(boxes=(CAT,)), Drawn()]

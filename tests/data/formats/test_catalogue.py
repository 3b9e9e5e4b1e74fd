from pathlib import Path

import pytest

from weakseg.data.annotations import AnnotationTable
from weakseg.data.formats.catalogue import FORMATS, formats_for, recognise_file, recognise_folder
from weakseg.data.formats.label_format import LabelFormat, by_itself
from weakseg.errors import DataError

TABLES = {name: FORMATS[name] for name in ("csv", "tags")}


def nothing(path: Path) -> AnnotationTable:
    raise AssertionError(f"{path} is not to be parsed")


def known(suffix: str, mark: str = "", **settings: bool) -> LabelFormat:
    return LabelFormat("x", by_itself(nothing), (suffix,), lambda content: mark in content.text, **settings)


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.csv", "image,label,x,y", "csv"),
        ("t.csv", "image,label", "tags"),
        ("T.CSV", "image,label,xmin,ymin,xmax,ymax", "csv"),
        ("t.json", "{", "tags"),  # the only one: its parser says what is wrong
        ("t.jsonl", "", "tags"),
        ("t.doc", "image,label,x,y", None),
        ("folder", None, None),
    ],
)
def test_tables(tmp_path: Path, name: str, text: str | None, expected: str | None) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    assert recognise_file(tmp_path / name, TABLES) == expected


def test_a_missing_file_of_a_suffix_that_several_have(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.csv: no such label file"):
        recognise_file(tmp_path / "gone.csv", TABLES)


def test_marks_go_before_the_order(tmp_path: Path) -> None:
    (tmp_path / "a.t").write_text("one two")
    plain, one, two = known(".t", unmarked=True), known(".t", "one"), known(".t", "two")
    other = known(".t", "three", unmarked=True)
    assert recognise_file(tmp_path / "a.t", {"plain": plain, "two": two, "one": one}) == "two"
    assert recognise_file(tmp_path / "a.t", {"other": other, "plain": plain}) == "plain"
    assert recognise_file(tmp_path / "a.t", {"one": known(".t", "four"), "other": other}) == "other"
    assert recognise_file(tmp_path / "a.t", {"one": known(".t", "four"), "two": known(".t", "five")}) is None


def test_folders(tmp_path: Path) -> None:
    formats = {"file": known(".f"), "first": known(".a", one_each=True), "second": known(".b", one_each=True)}
    assert recognise_folder(tmp_path, formats) == "first"
    (tmp_path / "x.B").touch()
    assert recognise_folder(tmp_path, formats) == "second"
    assert recognise_folder(tmp_path, {"file": formats["file"]}) is None


def test_where_formats_may_be_given() -> None:
    thin = {"supervisely", "datumaro", "createml", "via", "coco_panoptic", "weakseg"}
    assert set(formats_for("dataset")) == {
        "labelme",
        "cvat",
        "labelstudio",
        "scribblesup",
        "yolo",
        "csv",
        "weakseg",
        *thin,
    }
    assert set(formats_for("drawn")) == {"scribblesup", "weakseg", "csv", "whats_the_point"}
    assert set(formats_for("photograph")) == set(FORMATS)


VIA_CSV = "filename,file_size,file_attributes,region_count,region_id,region_shape_attributes,region_attributes"


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.csv", VIA_CSV, "via"),
        ("t.csv", "image,label,x,y", "csv"),
        ("t.csv", "image,label", "tags"),
        ("t.json", '{"a.png1": {"filename": "a.png", "size": 1, "regions": []}}', "via"),
        ("t.json", '{"_via_img_metadata": {"a.png1": {"filename": "a.png", "size": 1, "regions": []}}}', "via"),
        ("t.json", '{"size": {"height": 1, "width": 1}, "objects": []}', "supervisely"),
        ("t.json", '{"items": [], "categories": {}}', "datumaro"),
        ("t.json", '[{"image": "a.png", "annotations": [{"coordinates": {}, "label": "a"}]}]', "createml"),
        ("t.json", '[{"data": {"image": "a.png"}, "annotations": []}]', "labelstudio"),
        ("t.json", '{"images": [], "categories": [], "annotations": [{"segments_info": []}]}', "coco_panoptic"),
        ("t.json", '{"images": [], "categories": [], "annotations": []}', "coco"),
        ("t.json", '{"shapes": []}', "labelme"),
        ("t.json", '{"a.png": ["cat"]}', "tags"),
        ("t.json", '{"a": [{"x": 1, "y": 2, "cls": 1}]}', "whats_the_point"),
    ],
)
def test_every_format_is_told_by_its_content(tmp_path: Path, name: str, text: str, expected: str) -> None:
    (tmp_path / name).write_text(text)
    assert recognise_file(tmp_path / name, FORMATS) == expected

"""Labels of one photograph from every format."""

import json
from pathlib import Path

import pytest

from weakseg.data.annotations import Shape
from weakseg.data.readers.label_file import labels_of
from weakseg.errors import DataError

BOX = ((2.0, 1.0), (5.0, 7.0))
POINT = ((2.5, 3.5),)
VOC_BOX = "<bndbox><xmin>2</xmin><ymin>3</ymin><xmax>7</xmax><ymax>5</ymax></bndbox>"
FILES = {
    "own.json": {
        "weakseg": 1,
        "kind": "boxes",
        "classes": ["cat"],
        "images": {"x/a": {"size": [9, 8], "boxes": [{"class": "cat", "rectangle": [2, 1, 5, 7]}]}},
    },
    "labelme.json": {
        "imagePath": "a.png",
        "imageHeight": 9,
        "imageWidth": 8,
        "shapes": [{"label": "cat", "shape_type": "rectangle", "points": [[1, 2], [7, 5]]}],
    },
    "studio.json": [
        {
            "data": {"image": "/data/upload/1/0a1b2c3d-a.png"},
            "annotations": [
                {
                    "result": [
                        {
                            "type": "rectanglelabels",
                            "original_width": 100,
                            "original_height": 100,
                            "value": {"x": 1, "y": 2, "width": 6, "height": 3, "rectanglelabels": ["cat"]},
                        }
                    ]
                }
            ],
        }
    ],
    "coco.json": {
        "images": [
            {"id": 4, "file_name": "b.png", "height": 9, "width": 8},
            {"id": 5, "file_name": "a.png", "height": 9, "width": 8},
        ],
        "categories": [{"id": 3, "name": "cat"}],
        "annotations": [{"id": 1, "image_id": 5, "category_id": 3, "bbox": [1, 2, 6, 3]}],
    },
    "clicks.json": {"a": [{"x": 3, "y": 2, "cls": 8}], "b": []},
    "tags.json": {"a.png": ["cat"], "b.png": []},
    "boxes.csv": "image,label,xmin,ymin,xmax,ymax\na.png,cat,1,2,7,5\nb.png,,,,,",
    "tags.csv": "image,cat,dog\na.png,1,0\nb.png,0,",
    "voc.xml": f"<annotation><object><name>cat</name>{VOC_BOX}</object></annotation>",
    "cvat.xml": '<annotations><image id="0" name="a.png" width="8" height="9">'
    '<box label="cat" xtl="1" ytl="2" xbr="7" ybr="5"/></image></annotations>',
    "scribbles.xml": "<annotation><polygon><tag>cat</tag><point><X>3</X><Y>2</Y></point></polygon></annotation>",
}


def write(folder: Path, name: str) -> Path:
    content = FILES[name]
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return folder / name


@pytest.mark.parametrize("name", FILES)
def test_the_format_follows_from_the_file(name: str, tmp_path: Path) -> None:
    image = labels_of(tmp_path / "x/a.png", write(tmp_path, name))
    if name.startswith("tags"):
        assert image.tags == {"cat"} and not image.shapes
        return
    (shape,) = image.shapes
    kinds = {"clicks.json": ("point", POINT), "scribbles.xml": ("scribble", POINT)}
    assert isinstance(shape, Shape) and shape.label == "cat"
    assert (shape.kind, shape.positions) == kinds.get(name, ("box", BOX))


def test_yolo_with_the_names_above_it(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images/train/a.png", 100, 100)
    (tmp_path / "labels/train").mkdir(parents=True)
    (tmp_path / "labels/train/a.txt").write_text("1 0.04 0.035 0.06 0.03")
    (tmp_path / "data.yaml").write_text("names: [dog, cat]")
    for path in ("labels/train/a.txt", "labels/train"):
        (shape,) = labels_of(tmp_path / "images/train/a.png", tmp_path / path).shapes
        assert (shape.label, shape.positions) == ("cat", BOX)


def test_a_folder_of_files_of_the_same_name(tmp_path: Path) -> None:
    write(tmp_path, "voc.xml").rename(tmp_path / "a.xml")
    assert labels_of(Path("elsewhere/a.jpg"), tmp_path).shapes[0].positions == BOX
    with pytest.raises(DataError, match=r"holds no b\.json or b\.xml or b\.txt"):
        labels_of(Path("b.jpg"), tmp_path)


@pytest.mark.parametrize(
    ("photograph", "expected"),
    [
        ("x/a.jpg", "x/a.png"),
        ("y/a.jpg", "y/a.png"),
        ("d/x/a.png", "x/a.png"),
        ("y/b.png", "y/b.png"),
        ("z/b.jpg", "y/b.png"),
    ],
)
def test_the_entry_of_a_photograph(photograph: str, expected: str, tmp_path: Path) -> None:
    names = ("x/a.png", "y/a.png", "y/b.png")
    (tmp_path / "t.json").write_text(json.dumps({name: ["cat"] for name in names}))
    assert labels_of(tmp_path / photograph, tmp_path / "t.json").name == expected


def test_what_does_not_know_the_photograph_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({f"x{n}.png": ["cat"] for n in range(7)}))
    with pytest.raises(DataError, match=r"t\.json: has no image 'a\.jpg', but 'x0\.png', .*'x4\.png' and 2 more"):
        labels_of(Path("a.jpg"), tmp_path / "t.json")
    (tmp_path / "t.json").write_text(json.dumps({"x/a.png": ["cat"], "y/a.png": []}))
    with pytest.raises(DataError, match=r"several images of the name 'a\.jpg', but 'x/a\.png', 'y/a\.png'"):
        labels_of(Path("a.jpg"), tmp_path / "t.json")
    (tmp_path / "t.json").write_text(json.dumps({"b.png": ["cat"]}))
    assert labels_of(Path("a.jpg"), tmp_path / "t.json").tags == {"cat"}  # the only one it can be about


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.doc", "", "is that of no label file; give a file of LabelMe"),
        ("a.json", "3", "is no label file; give a file of LabelMe"),
        ("a.xml", "<html/>", "<html> is of no label file"),
        ("a.xml", "<annotation>", "label file cannot be read"),
        ("a.txt", "0 1 1 1 1", "no data.yaml"),
        ("gone.json", None, "no such label file"),
    ],
)
def test_what_is_no_label_file_is_refused(name: str, content: str | None, message: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        labels_of(tmp_path / "a.jpg", tmp_path / name)

"""Labels and the EXIF orientation of JPEG files: one object, stored in eight ways, labelled in every format."""

import json
import logging
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.check import check_dataset
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.image import image_size
from weakseg.data.regions import mask_of_runs
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.errors import DataError
from weakseg.photograph.marks import marks_of_file

ORIENTATIONS = range(10)  # 0 and 9 mean nothing
EXCHANGED = (5, 6, 7, 8)  # rows and columns
BLOCK = 8  # of JPEG: an object made of whole ones keeps its edges
RED, GREY = (220, 30, 30), (110, 110, 110)
CONFIGS: dict[str, dict[str, Any]] = {
    "cvat": {"format": "cvat", "train": "a.xml"},
    "labelme": {"format": "labelme", "train": "images"},
    "coco": {"format": "coco", "train": "a.json", "images": "images"},
    "coco regions": {"format": "coco", "train": "a.json", "images": "images", "labels": "regions"},
    "labelstudio": {"format": "labelstudio", "train": "tasks.json"},
    "voc": {"format": "voc", "train": "train", "images": "images", "classes": ("cat",)},
    "scribblesup": {"format": "scribblesup", "train": "scribbles"},
    "yolo": {"format": "yolo", "train": "images", "classes": ("cat",)},
    "csv": {"format": "folder", "train": "a.csv"},
    "drawn": {"format": "folder", "train": "tags.csv", "drawn": "drawn.json"},
}
STATING = tuple(name for name in CONFIGS if name not in ("yolo", "csv"))  # the size of the photograph
KINDS = {  # boxes, points, scribbles, regions; all others draw boxes alone
    "cvat": (1, 1, 1, 2),
    "labelme": (1, 1, 1, 1),
    "coco": (1, 1, 0, 0),
    "coco regions": (0, 0, 0, 2),
    "labelstudio": (1, 1, 0, 1),
    "scribblesup": (0, 0, 1, 0),
    "drawn": (1, 1, 1, 0),
}


class Scene(NamedTuple):
    """Rows and columns as stored, and top, left, bottom, right of the object there."""

    size: tuple[int, int]
    place: tuple[int, int, int, int]


@st.composite
def scenes(draw: st.DrawFn) -> Scene:
    rows, columns = draw(st.lists(st.integers(2, 5), min_size=2, max_size=2, unique=True))
    top, left = draw(st.integers(0, rows - 1)), draw(st.integers(0, columns - 1))
    bottom, right = draw(st.integers(top + 1, rows)), draw(st.integers(left + 1, columns))
    return Scene((rows * BLOCK, columns * BLOCK), (top * BLOCK, left * BLOCK, bottom * BLOCK, right * BLOCK))


def shown(scene: Scene, orientation: int) -> Scene:
    """Return where a viewer shows the object: EXIF 2.32 says which sides are the 0th row and the 0th column."""
    (rows, columns), (top, left, bottom, right) = scene
    if orientation in (2, 3, 7, 8):  # what is stored at the left is shown at the right, or at the bottom
        left, right = columns - right, columns - left
    if orientation in (3, 4, 6, 7):
        top, bottom = rows - bottom, rows - top
    if orientation in (5, 6, 7, 8):
        return Scene((columns, rows), (left, top, right, bottom))
    return Scene((rows, columns), (top, left, bottom, right))


def write_photograph(root: Path, scene: Scene, orientation: int | None) -> None:
    pixels = np.full((*scene.size, 3), GREY, np.uint8)
    top, left, bottom, right = scene.place
    pixels[top:bottom, left:right] = RED
    exif = Image.Exif()
    if orientation is not None:
        exif[0x0112] = orientation
    (root / "images").mkdir(exist_ok=True)
    Image.fromarray(pixels).save(root / "images" / "a.jpg", quality=95, subsampling=0, exif=exif)


def write_labels(root: Path, scene: Scene, *, size: tuple[int, int] | None = None) -> None:
    """Write the object in every format, in the coordinates and for the size of ``scene``, or for another size."""
    scene = Scene(size or scene.size, scene.place)
    for folder in ("images", "labels", "Annotations", "ImageSets/Segmentation", "scribbles"):
        (root / folder).mkdir(parents=True, exist_ok=True)
    (rows, columns), (top, left, bottom, right) = scene
    (root / "a.xml").write_text(cvat_of(scene))
    (root / "images" / "a.json").write_text(json.dumps(labelme_of(scene)))
    (root / "a.json").write_text(json.dumps(coco_of(scene)))
    (root / "tasks.json").write_text(json.dumps(labelstudio_of(scene)))
    edges = f"<xmin>{left + 1}</xmin><ymin>{top + 1}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax>"
    shape = f"<object><name>cat</name><bndbox>{edges}</bndbox></object>"
    page = f"<size><width>{columns}</width><height>{rows}</height></size>{shape}"
    (root / "Annotations" / "a.xml").write_text(f"<annotation>{page}</annotation>")
    points = f"<point><X>{left}</X><Y>{top}</Y></point><point><X>{right - 1}</X><Y>{bottom - 1}</Y></point>"
    line = f"<size><width>{columns}</width><height>{rows}</height></size><polygon><tag>cat</tag>{points}</polygon>"
    (root / "scribbles" / "a.xml").write_text(f"<annotation>{line}</annotation>")
    (root / "ImageSets" / "Segmentation" / "train.txt").write_text("a")
    centre = ((left + right) / 2 / columns, (top + bottom) / 2 / rows)
    numbers = (*centre, (right - left) / columns, (bottom - top) / rows)
    (root / "labels" / "a.txt").write_text(" ".join(map(str, (0, *numbers))))
    (root / "a.csv").write_text(f"image,label,xmin,ymin,xmax,ymax\na.jpg,cat,{left},{top},{right},{bottom}\n")
    (root / "tags.csv").write_text("image,label\na.jpg,cat\n")
    ends = (top + 0.5, left + 0.5), (bottom - 0.5, right - 0.5)
    drawn = Drawn((Box(1, top, left, bottom, right),), (Point(1, *ends[0]),), (Scribble(1, ends),))
    write_drawn(root / "drawn.json", DrawnFile("any", Classes(("cat",)), {"a": DrawnImage((rows, columns), drawn)}))


def ring_of(scene: Scene) -> list[tuple[int, int]]:
    top, left, bottom, right = scene.place
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def cvat_of(scene: Scene) -> str:
    (rows, columns), (top, left, bottom, right) = scene
    box = f"<box label='cat' xtl='{left}' ytl='{top}' xbr='{right}' ybr='{bottom}'/>"
    point = f"<points label='cat' points='{left + 0.25},{top + 0.75}'/>"
    line = f"<polyline label='cat' points='{left + 0.25},{top + 0.75};{right - 0.5},{bottom - 0.25}'/>"
    outline = f"<polygon label='cat' points='{';'.join(f'{x},{y}' for x, y in ring_of(scene))}'/>"
    place = f"left='{left}' top='{top}' width='{right - left}' height='{bottom - top}'"
    mask = f"<mask label='cat' rle='0, {(right - left) * (bottom - top)}' {place}/>"
    image = f"<image name='a.jpg' width='{columns}' height='{rows}'>{box}{point}{line}{outline}{mask}</image>"
    return f"<annotations>{image}</annotations>"


def labelme_of(scene: Scene) -> dict[str, Any]:
    (rows, columns), (top, left, bottom, right) = scene
    points = {
        "rectangle": [(left, top), (right, bottom)],
        "polygon": ring_of(scene),
        "point": [(right - 0.25, bottom - 0.5)],
        "line": [(left + 0.25, bottom - 0.5), (right - 0.25, top + 0.5)],
    }
    shapes = [{"label": "cat", "shape_type": kind, "points": there} for kind, there in points.items()]
    return {"imagePath": "a.jpg", "imageHeight": rows, "imageWidth": columns, "shapes": shapes}


def coco_of(scene: Scene) -> dict[str, Any]:
    (rows, columns), (top, left, bottom, right) = scene
    pixels = np.zeros(scene.size, bool)
    pixels[top:bottom, left:right] = True
    changes = np.flatnonzero(np.diff(pixels.ravel(order="F"), prepend=False, append=False)).tolist()
    counts = np.diff([0, *changes, rows * columns]).tolist()
    base = {"image_id": 1, "category_id": 1, "iscrowd": 0}
    whole = {"bbox": [left, top, right - left, bottom - top], "keypoints": [left, top, 2]}
    polygon = [float(value) for position in ring_of(scene) for value in position]
    entries = [
        {**base, **whole, "id": 1, "segmentation": [polygon]},
        {**base, "id": 2, "segmentation": {"size": [rows, columns], "counts": counts}},
    ]
    photograph = {"id": 1, "file_name": "a.jpg", "height": rows, "width": columns}
    return {"images": [photograph], "categories": [{"id": 1, "name": "cat"}], "annotations": entries}


def labelstudio_of(scene: Scene) -> list[dict[str, Any]]:
    (rows, columns), (top, left, bottom, right) = scene
    x, y = 100 / columns, 100 / rows
    values: dict[str, dict[str, Any]] = {
        "rectanglelabels": {"x": left * x, "y": top * y, "width": (right - left) * x, "height": (bottom - top) * y},
        "keypointlabels": {"x": (left + 0.25) * x, "y": (bottom - 0.25) * y, "width": 1},
        "polygonlabels": {"points": [(column * x, row * y) for column, row in ring_of(scene)]},
    }
    size = {"original_width": columns, "original_height": rows, "image_rotation": 0}
    result = [{"type": kind, "value": {**value, kind: ["cat"]}, **size} for kind, value in values.items()]
    return [{"data": {"image": "/data/upload/1/0a1b2c3d-a.jpg"}, "annotations": [{"result": result}]}]


def read(root: Path, format_name: str) -> Dataset:
    return open_dataset(DataConfig(root=str(root), **CONFIGS[format_name]))


def object_of(root: Path) -> NDArray[np.bool_]:
    """Return the pixels that are red in the photograph as it is read."""
    (sample,) = read(root, "csv").splits["train"]
    image = sample.load_image()
    assert image_size(sample.image_path) == image.shape[:2]
    return image[..., 1] < (RED[1] + GREY[1]) / 2


def check_labels(root: Path, format_name: str) -> None:
    """Expect whatever is drawn to be the object, pixel by pixel."""
    dataset, red = read(root, format_name), object_of(root)
    assert check_dataset(dataset).failures == ()
    (sample,) = dataset.splits["train"]
    drawn, size = sample.drawn, (red.shape[0], red.shape[1])
    assert dataset.sizes == ({"a": size} if format_name != "csv" else {})
    found = len(drawn.boxes), len(drawn.points), len(drawn.scribbles), len(drawn.regions)
    assert found == KINDS.get(format_name, (1, 0, 0, 0))
    for box in drawn.boxes:
        edges = (round(edge, 9) for edge in (box.top, box.left, box.bottom, box.right))  # percentages are not exact
        inside = np.zeros_like(red)
        inside[Box(1, *edges).pixels(size)] = True
        np.testing.assert_array_equal(inside, red)
    for row, column in (*((p.row, p.column) for p in drawn.points), *(p for s in drawn.scribbles for p in s.path)):
        assert red[int(row), int(column)]
    for region in drawn.regions:
        np.testing.assert_array_equal(mask_of_runs(region.runs, region.size), red)


@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_labels_of_the_photograph_as_shown(scene: Scene) -> None:
    for orientation in ORIENTATIONS:
        with TemporaryDirectory() as folder:
            write_photograph(Path(folder), scene, orientation)
            write_labels(Path(folder), shown(scene, orientation))
            for format_name in CONFIGS:
                note(f"{format_name}, orientation {orientation}")
                check_labels(Path(folder), format_name)


@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_labels_of_the_photograph_as_stored(scene: Scene) -> None:
    """They are turned where their size says so; where the size fits both frames they are taken to be upright."""
    for orientation in (None, *ORIENTATIONS):
        with TemporaryDirectory() as folder:
            root = Path(folder)
            write_labels(root, scene)
            write_photograph(root, scene, orientation)
            for format_name in STATING if orientation not in (2, 3, 4) else ():
                note(f"{format_name}, orientation {orientation}")
                check_labels(root, format_name)
            write_labels(root, scene, size=(scene.size[0] + BLOCK, scene.size[1] + BLOCK))
            for format_name in STATING:
                note(f"{format_name}, orientation {orientation}, another size")
                if format_name == "coco regions":
                    with pytest.raises(DataError, match=r"left out: .*images\[0\]: its regions are for .* correct one"):
                        read(root, format_name)
                    continue
                (failure,) = check_dataset(read(root, format_name)).failures
                assert failure.image_id == "a" and "give the photograph that was labelled" in failure.reason


@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_labels_without_a_size_mean_the_upright_photograph(scene: Scene) -> None:
    for orientation in (None, 0, 1, 9):
        with TemporaryDirectory() as folder:
            write_labels(Path(folder), scene)
            write_photograph(Path(folder), scene, orientation)
            for format_name in ("yolo", "csv"):
                note(f"{format_name}, orientation {orientation}")
                check_labels(Path(folder), format_name)


SCENE = Scene((24, 40), (8, 16, 24, 24))
SQUARE = Scene((40, 40), (8, 16, 24, 24))


@pytest.fixture
def stored(tmp_path: Path) -> Path:
    """A photograph that is to be turned, with labels as stored in every format."""
    write_photograph(tmp_path, SCENE, 7)
    write_labels(tmp_path, SCENE)
    return tmp_path


@pytest.mark.parametrize("format_name", STATING)
def test_turning_is_told_once(stored: Path, format_name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    read(stored, format_name)
    assert caplog.text.count("labels of 1 photographs were drawn without EXIF orientation, and are turned") == 1
    caplog.clear()
    write_labels(stored, shown(SCENE, 7))
    read(stored, format_name)
    assert "EXIF" not in caplog.text


@pytest.mark.parametrize("format_name", STATING)
def test_a_square_photograph_is_taken_to_be_upright(tmp_path: Path, format_name: str) -> None:
    write_photograph(tmp_path, SQUARE, 6)
    write_labels(tmp_path, SQUARE)
    with pytest.raises(AssertionError):
        check_labels(tmp_path, format_name)
    write_labels(tmp_path, shown(SQUARE, 6))
    check_labels(tmp_path, format_name)


@pytest.mark.parametrize("format_name", STATING)
def test_a_photograph_that_cannot_be_read_fails_by_itself(stored: Path, format_name: str) -> None:
    (stored / "images" / "a.jpg").write_bytes(b"")
    (failure,) = check_dataset(read(stored, format_name)).failures
    assert "cannot be read as an image" in failure.reason


def test_a_photograph_with_nothing_drawn_on_it(stored: Path) -> None:
    image = "<image name='a.jpg' width='40' height='24'><tag label='cat'/></image>"
    (stored / "a.xml").write_text(f"<annotations>{image}</annotations>")
    dataset = read(stored, "cvat")
    assert dataset.sizes == {"a": (40, 24)} and check_dataset(dataset).failures == ()


def test_a_box_without_area_stays_one(stored: Path) -> None:
    document = coco_of(SCENE)
    document["annotations"][0]["bbox"] = [24, 8, 0, 16]
    (stored / "a.json").write_text(json.dumps(document))
    assert list(read(stored, "coco").dropped.values()) == ["a box of 16 x 0 pixels has no area"]


def test_labels_in_both_frames_join(stored: Path) -> None:
    """The XML file is for the photograph as stored, the drawn labels for the upright one."""
    labels = (stored / "Annotations" / "a.xml").read_text()
    write_labels(stored, shown(SCENE, 7))
    (stored / "Annotations" / "a.xml").write_text(labels)
    config = DataConfig(root=str(stored), **{**CONFIGS["voc"], "drawn": "drawn.json"})
    dataset = open_dataset(config)
    assert dataset.sizes == {"a": (40, 24)} and check_dataset(dataset).failures == ()
    (sample,) = dataset.splits["train"]
    top, left, bottom, right = shown(SCENE, 7).place
    assert sample.drawn.boxes == (Box(1, top, left, bottom, right),) and sample.drawn.points


@pytest.mark.parametrize("name", ["a.xml", "images/a.json", "a.json", "tasks.json", "Annotations/a.xml", "drawn.json"])
def test_the_labels_of_one_photograph(stored: Path, name: str) -> None:
    marks = marks_of_file(stored / "images" / "a.jpg", stored / name)
    top, left, bottom, right = shown(SCENE, 7).place
    (box,) = marks.drawn.boxes
    assert marks.names == ("cat",)
    assert (box.top, box.left, box.bottom, box.right) == pytest.approx((top, left, bottom, right))


@pytest.mark.parametrize("orientation", EXCHANGED)
def test_truth_of_coco_is_turned_with_its_labels(tmp_path: Path, orientation: int) -> None:
    write_photograph(tmp_path, SCENE, orientation)
    write_labels(tmp_path, SCENE)
    config = DataConfig(root=str(tmp_path), **CONFIGS["coco"])
    dataset, red = open_dataset(config), object_of(tmp_path)
    (truth,) = open_truth(config, dataset, "train")
    np.testing.assert_array_equal(truth.load_truth(), red)
    np.testing.assert_array_equal(truth.load_objects() != 0, red)
    (objects,) = open_instance_truth(config, dataset, "train")
    np.testing.assert_array_equal(objects.load_truth().objects.masks, [red, red])


def test_painted_masks_are_not_turned(stored: Path) -> None:
    LabelMap(np.ones(SCENE.size, np.uint8)).save(stored / "painted" / "a.png")
    config = DataConfig(root=str(stored), train="tags.csv", drawn="painted")
    (failure,) = check_dataset(open_dataset(config)).failures
    assert "or they are PNGs, which it does not turn" in failure.reason

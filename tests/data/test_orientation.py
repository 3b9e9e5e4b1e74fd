"""Labels and the EXIF orientation of JPEG files: one object, stored in eight ways, labelled in five formats."""

import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.check import check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.regions import mask_of_runs
from weakseg.data.image import image_size

ORIENTATIONS = range(10)  # 0 and 9 mean nothing
BLOCK = 8  # of JPEG: an object made of whole ones keeps its edges
RED, GREY = (220, 30, 30), (110, 110, 110)
CONFIGS: dict[str, dict[str, Any]] = {
    "cvat": {"format": "cvat", "train": "a.xml"},
    "labelme": {"format": "labelme", "train": "images"},
    "coco": {"format": "coco", "train": "a.json", "images": "images"},
    "yolo": {"format": "yolo", "train": "images", "classes": ("cat",)},
    "csv": {"format": "folder", "train": "a.csv"},
}
STATING = ("cvat", "labelme", "coco")  # the size of the photograph


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


def write_labels(root: Path, scene: Scene) -> None:
    """Write the object in every format, in the coordinates and for the size of ``scene``."""
    (rows, columns), (top, left, bottom, right) = scene
    ring = [(left, top), (right, top), (right, bottom), (left, bottom)]
    box = f"<box label='cat' xtl='{left}' ytl='{top}' xbr='{right}' ybr='{bottom}'/>"
    middle = f"<points label='cat' points='{(left + right) / 2},{(top + bottom) / 2}'/>"
    outline = f"<polygon label='cat' points='{';'.join(f'{x},{y}' for x, y in ring)}'/>"
    image = f"<image name='a.jpg' width='{columns}' height='{rows}'>{box}{middle}{outline}</image>"
    (root / "a.xml").write_text(f"<annotations>{image}</annotations>")
    shape = {"label": "cat", "shape_type": "rectangle", "points": [(left, top), (right, bottom)]}
    page = {"imagePath": "a.jpg", "imageHeight": rows, "imageWidth": columns, "shapes": [shape]}
    for folder in ("images", "labels"):
        (root / folder).mkdir(exist_ok=True)
    (root / "images" / "a.json").write_text(json.dumps(page))
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [left, top, right - left, bottom - top], "iscrowd": 0}
    photograph = {"id": 1, "file_name": "a.jpg", "height": rows, "width": columns}
    coco = {"images": [photograph], "categories": [{"id": 1, "name": "cat"}], "annotations": [entry]}
    (root / "a.json").write_text(json.dumps(coco))
    centre = ((left + right) / 2 / columns, (top + bottom) / 2 / rows)
    numbers = (*centre, (right - left) / columns, (bottom - top) / rows)
    (root / "labels" / "a.txt").write_text(" ".join(map(str, (0, *numbers))))
    (root / "a.csv").write_text(f"image,label,xmin,ymin,xmax,ymax\na.jpg,cat,{left},{top},{right},{bottom}\n")


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
    (box,) = sample.drawn.boxes
    inside = np.zeros_like(red)
    inside[box.pixels((red.shape[0], red.shape[1]))] = True
    np.testing.assert_array_equal(inside, red)
    for point in sample.drawn.points:
        assert red[point.pixel((red.shape[0], red.shape[1]))]
    for region in sample.drawn.regions:
        np.testing.assert_array_equal(mask_of_runs(region.runs, region.size), red)
    assert format_name != "cvat" or (sample.drawn.points and sample.drawn.regions)


@pytest.mark.parametrize("format_name", CONFIGS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_labels_of_the_photograph_as_shown(format_name: str, orientation: int, scene: Scene) -> None:
    with TemporaryDirectory() as folder:
        write_photograph(Path(folder), scene, orientation)
        write_labels(Path(folder), shown(scene, orientation))
        check_labels(Path(folder), format_name)


@pytest.mark.parametrize("format_name", CONFIGS)
@pytest.mark.parametrize("orientation", ORIENTATIONS)
@settings(max_examples=8, deadline=None)
@given(scene=scenes())
def test_labels_of_the_photograph_as_stored(format_name: str, orientation: int, scene: Scene) -> None:
    """They fit the file without the entry; with it they are refused as soon as a size tells that they do not fit."""
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_labels(root, scene)
        write_photograph(root, scene, None)
        check_labels(root, format_name)
        stored = object_of(root)
        write_photograph(root, scene, orientation)
        if orientation in (5, 6, 7, 8) and format_name in STATING:
            (failure,) = check_dataset(read(root, format_name)).failures
            assert failure.image_id == "a" and "drawn without its EXIF orientation" in failure.reason
        elif orientation in (0, 1, 9):
            check_labels(root, format_name)
        write_labels(root, shown(scene, orientation))
        check_labels(root, format_name)  # once they are turned, they are the same pixels
        assert object_of(root).sum() == stored.sum()

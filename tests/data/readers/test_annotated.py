"""Where the photographs that label files name lie, from the files to the samples of a data set."""

import json
from pathlib import Path
from typing import Any

import pytest

from weakseg.cli.main import main
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.errors import DataError

ROWS, COLUMNS = 4, 5


def write_labelme(path: Path, image: str) -> None:
    shape = {"label": "cat", "shape_type": "rectangle", "points": [[1, 1], [3, 2]]}
    page = {"imagePath": image, "imageHeight": ROWS, "imageWidth": COLUMNS, "shapes": [shape]}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(page))


def opened(root: Path, **settings: Any) -> dict[str, Path]:
    """Return the photographs of the data set by id, relative to its root; all of them have their box."""
    dataset = open_dataset(DataConfig(**{"root": str(root), "format": "labelme", "train": "labels", **settings}))
    samples = [sample for split in dataset.splits.values() for sample in split]
    assert all(sample.drawn.boxes for sample in samples)
    return {sample.id: sample.image_path.relative_to(root) for sample in samples}


@pytest.mark.parametrize(
    ("labels", "image", "photograph", "image_id"),
    [
        ("labels/a.json", "../images/a.jpg", "images/a.jpg", "a"),
        ("labels/a.json", "..\\images\\a.jpg", "images/a.jpg", "a"),
        ("labels/a.json", "../images/x/a.jpg", "images/x/a.jpg", "x/a"),
        ("labels/x/a.json", "../../images/x/a.jpg", "images/x/a.jpg", "x/a"),
        ("labels/x/a.json", "../../photos/a.jpg", "photos/a.jpg", "photos/a"),
        ("labels/a.json", "../a.jpg", "a.jpg", "a"),
        ("labels/a.json", "../images/../images/a.jpg", "images/a.jpg", "a"),
        ("labels/x/a.json", "../a.jpg", "labels/a.jpg", "a"),
        ("labels/a.json", "./a.jpg", "labels/a.jpg", "a"),
    ],
)
def test_names_of_labelme_start_from_their_file(
    labels: str, image: str, photograph: str, image_id: str, tmp_path: Path, write_image, capsys
) -> None:
    write_image(tmp_path / photograph, ROWS, COLUMNS)
    write_labelme(tmp_path / labels, image)
    assert opened(tmp_path) == {image_id: Path(photograph)}
    assert list(opened(tmp_path, train=labels).values()) == [Path(photograph)]
    words = ["data", "check", "--data.format", "labelme", "--data.root", str(tmp_path), "--data.train", "labels"]
    assert main(words) == 0
    assert "images by strongest label: 1 boxes" in capsys.readouterr().out


def test_the_folder_of_images_does_not_move_a_name_that_leads_there(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    write_labelme(tmp_path / "labels/a.json", "../photos/x/a.jpg")
    write_labelme(tmp_path / "labels/b.json", "b.jpg")
    expected = {"x/a": Path("photos/x/a.jpg"), "b": Path("photos/b.jpg")}
    assert opened(tmp_path, images="photos") == opened(tmp_path, images="./photos/") == expected


@pytest.mark.parametrize("image", ["../../a.jpg", "../../root/images/a.jpg", "../out/a.jpg", "../out.jpg", ".."])
def test_names_that_leave_the_root_are_refused(image: str, tmp_path: Path, write_image) -> None:
    root = tmp_path / "root"
    write_labelme(root / "labels/a.json", image)
    write_image(tmp_path / "a.jpg")
    (root / "out").symlink_to(tmp_path)
    (root / "out.jpg").symlink_to(tmp_path / "a.jpg")
    with pytest.raises(DataError, match=r"labels/a\.json: .* leads outside the data folder"):
        opened(root)
    write_labelme(root / "labels/b.json", "b.jpg")
    assert list(opened(root)) == ["b"]


def test_two_files_of_one_photograph_and_two_photographs_of_one_name(tmp_path: Path) -> None:
    write_labelme(tmp_path / "labels/a.json", "../images/a.jpg")
    write_labelme(tmp_path / "labels/b.json", "a.jpg")
    dataset = open_dataset(DataConfig(str(tmp_path), format="labelme", train="labels"))
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("b.json") and reason.startswith("image 'a.jpg' is already at ")
    assert len(dataset.splits["train"]) == 1
    (tmp_path / "labels/b.json").rename(tmp_path / "b.json")
    with pytest.raises(DataError, match=r"have one image id 'a' in two splits"):
        opened(tmp_path, val="b.json")


@pytest.mark.parametrize("nested", [False, True])
def test_names_that_begin_with_the_folder_of_images(nested: bool, tmp_path: Path, write_image) -> None:
    """Label Studio's export as COCO names ``images\\a.jpg`` beside ``result.json``; its local files may do so too."""
    photograph = tmp_path / ("images/images/a.jpg" if nested else "images/a.jpg")
    write_image(photograph, ROWS, COLUMNS)
    entry = {"id": 0, "image_id": 0, "category_id": 0, "bbox": [1, 1, 2, 1]}
    image = {"id": 0, "file_name": "images\\a.jpg", "width": COLUMNS, "height": ROWS}
    coco = {"images": [image], "categories": [{"id": 0, "name": "cat"}], "annotations": [entry]}
    (tmp_path / "result.json").write_text(json.dumps(coco))
    value = {"x": 20, "y": 25, "width": 40, "height": 25, "rectanglelabels": ["cat"]}
    size = {"original_width": COLUMNS, "original_height": ROWS}
    result = {"type": "rectanglelabels", "value": value, **size}
    address = "/data/local-files/?d=images/a.jpg"
    (tmp_path / "tasks.json").write_text(
        json.dumps([{"data": {"image": address}, "annotations": [{"result": [result]}]}])
    )
    (tmp_path / "boxes.csv").write_text("image,label,xmin,ymin,xmax,ymax\nimages/a.jpg,cat,1,1,3,2\n")
    for name, train in (("coco", "result.json"), ("labelstudio", "tasks.json"), ("csv", "boxes.csv")):
        assert opened(tmp_path, format=name, train=train) == {"images/a": photograph.relative_to(tmp_path)}
        assert main(["data", "check", f"--data.format={name}", f"--data.root={tmp_path}", f"--data.train={train}"]) == 0


def test_a_root_that_is_called_images(tmp_path: Path) -> None:
    """Its own name is no way out of it, nor into it."""
    root = tmp_path / "images"
    root.mkdir()
    (root / "boxes.csv").write_text("image,label,xmin,ymin,xmax,ymax\nimages/a.jpg,cat,1,1,3,2\n")
    assert opened(root, format="csv", train="boxes.csv") == {"images/a": Path("images/a.jpg")}

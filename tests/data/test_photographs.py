"""One rule of what a folder of photographs holds: products and label maps in it are none."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset, open_plain_folder
from weakseg.data.photographs import photographs_in
from weakseg.errors import DataError

MAP = np.array([[0, 1, 255]], np.uint8)


def write(path: Path, mode: str = "RGB") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, (4, 3)).save(path)


def save_map(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    LabelMap(MAP).save(path)


def names(root: Path) -> list[str]:
    return [str(path.relative_to(root)) for path in photographs_in(root)]


def test_photographs_of_any_depth_suffix_and_case(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for name in ("b/c.png", "a.jpg", "D.TIF", "e.jfif"):
        write(tmp_path / name)
    for name in (".hidden/x.jpg", "._a.jpg", "b/.x.png"):
        write(tmp_path / name)
    for name in ("f.CR2", "g.cr2", "h.txt"):
        (tmp_path / name).write_bytes(b"x")
    assert names(tmp_path) == ["D.TIF", "a.jpg", "b/c.png", "e.jfif"]
    assert [str(path.name) for path in photographs_in(tmp_path, deep=False)] == ["D.TIF", "a.jpg", "e.jfif"]
    assert "2 pictures of kinds that are not read are left out, such as f.CR2 (.CR2, .cr2)" in caplog.text


def test_masks_inside_the_root_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for number in range(3):
        write(tmp_path / f"photos/{number}.jpg")
        save_map(tmp_path / f"masks/{number}.png")
    save_map(tmp_path / "photos/0-mask.png")
    write(tmp_path / "grey/1.png", "L")
    write(tmp_path / "grey/other.png", "L")
    write(tmp_path / "grey-photos/9.png", "L")
    write(tmp_path / "photos/8.png", "L")
    write(tmp_path / "SegmentationClass/0.png")
    assert names(tmp_path) == ["grey-photos/9.png", "photos/0.jpg", "photos/1.jpg", "photos/2.jpg", "photos/8.png"]
    assert f"{tmp_path}: 7 label maps are left out, such as SegmentationClass/0.png" in caplog.text
    assert len(open_plain_folder(tmp_path)) == 5


def test_grey_photographs_and_their_masks(tmp_path: Path) -> None:
    for name in ("photos/a.png", "photos/b.png"):
        write(tmp_path / name, "L")
    for name in ("masks/a.png", "masks/b.png", "masks/c.png"):
        write(tmp_path / name, "P")
    assert names(tmp_path) == ["photos/a.png", "photos/b.png"]


def test_grey_photographs_of_one_name_are_all_photographs(tmp_path: Path) -> None:
    for name in ("0/1.png", "1/1.png"):
        write(tmp_path / name, "L")
    assert names(tmp_path) == ["0/1.png", "1/1.png"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("failures.csv", "image,step,reason\n"),
        ("recipe.json", "{}"),
        ("settings.json", json.dumps({"settings": {}, "inputs": {}})),
        ("overlays.json", "{}"),
    ],
)
def test_products_are_none(tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: str) -> None:
    write(tmp_path / "a.jpg")
    write(tmp_path / "out/steps/x/a.jpg")
    (tmp_path / "out" / name).write_text(content)
    assert names(tmp_path) == ["a.jpg"]
    assert "1 folders that weakseg made are left out, such as out" in caplog.text
    write(tmp_path / "other/b.jpg")
    (tmp_path / "other/settings.json").write_text("{}")
    assert names(tmp_path) == ["a.jpg", "other/b.jpg"]


def test_links_to_folders_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write(tmp_path / "a.jpg")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert names(tmp_path) == ["a.jpg"]
    assert "1 links to folders are left out, such as loop" in caplog.text


def test_class_folders(tmp_path: Path) -> None:
    write(tmp_path / "cat/a.jpg")
    write(tmp_path / "dog/b.jpg")
    save_map(tmp_path / "masks/a.png")
    write(tmp_path / "out/masks/a.png")
    (tmp_path / "out/failures.csv").write_text("")
    assert open_dataset(DataConfig(root=str(tmp_path))).classes.names == ("cat", "dog")


def test_a_folder_of_masks_alone(tmp_path: Path) -> None:
    save_map(tmp_path / "a.png")
    with pytest.raises(DataError, match="no images"):
        open_plain_folder(tmp_path)

"""Palettes of coloured masks."""

from pathlib import Path

import pytest

from weakseg.data.formats.palettes import find_palette, read_palette
from weakseg.errors import DataError


@pytest.mark.parametrize(
    "text",
    [
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ncrate:250,50,83::\nold lid:1,2,3:a,b:c\n",
        'name,r,g,b\nbackground,0,0,0\ncrate,250,50,83\n"old lid", 1, 2, 3\n',
        "0 0 0 background\n250 50 83\tcrate\n1 2 3   old lid\n",
        "Name;R;G;B\r\nbackground;0;0;0\r\ncrate;250;50;83\r\nold lid;1;2;3\r\n",
    ],
)
def test_dialects(tmp_path: Path, text: str) -> None:
    (tmp_path / "p.txt").write_text(text)
    found = read_palette(tmp_path / "p.txt").names
    assert found == {(0, 0, 0): "background", (250, 50, 83): "crate", (1, 2, 3): "old lid"}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"p\.txt: holds no colour"),
        ("a:1,2,3::\nb:1,2,3::\n", r"p\.txt:2: colour \(1, 2, 3\) of 'b' is that of 'a' too"),
        ("crate:250,50::\n", r"p\.txt:1: 'crate:250,50::' is no class with a colour"),
        ("crate:250,50,256::\n", r"p\.txt:1: colour 250, 50, 256 of 'crate' goes beyond 255"),
        (f"crate:1{'0' * 5000},0,0::\n", r"p\.txt:1: colour 1000, 0, 0 of 'crate' goes beyond"),
        ("x" * 5000, r"p\.txt:1: 'x{150,200} is no class"),
    ],
)
def test_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "p.txt").write_text(text)
    with pytest.raises(DataError, match=message) as error:
        read_palette(tmp_path / "p.txt")
    assert len(str(error.value)) < 600


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    folder = tmp_path / "root/SegmentationClass"
    folder.mkdir(parents=True)
    assert find_palette(folder) is None
    (tmp_path / "root/labelmap.txt").write_text("above:1,2,3::")
    (tmp_path / "labelmap.txt").write_text("outside:1,2,3::")
    for place, name in ((None, "above"), ("SegmentationClass", "beside")):
        if place:
            (folder / "labelmap.txt").write_text("beside:1,2,3::")
        palette = find_palette(folder, tmp_path / "root")
        assert palette is not None and list(palette.names.values()) == [name]
    assert find_palette(tmp_path / "root", tmp_path / "root").path == tmp_path / "root/labelmap.txt"
    (tmp_path / "root/labelmap.txt").unlink()
    assert find_palette(tmp_path / "root", tmp_path / "root") is None  # what lies above the root is not read

import re
from pathlib import Path

import pytest

from weakseg.data.paths import find_image, image_id_of, inside, parse_json, read_classes, read_lines, read_text
from weakseg.errors import DataError


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "images").mkdir(parents=True)
    (tmp_path / "secret.jpg").touch()
    return root.resolve()


@pytest.mark.parametrize("name", ["a.jpg", "b/a.jpg", "b\\a.jpg", "./a.jpg", "a..b.jpg", "ä b.jpg"])
def test_path_below_the_root(root: Path, name: str) -> None:
    expected = root / "images" / name.replace("\\", "/")
    assert inside(root, name, "list.csv:1", folder=root / "images") == expected
    assert inside(root, f"images/{name}", "list.csv:1") == expected


@pytest.mark.parametrize(
    "name",
    [
        "../secret.jpg",
        "../images/a.jpg",
        "b/../../secret.jpg",
        "b/../a.jpg",
        "/etc/passwd",
        "..\\secret.jpg",
        "\\a",
        "C:\\Windows\\a.jpg",
        "c:/a.jpg",
        "\\\\server\\share\\a.jpg",
        "..",
        "a/..",
    ],
)
def test_path_that_leads_outside(root: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"list\.csv:7: " + re.escape(repr(name)) + r".*outside the data folder.*give"):
        inside(root, name, "list.csv:7", folder=root / "images")


def test_absolute_path_into_the_root_is_refused_too(root: Path) -> None:
    with pytest.raises(DataError, match="outside"):
        inside(root, str(root / "images/a.jpg"), "list.csv:7")


def test_links(root: Path) -> None:
    (root / "images/out.jpg").symlink_to(root.parent / "secret.jpg")
    (root / "images/folder").symlink_to(root.parent)
    (root / "images/in.jpg").symlink_to(root / "a.jpg")
    for name in ("out.jpg", "folder/secret.jpg"):
        with pytest.raises(DataError, match=f"list.csv:7: '{name}' leads outside"):
            inside(root, name, "list.csv:7", folder=root / "images")
    assert inside(root, "in.jpg", "list.csv:7", folder=root / "images") == root / "a.jpg"


@pytest.mark.parametrize("name", ["a\0.jpg", "\ud800.jpg"])
def test_no_path_at_all(root: Path, name: str) -> None:
    with pytest.raises(DataError, match=r"list\.csv:7: .* is no usable path"):
        inside(root, name, "list.csv:7")


def test_link_that_leads_to_itself(root: Path) -> None:
    (root / "loop").symlink_to(root / "loop")
    with pytest.raises(DataError, match=r"list\.csv:7: 'loop/a.jpg'"):
        inside(root, "loop/a.jpg", "list.csv:7")


@pytest.mark.parametrize(
    ("name", "image_id"),
    [
        ("a.jpg", "a"),
        ("b/a.JPG", "b/a"),
        ("b\\a.png", "b/a"),
        ("./a.jpg", "a"),
        ("a.v2", "a.v2"),
        ("a.v2.tif", "a.v2"),
        ("a", "a"),
        (".jpg", ".jpg"),
        ("2007_000032", "2007_000032"),
    ],
)
def test_image_id(name: str, image_id: str) -> None:
    assert image_id_of(name) == image_id


def test_find_image(root: Path) -> None:
    images = root / "images"
    for name in ("a.png", "b.JPG", "c.v2.webp"):
        (images / name).touch()
    assert find_image(root, images, "a", "x") == images / "a.png"
    assert find_image(root, images, "b", "x") == images / "b.JPG"
    assert find_image(root, images, "c.v2", "x") == images / "c.v2.webp"
    assert find_image(root, images, "a.jpg", "x") == images / "a.jpg"
    assert find_image(root, images, "gone", "x") == images / "gone.jpg"


def test_find_image_does_not_follow_links_outside(root: Path) -> None:
    (root / "images/a.jpg").symlink_to(root.parent / "secret.jpg")
    with pytest.raises(DataError, match=r"x: 'a.jpg' leads outside"):
        find_image(root, root / "images", "a", "x")


def test_lines_keep_their_numbers_and_lose_blanks(tmp_path: Path) -> None:
    path = tmp_path / "list.txt"
    path.write_bytes("\ufeff a \r\n\r\nb\n\n\x0bc".encode())
    assert read_lines(path, "list") == [(1, "a"), (3, "b"), (5, "c")]


def test_text_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_bytes(b"a\nb\xe9\n")
    with pytest.raises(DataError, match=r"list\.txt:2: list is not UTF-8 \(byte 0xe9\); save it as UTF-8"):
        read_text(tmp_path / "list.txt", "list")


def test_text_that_is_missing(tmp_path: Path) -> None:
    for path in (tmp_path / "list.txt", tmp_path):
        with pytest.raises(DataError, match=re.escape(f"{path}: no such list; give")):
            read_text(path, "list")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a\.json: the file is empty"),
        ("[1,\n2,,]", r"a\.json:4: malformed JSON .*column 3"),
        ('{"a": 1, "a": 2}', r"a\.json:3: .*'a' appears twice"),
        ("[" * 100_000, r"a\.json:3: JSON cannot be used"),
        ("1" * 10_000, r"a\.json:3: JSON cannot be used"),
    ],
)
def test_json_that_cannot_be_used(text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_json(Path("a.json"), text, first_line=3)


def test_classes_file(tmp_path: Path) -> None:
    assert read_classes(tmp_path, ()) is None
    (tmp_path / "classes.txt").write_text("background\ncat\n\ndog\n")
    assert read_classes(tmp_path, ()) == ("cat", "dog")
    assert read_classes(tmp_path, ("bird",)) == ("bird",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("cat\ndog\ncat\n", r"classes\.txt:3: class 'cat' is already in line 1"),
        ("\n", "names no class"),
        ("background\n", "names no class"),
    ],
)
def test_bad_classes_file(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "classes.txt").write_text(text)
    with pytest.raises(DataError, match=message):
        read_classes(tmp_path, ())


COMPOSED, DECOMPOSED = "f\u00e4hre \u00e9t\u00e9", "fa\u0308hre e\u0301te\u0301"


def test_composed_and_decomposed_names_find_each_other(root: Path) -> None:
    folder = root / "images"
    for there, asked in ((COMPOSED, DECOMPOSED), (DECOMPOSED, COMPOSED)):
        path = folder / there / f"{asked}.png"  # a part of each form
        path.parent.mkdir()
        path.touch()
        assert inside(root, f"images/{asked}/{there}.png", "x") == path
        for name in (f"{asked}/{there}.png", f"{there}/{asked}.png", f"{asked}/{asked}", f"{there}/{there}"):
            assert find_image(root, folder, name, "x") == path
        path.unlink()
        path.parent.rmdir()
    assert image_id_of(f"{DECOMPOSED}.png") == image_id_of(f"{COMPOSED}.jpg") == COMPOSED
    assert find_image(root, folder, f"{COMPOSED}.png", "x") == folder / f"{COMPOSED}.png"  # which fails when it is read


def test_a_link_of_another_form_that_leads_outside(root: Path) -> None:
    (root / f"images/{DECOMPOSED}.jpg").symlink_to(root.parent / "secret.jpg")
    with pytest.raises(DataError, match="leads outside"):
        find_image(root, root / "images", f"{COMPOSED}.jpg", "x")

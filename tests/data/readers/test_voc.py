from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.annotations import Box
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.voc_xml import VOC_CLASSES
from weakseg.data.sample import Tags
from weakseg.errors import DataError

NONE = Tags(frozenset())


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "voc", "train": "train", **settings}))


def tags_of(dataset: Dataset) -> dict[str, Tags]:
    return {sample.id: sample.tags for sample in dataset.splits["train"]}


def test_annotations_count_difficult_objects(voc_root: Path) -> None:
    for source in ("annotations", "auto"):
        assert tags_of(read(voc_root, tags=source)) == {"a": Tags(frozenset({1, 2})), "b": NONE}


def test_main_lists(voc_root: Path) -> None:
    expected = {"a": Tags(frozenset({1}), frozenset({2})), "b": NONE}
    assert tags_of(read(voc_root, tags="main")) == expected
    for path in (voc_root / "Annotations").iterdir():
        path.unlink()
    (voc_root / "Annotations").rmdir()
    assert tags_of(read(voc_root)) == expected


def test_main_lists_that_do_not_mention_an_image(voc_root: Path) -> None:
    (voc_root / "ImageSets/Main/cat_train.txt").write_text("a 1\n")
    assert tags_of(read(voc_root, tags="main"))["b"] == Tags(frozenset(), frozenset({1}))


def test_main_lists_of_a_class_whose_name_begins_another(voc_root: Path) -> None:
    (voc_root / "classes.txt").write_text("cat\ncat_toy\n")
    (voc_root / "ImageSets/Main/cat_toy_train.txt").write_text("a -1\nb 1\n")
    assert tags_of(read(voc_root, tags="main")) == {"a": Tags(frozenset({1})), "b": Tags(frozenset({2}))}


@pytest.mark.parametrize("line", ["a 2", "a", "a 1 1", "a present"])
def test_bad_line_in_a_main_list(voc_root: Path, line: str) -> None:
    (voc_root / "ImageSets/Main/cat_train.txt").write_text(f"b -1\n\n{line}\n")
    with pytest.raises(DataError, match=rf"cat_train\.txt:3: expected an image id and 1, 0 or -1, got '{line}'"):
        read(voc_root, tags="main")


def test_no_tags_at_all(voc_root: Path) -> None:
    for path in (voc_root / "ImageSets/Main").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no tags found .*set data\.tags to a label file, or to 'truth'"):
        read(voc_root, tags="main")


def test_tags_from_masks(voc_root: Path) -> None:
    assert tags_of(read(voc_root, tags="truth", min_pixels=6)) == {"a": Tags(frozenset({1})), "b": NONE}
    assert tags_of(read(voc_root, tags="truth", min_pixels=7)) == {"a": NONE, "b": NONE}


def test_tags_from_a_file(voc_root: Path) -> None:
    (voc_root / "tags.csv").write_text("image,cat,dog\na.jpg,1,\n")
    every = frozenset({1, 2})
    assert tags_of(read(voc_root, tags="tags.csv")) == {
        "a": Tags(frozenset({1}), frozenset({2})),
        "b": Tags(frozenset(), every),
    }


def test_tags_from_a_file_that_is_missing(voc_root: Path) -> None:
    with pytest.raises(DataError, match=r"tags\.csv: no such label file"):
        read(voc_root, tags="tags.csv")


def test_splits_and_classes(voc_root: Path) -> None:
    (voc_root / "ImageSets/Segmentation/val.txt").write_text("b\n")
    dataset = read(voc_root, val="val")
    assert {split: [s.id for s in samples] for split, samples in dataset.splits.items()} == {
        "train": ["a", "b"],
        "val": ["b"],
    }
    assert dataset.classes.names == ("cat", "dog")
    (voc_root / "classes.txt").unlink()
    assert read(voc_root).classes.names == VOC_CLASSES
    assert len(VOC_CLASSES) == 20


def test_images_of_another_suffix(voc_root: Path, write_image) -> None:
    (voc_root / "JPEGImages/a.jpg").unlink()
    pixels = write_image(voc_root / "JPEGImages/a.png")
    assert (read(voc_root).splits["train"][0].load_image() == pixels).all()


def test_missing_image_fails_alone_and_late(voc_root: Path) -> None:
    (voc_root / "JPEGImages/a.jpg").unlink()
    bad, good = read(voc_root).splits["train"]
    good.load_image()
    with pytest.raises(DataError, match=r"JPEGImages/a\.jpg: no such image"):
        bad.load_image()


def test_missing_list(voc_root: Path) -> None:
    with pytest.raises(DataError, match=r"ImageSets/Segmentation/gone\.txt: no such list of images"):
        read(voc_root, train="gone")


def test_image_listed_twice(voc_root: Path) -> None:
    (voc_root / "ImageSets/Segmentation/train.txt").write_text("a\nb\n\na\n")
    dataset = read(voc_root)
    assert [sample.id for sample in dataset.splits["train"]] == ["a", "b"]
    (reason,) = (reason for where, reason in dataset.dropped.items() if where.endswith("train.txt:4"))
    assert reason.startswith("image 'a' is already at ")


def test_names_with_spaces_and_what_follows_a_name(voc_root: Path, write_image) -> None:
    write_image(voc_root / "JPEGImages/my photo 1.jpg")
    (voc_root / "ImageSets/Segmentation/train.txt").write_text("my photo 1\na  1\nb -1\n")
    assert [sample.id for sample in read(voc_root, tags="main").splits["train"]] == ["my photo 1", "a", "b"]


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "x/../../a", "link"])
def test_list_that_points_outside(voc_root: Path, name: str, tmp_path_factory) -> None:
    (voc_root / "JPEGImages/link.jpg").symlink_to(tmp_path_factory.mktemp("outside") / "a.jpg")
    (voc_root / "JPEGImages/link.jpg").resolve().touch()
    (voc_root / "ImageSets/Segmentation/train.txt").write_text(f"b\n{name}\n")
    dataset = read(voc_root)
    assert [sample.id for sample in dataset.splits["train"]] == ["b"]
    (reason,) = (reason for where, reason in dataset.dropped.items() if where.endswith("train.txt:2"))
    assert "leads outside the data folder" in reason
    (voc_root / "ImageSets/Segmentation/train.txt").write_text(name)
    with pytest.raises(
        DataError, match=r"train\.txt: lists no images that can be used: .*train\.txt:1: .*leads outside"
    ):
        read(voc_root)


def test_annotation_with_an_unknown_class(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").write_text("<annotation><object><name>catt</name></object></annotation>")
    with pytest.raises(DataError, match=r"a\.xml: unknown class 'catt'; did you mean 'cat'"):
        read(voc_root)


def test_annotation_without_a_name(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").write_text("<annotation><object/></annotation>")
    dataset = read(voc_root)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("a.xml: object 0") and reason == "object has no name"
    assert tags_of(dataset)["a"] == Tags(frozenset(), frozenset({1, 2}))


def test_parts_are_no_objects(voc_root: Path) -> None:
    part = "<part><name>head</name></part>"
    (voc_root / "Annotations/a.xml").write_text(f"<annotation><object><name>cat</name>{part}</object></annotation>")
    assert tags_of(read(voc_root))["a"] == Tags(frozenset({1}))


BOMB = "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 10))
ANNOTATION = "<annotation><object><name>{}</name></object></annotation>"


@pytest.mark.parametrize(
    "text",
    [
        f'<!DOCTYPE x [<!ENTITY a0 "ha">{BOMB}]>{ANNOTATION.format("&a9;")}',
        f'<!DOCTYPE x [<!ENTITY a "{"a" * 1000}">]>{ANNOTATION.format("&a;" * 1000)}',
        f'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]>{ANNOTATION.format("&a;")}',
        f'<!DOCTYPE x [<!ENTITY % a SYSTEM "http://127.0.0.1:9/x.dtd"> %a;]>{ANNOTATION.format("cat")}',
        f'<!DOCTYPE x SYSTEM "file:///etc/passwd">{ANNOTATION.format("&a;")}',
        "<annotation><object>",
        "",
        "no XML",
        f'<?xml version="1.0" encoding="nonsense"?>{ANNOTATION.format("cat")}',
    ],
    ids=[
        "billion laughs",
        "quadratic",
        "external entity",
        "parameter entity",
        "external DTD",
        "truncated",
        "empty",
        "text",
        "encoding",
    ],
)
def test_hostile_annotation(voc_root: Path, text: str) -> None:
    (voc_root / "Annotations/a.xml").write_text(text)
    check_unread(voc_root)


def test_missing_annotation(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").unlink()
    check_unread(voc_root)


def check_unread(root: Path) -> None:
    """Of photograph a nothing is known, which is said; b is as it was."""
    dataset = read(root)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("Annotations/a.xml")
    assert reason.startswith("annotation of image 'a' cannot be read") and "; repair it" in reason
    assert tags_of(dataset) == {"a": Tags(frozenset(), frozenset({1, 2})), "b": Tags(frozenset())}
    (root / "Annotations/b.xml").write_text("<")
    with pytest.raises(DataError, match=r"Annotations/a\.xml: annotation of image 'a' cannot be read .*; and so with"):
        read(root)


def test_other_encodings(voc_root: Path) -> None:
    """Those that Python knows, those of several bytes too; no entity comes in by them."""
    (voc_root / "classes.txt").write_text("箱子\n", encoding="utf-8")
    (voc_root / "Annotations/b.xml").write_text("<annotation/>")
    for encoding in ("gb2312", "gbk", "GB18030", "big5", "utf-8", "utf-16", "utf-8-sig"):
        declared = encoding.removesuffix("-sig")
        text = f'<?xml version="1.0" encoding="{declared}"?>\n{ANNOTATION.format("箱子")}'
        (voc_root / "Annotations/a.xml").write_bytes(text.encode(encoding))
        dataset = read(voc_root)
        assert tags_of(dataset)["a"] == Tags(frozenset({1}))
    for encoding in ("gb2312", "utf-7", "hex", "idna", "punycode", "unicode_escape", "undefined"):
        bomb = f'<?xml version="1.0" encoding="{encoding}"?><!DOCTYPE x [<!ENTITY a "b">]>{ANNOTATION.format("&a;")}'
        (voc_root / "Annotations/a.xml").write_text(bomb)
        assert "cannot be read" in next(iter(read(voc_root).dropped.values()))


class TestFlatFolder:
    """XML files beside the photographs, without lists of images, as LabelImg and Roboflow write them."""

    def write(self, path: Path, *, filename: str = "", name: str = "crate", write_image) -> None:
        box = "<bndbox><xmin>2</xmin><ymin>1</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"
        stated = f"<filename>{filename}</filename>" if filename else ""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"<annotation>{stated}<object><name>{name}</name>{box}</object></annotation>")
        write_image(path.parent / (filename or f"{path.stem}.png"), 4, 6)

    def test_photographs_beside_their_files(self, tmp_path: Path, write_image) -> None:
        self.write(tmp_path / "train/a.xml", write_image=write_image)
        self.write(tmp_path / "train/x/b.xml", filename="other.jpg", name="lid", write_image=write_image)
        self.write(tmp_path / "valid/c.xml", write_image=write_image)
        (tmp_path / "train/d.xml").write_text("<annotations/>")
        dataset = read(tmp_path, train="train", val="valid")
        assert dataset.classes.names == ("crate", "lid")
        assert [sample.id for sample in dataset.splits["train"]] == ["a", "x/other"]
        assert [sample.id for sample in dataset.splits["val"]] == ["c"]
        assert dataset.splits["train"][0].drawn.boxes == (Box(1, 0, 1, 4, 3),)
        assert dataset.splits["train"][1].load_image().shape == (4, 6, 3)
        ((where, reason),) = dataset.dropped.items()
        assert where.endswith("train/d.xml") and "is of no label file" in reason

    def test_the_root_itself_and_the_base(self, tmp_path: Path, write_image) -> None:
        self.write(tmp_path / "a.xml", write_image=write_image)
        assert read(tmp_path, train=".").splits["train"][0].drawn.boxes == (Box(1, 0, 1, 4, 3),)
        assert read(tmp_path, train=".", voc_base=0).splits["train"][0].drawn.boxes == (Box(1, 1, 2, 4, 3),)

    def test_a_folder_without_any(self, tmp_path: Path) -> None:
        (tmp_path / "train").mkdir()
        with pytest.raises(DataError, match=r"train: no XML files of VOC"):
            read(tmp_path, train="train")


def test_tags_from_masks_of_0_and_255_alone_are_a_question(voc_root: Path) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[0] = 255
    Image.fromarray(mask).save(voc_root / "SegmentationClass/a.png")
    (voc_root / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"SegmentationClass: the masks hold no values but 0 and 255"):
        read(voc_root, tags="truth")
    assert tags_of(read(voc_root, tags="truth", void="none", min_pixels=6))["a"] == Tags(frozenset({1}))

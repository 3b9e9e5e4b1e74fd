from pathlib import Path

import numpy as np
import pytest
from PIL import Image

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
    with pytest.raises(DataError, match=r"train\.txt:4: image 'a' is already at .*train\.txt:1; keep one"):
        read(voc_root)


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "x/../../a", "link"])
def test_list_that_points_outside(voc_root: Path, name: str, tmp_path_factory) -> None:
    (voc_root / "JPEGImages/link.jpg").symlink_to(tmp_path_factory.mktemp("outside") / "a.jpg")
    (voc_root / "JPEGImages/link.jpg").resolve().touch()
    (voc_root / "ImageSets/Segmentation/train.txt").write_text(f"b\n{name}\n")
    with pytest.raises(DataError, match=r"train\.txt:2: .* leads outside the data folder"):
        read(voc_root)


def test_annotation_with_an_unknown_class(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").write_text("<annotation><object><name>catt</name></object></annotation>")
    with pytest.raises(DataError, match=r"a\.xml: unknown class 'catt'; did you mean 'cat'"):
        read(voc_root)


def test_annotation_without_a_name(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").write_text("<annotation><object/></annotation>")
    with pytest.raises(DataError, match=r"a\.xml: unknown class ''"):
        read(voc_root)


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
    with pytest.raises(DataError, match=r"Annotations/a\.xml: annotation of image 'a' cannot be read .*; repair it"):
        read(voc_root)


def test_missing_annotation(voc_root: Path) -> None:
    (voc_root / "Annotations/a.xml").unlink()
    with pytest.raises(DataError, match=r"Annotations/a\.xml: annotation of image 'a' cannot be read"):
        read(voc_root)


def test_tags_from_masks_of_0_and_255_alone_are_a_question(voc_root: Path) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[0] = 255
    Image.fromarray(mask).save(voc_root / "SegmentationClass/a.png")
    (voc_root / "classes.txt").write_text("cat\n")
    with pytest.raises(DataError, match=r"SegmentationClass: the masks hold no values but 0 and 255"):
        read(voc_root, tags="truth")
    assert tags_of(read(voc_root, tags="truth", void="none", min_pixels=6))["a"] == Tags(frozenset({1}))

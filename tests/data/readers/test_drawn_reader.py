"""Drawn labels from a file of their own, mixed supervision, and what ``data check`` tells of them."""

import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from generated import CLASSES, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.data import describe
from weakseg.cli.main import main
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.data.check import check_dataset
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import Tags
from weakseg.errors import DataError

NAMES = Classes(("cat", "dog"))
POINT, LINE = Point(1, 0.5, 0.5), Scribble(2, ((0.5, 0.5), (3.5, 5.5)))


def read(root: Path, **settings: Any) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "train": "t.csv", **settings}))


def draw(root: Path, **drawn: Drawn) -> None:
    write_drawn(root / "d.json", DrawnFile("any", NAMES, {i: DrawnImage((4, 6), one) for i, one in drawn.items()}))


@pytest.fixture
def root(tmp_path: Path, write_image) -> Path:
    """Images of 4 x 6 pixels: a cat with a box, b cat with a point, c dog by tag, d nothing, e unknown."""
    for number, name in enumerate("abcd"):
        write_image(tmp_path / f"images/{name}.png", 4, 6, seed=number)
    rows = ("a.png,cat,,,0,0,2,2", "b.png,cat,1,1,,,,", "c.png,dog,,,,,,", "d.png,,,,,,,")
    (tmp_path / "t.csv").write_text("\n".join(["image,label,x,y,xmin,ymin,xmax,ymax", *rows]) + "\n")
    return tmp_path


def test_boxes_points_scribbles_and_tags_in_one_data_set(root: Path) -> None:
    draw(root, c=Drawn(scribbles=(LINE,)))
    samples = read(root, drawn="d.json").splits["train"]
    assert [sample.drawn.strongest for sample in samples] == ["boxes", "points", "scribbles", "tags"]
    assert [sample.tags.present for sample in samples] == [{1}, {1}, {2}, set()]


def test_masks_boxes_scribbles_points_and_tags_in_one_data_set(tmp_path: Path, write_image) -> None:
    labels = {"a": "0 0 0 1 0 1 1 .5 1 0 1", "b": "1 .5 .5 1 1", "c": "", "d": "", "e": ""}
    (tmp_path / "labels").mkdir()
    for number, (name, line) in enumerate(labels.items()):
        write_image(tmp_path / f"images/{name}.png", 4, 6, seed=number)
        (tmp_path / f"labels/{name}.txt").write_text(line)
    draw(tmp_path, c=Drawn(scribbles=(LINE,)), d=Drawn(points=(POINT,)), b=Drawn(points=(POINT,)))
    config = {"format": "yolo", "train": "images", "classes": ("cat", "dog"), "drawn": "d.json"}
    dataset = read(tmp_path, **config)
    samples = dataset.splits["train"]
    assert [sample.drawn.strongest for sample in samples] == ["regions", "boxes", "scribbles", "points", "tags"]
    assert [sample.tags.present for sample in samples] == [{1}, {1, 2}, {2}, {1}, set()]
    assert samples[1].drawn == Drawn(boxes=(Box(2, 0, 0, 4, 6),), points=(POINT,))
    points = read(tmp_path, **config, labels="points").splits["train"]
    assert [sample.drawn for sample in points] == [
        Drawn(),
        Drawn(points=(POINT,)),
        Drawn(),
        Drawn(points=(POINT,)),
        Drawn(),
    ]
    assert [sample.tags for sample in points] == [sample.tags for sample in samples]
    report = check_dataset(dataset)
    assert report.drawn["train"].strongest == {"regions": 1, "boxes": 1, "scribbles": 1, "points": 1, "tags": 1}
    assert report.drawn["train"].shapes["points"] == (0, 2, 0)
    assert report.failures == ()


def test_labels_of_a_kind_replace_those_of_the_format(root: Path) -> None:
    box = Box(2, 0, 0, 1, 1)
    draw(root, a=Drawn(boxes=(box,)), b=Drawn(scribbles=(LINE,)))
    a, b, *_ = read(root, drawn="d.json").splits["train"]
    assert (a.drawn, a.tags) == (Drawn(boxes=(box,)), Tags(frozenset({1, 2})))
    assert b.drawn == Drawn(points=(Point(1, 1.5, 1.5),), scribbles=(LINE,))


def test_a_class_that_the_tags_deny(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    draw(root, d=Drawn(points=(POINT,)), c=Drawn(scribbles=(LINE,)))
    with caplog.at_level(logging.WARNING):
        read(root, drawn="d.json")
    (record,) = caplog.records
    assert "on 1 images a class is drawn that their tags call absent, the first 'cat' on 'd'" in record.getMessage()


def test_voc_with_scribbles_and_coco_with_points(voc_root: Path, coco_root: Path) -> None:
    line = "<polygon><tag>cat</tag><point><X>1</X><Y>2</Y></point></polygon>"
    (voc_root / "scribbles").mkdir()
    (voc_root / "scribbles/a.xml").write_text(f"<annotation>{line}</annotation>")
    (voc_root / "scribbles/other.xml").write_text(f"<annotation>{line}</annotation>")
    a, b = read(voc_root, format="voc", train="train", drawn="scribbles").splits["train"]
    assert (a.drawn, b.drawn) == (Drawn(scribbles=(Scribble(1, ((2.5, 1.5),)),)), Drawn())
    (coco_root / "p.csv").write_text("image,label,x,y\nb.png,dog,1,1\n")
    a, b = read(coco_root, format="coco", train="train.json", drawn="p.csv").splits["train"]
    assert (a.drawn, b.drawn) == (Drawn(), Drawn(points=(Point(2, 1.5, 1.5),)))
    assert b.tags == Tags(frozenset({2}))  # a crowd left it open


def test_indexed_pngs(voc_root: Path) -> None:
    labels = np.full((4, 6), 255, np.uint8)
    labels[0, :3], labels[3] = 1, 0
    LabelMap(labels).save(voc_root / "painted/a.png")
    config = {"format": "voc", "train": "train", "drawn": "painted"}
    a, b = read(voc_root, **config).splits["train"]
    assert (a.drawn.strongest, b.drawn.strongest) == ("scribbles", "tags")
    assert [(s.class_id, int(mask_of_runs(s.runs, s.size).sum())) for s in a.drawn.strokes] == [(0, 6), (1, 3)]
    a, _ = read(voc_root, **config, labels="regions").splits["train"]
    assert [region.class_id for region in a.drawn.regions] == [0, 1, 255]
    assert check_dataset(read(voc_root, **config)).failures == ()


def test_masks_of_another_size_than_the_photograph(voc_root: Path) -> None:
    LabelMap(np.ones((6, 4), np.uint8)).save(voc_root / "painted/a.png")
    (failure,) = check_dataset(read(voc_root, format="voc", train="train", drawn="painted")).failures
    assert "drawn on its side" in failure.reason


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.json", None, r"data\.drawn: .*gone\.json is no file of drawn labels; give a file of weakseg, CSV"),
        ("d.txt", "x", r"data\.drawn: .*d\.txt is no file of drawn labels"),
        ("d.json", "[]", "the file must be an object"),
        ("d.csv", "image,label\na,cat", "got header"),
        ("d.csv", "image,label,x,y\nzebra.png,cat,1,1", r"labels for none of the images \(it has 'zebra', .* 'a'\)"),
        ("../d.csv", None, r"data\.drawn: .* leads outside"),
    ],
)
def test_refused(root: Path, name: str, content: str | None, message: str) -> None:
    if content is not None:
        (root / name).write_text(content)
    with pytest.raises(DataError, match=message):
        read(root, drawn=name)


def test_two_label_files_that_state_two_sizes(voc_root: Path) -> None:
    size = "<size><width>6</width><height>5</height></size>"
    (voc_root / "Annotations/a.xml").write_text(f"<annotation>{size}</annotation>")
    draw(voc_root, a=Drawn(points=(POINT,)))
    with pytest.raises(DataError, match=r"d\.json: image 'a' has 4 x 6 pixels .* says 5 x 6; correct one"):
        read(voc_root, format="voc", train="train", drawn="d.json")


def test_wanted_labels_that_do_not_exist(root: Path) -> None:
    with pytest.raises(DataError, match=r"data\.labels: scribbles are wanted, but no image has any; set data\.drawn"):
        read(root, labels="scribbles")
    assert {sample.drawn for sample in read(root, labels="tags").splits["train"]} == {Drawn()}


def test_check_tells_what_was_drawn_and_left_out(root: Path) -> None:
    with (root / "t.csv").open("a") as file:
        file.writelines(f"d.png,dog,{-1 - n},1,,,,\n" for n in range(7))
    draw(root, c=Drawn(scribbles=(LINE, Scribble(0, ((1, 1),)))))
    text = describe(check_dataset(read(root, drawn="d.json")))
    table = [line.split() for line in text.splitlines()]
    for line in (
        ["drawn", "boxes", "scribbles", "points"],
        ["background", "0", "1", "0"],
        ["cat", "1", "0", "1"],
        ["dog", "0", "1", "0"],
    ):
        assert line in table
    assert "images by strongest label: 1 boxes, 1 scribbles, 1 points, 1 tags" in text
    assert "left out: 7 drawn labels" in text and "t.csv:6: point of 'dog' lies outside the photograph" in text
    assert "and 2 more" in text


def test_check_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_folder(tmp_path / "data", 4)
    point = {"class": CLASSES[0], "position": [3.5, 4.5]}
    images = {"i01": {"size": [48, 64], "points": [point]}}
    content = {"weakseg": 1, "kind": "points", "classes": list(CLASSES), "images": images}
    (folder / "d.json").write_text(json.dumps(content))
    words = ["data", "check", "--data.root", str(folder), "--data.train", "tags.json", "--data.drawn", "d.json"]
    assert main([*words, "--data.labels", "points"]) == 0
    assert "images by strongest label: 1 points, 2 tags" in capsys.readouterr().out
    images["i01"]["size"] = [64, 48]
    (folder / "d.json").write_text(json.dumps(content))
    assert main(words) == 1
    assert "failed: i01: image 'i01'" in capsys.readouterr().out


def binary(root: Path, name: str) -> None:
    mask = np.zeros((4, 6), np.uint8)
    mask[1:3, 1:3] = 255
    (root / "painted").mkdir(exist_ok=True)
    Image.fromarray(mask).save(root / f"painted/{name}.png")


def test_masks_of_0_and_255_alone_are_a_question(root: Path) -> None:
    for name in "ab":
        binary(root, name)
    for labels in ("auto", "regions"):
        with pytest.raises(DataError, match=r"painted: the masks hold no values but 0 and 255.*data\.void to none"):
            read(root, drawn="painted", labels=labels)
    (root / "t.csv").write_text("image,label\na.png,cat\nb.png,\n")
    a, _ = read(root, drawn="painted", labels="regions", void="none").splits["train"]
    assert [(r.class_id, int(mask_of_runs(r.runs, r.size).sum())) for r in a.drawn.regions] == [(0, 20), (1, 4)]


def test_coloured_masks_and_some_that_cannot_be_used(root: Path, tmp_path_factory) -> None:
    (root / "painted").mkdir()
    (root / "painted/labelmap.txt").write_text("background:0,0,0::\ndog:9,8,7::\n")
    for name, colour in (("a", (9, 8, 7)), ("b", (1, 1, 1))):
        Image.new("RGB", (6, 4), colour).save(root / f"painted/{name}.png")
    dataset = read(root, drawn="painted", labels="regions")
    a, b, *_ = dataset.splits["train"]
    assert [region.class_id for region in a.drawn.regions] == [2] and a.tags.present == {1, 2}
    assert b.drawn == Drawn() and b.tags.present == {1}
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("painted/b.png") and reason.startswith("colour (1, 1, 1) is none of those in ")
    (root / "painted/c.png").symlink_to(tmp_path_factory.mktemp("outside") / "c.png")
    again = read(root, drawn="painted", labels="regions")
    assert again.splits == dataset.splits
    reasons = again.dropped
    assert "leads outside the data folder" in reasons[str(root.resolve() / "painted/c.png")] and len(reasons) == 2
    for name in ("a.png", "c.png"):
        (root / f"painted/{name}").unlink()
    with pytest.raises(DataError, match=r"b\.png: colour \(1, 1, 1\) .*none of the masks can be used"):
        read(root, drawn="painted", labels="regions")

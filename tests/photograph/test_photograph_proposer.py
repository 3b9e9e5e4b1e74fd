"""A photograph whose boxes a network proposes masks for: encoded once, and what it cannot do is said."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from generated import draw
from tiny_sam import save_tiny, tiny_sam2
from weakseg import Photograph, SegmentOptions, read_marks
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.annotations import AnnotatedImage, Shape
from weakseg.data.classes import Classes
from weakseg.photograph.config import DrawnOptions
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.box_seeds import box_seeds
from weakseg.stages.proposers import forget_proposers
from weakseg.stages.proposers.sam import SamProposer
from weakseg.web.album import Album
from weakseg.web.masks import MaskMaker

BALL, BRICK, TINY = ("ball", (8, 4, 30, 40)), ("brick", (38, 8, 56, 40)), ("speck", (70, 60, 71, 61))
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return draw(3, (96, 128))[0]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_tiny(tiny_sam2(), tmp_path_factory.mktemp("sam") / "tiny")


@pytest.fixture(scope="module")
def options(folder: Path) -> SegmentOptions:
    drawn = DrawnOptions()
    boxes = BoxSeedConfig(proposer="sam2", proposer_file=str(folder))
    return SegmentOptions(drawn=replace(drawn, seeds=replace(drawn.seeds, boxes=boxes)))


def test_new_marks_do_not_encode_again(
    image: NDArray[np.uint8], options: SegmentOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded, encode = [], SamProposer.encode
    monkeypatch.setattr(SamProposer, "encode", lambda self, pixels: encoded.append(1) or encode(self, pixels))
    photograph = Photograph(image).prepare(options)
    assert len(encoded) == 1
    point = ("ball", (20, 20))
    for marks in ({"boxes": [BALL]}, {"boxes": [BALL, BRICK]}, {"boxes": [BALL, BRICK], "points": [point]}):
        found = photograph.segment(read_marks(**marks), options)
        fresh = Photograph(image).segment(read_marks(**marks), options)
        np.testing.assert_array_equal(found.mask, fresh.mask)
        np.testing.assert_array_equal(found.seeds.labels, fresh.seeds.labels)
    assert len(encoded) == 4  # each fresh one, once


def test_its_masks_are_the_seeds(image: NDArray[np.uint8], options: SegmentOptions) -> None:
    marks = read_marks(boxes=[BALL, BRICK], points=[("ball", (20, 20)), ("background", (10, 38))])
    found = Photograph(image).segment(marks, options)
    expected = box_seeds(marks.drawn.boxes, image, options.drawn.seeds.boxes, marks=marks.drawn)
    np.testing.assert_array_equal(found.seeds.labels, expected.complete().labels)
    grabcut = Photograph(image).segment(marks)
    assert (grabcut.seeds.labels != found.seeds.labels).any()


def test_what_has_no_mask_is_said(image: NDArray[np.uint8], options: SegmentOptions) -> None:
    photograph = Photograph(image)
    told = photograph.segment(read_marks(boxes=[TINY]), options).warnings
    assert any(text.startswith("sam2 has no mask for 1 of 1 objects (tiny: 1): boxes count whole") for text in told)
    assert told == photograph.segment(read_marks(boxes=[TINY]), options).warnings
    assert not any("no mask" in text for text in photograph.segment(read_marks(boxes=[TINY])).warnings)


def test_the_page(options: SegmentOptions, tmp_path: Path) -> None:
    Image.fromarray(draw(3, (96, 128))[0]).save(tmp_path / "photo.png")
    shape = Shape("box", "ball", ((4.0, 8.0), (40.0, 30.0)), "here")
    labels = AnnotatedImage("photo.png", (shape,), "here", size=(96, 128))
    maker = MaskMaker(Album(tmp_path), options=options)
    maker.warm("photo")
    shown = maker.make("photo", labels, Classes(("ball",)))
    expected = Photograph(tmp_path / "photo.png").segment(read_marks(boxes=[BALL]), options)
    assert shown is not None and shown.by == "a2gnn"
    np.testing.assert_array_equal(shown.labels.labels, expected.mask)


def test_the_command(folder: Path, options: SegmentOptions, tmp_path: Path, capsys: Capture) -> None:
    photo, mask = tmp_path / "photo.png", tmp_path / "mask.png"
    Image.fromarray(draw(3, (96, 128))[0]).save(photo)
    words = ["segment", str(photo), "--out", str(mask), "--boxes", "ball 8,4,30,40"]
    assert main([*words, "--proposer", "sam2", "--proposer-file", str(folder)]) == 0
    boxes = replace(options.drawn.seeds.boxes, iterations=3, max_side=320)
    same = replace(options, drawn=replace(options.drawn, seeds=replace(options.drawn.seeds, boxes=boxes)))
    expected = Photograph(photo).segment(read_marks(boxes=[BALL]), same)
    np.testing.assert_array_equal(LabelMap.load(mask).labels, expected.mask)
    settings = [f"--drawn.seeds.boxes.proposer_file={folder}", "--drawn.seeds.boxes.proposer=sam2"]
    assert main([*words, "--overwrite", *settings]) == 0
    np.testing.assert_array_equal(LabelMap.load(mask).labels, expected.mask)
    capsys.readouterr()
    assert main([*words, "--overwrite", "--proposer", "sam2"]) == 2
    assert "proposer_file: 'sam2' needs its weights" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--proposer", "sam2", "--proposer-file", str(tmp_path)]) == 2
    assert "has no config.json; give the folder of a checkpoint" in capsys.readouterr().err
    assert main(["page", str(tmp_path), "--proposer-file", str(folder)]) == 2
    assert "has no effect with seeds.boxes.proposer 'grabcut'" in capsys.readouterr().err
    forget_proposers()

"""Whatever a proposer answers: the mask in its box, or the whole box and the reason."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED
from weakseg.data.annotations import Box, Drawn, Point, Scribble
from weakseg.errors import StoreError
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.stages.box_seeds import box_seeds, check_seeds, look_of
from weakseg.stages.proposers.kept import Asked, asked_of, load_answers, load_asked, save_answers
from weakseg.stages.proposers.look import Look
from weakseg.stages.proposers.prompt import Prompt
from weakseg.stages.proposers.proposer import Proposals
from weakseg.stages.proposers.strokes import proposed_strokes

SIZE = (12, 16)
IMAGE = np.random.default_rng(0).integers(0, 255, (*SIZE, 3), dtype=np.uint8)
BOX = Box(1, 2, 3, 7, 11)  # 40 pixels
CONFIG = BoxSeedConfig(proposer="sam2", proposer_file="folder")


@dataclass
class Answers:
    """A proposer whose masks are given, and which remembers what it was asked."""

    masks: NDArray[Any]
    scores: NDArray[Any] | None = None
    side: int = 1024
    asked: list[Any] = field(default_factory=list)
    encoded: int = 0
    takes_points: ClassVar[bool] = True
    needs_rest: ClassVar[bool] = False

    def encode(self, image: NDArray[np.uint8]) -> tuple[int, ...]:
        self.encoded += 1
        return image.shape

    def propose(self, encoded: Any, boxes: Any, points: Any, signs: Any) -> Proposals:
        self.asked.append((boxes, points, signs))
        scores = np.arange(self.masks.shape[1])[None] / 10 if self.scores is None else self.scores
        return Proposals(self.masks, scores)


def answers(*columns: slice, size: tuple[int, int] = SIZE, **more: Any) -> Answers:
    masks = np.zeros((1, len(columns), *size), np.bool_)
    for mask, inside in zip(masks[0], columns, strict=True):
        mask[:, inside] = True
    return Answers(masks, **more)


def asked(proposer: Answers, *boxes: Box, marks: Drawn | None = None, config: BoxSeedConfig = CONFIG) -> Any:
    look = Look(IMAGE, config, lambda: proposer)
    return box_seeds(boxes or (BOX,), IMAGE, config, marks=marks, look=look)


def test_a_mask_is_cut_by_its_box() -> None:
    seeds = asked(answers(slice(0, 6)))
    expected = np.zeros(SIZE, np.bool_)
    expected[2:7, 3:6] = True
    np.testing.assert_array_equal(seeds.segments[0], expected)
    assert seeds.failures == ("",)
    np.testing.assert_array_equal(seeds.complete().labels, expected)


@pytest.mark.parametrize(
    ("proposer", "failure", "trouble"),
    [
        (answers(slice(0, 3)), "empty", ""),
        (answers(slice(13, 16)), "empty", ""),
        (answers(slice(0, 16)), "full", ""),
        (answers(slice(0, 5)), "", ""),
        (answers(), "empty", "no mask was proposed"),
        (answers(slice(0, 6), size=(6, 8)), "error", r"masks of size \(6, 8\), the image is \(12, 16\)"),
        (answers(slice(0, 6), scores=np.array([[np.nan]])), "error", "not finite"),
        (answers(slice(0, 6), scores=np.array([0.5])), "error", "for one prompt"),
        (Answers(np.full((1, 1, *SIZE), np.nan, np.float32)), "error", "not finite"),
        (Answers(np.zeros((0, 3, *SIZE), np.bool_), np.zeros((0, 3))), "error", "for one prompt"),
        (Answers(np.zeros(SIZE, np.bool_), np.zeros(1)), "error", "for one prompt"),
    ],
)
def test_answers_that_are_no_evidence(proposer: Answers, failure: str, trouble: str) -> None:
    seeds = asked(proposer)
    assert seeds.failures == (failure,)
    assert seeds.segments.sum() == (40 if failure else 10)
    (answer,) = seeds.found.values()
    assert bool(answer.trouble) == bool(trouble)
    if failure:
        assert (check_seeds(seeds, None).labels[2:7, 3:11] == UNDECIDED).all()
        doubt = asked_of(seeds.found).doubt("sam2")
        assert doubt.startswith(f"sam2 has no mask for 1 of 1 objects ({failure}: 1")
        assert re.search(trouble, doubt)


def test_too_small_a_mask() -> None:
    """5 of 40 pixels are less than 0.15 of the box."""
    assert asked(answers(slice(3, 4)), config=CONFIG).failures == ("small",)


def test_an_answer_that_can_be_used_is_preferred() -> None:
    seeds = asked(answers(slice(4, 8), slice(0, 16)))  # the second one, which is the whole box, has the higher score
    assert seeds.failures == ("",) and seeds.segments.sum() == 20


def test_marks_choose() -> None:
    point, line = Point(1, 4.5, 4.5), Scribble(0, ((3.5, 8.5), (5.5, 8.5)))
    proposer = answers(slice(3, 7), slice(3, 10), slice(7, 11))
    assert asked(proposer).segments[0][4].nonzero()[0].tolist() == [7, 8, 9, 10]  # the best score
    found = asked(proposer, marks=Drawn(points=(point,)))
    assert found.segments[0][4].nonzero()[0].tolist() == [3, 4, 5, 6, 7, 8, 9]
    found = asked(proposer, marks=Drawn(points=(point,), scribbles=(line,)))
    assert found.segments[0][4].nonzero()[0].tolist() == [3, 4, 5, 6]


def test_what_a_proposer_is_told() -> None:
    marks = Drawn(points=(Point(1, 4.5, 4.5), Point(2, 5.2, 9.9), Point(2, 11.5, 15.5)))
    told = answers(slice(0, 6))
    asked(told, BOX, marks=marks)
    ((boxes, points, signs),) = told.asked
    assert boxes.tolist() == [[2, 3, 7, 11]] and points.tolist() == [[[4, 4], [5, 9]]] and signs.tolist() == [[1, 0]]
    alone = answers(slice(0, 6))
    asked(alone, BOX, marks=marks, config=BoxSeedConfig(proposer="sam2", proposer_file="folder", prompts="boxes"))
    ((boxes, points, signs),) = alone.asked
    assert boxes is not None and points is None and signs is None


def test_an_image_is_encoded_once_and_boxes_are_asked_once() -> None:
    proposer = answers(slice(0, 6))
    look = Look(IMAGE, CONFIG, lambda: proposer)
    first = box_seeds([BOX, Box(2, 0, 0, 6, 9)], IMAGE, CONFIG, look=look)
    assert proposer.encoded == 1 and len(proposer.asked) == 2
    more = [BOX, Box(2, 0, 0, 6, 9), Box(3, 6, 0, 12, 9)]
    again = box_seeds(more, IMAGE, CONFIG, known=first, look=look)
    assert proposer.encoded == 1 and len(proposer.asked) == 3
    np.testing.assert_array_equal(again.segments[:2], first.segments)
    box_seeds(more, IMAGE, CONFIG, known=again, look=look, marks=Drawn(points=(Point(1, 4.5, 4.5),)))
    assert proposer.encoded == 1 and len(proposer.asked) == 5  # the point lies in two of the boxes
    box_seeds([Box(1, 20, 20, 30, 30), Box(1, 0, 0, 1, 2)], IMAGE, CONFIG, look=look)
    assert len(proposer.asked) == 5  # outside, and tiny: nobody needs to be asked


def test_a_box_as_large_as_the_image() -> None:
    """GrabCut needs something around a box; who does not, is asked."""
    assert asked(answers(slice(0, 6)), Box(1, 0, 0, 12, 16)).failures == ("",)


def test_large_images_are_reduced() -> None:
    proposer = answers(slice(0, 3), size=(6, 8), side=8)
    seeds = asked(proposer, marks=Drawn(points=(Point(1, 4.5, 4.5),)))
    ((boxes, points, _),) = proposer.asked
    assert boxes.tolist() == [[1, 1.5, 3.5, 5.5]] and points.tolist() == [[[2, 2]]]
    assert seeds.segments[0][4].nonzero()[0].tolist() == [3, 4, 5]


class TestStrokes:
    DRAWN = Drawn(points=(Point(2, 4.5, 4.5), Point(0, 11.5, 15.5)), scribbles=(Scribble(1, ((8.5, 1.5), (8.5, 5.5))),))

    def test_each_mark_on_an_object_is_a_prompt(self) -> None:
        proposer = answers(slice(0, 6))
        found = proposed_strokes(self.DRAWN, Look(IMAGE, CONFIG, lambda: proposer))
        assert [boxes for boxes, _, _ in proposer.asked] == [None, None] and asked_of(found.found) == Asked(2)
        signs = [signs.tolist() for _, _, signs in proposer.asked]
        assert signs == [[[1] + [0] + [0] * 5], [[1] * 5 + [0, 0]]]
        np.testing.assert_array_equal(np.unique(found.labels.labels[:, 6:]), [UNDECIDED])
        assert found.left(self.DRAWN) == Drawn(points=(Point(0, 11.5, 15.5),))
        proposed_strokes(self.DRAWN, Look(IMAGE, CONFIG, lambda: proposer), known=found)
        assert len(proposer.asked) == 2

    def test_what_has_no_mask_is_left(self) -> None:
        found = proposed_strokes(self.DRAWN, Look(IMAGE, CONFIG, lambda: answers(slice(0, 16))))
        assert asked_of(found.found).failures == {"full": 2} and (found.labels.labels == UNDECIDED).all()
        assert found.left(self.DRAWN) == self.DRAWN


class TestKept:
    def test_answers_come_back(self, tmp_path: Path) -> None:
        boxes = (BOX, Box(2, 0, 0, 12, 9), Box(1, 30, 30, 40, 40))
        found = asked(answers(slice(0, 6), slice(0, 16)), *boxes).found
        save_answers(tmp_path / "x.json", found, SIZE)
        again = load_answers(tmp_path / "x.json", list(found), SIZE)
        assert list(again) == list(found) and load_asked(tmp_path / "x.json") == asked_of(found)
        for prompt, answer in found.items():
            np.testing.assert_array_equal(again[prompt].pixels, answer.pixels)
            assert again[prompt][1:] == answer[1:]
        nobody = look_of(IMAGE, CONFIG, given=again)  # there is no checkpoint: nobody is asked
        np.testing.assert_array_equal(
            box_seeds(boxes, IMAGE, CONFIG, look=nobody).segments, [answer.pixels for answer in found.values()]
        )
        save_answers(tmp_path / "none.json", {}, SIZE)
        assert load_answers(tmp_path / "none.json", [], SIZE) == {}
        with pytest.raises(StoreError, match=r"none\.json: answers 0 objects, the image has 3; delete it"):
            load_answers(tmp_path / "none.json", list(found), SIZE)

    @pytest.mark.parametrize(
        "text",
        [
            "[]",
            "{}",
            '{"size": [12, 16], "objects": [3]}',
            '{"size": [12, 16], "objects": [{"counts": "P4", "failure": "", "trouble": 1}]}',
            '{"size": [12, 16], "objects": [{"counts": "P4", "failure": "odd", "trouble": ""}]}',
            '{"size": [9, 9], "objects": [{"counts": "P4", "failure": "", "trouble": ""}]}',
            '{"size": [12, 16], "objects": [{"counts": "oooooooooo1", "failure": "", "trouble": ""}]}',
            '{"size": [12, 16], "objects": [{"counts": "\\u0105", "failure": "", "trouble": ""}]}',
            '{"size": [12, 16',
        ],
    )
    def test_damaged_files(self, text: str, tmp_path: Path) -> None:
        (tmp_path / "x.json").write_text(text)
        with pytest.raises(StoreError, match=r"x\.json"):
            load_answers(tmp_path / "x.json", [Prompt(1, BOX)], SIZE)

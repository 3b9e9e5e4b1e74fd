"""Which of several masks is an object's, by hand-made cases; and which marks speak of which box."""

from typing import get_args

import numpy as np
import pytest
from numpy.typing import NDArray

from weakseg.data.annotations import Box, Drawn, Point, Region, Scribble
from weakseg.ops.runs import encode_masks
from weakseg.settings.box_seeds import ProposerName
from weakseg.stages.proposers import PROPOSERS
from weakseg.stages.proposers.choose import NoEvidence, chosen, failure_of
from weakseg.stages.proposers.prompt import Prompt, box_prompts, mark_prompts, places_of

SIZE = (6, 8)
LEFT, RIGHT, ALL = slice(0, 4), slice(4, 8), slice(0, 8)


def masks(*columns: slice) -> NDArray[np.bool_]:
    found = np.zeros((len(columns), *SIZE), np.bool_)
    for mask, inside in zip(found, columns, strict=True):
        mask[:, inside] = True
    return found


def pixels(*places: tuple[int, int]) -> NDArray[np.int64]:
    return np.array(places, np.int64)


def test_all_of_the_settings_are_there() -> None:
    assert tuple(PROPOSERS) == get_args(ProposerName)


class TestChoice:
    def test_without_marks_the_highest_score(self) -> None:
        assert chosen(masks(LEFT, RIGHT, ALL), np.array([0.2, 0.9, 0.5])) == 1

    def test_a_mask_on_the_point_beats_one_of_a_higher_score(self) -> None:
        assert chosen(masks(LEFT, RIGHT), np.array([0.1, 0.9]), own=[pixels((2, 1))]) == 0

    def test_a_mask_on_the_point_of_another_class_loses(self) -> None:
        """Both cover the own point; the second one covers the other's, too."""
        found = chosen(masks(LEFT, ALL), np.array([0.1, 0.9]), own=[pixels((2, 1))], others=[pixels((2, 6))])
        assert found == 0
        assert chosen(masks(ALL, RIGHT), np.array([0.9, 0.1]), others=[pixels((2, 1))]) == 1

    def test_of_equal_agreement_the_score_decides_then_the_order(self) -> None:
        own = [pixels((2, 1))]
        assert chosen(masks(LEFT, ALL), np.array([0.3, 0.4]), own=own) == 1
        assert chosen(masks(LEFT, ALL), np.array([0.4, 0.4]), own=own) == 0

    def test_a_point_counts_as_much_as_a_scribble(self) -> None:
        """Agreement of the first: (1 + 0) / 2; of the second: (0 + 3 / 4) / 2."""
        own = [pixels((0, 6)), pixels((3, 0), (3, 1), (3, 2), (3, 4))]
        assert chosen(masks(slice(5, 8), LEFT), np.array([0.1, 0.9]), own=own) == 0

    def test_parts_of_a_scribble_count_as_parts(self) -> None:
        """Of the scribble's pixels the first mask covers 1 / 2, the second 1 / 4 and a point of another class."""
        line = pixels(*[(1, column) for column in range(8)])
        assert chosen(masks(slice(6, 8), LEFT), np.array([0.9, 0.1]), own=[line]) == 1
        assert chosen(masks(LEFT, ALL), np.array([0.1, 0.9]), own=[line], others=[pixels((5, 7))]) == 0

    def test_what_is_no_evidence_comes_last(self) -> None:
        failures: list[NoEvidence] = ["full", "", "empty"]
        assert chosen(masks(ALL, LEFT, RIGHT), np.array([0.9, 0.1, 0.5]), failures=failures) == 1
        assert chosen(masks(ALL, LEFT), np.array([0.1, 0.9]), failures=["full", "small"]) == 1

    @pytest.mark.parametrize(
        ("columns", "failure"), [(slice(0), "empty"), (slice(0, 1), "small"), (LEFT, ""), (ALL, "full")]
    )
    def test_failures(self, columns: slice, failure: NoEvidence) -> None:
        assert failure_of(masks(columns)[0], masks(ALL)[0], least=0.15) == failure


class TestPrompts:
    SMALL, LARGE, OTHER = Box(1, 0, 0, 3, 4), Box(1, 0, 0, 6, 6), Box(2, 3, 3, 6, 8)

    def test_marks_are_of_the_smallest_box_of_their_class(self) -> None:
        inner, outer, strange = Point(1, 1.5, 1.5), Point(1, 4.5, 1.5), Point(2, 4.5, 4.5)
        places = places_of(Drawn(points=(inner, outer, strange)), SIZE)
        small, large, other = box_prompts([self.SMALL, self.LARGE, self.OTHER], places, SIZE)
        assert small == Prompt(1, self.SMALL, (inner,), ())
        assert large == Prompt(1, self.LARGE, (outer,), (strange,))
        assert other == Prompt(2, self.OTHER, (strange,), ())

    def test_a_background_mark_is_against_every_box(self) -> None:
        rest = Point(0, 1.5, 1.5)
        (prompt,) = box_prompts([self.LARGE], places_of(Drawn(points=(rest,)), SIZE), SIZE)
        assert prompt.own == () and prompt.others == (rest,)

    def test_a_scribble_counts_in_its_box_alone(self) -> None:
        line = Scribble(1, ((1.5, 1.5), (1.5, 7.5)))
        places = places_of(Drawn(scribbles=(line,)), SIZE)
        assert len(places[line]) == 7
        (prompt,) = box_prompts([self.SMALL], places, SIZE)
        found = prompt.points(places, SIZE)
        assert found is not None
        np.testing.assert_array_equal(found[0], [[1, 1], [1, 2], [1, 3]])
        np.testing.assert_array_equal(found[1], [1, 1, 1])

    def test_long_marks_become_few_points(self) -> None:
        painted = np.zeros((1, *SIZE), np.bool_)
        painted[0, 2:5] = True
        stroke, rest = Region(2, SIZE, encode_masks(painted)[0]), Scribble(0, ((0.5, 0.5), (0.5, 7.5)))
        places = places_of(Drawn(scribbles=(rest,), strokes=(stroke,)), SIZE)
        (prompt,) = mark_prompts(places)
        assert prompt == Prompt(2, None, (stroke,), (rest,))
        found = prompt.points(places, SIZE)
        assert found is not None
        points, signs = found
        assert signs.tolist() == [1] * 5 + [0] * 5
        assert all(painted[0, int(row), int(column)] for row, column in points[:5])
        assert (points[5:, 0] == 0).all() and len(np.unique(points[5:, 1])) == 5

    def test_marks_outside_say_nothing(self) -> None:
        assert places_of(Drawn(points=(Point(1, -2, 3), Point(1, 7, 3))), SIZE) == {}
        (prompt,) = box_prompts([self.SMALL], {}, SIZE)
        assert prompt.points({}, SIZE) is None

    def test_of_many_marks_some_are_told(self) -> None:
        """However many there are: each costs the network memory."""
        points = [Point(n % 2 + 1, 0.5 + n % 6, 0.5 + n / 60) for n in range(400)]
        places = places_of(Drawn(points=tuple(points)), SIZE)
        (prompt, *_) = mark_prompts(places)
        found = prompt.points(places, SIZE)
        assert len(prompt.others) == 200 and found is not None and len(found[0]) == 33

"""Cues of masks, by hand, and what is made of them."""

import math

import numpy as np
import pytest
import torch

from weakseg.artifacts import LabelMap, Scores
from weakseg.stages.mask_cues import Looked, mask_cues
from weakseg.stages.reliability import EMPTY, REASONS, REGRESSIONS, RUN_REGRESSIONS, Reliability, reliability_of

SIZE = (40, 60)


def looked(mask: np.ndarray, seeds: np.ndarray | None = None, plain: Scores | None = None) -> Looked:
    """A red square on green, with some mask of it."""
    image = np.zeros((*SIZE, 3), np.uint8)
    image[..., 1] = 160
    image[10:30, 20:40] = (200, 0, 0)
    return Looked(image, LabelMap(mask), LabelMap(mask if seeds is None else seeds), plain)


def square(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(SIZE, np.uint8)
    mask[top:bottom, left:right] = 1
    return mask


class TestCues:
    def test_shares_by_hand(self) -> None:
        mask = square(0, 10, 0, 6)
        mask[20:30, 50:52] = 1
        seeds = square(0, 10, 0, 3)
        found = mask_cues(1, looked(mask, seeds))
        assert found["area"] == 80 / 2400
        assert found["whole"] == 60 / 80 and found["kept"] == 30 / 80
        assert found["frame"] == pytest.approx(16 / 200)  # 6 above and 10 at the left, of 60 + 60 + 40 + 40
        assert "smooth" not in found

    def test_what_the_crf_changed(self) -> None:
        values = torch.zeros(2, *SIZE)
        values[0] = 0.4
        values[1, :10, :10] = 0.6
        found = mask_cues(1, looked(square(0, 10, 0, 20), plain=Scores(values, (0, 1), SIZE)))
        assert found["smooth"] == 0.5

    def test_the_true_mask_differs_in_colour_from_what_is_around_it_and_a_wrong_one_does_not(self) -> None:
        right, wrong = (mask_cues(1, looked(square(*at)))["colour"] for at in ((10, 30, 20, 40), (0, 8, 0, 15)))
        assert right > 3 and wrong == pytest.approx(math.log(0.05))

    def test_labels_before_the_crf_and_seeds_that_decide_in_part(self) -> None:
        photo, before = looked(square(0, 10, 0, 20)), LabelMap(square(0, 10, 0, 10))
        seeds = np.full(SIZE, 255, np.uint8)
        seeds[:10, :15], seeds[:10, 15:18] = 1, 0
        found = mask_cues(1, Looked(photo.image, photo.mask, LabelMap(seeds), before))
        assert (found["smooth"], found["kept"], found["agreed"]) == (0.5, 0.75, 150 / 180)
        assert not {"kept", "agreed"} & mask_cues(1, Looked(photo.image, photo.mask)).keys()

    @pytest.mark.parametrize("mask", [square(0, 0, 0, 0), np.ones(SIZE, np.uint8)])
    def test_nothing_and_everything_are_finite(self, mask: np.ndarray) -> None:
        assert all(math.isfinite(value) for value in mask_cues(1, looked(mask)).values())
        assert all(math.isfinite(value) for value in mask_cues(7, looked(mask)).values())


class TestReliability:
    @pytest.mark.parametrize("source", REGRESSIONS)
    def test_usual_cues_have_the_usual_odds_and_missing_ones_are_usual(self, source: str) -> None:
        usual = {name: mean for name, (mean, _, _) in REGRESSIONS[source].cues.items()}  # type: ignore[index]
        expected = 1 / (1 + math.exp(-REGRESSIONS[source].bias))  # type: ignore[index]
        for cues in (usual, {}):
            found = reliability_of(source, cues)  # type: ignore[arg-type]
            assert found == Reliability(pytest.approx(expected), ())

    def test_what_speaks_against_it_is_said_the_weightiest_first(self) -> None:
        found = reliability_of("points", {"colour": -3.0, "kept": 0.6, "whole": 0.95, "smooth": 0.86, "frame": 0.04})
        assert found.value < 0.1 and found.reasons == (REASONS["colour"][0], REASONS["kept"][0])
        assert found.doubt("cat").startswith("the mask of 'cat' is doubtful (reliability 0.0")
        better = reliability_of("points", {"colour": 1.5, "kept": 0.97, "whole": 1.0, "smooth": 0.95, "frame": 0.0})
        assert better.value > 0.75 and not better.reasons and not better.doubt("cat")

    def test_a_strange_cue_is_bounded(self) -> None:
        one, other = (reliability_of("boxes", {"colour": value}).value for value in (-1e9, -2.6))
        assert one == pytest.approx(other, abs=0.01) and one > 0.02

    def test_a_mask_of_nothing(self) -> None:
        cues = mask_cues(1, looked(square(0, 0, 0, 0)))
        assert reliability_of("boxes", cues) == Reliability(0.0, (EMPTY,))

    def test_a_small_mask_is_not_said_to_be_empty(self) -> None:
        assert EMPTY not in reliability_of("boxes", mask_cues(1, looked(square(5, 6, 5, 6)))).reasons

    def test_every_cue_that_lowers_the_odds_has_words(self) -> None:
        for regression in (*REGRESSIONS.values(), *RUN_REGRESSIONS.values()):
            for name, (_, deviation, weight) in regression.cues.items():
                assert deviation > 0 and REASONS[name][weight < 0]

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.labels import background_score, best_label, merge_confident

SIZE = (4, 5)
label_maps = hnp.arrays(np.uint8, SIZE, elements=st.integers(0, 4)).map(torch.from_numpy)
score_stacks = st.integers(1, 4).flatmap(
    lambda classes: hnp.arrays(np.float32, (classes, *SIZE), elements=st.floats(0, 1, width=32)).map(torch.from_numpy)
)


def labels_at(scores: Tensor, kind: str, value: float) -> Tensor:
    stack = torch.cat([background_score(scores, kind, value), scores])  # type: ignore[arg-type]
    return best_label(stack, tuple(range(len(stack))))


class TestBackgroundScore:
    def test_threshold_is_constant(self) -> None:
        found = background_score(torch.rand(3, 2, 2), "threshold", 0.3)
        torch.testing.assert_close(found, torch.full((1, 2, 2), 0.3), rtol=0, atol=0)

    def test_power_by_hand(self) -> None:
        scores = torch.tensor([[[0.5, 0.0, 1.0]], [[0.2, 0.0, 0.9]]])
        torch.testing.assert_close(background_score(scores, "power", 4), torch.tensor([[[0.0625, 1.0, 0.0]]]))

    @settings(max_examples=40)
    @given(score_stacks)
    def test_none_never_wins(self, scores: Tensor) -> None:
        assert labels_at(scores, "none", 0.0).min() >= 1

    @pytest.mark.parametrize("kind", ["threshold", "power"])
    def test_without_classes_all_is_background(self, kind: str) -> None:
        found = labels_at(torch.zeros(0, *SIZE), kind, 0.5)
        torch.testing.assert_close(found, torch.zeros(SIZE, dtype=torch.uint8))

    def test_a_class_that_is_the_background_is_the_callers(self) -> None:
        with pytest.raises(ShapeError, match="with kind 'class' the activation of that class is the score"):
            background_score(torch.rand(3, 2, 2), "class", 0.5)

    def test_saliency_is_the_callers(self) -> None:
        with pytest.raises(ShapeError, match="with kind 'saliency' the score is 1 less a map"):
            background_score(torch.zeros(1, 2, 2), "saliency", 0.0)

    def test_rank_is_checked(self) -> None:
        with pytest.raises(ShapeError, match=r"scores: expected shape \(K, h, w\), got \(2, 2\)"):
            background_score(torch.rand(2, 2), "threshold", 0.5)

    @settings(max_examples=60)
    @given(st.sampled_from([(4, 0.27551), (16, 0.12283), (24, 0.09387), (32, 0.07700)]), score_stacks)
    def test_a_power_equals_a_threshold(self, root: tuple[int, float], scores: Tensor) -> None:
        # Cam card, 2.4 and oracle 12: the root of t = (1 - t)^alpha, for any number of classes.
        alpha, threshold = root
        assert threshold == pytest.approx((1 - threshold) ** alpha, rel=2e-3)
        away_from_the_root = (scores.amax(0) - threshold).abs() > 1e-5
        by_power, by_threshold = labels_at(scores, "power", alpha), labels_at(scores, "threshold", threshold)
        assert by_power[away_from_the_root].equal(by_threshold[away_from_the_root])

    @settings(max_examples=40)
    @given(score_stacks)
    def test_foreground_shrinks_as_the_threshold_rises(self, scores: Tensor) -> None:
        # Cam card, oracle 11; the foreground of a higher threshold is part of that of a lower one, class by class.
        maps = [labels_at(scores, "threshold", step / 10) for step in range(11)]
        for lower, higher in itertools.pairwise(maps):
            assert ((higher == 0) | (higher == lower)).all()


class TestBestLabel:
    def test_ids_stand_for_the_maps(self) -> None:
        stack = torch.tensor([[[0.1, 0.9, 0.0]], [[0.5, 0.2, 0.1]], [[0.2, 0.3, 0.4]]])
        found = best_label(stack, (0, 3, 7))
        torch.testing.assert_close(found, torch.tensor([[3, 0, 7]], dtype=torch.uint8))

    @given(st.integers(2, 6), st.floats(0, 1, width=32))
    def test_the_first_of_equal_maps_wins(self, maps: int, value: float) -> None:
        # Cam card, oracle 7: M = t is background.
        found = best_label(torch.full((maps, *SIZE), value), tuple(range(maps)))
        torch.testing.assert_close(found, torch.zeros(SIZE, dtype=torch.uint8))

    @settings(max_examples=40)
    @given(score_stacks)
    def test_equals_numpy(self, stack: Tensor) -> None:
        expected = np.argmax(stack.numpy(), axis=0).astype(np.uint8)
        np.testing.assert_array_equal(best_label(stack, tuple(range(len(stack)))).numpy(), expected)


class TestMergeConfident:
    def test_table(self) -> None:
        # irnet.md, 2.4 (oracle 8): F = c, any G -> c; F = 0, G = 0 -> 0; F = 0, G = c -> 255.
        strict = torch.tensor([[2, 2, 2, 0, 0]], dtype=torch.uint8)
        lenient = torch.tensor([[2, 0, 1, 0, 1]], dtype=torch.uint8)
        expected = torch.tensor([[2, 2, 2, 0, 255]], dtype=torch.uint8)
        torch.testing.assert_close(merge_confident(strict, lenient), expected)

    @given(label_maps)
    def test_a_map_with_itself_is_itself(self, labels: Tensor) -> None:
        assert merge_confident(labels, labels).equal(labels)

    @settings(max_examples=40)
    @given(label_maps, label_maps)
    def test_every_pixel_follows_the_table(self, strict: Tensor, lenient: Tensor) -> None:
        copies = strict.clone(), lenient.clone()
        found = merge_confident(strict, lenient)
        for merged, f, g in zip(*(m.flatten().tolist() for m in (found, strict, lenient)), strict=True):
            assert merged == (f or (255 if g else 0))
        assert found.dtype == torch.uint8
        assert strict.equal(copies[0])
        assert lenient.equal(copies[1])

    @settings(max_examples=40)
    @given(score_stacks, st.floats(0, 1), st.floats(0, 1))
    def test_thresholds_leave_undecided_what_lies_between_them(self, scores: Tensor, one: float, other: float) -> None:
        low, high = sorted((one, other))
        found = merge_confident(labels_at(scores, "threshold", high), labels_at(scores, "threshold", low))
        top = scores.amax(0)
        between = (top > torch.tensor(low)) & (top <= torch.tensor(high))
        assert (found == 255).equal(between)

    def test_sizes_must_agree(self) -> None:
        with pytest.raises(ShapeError, match=r"foreground is \(4, 5\) but background is \(5, 4\)"):
            merge_confident(torch.zeros(4, 5, dtype=torch.uint8), torch.zeros(5, 4, dtype=torch.uint8))

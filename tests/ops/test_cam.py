import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.cam import class_features, grid_size, merge_evidence, normalize_evidence
from weakseg.ops.resample import resize_maps


def evidence(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@each(
    ("image_size", "stride", "expected"),
    [
        ((375, 500), 4, (94, 125)),  # cam card, oracle 6
        ((281, 500), 4, (71, 125)),
        ((375, 500), 16, (24, 32)),
        ((1, 1), 4, (1, 1)),
        ((8, 9), 8, (1, 2)),
        ((5, 7), 1, (5, 7)),
    ],
)
def test_grid_sizes(image_size: tuple[int, int], stride: int, expected: tuple[int, int]) -> None:
    assert grid_size(image_size, stride) == expected


class TestMergeEvidence:
    def test_one_scale_by_hand(self) -> None:
        # [1, 2] plus the mirror of [3, 4] = [5, 5]; size unchanged.
        pair = torch.tensor([[[[1.0, 2.0]]], [[[3.0, 4.0]]]])
        torch.testing.assert_close(merge_evidence([pair], (1, 2)), torch.tensor([[[5.0, 5.0]]]))

    def test_scales_are_summed_after_resizing(self) -> None:
        maps = [evidence(2, 3, 5, 7), evidence(2, 3, 10, 14, seed=1), evidence(2, 3, 1, 1, seed=2)]
        expected = sum(resize_maps(pair[0] + pair[1].flip(-1), (6, 8)) for pair in maps)
        torch.testing.assert_close(merge_evidence(maps, (6, 8)), expected)

    def test_mirror_before_resizing_is_mirror_after(self) -> None:
        # Cam card, section 6, equality iii.
        pair = evidence(2, 3, 5, 7)
        late = resize_maps(pair[0], (9, 12)) + resize_maps(pair[1], (9, 12)).flip(-1)
        torch.testing.assert_close(merge_evidence([pair], (9, 12)), late)

    def test_mirrored_image_gives_mirrored_maps(self) -> None:
        # Oracle 4: of the mirror image, the evidence comes in the other order.
        pairs = [evidence(2, 3, 5, 7), evidence(2, 3, 8, 11, seed=1)]
        swapped = [pair.flip(0) for pair in pairs]
        torch.testing.assert_close(merge_evidence(swapped, (9, 12)), merge_evidence(pairs, (9, 12)).flip(-1))

    def test_no_class_gives_no_map(self) -> None:
        assert merge_evidence([torch.zeros(2, 0, 5, 7), torch.zeros(2, 0, 9, 9)], (4, 6)).shape == (0, 4, 6)

    def test_a_map_without_its_mirror_axis_is_named(self) -> None:
        with pytest.raises(ShapeError, match=r"maps\[1\]: expected shape \(2, K, h, w\), got \(3, 5, 7\)"):
            merge_evidence([evidence(2, 3, 5, 7), evidence(3, 5, 7)], (5, 7))

    def test_inputs_are_left_alone(self) -> None:
        pair = evidence(2, 3, 5, 7)
        copy = pair.clone()
        merge_evidence([pair], (5, 7))
        torch.testing.assert_close(pair, copy, rtol=0, atol=0)


class TestNormalizeEvidence:
    """Cam card, oracles 3 and 5."""

    def test_by_hand(self) -> None:
        maps = torch.tensor([[[0.0, 1.0, 4.0]], [[0.0, 0.0, 1e-5]]], dtype=torch.float64)
        expected = torch.tensor([[[0.0, 1 / 4.00001, 4 / 4.00001]], [[0.0, 0.0, 0.5]]], dtype=torch.float64)
        torch.testing.assert_close(normalize_evidence(maps), expected)

    @settings(max_examples=40)
    @given(st.integers(1, 4), st.floats(0, 1e4), st.integers(0, 99))
    def test_peaks(self, classes: int, top: float, seed: int) -> None:
        maps = top * evidence(classes, 3, 4, seed=seed).double()
        found, peak = normalize_evidence(maps), maps.amax((1, 2))
        torch.testing.assert_close(found.amax((1, 2)), peak / (peak + 1e-5))
        assert found.min() >= 0
        assert found.max() < 1

    def test_large_float32_evidence_does_not_exceed_one(self) -> None:
        assert normalize_evidence(torch.full((1, 1, 1), 3e4)).item() <= 1

    def test_a_map_of_zeros_stays_zero(self) -> None:
        found = normalize_evidence(torch.stack([torch.zeros(3, 4), evidence(3, 4)]))
        torch.testing.assert_close(found[0], torch.zeros(3, 4), rtol=0, atol=0)

    def test_no_class_gives_no_map(self) -> None:
        assert normalize_evidence(torch.zeros(0, 4, 6)).shape == (0, 4, 6)

    def test_classes_do_not_touch_each_other(self) -> None:
        maps = evidence(3, 4, 5)
        torch.testing.assert_close(normalize_evidence(maps)[1:2], normalize_evidence(maps[1:2]), rtol=0, atol=0)

    def test_rank_is_checked(self) -> None:
        with pytest.raises(ShapeError, match=r"evidence: expected shape \(K, h, w\), got \(4, 5\)"):
            normalize_evidence(evidence(4, 5))


class TestClassFeatures:
    def test_equals_the_broadcast_definition(self) -> None:
        # recam.md, oracle 2
        masks, features = evidence(2, 3, 4, 5).double(), evidence(2, 6, 4, 5, seed=1).double()
        expected = (masks[:, :, None] * features[:, None]).mean((3, 4))
        torch.testing.assert_close(class_features(masks, features), expected, rtol=0, atol=1e-12)

    def test_no_class_and_no_image(self) -> None:
        assert class_features(torch.zeros(2, 0, 4, 5), evidence(2, 6, 4, 5)).shape == (2, 0, 6)
        assert class_features(torch.zeros(0, 3, 4, 5), evidence(0, 6, 4, 5)).shape == (0, 3, 6)

    @each(
        ("masks", "features", "text"),
        [
            ((3, 4, 5), (1, 6, 4, 5), r"masks: expected shape \(B, P, h, w\)"),
            ((1, 3, 4, 5), (6, 4, 5), r"features: expected shape \(B, C, h, w\)"),
            ((1, 3, 4, 5), (1, 6, 5, 4), r"masks is \(1, 4, 5\) but features is \(1, 5, 4\)"),
            ((1, 3, 4, 5), (2, 6, 4, 5), r"masks is \(1, 4, 5\) but features is \(2, 4, 5\)"),
        ],
    )
    def test_sizes_are_checked(self, masks: tuple[int, ...], features: tuple[int, ...], text: str) -> None:
        with pytest.raises(ShapeError, match=text):
            class_features(evidence(*masks), evidence(*features))

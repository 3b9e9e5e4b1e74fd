import math
from typing import get_args

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

import dense_reference as dense
from cases import assert_exact, each
from weakseg.nn.losses import (
    boundary_loss,
    floored,
    focal_loss,
    integral_loss,
    map_loss,
    reactivation_loss,
    seeding_loss,
    segmentation_loss,
    tag_loss,
)
from weakseg.settings.segment import SegmentConfig, SegmentLoss

NAN = math.nan
LN2 = math.log(2)
KINDS = get_args(SegmentLoss)


def random_logits(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class TestFocalLoss:
    @each(
        ("logit", "target", "expected"),
        [(0.0, 1.0, 0.173287), (2.0, 1.0, 0.00180356), (-1.0, 0.0, 0.0226581), (2.0, 0.0, 1.650078)],
    )
    def test_exact_values(self, logit: float, target: float, expected: float) -> None:
        # grm.md, oracle 10
        found = focal_loss(torch.tensor([[logit]], dtype=torch.float64), torch.tensor([[target]]))
        assert found.item() == pytest.approx(expected, rel=5e-6)

    @each("gamma", [0.0, 0.5, 2.0, 5.0])
    def test_the_weight_has_no_gradient(self, gamma: float) -> None:
        # grm.md, oracle 10: (1 - p_t)^gamma (sigma - y) / (B M); unknown tags count nothing
        logits, targets = random_logits(3, 4).requires_grad_(), (random_logits(3, 4, seed=1) > 0).double()
        targets[0, 0] = NAN
        (gradient,) = torch.autograd.grad(focal_loss(logits, targets, gamma), logits)
        probs = logits.sigmoid()
        true = torch.where(targets == 1, probs, 1 - probs)
        expected = (1 - true) ** gamma * (probs - targets) / 11
        assert_exact(gradient, torch.nan_to_num(expected), atol=1e-10)

    def test_without_gamma_it_is_the_loss_of_tags(self) -> None:
        logits, targets = random_logits(3, 4), (random_logits(3, 4, seed=1) > 0).double()
        assert_exact(focal_loss(logits, targets, 0.0), tag_loss(logits, targets))

    def test_what_is_known_already_and_what_nobody_knows(self) -> None:
        logits = torch.tensor([[1e4, -1e4, 0.0]], requires_grad=True)
        for targets in (torch.tensor([[1.0, 0.0, NAN]]), torch.full((1, 3), NAN)):
            loss = focal_loss(logits, targets)
            (gradient,) = torch.autograd.grad(loss, logits)
            assert loss.item() == 0 and float(gradient.abs().max()) == 0


class TestTagLoss:
    def test_exact_values(self) -> None:
        # -ln sigmoid(0) = ln 2; -ln(1 - sigmoid(0)) = ln 2; -ln sigmoid(2) = ln(1 + e^-2) = .126928.
        assert tag_loss(torch.zeros(2, 3), torch.tensor([[0.0, 1, 0], [1, 1, 0]])).item() == pytest.approx(LN2)
        assert tag_loss(torch.tensor([[2.0, -2.0]]), torch.tensor([[1.0, 0.0]])).item() == pytest.approx(
            0.126928, abs=1e-6
        )
        assert tag_loss(torch.tensor([[2.0, -2.0]]), torch.tensor([[0.0, 1.0]])).item() == pytest.approx(
            2.126928, abs=1e-6
        )

    def test_equals_the_soft_margin_loss_where_all_is_known(self) -> None:
        logits, targets = random_logits(5, 4), (random_logits(5, 4, seed=1) > 0).double()
        assert_exact(tag_loss(logits, targets), F.multilabel_soft_margin_loss(logits, targets))

    def test_unknown_tags_have_no_loss_and_no_gradient(self) -> None:
        logits = random_logits(1, 3).requires_grad_()
        loss = tag_loss(logits, torch.tensor([[1.0, NAN, 0.0]]))
        assert_exact(loss, tag_loss(logits[:, [0, 2]], torch.tensor([[1.0, 0.0]])))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient[0, 1] == 0
        # d/dz of binary cross-entropy is sigmoid(z) - t, over two known tags.
        expected = (logits.sigmoid() - torch.tensor([[1.0, 0.0, 0.0]]))[:, [0, 2]] / 2
        assert_exact(gradient[:, [0, 2]], expected)

    def test_nothing_known(self) -> None:
        logits = random_logits(2, 3).requires_grad_()
        loss = tag_loss(logits, torch.full((2, 3), NAN))
        loss.backward()
        assert loss.item() == 0
        assert logits.grad is not None
        assert logits.grad.abs().max() == 0

    def test_extreme_logits_stay_finite(self) -> None:
        logits = torch.tensor([[1e4, -1e4]], requires_grad=True)
        loss = tag_loss(logits, torch.tensor([[0.0, NAN]]))
        loss.backward()
        assert loss.item() == pytest.approx(1e4)
        assert logits.grad is not None
        assert torch.isfinite(logits.grad).all()

    def test_targets_are_left_alone(self) -> None:
        targets = torch.tensor([[1.0, NAN]])
        tag_loss(torch.zeros(1, 2), targets)
        assert targets.isnan().tolist() == [[False, True]]


class TestReactivationLoss:
    """recam.md, oracles 3 and 4."""

    def test_equals_the_definition(self) -> None:
        present = torch.tensor([[1, 0, 1, 1], [0, 0, 0, 0], [0, 1, 0, 0]]).bool()
        pairs = [(0, 0), (0, 2), (0, 3), (2, 1)]
        logits = random_logits(4, 4)
        expected = dense.recam_loss(logits, pairs, 3)
        assert reactivation_loss(logits, present).item() == pytest.approx(expected, rel=1e-12)

    def test_a_class_alone_and_one_class(self) -> None:
        uniform = torch.zeros(2, 5)
        assert reactivation_loss(uniform, torch.eye(5)[:2].bool()).item() == pytest.approx(math.log(5))
        assert reactivation_loss(random_logits(3, 1), torch.ones(3, 1).bool()).item() == 0

    def test_nothing_present(self) -> None:
        logits = torch.zeros(0, 3, requires_grad=True)
        loss = reactivation_loss(logits, torch.zeros(2, 3).bool())
        loss.backward()
        assert loss.item() == 0 and logits.grad is not None


class TestSegmentationLoss:
    def test_exact_values(self) -> None:
        # Uniform logits over three labels: ln 3 at each of the two pixels that count.
        labels = torch.tensor([[[0, 2, 255]]])
        assert segmentation_loss(torch.zeros(1, 3, 1, 3), labels).item() == pytest.approx(math.log(3))
        balanced = segmentation_loss(torch.zeros(1, 3, 1, 3), labels, "balanced")
        assert balanced.item() == pytest.approx(2 * math.log(3))

    def test_equals_the_cross_entropy_of_torch(self) -> None:
        logits, labels = (
            random_logits(2, 4, 5, 6),
            torch.randint(0, 4, (2, 5, 6), generator=torch.Generator().manual_seed(0)),
        )
        labels[:, 0] = 255
        expected = F.cross_entropy(logits, labels, ignore_index=255)
        assert_exact(segmentation_loss(logits, labels), expected)

    @pytest.mark.parametrize("kind", KINDS)
    def test_undecided_pixels_have_no_gradient(self, kind: SegmentLoss) -> None:
        # segmentation-stage.md, oracle 3.
        logits = random_logits(1, 3, 2, 4).requires_grad_()
        labels = torch.tensor([[[0, 1, 2, 255], [255, 0, 1, 1]]])
        (gradient,) = torch.autograd.grad(segmentation_loss(logits, labels, kind), logits)
        touched = gradient.abs().amax(1) > 0
        assert_exact(touched, labels != 255)

    @pytest.mark.parametrize("kind", KINDS)
    def test_all_undecided(self, kind: SegmentLoss) -> None:
        logits = random_logits(2, 3, 4, 4).requires_grad_()
        loss = segmentation_loss(logits, torch.full((2, 4, 4), 255), kind)
        loss.backward()
        assert loss.item() == 0
        assert logits.grad is not None
        assert logits.grad.abs().max() == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_gradient_equals_finite_differences(self, kind: SegmentLoss) -> None:
        logits = random_logits(1, 3, 2, 2).requires_grad_()
        labels = torch.tensor([[[0, 1], [2, 255]]])
        assert torch.autograd.gradcheck(lambda z: segmentation_loss(z, labels, kind), (logits,))

    def test_labels_out_of_range_are_no_silence(self) -> None:
        with pytest.raises((IndexError, RuntimeError)):
            segmentation_loss(torch.zeros(1, 3, 1, 1), torch.tensor([[[3]]]))


class TestBalanced:
    """segmentation-stage.md, oracle 6."""

    def test_is_the_sum_of_the_two_means(self) -> None:
        logits = random_logits(1, 3, 1, 5)
        labels = torch.tensor([[[0, 0, 0, 1, 2]]])
        losses = F.cross_entropy(logits, labels, reduction="none")[0, 0]
        expected = losses[:3].mean() + losses[3:].mean()
        assert_exact(segmentation_loss(logits, labels, "balanced"), expected)
        assert_exact(segmentation_loss(logits, labels, "balanced_halved"), expected / 2)

    @given(st.integers(1, 6))
    def test_repeated_background_changes_nothing(self, times: int) -> None:
        logits = random_logits(1, 3, 1, 4)
        labels = torch.tensor([[[0, 0, 1, 2]]])
        more = torch.cat([logits] + [logits[..., :2]] * times, -1), torch.cat([labels] + [labels[..., :2]] * times, -1)
        found = segmentation_loss(*more, "balanced")
        assert_exact(found, segmentation_loss(logits, labels, "balanced"))

    def test_equals_twice_the_plain_loss_where_the_means_coincide(self) -> None:
        logits = torch.zeros(1, 4, 3, 3)
        labels = torch.tensor([[[0, 0, 0], [0, 1, 0], [2, 0, 255]]])
        assert_exact(segmentation_loss(logits, labels, "balanced"), 2 * segmentation_loss(logits, labels))

    @pytest.mark.parametrize("label", [0, 2])
    def test_an_empty_half_counts_nothing(self, label: int) -> None:
        logits, labels = random_logits(1, 3, 2, 2), torch.full((1, 2, 2), label)
        found = segmentation_loss(logits, labels, "balanced")
        assert_exact(found, segmentation_loss(logits, labels))


class TestMapLoss:
    def test_on_pixels_logits_are_enlarged(self) -> None:
        logits, labels = random_logits(2, 3, 3, 4), torch.randint(0, 3, (2, 17, 25))
        for corners in (False, True):
            enlarged = F.interpolate(logits, (17, 25), mode="bilinear", align_corners=corners)
            found = map_loss(logits, labels, SegmentConfig(), corners=corners)
            torch.testing.assert_close(found, F.cross_entropy(enlarged, labels))

    def test_on_cells_labels_are_reduced(self) -> None:
        # Pixels in the middle of 2 x 2 cells of 4 x 6 pixels: rows 1 (of 0..1) and 3, columns 1 and 4.
        logits = random_logits(1, 5, 2, 2)
        labels = torch.full((1, 4, 6), 4)
        labels[0, 1, 1], labels[0, 1, 4], labels[0, 3, 1], labels[0, 3, 4] = 0, 1, 2, 255
        found = map_loss(logits, labels, SegmentConfig(loss_on="cells"))
        torch.testing.assert_close(found, F.cross_entropy(logits, torch.tensor([[[0, 1], [2, 255]]]), ignore_index=255))

    def test_reduced_labels_are_labels_that_were_there(self) -> None:
        # segmentation-stage.md, oracle 7. Logits that know every label but 7 as it is: the loss of 7 would be infinite.
        labels = torch.tensor([3, 8, 255])[torch.randint(0, 3, (1, 37, 51))]
        logits = torch.full((1, 9, 5, 7), -1e4)
        logits[:, [3, 8]] = 0.0
        assert map_loss(logits, labels, SegmentConfig(loss_on="cells")).item() == pytest.approx(LN2)


class TestSeededLosses:
    """dgcn.md, oracles 10 to 12 and 16."""

    PROBS = torch.tensor([[0.7, 0.2, 0.1], [0.6, 0.3, 0.1], [0.2, 0.7, 0.1], [0.1, 0.8, 0.1]], dtype=torch.float64)
    LABELS = torch.tensor([0, 0, 1, 1])

    def test_by_hand(self) -> None:
        probs, labels = self.PROBS.T[None, :, None], self.LABELS[None, None]
        assert seeding_loss(probs, labels).item() == pytest.approx(0.433750 + 0.289909, abs=1e-6)
        assert seeding_loss(probs, labels.where(labels == 0, 255)).item() == pytest.approx(0.433750, abs=1e-6)
        more = torch.cat([probs, probs[..., :2], probs[..., :2]], -1), torch.cat([labels, *[labels[..., :2]] * 2], -1)
        assert_exact(seeding_loss(*more), seeding_loss(probs, labels))

    def test_equal_to_the_sums(self) -> None:
        probs = random_logits(3, 4, 3, 2).softmax(1)
        labels = torch.tensor([0, 1, 3, 255])[
            torch.randint(0, 4, (3, 3, 2), generator=torch.Generator().manual_seed(1))
        ]
        labels[1] = 255  # an image of which nothing is known
        labels[2] = labels[2].where(labels[2] == 0, 255)  # and one of background alone
        assert_exact(seeding_loss(probs, labels), dense.seeding_loss(probs, labels))
        refined = random_logits(3, 4, 3, 2, seed=2).mul(3).softmax(1)
        assert_exact(boundary_loss(probs, refined), dense.boundary_loss(probs, refined))

    def test_nothing_labelled_is_nothing_learned(self) -> None:
        logits = random_logits(1, 3, 2, 2).requires_grad_()
        loss = seeding_loss(logits.softmax(1), torch.full((1, 2, 2), 255))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert loss.item() == 0 and gradient.abs().max() == 0

    def test_without_class_cells_the_background_alone_counts(self) -> None:
        logits = random_logits(1, 3, 1, 2).requires_grad_()
        loss = seeding_loss(logits.softmax(1), torch.tensor([[[0, 255]]]))
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient[..., 1].abs().max() == 0 and gradient[0, 0, 0, 0] < 0 and loss.isfinite()

    def test_divergence_by_hand(self) -> None:
        refined, probs = (torch.tensor(v)[None, :, None, None] for v in ([0.9, 0.05, 0.05], [0.6, 0.3, 0.1]))
        assert boundary_loss(probs, refined).item() == pytest.approx(0.240673, abs=1e-6)
        assert boundary_loss(refined, refined).item() == 0
        assert boundary_loss(refined, probs).item() > 0

    def test_the_gradient_is_the_difference(self) -> None:
        logits, other = random_logits(1, 3, 2, 2).requires_grad_(), random_logits(1, 3, 2, 2, seed=4)
        refined = other.div(4).softmax(1)  # no ratio is clipped
        (gradient,) = torch.autograd.grad(boundary_loss(logits.softmax(1), refined), logits)
        assert_exact(gradient, (logits.softmax(1) - refined) / 4)

    def test_ratios_are_clipped(self) -> None:
        probs, refined = (torch.tensor(v)[None, :, None, None] for v in ([0.001, 0.999], [0.5, 0.5]))
        assert boundary_loss(probs, refined).item() == pytest.approx(0.5 * math.log(20) + 0.5 * math.log(0.5 / 0.999))

    def test_no_probability_is_zero(self) -> None:
        # (0 + 1e-4) / (1 + 3e-4)
        found = floored(torch.tensor([1.0, 0.0, 0.0])[None, :, None, None])
        assert found[0, 1].item() == pytest.approx(1e-4 / 1.0003) and found.sum().item() == pytest.approx(1)

    def test_gradients(self) -> None:
        logits, refined = random_logits(2, 3, 2, 2).requires_grad_(), random_logits(2, 3, 2, 2, seed=5).softmax(1)
        labels = torch.tensor([[[0, 1], [255, 2]], [[1, 1], [255, 255]]])
        assert torch.autograd.gradcheck(lambda x: seeding_loss(floored(x.softmax(1)), labels), logits)
        assert torch.autograd.gradcheck(lambda x: boundary_loss(floored(x.softmax(1)), refined), logits)


class TestIntegralLoss:
    def test_scores_of_zero(self) -> None:
        # oaa.md, oracle 10: the mean of the targets times ln 2, plus ln 2; a set that is empty counts nothing
        targets = torch.tensor([[[[0.0, 0.5]], [[0.001, 1.0]]]], dtype=torch.float64)
        scores = torch.zeros_like(targets)
        assert integral_loss(scores, targets).item() == pytest.approx(0.75 * LN2 + LN2)
        assert integral_loss(scores, targets, 0.0).item() == pytest.approx(1.501 / 3 * LN2 + LN2)
        assert integral_loss(scores, torch.ones_like(targets)).item() == pytest.approx(LN2)
        assert integral_loss(scores, torch.zeros_like(targets)).item() == pytest.approx(LN2)
        assert integral_loss(scores, torch.full_like(targets, NAN)).item() == 0

    def test_its_definition(self) -> None:
        scores = random_logits(3, 2, 4, 5)
        targets = torch.rand(3, 2, 4, 5, generator=torch.Generator().manual_seed(1), dtype=torch.float64) - 0.4
        targets = targets.clamp(min=0)
        targets[1, 0, 0] = NAN
        total = 0.0
        for image in range(3):
            sums, counts = [0.0, 0.0], [0, 0]
            for score, target in zip(scores[image].flatten().tolist(), targets[image].flatten().tolist(), strict=True):
                if math.isnan(target):
                    continue
                probability = 1 / (1 + math.exp(-score))
                part = 0 if target > 0.001 else 1
                sums[part] -= target * math.log(probability) if target > 0.001 else math.log(1 - probability)
                counts[part] += 1
            total += sum(value / count for value, count in zip(sums, counts, strict=True)) / 3
        assert integral_loss(scores, targets).item() == pytest.approx(total, rel=1e-12)

    def test_gradients(self) -> None:
        # oaa.md, oracles 10 and 11: -target (1 - sigma) / |pos|; of absent classes sigma / |neg| alone
        scores = random_logits(1, 3, 2, 2).requires_grad_()
        targets = torch.zeros(1, 3, 2, 2, dtype=torch.float64)
        targets[0, 1, 0] = torch.tensor([0.3, 0.9])
        targets[0, 2, 0, 0] = NAN
        (slope,) = torch.autograd.grad(integral_loss(scores, targets), scores)
        sigma = scores.detach().sigmoid()
        expected = sigma / 9
        expected[0, 1, 0] = -targets[0, 1, 0] * (1 - sigma[0, 1, 0]) / 2
        expected[0, 2, 0, 0] = 0
        assert_exact(slope, expected)
        assert torch.autograd.gradcheck(lambda x: integral_loss(x, targets), (scores,))

    def test_large_scores(self) -> None:
        scores = torch.tensor([[[[200.0, -200.0]]]], requires_grad=True)
        (slope,) = torch.autograd.grad(integral_loss(scores, torch.tensor([[[[0.0, 1.0]]]])), scores)
        assert slope.tolist() == [[[[1.0, -1.0]]]]

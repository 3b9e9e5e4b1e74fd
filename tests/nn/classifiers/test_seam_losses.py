"""SEAM's losses."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.classifiers.seam_losses import (
    hardest_mean,
    lowest_mean,
    max_normalized,
    seam_loss,
    second_view,
    with_best,
)
from weakseg.nn.losses import tag_loss
from weakseg.settings.seam import SeamLossConfig

NOTHING = {"equivariance": 0.0, "correlation": 0.0, "low": 0.0}


def images(*size: int) -> Tensor:
    return 255 * torch.rand(size[0], 3, *size[1:], generator=torch.Generator().manual_seed(0))


def tags(count: int = 2) -> Tensor:
    return torch.tensor([[1.0, 0, 0], [1, 0, 1]])[:count]


class TestParts:
    def test_max_normalized(self) -> None:
        # seam.md, oracle 4
        found = max_normalized(torch.tensor([[-1.0, 0, 2, 4]]))
        assert found[0].tolist() == pytest.approx([0, 0, 0.5, 1], abs=1e-5)
        for flat in (torch.full((2, 3), -1.0), torch.full((2, 3), 5.0)):
            assert float(max_normalized(flat).abs().max()) == 0

    def test_the_argument_of_with_best_stays(self) -> None:
        # seam.md, oracle 9
        classes = torch.tensor([0.2, 0.7, 0.4]).reshape(1, 3, 1, 1)
        before = classes.clone()
        assert with_best(classes).flatten().tolist() == pytest.approx([0.3, 0, 0.7, 0])
        assert classes.equal(before)

    def test_hardest(self) -> None:
        # seam.md, oracle 14: floor(.2 * 21 * 134 * 134)
        values = torch.zeros(1, 21, 134, 134)
        values.view(-1)[:75_415] = -1.0
        assert float(hardest_mean(values, 0.2)) == 1
        values.view(-1)[75_414] = 0
        assert float(hardest_mean(values, 0.2)) == pytest.approx(75_414 / 75_415, abs=1e-7)

    def test_lowest(self) -> None:
        values = torch.tensor([[[1.0, 5, 2], [9, 8, 7], [3, 4, 6]], [[0.0] * 3, [8] * 3, [8] * 3]])
        assert float(lowest_mean(values, 0.25)) == pytest.approx((1.5 + 0) / 2)  # two of nine
        assert float(lowest_mean(values[:, :1, :1], 0.25)) == pytest.approx(0.5)  # at least one

    def test_second_view(self) -> None:
        # seam.md, 2.4: corners aligned, 448 pixels become 134.
        view = second_view(images(1, 448, 224), 0.3)
        assert view.shape == (1, 3, 134, 67)
        assert view[..., 0, 0].equal(images(1, 448, 224)[..., 0, 0])
        assert second_view(images(1, 2, 2), 0.3).shape == (1, 3, 1, 1)


def brute_force(large: Tensor, small: Tensor, targets: Tensor) -> float:
    """SEAM's loss of one image, as seam.md, 2.4, says it."""
    count, size = targets.shape[1], (small.shape[2], small.shape[3])
    present = targets[0][:, None, None]
    one = torch.cat([torch.ones(1), targets[0]])[:, None, None]
    cls, low, views = [], [], []
    for maps in (large[0], small[0]):
        raw, refined = maps[:count], maps[count:]
        z = raw.mean((1, 2))
        signs = targets[0] * torch.log(torch.sigmoid(z)) + (1 - targets[0]) * torch.log(1 - torch.sigmoid(z))
        cls.append(-float(signs.mean()))
        ranked = (refined[1:] * present).amax(0).clamp(min=0).flatten().sort().values
        low.append(float(ranked[: int(len(ranked) / 4)].mean()))
        views.append([torch.stack([normal(m) for m in kind]) for kind in (raw, refined)])
    p_o, q_o = (F.interpolate(m[None], size=size, mode="bilinear", align_corners=True)[0] for m in views[0])
    p_o, q_o, p_t, q_t = p_o * present, q_o * one, views[1][0] * present, views[1][1] * one
    loss = sum(cls) / 2 + sum(low) / 2 + float((p_o - p_t).abs().mean())
    for target, found in ((p_t, q_o), (p_o, q_t)):
        hot = torch.cat([1 - target.amax(0, keepdim=True), torch.where(target == target.amax(0), target, 0)])
        ranked = (hot - found).abs().flatten().sort(descending=True).values
        loss += float(ranked[: int(0.2 * len(ranked))].mean())
    return loss


def normal(one: Tensor) -> Tensor:
    one = one.clamp(min=0)
    return (one - one.min() - 1e-5).clamp(min=0) / (one.max() - one.min() + 1e-5)


class TestLoss:
    def test_equals_the_formulas(self) -> None:
        generator = torch.Generator().manual_seed(0)
        large, small = (torch.randn(1, 7, *size, generator=generator) for size in ((20, 30), (6, 9)))
        found = seam_loss(large, small, torch.tensor([[1.0, 0, 1]]), SeamLossConfig())
        assert float(found) == pytest.approx(brute_force(large, small, torch.tensor([[1.0, 0, 1]])), rel=1e-5)

    def test_tags_at_zero(self) -> None:
        # seam.md, oracle 5
        maps = torch.zeros(2, 7, 8, 8)
        assert float(seam_loss(maps, maps, tags(), SeamLossConfig(**NOTHING))) == pytest.approx(math.log(2))
        assert float(tag_loss(torch.zeros(2, 3), tags())) == pytest.approx(0.693147, abs=1e-6)

    def test_equal_views_agree(self) -> None:
        # seam.md, oracle 6: a network that commutes with the transform; refined maps equal to the targets.
        raw = torch.rand(1, 3, 6, 6)
        targets = torch.ones(1, 3)
        refined = with_best(max_normalized(raw))
        maps = torch.cat([raw, refined], 1)
        plain = float(seam_loss(maps, maps, targets, SeamLossConfig(**NOTHING)))
        er = float(seam_loss(maps, maps, targets, SeamLossConfig(**{**NOTHING, "equivariance": 1.0})))
        assert er == pytest.approx(plain, abs=1e-6)
        stable = torch.zeros(1, 3, 6, 6)
        stable[0, 0, :3], stable[0, 1, 3:], stable[0, 2, 0, 0] = 1, 1, 0
        flat = torch.cat([stable, with_best(max_normalized(stable))], 1)
        both = SeamLossConfig(**{**NOTHING, "correlation": 1.0})
        base = float(seam_loss(flat, flat, targets, SeamLossConfig(**NOTHING)))
        assert float(seam_loss(flat, flat, targets, both)) == pytest.approx(base, abs=1e-3)

    def test_a_constant_image_is_seen_alike_in_both_views(self) -> None:
        # seam.md, oracle 6: constant maps become 0.
        maps = torch.full((1, 7, 8, 8), 3.0)
        config = SeamLossConfig(**{**NOTHING, "equivariance": 1.0})
        without = seam_loss(maps, maps[..., :3, :3], torch.ones(1, 3), SeamLossConfig(**NOTHING))
        assert float(seam_loss(maps, maps[..., :3, :3], torch.ones(1, 3), config)) == pytest.approx(float(without))

    def test_unknown_tags(self) -> None:
        maps = torch.randn(1, 7, 8, 8)
        known = seam_loss(maps, maps, torch.tensor([[1.0, float("nan"), 0]]), SeamLossConfig())
        assert torch.isfinite(known)


@pytest.mark.parametrize(
    "change", [{"scale": 1.0}, {"scale": 0.0}, {"hard_fraction": 0.0}, {"low_fraction": 1.1}, {"low": -1.0}]
)
def test_impossible_settings_are_refused(change: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"classifier\.loss\.\w+: need"):
        SeamLossConfig(**change)

"""ReCAM's classifier."""

import math
from dataclasses import asdict
from typing import Any, ClassVar

import pytest
import torch
from contracts import ClassifierContract
from torch import Tensor, nn
from torch.nn import functional as F

import dense_reference as dense
from cases import each
from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import RecamClassifier
from weakseg.nn.classifiers.recam import present_features
from weakseg.nn.losses import reactivation_loss, tag_loss
from weakseg.ops.cam import normalize_evidence
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import build_optimizer

CONFIG = BackboneConfig("resnet10t", 16, "none")
FEATURES = torch.tensor([[[1.0, 0], [2, 1]], [[0, 1], [1, 3]]], dtype=torch.float64)[None]
HEAD = torch.tensor([[1.0, -1], [0, 1]], dtype=torch.float64)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def scores_of(features: Tensor, head: Tensor) -> Tensor:
    return F.conv2d(features, head[:, :, None, None])


def loss_of(features: Tensor, first: Tensor, second: Tensor, targets: Tensor, weight: float) -> Tensor:
    """Return the loss as a function of features and both layers."""
    scores, present = scores_of(features, first), targets == 1
    said = F.linear(present_features(features, scores, present), second)
    return tag_loss(scores.mean((2, 3)), targets) + weight * reactivation_loss(said, present)


class TestContract(ClassifierContract):
    config = CONFIG
    header: ClassVar[dict[str, Any]] = {"kind": "recam-classifier", "backbone": asdict(CONFIG), "convolutions": 1}

    def build(self) -> RecamClassifier:
        return RecamClassifier(build_backbone(self.config), 2, convolutions=1)

    def options(self, count: int) -> dict[str, Any]:
        return {"present": torch.ones(count, 2, dtype=torch.bool)}

    def test_reactivated_needs_the_present_classes(self, model: RecamClassifier) -> None:
        with pytest.raises(ConfigError, match="'reactivated' needs present"):
            model(torch.zeros(1, 3, 32, 32), further=("reactivated",))

    def test_what_the_second_layer_says(self, model: RecamClassifier) -> None:
        images, present = 255 * torch.rand(2, 3, 64, 48), torch.tensor([[False, True], [True, True]])
        with torch.no_grad():
            found = model.eval()(images, further=("reactivated",), present=present).further["reactivated"]
            features = model.convolutions(model.backbone(images))
            rows = dense.recam_features(features, model.head(features), [(0, 1), (1, 0), (1, 1)])
        torch.testing.assert_close(found, rows @ model.reactivation.weight[:, :, 0, 0].T, rtol=1e-4, atol=1e-6)

    def test_weights_of_the_evidence(self, model: RecamClassifier) -> None:
        images = 255 * torch.rand(1, 3, 40, 40)
        with torch.no_grad():
            features = model.eval().convolutions(model.backbone(images))
            first, second = model.head.weight[1:], model.reactivation.weight[1:]
            for name, weight in (("cls", first), ("recam", second), ("product", first * second)):
                model.weights = name  # type: ignore[assignment]
                torch.testing.assert_close(model.evidence(images, (2,)), F.conv2d(features, weight).relu())
        # oracle 7: all ones leave the first layer, and each map's largest value is max / (max + 1e-5).
        ones, maps = nn.Parameter(torch.ones_like(model.reactivation.weight)), model.head(features)[0].relu()
        model.reactivation.weight, kept = ones, model.reactivation.weight
        found = normalize_evidence(model.evidence(images, (1, 2))[0])
        model.reactivation.weight = kept
        peaks = maps.amax((1, 2))
        torch.testing.assert_close(found.amax((1, 2)), peaks / (peaks + 1e-5))

    def test_the_second_layer_learns_as_fast_as_it_is_told(self, model: RecamClassifier) -> None:
        groups = build_optimizer(model, FitConfig(head_lr_factor=2.0)).param_groups
        factors = {id(p): group["factor"] for group in groups for p in group["params"]}
        assert factors[id(model.reactivation.weight)] == 20 and factors[id(model.head.weight)] == 2


class TestPresentFeatures:
    def test_by_hand(self) -> None:
        # recam.md, oracle 1, which lists the numbers by channel
        scores = scores_of(FEATURES, HEAD)
        assert scores[0].relu().tolist() == [[[1, 0], [1, 0]], [[0, 1], [1, 3]]]
        found = present_features(FEATURES, scores, torch.ones(1, 2).bool())
        expected = torch.tensor([[0.74999, 0.25], [0.41667, 0.91666]], dtype=torch.float64)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    def test_equals_the_definition(self) -> None:
        # recam.md, oracle 2: rows in the order of present.nonzero(), however many classes an image shows.
        features, scores = random(3, 5, 4, 3), random(3, 4, 4, 3, seed=1)
        present = torch.tensor([[0, 1, 0, 1], [0, 0, 0, 0], [1, 1, 1, 0]]).bool()
        pairs = [(int(b), int(c)) for b, c in present.nonzero()]
        found = present_features(features, scores, present)
        torch.testing.assert_close(found, dense.recam_features(features, scores, pairs), rtol=0, atol=1e-12)

    def test_absent_classes_get_no_gradient(self) -> None:
        # recam.md, oracle 5
        features, scores = random(2, 5, 4, 3), random(2, 3, 4, 3, seed=1).requires_grad_()
        present = torch.tensor([[1, 0, 0], [0, 1, 1]]).bool()
        said = F.linear(present_features(features, scores, present), random(3, 5, seed=2))
        (slope,) = torch.autograd.grad(reactivation_loss(said, present), scores)
        assert ((slope != 0).flatten(2).any(2) == present).all()

    def test_a_class_without_a_positive_score(self) -> None:
        # recam.md, section 8: its feature is 0, its row log K, the gradient finite.
        features, scores = random(1, 5, 4, 3), (-random(1, 3, 4, 3).abs()).requires_grad_()
        present = torch.tensor([[1, 0, 0]]).bool()
        found = present_features(features, scores, present)
        loss = reactivation_loss(F.linear(found, random(3, 5)), present)
        (slope,) = torch.autograd.grad(loss, scores)
        assert float(found.abs().max()) == 0 and loss.item() == pytest.approx(math.log(3))
        assert torch.isfinite(slope).all()

    @each("present", [torch.zeros(2, 3).bool(), torch.zeros(0, 3).bool()])
    def test_nothing_present(self, present: Tensor) -> None:
        features = random(len(present), 5, 4, 3).requires_grad_()
        rows = present_features(features, features[:, :3], present)
        assert rows.shape == (0, 5)
        reactivation_loss(F.linear(rows, random(3, 5)), present).backward()
        assert features.grad is not None and not features.grad.any()

    def test_a_detached_mask(self) -> None:
        features, scores = random(1, 5, 4, 3).requires_grad_(), random(1, 3, 4, 3, seed=1).requires_grad_()
        present = torch.ones(1, 3).bool()
        found = present_features(features, scores, present, detach_mask=True)
        assert found.equal(present_features(features, scores, present))
        slopes = torch.autograd.grad(found.sum(), (features, scores), allow_unused=True)
        assert slopes[0].any() and slopes[1] is None


class TestLoss:
    targets = torch.tensor([[1.0, 0, 1], [0, 0, 0], [math.nan, 1, 0]], dtype=torch.float64)

    def test_gradients(self) -> None:
        # recam.md, oracle 16; unknown tags are among the targets.
        parts = [random(3, 4, 2, 3), random(3, 4, seed=1), random(3, 4, seed=2)]
        parts = [part.requires_grad_() for part in parts]
        assert torch.autograd.gradcheck(lambda f, w, u: loss_of(f, w, u, self.targets, 0.7), parts)

    def test_without_weight_it_is_the_loss_of_the_tags(self) -> None:
        # recam.md, oracle 6
        features, first = random(3, 4, 2, 3).requires_grad_(), random(3, 4, seed=1).requires_grad_()
        found = torch.autograd.grad(
            loss_of(features, first, random(3, 4, seed=2), self.targets, 0.0), (features, first)
        )
        plain = torch.autograd.grad(tag_loss(scores_of(features, first).mean((2, 3)), self.targets), (features, first))
        for one, other in zip(found, plain, strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-15)

    def test_a_second_layer_of_zeros(self) -> None:
        # recam.md, oracle 3
        features, first = random(3, 4, 2, 3), random(3, 4, seed=1)
        zeros = loss_of(features, first, torch.zeros(3, 4, dtype=torch.float64), self.targets, 1.0)
        plain = tag_loss(scores_of(features, first).mean((2, 3)), self.targets)
        assert (zeros - plain).item() == pytest.approx(2 / 3 * math.log(3))  # the second image shows nothing

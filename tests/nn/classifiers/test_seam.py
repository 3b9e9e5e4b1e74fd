"""SEAM's classifier."""

from dataclasses import asdict
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from contracts import ClassifierContract
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.classifiers import SeamClassifier
from weakseg.nn.classifiers.seam_losses import seam_loss, second_view
from weakseg.nn.models import load_model
from weakseg.nn.weights import save_model
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.seam import SeamLossConfig
from weakseg.stages.seam import siamese_loss


def build(name: str = "resnet10t", stride: int = 8, *, published: bool = False, dropout: float = 0.0) -> SeamClassifier:
    torch.manual_seed(0)
    backbone = build_backbone(BackboneConfig(name, stride, "none"))
    return SeamClassifier(backbone, 3, published=published, dropout=dropout)


def maps_of(model: SeamClassifier, photographs: Tensor, present: Tensor) -> Tensor:
    """Return raw and refined evidence."""
    found = model(photographs, further=("raw", "refined"), present=present).further
    return torch.cat([found["raw"], found["refined"]], 1)


def images(*size: int) -> Tensor:
    return 255 * torch.rand(size[0], 3, *size[1:], generator=torch.Generator().manual_seed(0))


def tags(count: int = 2) -> Tensor:
    return torch.tensor([[1.0, 0, 0], [1, 0, 1]])[:count]


class TestContract(ClassifierContract):
    config = BackboneConfig("resnet10t", 8, "none")
    header: ClassVar[dict[str, Any]] = {"kind": "seam-classifier", "backbone": asdict(config), "published": True}

    def build(self) -> SeamClassifier:
        return SeamClassifier(build_backbone(self.config), 2, published=True)

    def options(self, count: int) -> dict[str, Any]:
        return {"present": torch.ones(count, 2, dtype=torch.bool)}

    def test_whether_it_was_published_so_is_kept(self, model: SeamClassifier, tmp_path: Path) -> None:
        for published in (True, False):
            save_model(
                tmp_path / "m.safetensors", model, {**self.header, "published": published, "classes": ["a", "b"]}
            )
            assert load_model(tmp_path / "m.safetensors", self.builders)[0].published is published

    def test_refined_evidence_is_that_of_tagged_classes(self, model: SeamClassifier) -> None:
        with pytest.raises(ConfigError, match="'refined' needs present"):
            model(images(1, 16, 16), further=("refined",))


class TestGradients:
    """seam.md, oracle 7."""

    def slopes(self, config: SeamLossConfig, *, with_tags: bool) -> dict[str, float]:
        model = build().train()
        targets = tags() if with_tags else torch.full((2, 3), float("nan"))
        views = (images(2, 48, 48), second_view(images(2, 48, 48), 0.5))
        maps = [F.interpolate(maps_of(model, view, tags() == 1), size=view.shape[2:]) for view in views]
        if not with_tags:  # only the tags' loss is taken away: the rest needs to know them
            maps = [torch.cat([m[:, :3] - (m[:, :3].mean((2, 3), keepdim=True)), m[:, 3:]], 1) for m in maps]
            targets = tags()
        seam_loss(maps[0], maps[1], targets, config).backward()
        return {n: 0.0 if p.grad is None else float(p.grad.abs().max()) for n, p in model.named_parameters()}

    def test_correlation_and_low_reach_the_module_alone(self) -> None:
        # Centring the raw maps takes the derivative of l_cls, which sees their mean alone, from trunk and head.
        found = self.slopes(SeamLossConfig(scale=0.5, equivariance=0), with_tags=False)
        for name, slope in found.items():
            assert (slope > 1e-12) if name.startswith("correlation.") else slope < 1e-7, name

    def test_tags_and_equivariance_reach_the_rest_alone(self) -> None:
        found = self.slopes(SeamLossConfig(scale=0.5, correlation=0, low=0), with_tags=True)
        assert all(slope == 0 for name, slope in found.items() if name.startswith("correlation."))
        assert found["head.weight"] > 0 and found["backbone.model.conv1.0.weight"] > 0


class TestClassifier:
    @pytest.mark.parametrize(("name", "stride"), [("resnet10t", 8), ("resnet10t", 32), ("efficientnet_lite0", 8)])
    def test_maps(self, name: str, stride: int) -> None:
        model = build(name, stride).eval()
        with torch.no_grad():
            maps, logits = maps_of(model, images(2, 64, 96), tags() == 1), model(images(2, 64, 96)).logits
        assert maps.shape == (2, 7, 64 // stride, 96 // stride)
        torch.testing.assert_close(logits, maps[:, :3].mean((2, 3)), rtol=1e-4, atol=1e-5)
        assert float(maps[:, 3:].min()) >= 0 and float(maps[:, 3:].max()) <= 1 + 1e-6
        assert float(maps[0, 5:].abs().max()) == 0  # absent classes

    def test_evidence_is_that_of_the_tagged_classes(self) -> None:
        model = build().eval()
        with torch.no_grad():
            maps = maps_of(model, images(2, 64, 96), torch.tensor([[True, False, True]] * 2))
            found = model.evidence(images(2, 64, 96), (1, 3))
        torch.testing.assert_close(found, maps[:, [4, 6]], rtol=1e-4, atol=1e-6)

    def test_published_evidence_is_that_of_all_classes(self) -> None:
        model = build(published=True).eval()
        with torch.no_grad():
            maps = maps_of(model, images(2, 64, 96), tags() == 1)
            every = maps_of(model, images(2, 64, 96), torch.ones(2, 3, dtype=torch.bool))
            found = model.evidence(images(2, 64, 96), (3,))
        torch.testing.assert_close(maps, every)
        torch.testing.assert_close(found, maps[:, [6]], rtol=1e-4, atol=1e-6)

    def test_resnet38(self) -> None:
        # seam.md, 2.1: taps c4 and c5.
        model = build("resnet38_eighth").eval()
        assert model.correlation.fine.in_channels == 64 and model.correlation.coarse.in_channels == 128
        assert model.evidence(images(1, 33, 40), (2,)).shape == (1, 1, 5, 5)

    def test_a_step_of_training(self) -> None:
        model = build(dropout=0.5).train()
        loss = siamese_loss(model, images(2, 64, 64), tags(), SeamLossConfig())
        loss.backward()
        assert torch.isfinite(loss) and all(p.grad is not None for p in model.parameters())

    def test_a_backbone_of_two_levels_is_refused(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(Backbone, "level_shapes", lambda self: [(8, 8), (16, 16)])
        with pytest.raises(ConfigError, match="has 2 levels, three are needed"):
            build()

"""ML-GCN's classifier."""

from dataclasses import asdict
from typing import Any, ClassVar

import pytest
import torch
from contracts import ClassifierContract, photographs
from torch.nn import functional as F

from cases import each
from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import MlgcnClassifier
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.mlgcn import MlgcnConfig
from weakseg.training.optimizers import part_factors

CONFIG = BackboneConfig("resnet10t", 16, "none")
VECTORS = torch.randn(2, 5, generator=torch.Generator().manual_seed(1))
ADJACENCY = torch.tensor([[0.9, 0.1], [0.3, 0.7]])


class TestContract(ClassifierContract):
    header: ClassVar[dict[str, Any]] = {"kind": "mlgcn-classifier", "backbone": asdict(CONFIG), "hidden": 6}

    def build(self) -> MlgcnClassifier:
        return MlgcnClassifier(build_backbone(CONFIG), ClassNodes(VECTORS, ADJACENCY), 6)

    def test_it_equals_its_formula(self, model: MlgcnClassifier) -> None:
        # grm.md, 2.6: largest values of channels; a leaky ReLU after the first layer alone
        images = photographs(65, 50, count=2)
        first, second = model.head.gcn.weights  # type: ignore[union-attr, misc]
        with torch.no_grad():
            features = model.eval().backbone(images)
            hidden = ADJACENCY @ VECTORS @ first
            vectors = ADJACENCY @ torch.where(hidden > 0, hidden, 0.2 * hidden) @ second
            assert float(vectors.min()) < 0
            logits = torch.stack([f.flatten(1).max(1).values @ vectors.T for f in features])
            maps = F.conv2d(features, vectors[1:, :, None, None]).relu()
            torch.testing.assert_close(model(images).logits, logits, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model.evidence(images, (2,)), maps, rtol=1e-4, atol=1e-6)

    def test_what_learns(self, model: MlgcnClassifier) -> None:
        assert part_factors(model, FitConfig(head_lr_factor=10.0)) == {"backbone.": 1.0, "head.": 10.0}
        names = {name for name, _ in model.head.named_parameters()}
        assert names == {"gcn.weights.0", "gcn.weights.1"}  # neither vectors nor adjacency


@each(
    ("change", "text"),
    [
        ({"hidden": 0}, r"classifier\.hidden: need >= 1"),
        ({"class_graph": ClassHeadConfig(weight=1e-4)}, r"classifier\.class_graph\.weight: .*see classifier\.graph"),
        (
            {"accumulate": True, "augment": AugmentConfig(None, warp=True)},
            r"classifier\.accumulate: belongs to the plain",
        ),
    ],
)
def test_settings_of_other_classifiers_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        MlgcnConfig(**change)

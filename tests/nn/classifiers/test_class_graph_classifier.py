"""The tag classifier beside which a graph of classes makes a second set of classifiers."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from contracts import ClassifierContract, photographs

from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import CLASSIFIERS, ClassGraphClassifier, TagClassifier
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.nn.losses import focal_loss, tag_loss
from weakseg.nn.models import load_model
from weakseg.nn.weights import save_model
from weakseg.settings.accumulate import AccumulationConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.group_classify import GroupClassifierConfig
from weakseg.settings.seam import SeamConfig
from weakseg.training.optimizers import part_factors

BACKBONE = BackboneConfig("resnet10t", 16, "none")
HEAD = ClassHeadConfig(weight=1e-4, hidden=6)


def nodes() -> ClassNodes:
    return ClassNodes(
        torch.randn(2, 5, generator=torch.Generator().manual_seed(1)), torch.tensor([[0.8, 0.2], [0.2, 0.8]])
    )


class TestClassGraphClassifier(ClassifierContract):
    header: ClassVar[dict[str, Any]] = {
        "kind": "class-graph-classifier",
        "backbone": asdict(BACKBONE),
        "class_head": {"hidden": 6, "last_activation": True},
    }

    def build(self) -> ClassGraphClassifier:
        return ClassGraphClassifier(build_backbone(BACKBONE), nodes(), HEAD)

    def test_it_equals_its_formula(self, model: ClassGraphClassifier) -> None:
        # grm.md, 2.4: z' = f G2^T, f the mean over cells
        images = photographs(65, 50, count=2)
        with torch.no_grad():
            found = model.eval()(images, further=("class_logits",))
            pooled, vectors = model.backbone(images).mean((2, 3)), model.class_gcn()
        assert vectors.shape == (2, model.backbone.channels)
        expected = torch.stack([torch.stack([f @ g for g in vectors]) for f in pooled])
        torch.testing.assert_close(found.further["class_logits"], expected)

    def test_the_class_network_reaches_activations_through_features_alone(self, model: ClassGraphClassifier) -> None:
        # grm.md, oracle 13: a classifier of the same weights without it sees the same, in logits, maps and gradients
        plain = TagClassifier(model.backbone, 2)
        plain.head = model.head
        images, targets = photographs(64, 64, count=2), torch.tensor([[1.0, 0.0], [0.0, 1.0]])
        with torch.no_grad():
            assert model.eval()(images).logits.equal(plain.eval()(images).logits)
            assert model.evidence(images, (1, 2)).equal(plain.evidence(images, (1, 2)))
        weights = list(model.backbone.parameters())
        found = model(images, further=("class_logits",))
        without = tag_loss(found.logits, targets) + 0.0 * focal_loss(found.further["class_logits"], targets)
        expected = torch.autograd.grad(tag_loss(plain(images).logits, targets), weights)
        torch.testing.assert_close(torch.autograd.grad(without, weights), expected)
        found = model(images, further=("class_logits",))
        reached = torch.autograd.grad(focal_loss(found.further["class_logits"], targets), weights)
        assert any(float(slope.abs().max()) > 0 for slope in reached)

    def test_rates(self, model: ClassGraphClassifier) -> None:
        # grm.md, section 3: backbone 0.1, classifier 1, class network 0.01
        assert part_factors(model, FitConfig(head_lr_factor=10.0)) == {
            "backbone.": 1.0, "head.": 10.0, "class_gcn.": pytest.approx(0.1)
        }  # fmt: skip


def test_without_the_last_activation(tmp_path: Path) -> None:
    """The class network is linear at its end, and is so again when it is read."""
    head = replace(HEAD, last_activation=False)
    model = ClassGraphClassifier(build_backbone(BACKBONE), nodes(), head).eval()
    gcn = model.class_gcn
    inner = torch.nn.functional.leaky_relu(gcn.adjacency @ gcn.vectors @ gcn.weights[0], 0.2)
    torch.testing.assert_close(gcn(), gcn.adjacency @ inner @ gcn.weights[1])
    told = {"hidden": 6, "last_activation": False}
    header = {"kind": "class-graph-classifier", "backbone": asdict(BACKBONE), "class_head": told, "classes": ["a", "b"]}
    save_model(tmp_path / "m.safetensors", model, header)
    loaded, _ = load_model(tmp_path / "m.safetensors", CLASSIFIERS)
    assert isinstance(loaded, ClassGraphClassifier) and loaded.class_gcn().equal(gcn())


def test_the_sum_of_both(tmp_path: Path) -> None:
    """Logits, scores and evidence are those of W + G, with a frozen backbone, too; a file says so."""
    model = ClassGraphClassifier(build_backbone(BACKBONE), nodes(), replace(HEAD, combine="sum")).eval()
    told = {"hidden": 6, "last_activation": True, "combine": "sum"}
    header = {"kind": "class-graph-classifier", "backbone": asdict(BACKBONE), "class_head": told, "classes": ["a", "b"]}
    save_model(tmp_path / "m.safetensors", model, header)
    loaded, _ = load_model(tmp_path / "m.safetensors", CLASSIFIERS)
    images, plain = photographs(65, 50, count=2), TagClassifier(model.backbone, 2).eval()
    plain.head.weight.data.copy_(model.head.weight + model.class_gcn()[..., None, None])
    assert isinstance(loaded, ClassGraphClassifier)
    with torch.no_grad():
        for one in (model, loaded):
            found, expected = one(images, further=("scores",)), plain(images, further=("scores",))
            torch.testing.assert_close(found.logits, expected.logits)
            torch.testing.assert_close(found.further["scores"], expected.further["scores"])
            torch.testing.assert_close(one.evidence(images, (2,)), plain.evidence(images, (2,)))
    assert ClassifierConfig(frozen=True, class_graph=replace(HEAD, combine="sum")).frozen


def test_initial_weights_beside_it_are_those_of_a_plain_classifier() -> None:
    models = []
    for graph in (True, False):
        torch.manual_seed(0)
        backbone = build_backbone(BACKBONE)
        models.append(ClassGraphClassifier(backbone, nodes(), HEAD) if graph else TagClassifier(backbone, 2))
    for name, value in models[1].named_parameters():
        assert models[0].get_parameter(name).equal(value)


def test_settings_without_effect_are_refused() -> None:
    for make, message in (
        (
            lambda: ClassHeadConfig(gamma=1.0),
            r"class_graph\.gamma: has no effect without classifier",
        ),
        (lambda: ClassHeadConfig(source="none"), r"class_graph\.source: has no effect"),
        (lambda: ClassHeadConfig(weight=-1.0), r"class_graph\.weight: need >= 0, got -1\.0"),
        (lambda: ClassHeadConfig(weight=1.0, gamma=-1.0), r"class_graph\.gamma: need >= 0"),
        (
            lambda: ClassifierConfig(frozen=True, class_graph=HEAD),
            r"class_graph\.weight: .* a frozen backbone",
        ),
        (lambda: SeamConfig(class_graph=HEAD), r"class_graph\.weight: belongs to the plain classifier, and SEAM's"),
        (lambda: GroupClassifierConfig(class_graph=HEAD), r"class_graph\.weight: .* that of groups has none"),
        (
            lambda: ClassifierConfig(
                accumulate=True,
                accumulation=AccumulationConfig(),
                augment=AugmentConfig(None, 64, warp=True),
                class_graph=HEAD,
            ),
            r"class_graph\.weight: accumulated activations are those of the plain",
        ),
    ):
        with pytest.raises(ConfigError, match=message):
            make()
    assert ClassifierConfig(frozen=True, convolutions=1, class_graph=HEAD).class_graph is HEAD

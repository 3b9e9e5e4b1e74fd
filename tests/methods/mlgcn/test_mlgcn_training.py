"""ML-GCN's training."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from PIL import Image

from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.methods.mlgcn.train import train_mlgcn
from weakseg.nn.classifiers import MlgcnClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.mlgcn import MlgcnConfig
from weakseg.stages.classify import load_classifier
from weakseg.training.loop import FitPlace

CONFIG = MlgcnConfig(
    BackboneConfig("resnet10t", 16, "none"),
    augment=AugmentConfig((64, 80), 64),
    fit=FitConfig(epochs=2, batch_size=4, lr=0.01),
    graph=ClassGraphConfig(adjacency="mlgcn", threshold=0.6),
    hidden=8,
)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    for index in range(6):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    shown: list[set[int]] = [{1}, {2}, {1, 2}, {1}, {1, 2}, set()]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(frozenset(tags))) for i, tags in enumerate(shown)]


def test_it_learns_with_the_graph_of_its_images(samples: list[WeakSample], tmp_path: Path) -> None:
    records = train_mlgcn(samples, samples, Classes(CLASSES), config=CONFIG, place=FitPlace(tmp_path / "a"))
    assert records[-1]["loss"] < records[0]["loss"] and 0 <= records[-1]["mAP"] <= 100
    model, classes = load_classifier(tmp_path / "a" / MODEL_FILE)
    assert isinstance(model, MlgcnClassifier) and classes.names == CLASSES
    told = read_header(tmp_path / "a" / MODEL_FILE)["class_graph"]
    assert told["relations"] == [[4, 2], [2, 3]] and told["names"] == list(CLASSES)
    # grm.md, 2.6: P(2 | 1) = 2 / 4 is no relation, P(1 | 2) = 2 / 3 is one: A' = [[1, 0], [0.25, 1]], A = D A'^T D.
    scale = torch.tensor([1.0, 1.25]) ** -0.5
    expected = scale[:, None] * torch.tensor([[1.0, 0.25], [0.0, 1.0]]) * scale
    torch.testing.assert_close(model.head.gcn.adjacency, expected, rtol=1e-5, atol=1e-6)  # type: ignore[union-attr]


def test_a_frozen_backbone(samples: list[WeakSample], tmp_path: Path) -> None:
    for epochs in (1, 2):
        config = replace(CONFIG, frozen=True, fit=replace(CONFIG.fit, epochs=epochs))
        train_mlgcn(samples, [], Classes(CLASSES), config=config, place=FitPlace(tmp_path / str(epochs)))
    one, two = (load_weights(tmp_path / name / MODEL_FILE) for name in "12")
    changed = {name for name in one if not one[name].equal(two[name])}
    assert changed == {"head.gcn.weights.0", "head.gcn.weights.1"}

import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import ClassGraphClassifier, TagClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header, save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.stages.classify import load_classifier, start_backbone, start_config, train_classifier
from weakseg.training.loop import FitPlace

BACKBONE = BackboneConfig("resnet10t", 32, "none")
CONFIG = ClassifierConfig(BACKBONE, augment=AugmentConfig((64, 64), 64), fit=FitConfig(epochs=2, batch_size=2, lr=0.01))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    for index in range(4):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    tags = [frozenset({c for c in (1, 2) if index & c}) for index in range(4)]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(shown)) for i, shown in enumerate(tags)]


def assert_equal_states(found: nn.Module, expected: nn.Module) -> None:
    torch.testing.assert_close(found.state_dict(), expected.state_dict(), rtol=0, atol=0)


def started(samples: list[WeakSample], folder: Path, monkeypatch: pytest.MonkeyPatch, config: ClassifierConfig) -> Path:
    """Train, and save the untrained model beside as ``start``."""

    def noted(backbone: nn.Module, num_classes: int, **options: float) -> TagClassifier:
        model = TagClassifier(backbone, num_classes, **options)  # type: ignore[arg-type]
        save_model(folder / "start.safetensors", model, {})
        return model

    with monkeypatch.context() as patch:
        patch.setattr("weakseg.stages.classify.TagClassifier", noted)
        records = train_classifier(samples, samples, Classes(CLASSES), config=config, place=FitPlace(folder))
    assert len(records) == 2 and 0 <= records[-1]["mAP"] <= 100 and math.isfinite(records[-1]["loss"])
    return folder / MODEL_FILE


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_backbone_stays(
    samples: list[WeakSample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, frozen: bool
) -> None:
    path = started(samples, tmp_path, monkeypatch, replace(CONFIG, frozen=frozen))
    before, after = load_weights(tmp_path / "start.safetensors"), load_weights(path)
    changed = {name for name in after if not after[name].equal(before[name])}
    assert "head.weight" in changed
    assert (changed == {"head.weight"}) is frozen


def test_a_graph_of_classes_beside_it(samples: list[WeakSample], tmp_path: Path) -> None:
    """Its class network learns, and the features by it; the file needs no other, and says where the graph is from."""
    head = ClassHeadConfig(weight=0.5, hidden=4, lr_factor=1.0, adjacency="symmetric")
    for name, config in (("with", replace(CONFIG, class_graph=head)), ("without", CONFIG)):
        train_classifier(samples, samples, Classes(CLASSES), config=config, place=FitPlace(tmp_path / name))
    path = tmp_path / "with" / MODEL_FILE
    model, classes = load_classifier(path)
    assert isinstance(model, ClassGraphClassifier) and classes.names == CLASSES
    # two images of four show each class, one shows both: E = [[1, .5], [.5, 1]], so that E + I has rows of 2.5
    torch.testing.assert_close(model.class_gcn.adjacency, torch.tensor([[0.8, 0.2], [0.2, 0.8]]))
    told = read_header(path)["class_graph"]
    assert told["names"] == list(CLASSES) and told["relations"][0] == pytest.approx([1.0, 0.5])
    assert told["source"].startswith("cooccurrence") and told["vectors_from"] == "random: from a fixed seed"
    torch.manual_seed(0)
    weights, plain = load_weights(path), load_weights(tmp_path / "without" / MODEL_FILE)
    assert set(weights) - set(plain) == {f"class_gcn.{n}" for n in ("vectors", "adjacency", "weights.0", "weights.1")}
    assert not any(weights[name].equal(plain[name]) for name in plain if name.endswith("conv1.weight"))
    assert start_backbone("classifier", BACKBONE, path) is not None


class TestStartBackbone:
    def saved(self, folder: Path, kind: str = "classifier") -> tuple[Path, TagClassifier]:
        torch.manual_seed(0)
        model = TagClassifier(build_backbone(BACKBONE), 2)
        header = {"kind": kind, "classes": list(CLASSES), "backbone": asdict(BACKBONE)}
        save_model(folder / MODEL_FILE, model, header)
        return folder / MODEL_FILE, model

    def test_from_a_classifier(self, tmp_path: Path) -> None:
        path, model = self.saved(tmp_path)
        found = start_backbone("classifier", BackboneConfig(), path)
        assert start_config("classifier", BackboneConfig(), path) == BACKBONE
        assert_equal_states(found, model.backbone)
        assert load_classifier(path)[1].names == CLASSES

    def test_pretrained(self, tmp_path: Path) -> None:
        found = start_backbone("pretrained", BackboneConfig(), tmp_path / "not looked at")
        assert start_config("pretrained", BackboneConfig(), None) == BackboneConfig()
        assert_equal_states(found, build_backbone(BackboneConfig()))

    def test_without_a_classifier(self) -> None:
        for find in (start_backbone, start_config):
            with pytest.raises(ConfigError, match="start: 'classifier' needs a trained classifier; use 'pretrained'"):
                find("classifier", BACKBONE, None)

    def test_a_file_that_is_none(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="not a weakseg model"):
            start_backbone("classifier", BACKBONE, tmp_path / MODEL_FILE)
        path, _ = self.saved(tmp_path, "segmenter")
        with pytest.raises(CheckpointError, match=r"is no classifier or seam-classifier or .* but a segm"):
            start_backbone("classifier", BACKBONE, path)

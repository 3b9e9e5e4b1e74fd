import math
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.classifiers import ClassGraphClassifier, TagClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header, save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.classify import HEAD_FIT, ClassifierConfig
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


class TestFewImages:
    """``frozen: auto`` decides, and what is set wins."""

    EMBEDDED = ClassifierConfig()

    @pytest.mark.parametrize(
        ("config", "count", "frozen"),
        [
            (EMBEDDED, 999, True),
            (EMBEDDED, 1000, False),
            (replace(EMBEDDED, frozen=True), 1000, True),
            (replace(EMBEDDED, frozen=False), 3, False),
            (CONFIG, 3, False),  # its weights are random
            (replace(EMBEDDED, class_graph=ClassHeadConfig(weight=0.5)), 3, False),
            (replace(EMBEDDED, class_graph=ClassHeadConfig(weight=0.5, combine="sum")), 3, True),
            (replace(EMBEDDED, accumulate=True, augment=AugmentConfig(None, warp=True)), 3, False),
        ],
    )
    def test_when_the_backbone_stays(self, config: ClassifierConfig, count: int, frozen: bool) -> None:
        found = config.for_images(count)
        assert found.frozen is frozen
        assert bool(config.told(count)) is (config.frozen == "auto")
        assert found.for_images(count) == found and not found.told(count)

    def test_what_is_set_wins(self) -> None:
        given = replace(self.EMBEDDED, fit=replace(self.EMBEDDED.fit, epochs=3, precision="bf16"))
        fit = given.for_images(3).fit
        assert (fit.epochs, fit.lr, fit.optimizer, fit.min_iterations, fit.precision) == (
            3,
            0.001,
            "adamw",
            200,
            "bf16",
        )
        rated = replace(self.EMBEDDED, fit=replace(self.EMBEDDED.fit, nesterov=True, momentum=0.8))
        assert rated.for_images(3).frozen and rated.for_images(3).fit == rated.fit
        levels = replace(self.EMBEDDED, fit=replace(self.EMBEDDED.fit, frozen_levels=2))
        assert not levels.for_images(3).frozen and "frozen_levels" in levels.told(3)
        counted = replace(self.EMBEDDED, fit=replace(self.EMBEDDED.fit, iterations=20)).for_images(3).fit
        assert (counted.iterations, counted.min_iterations, counted.optimizer) == (20, 0, "adamw")
        several = replace(self.EMBEDDED, convolutions=1)
        assert not several.for_images(3).augment.variants and "in every epoch" in several.told(3)
        assert self.EMBEDDED.for_images(3).fit == HEAD_FIT
        assert given.for_images(1000).fit == given.fit
        assert replace(given, frozen=True).for_images(3).fit == given.fit
        assert replace(given, augment=AugmentConfig(variants=2)).for_images(3).augment.variants == 2

    def test_features_are_computed_once(
        self, samples: list[WeakSample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Of each variant of each image; the linear layer is that which learns from the images themselves."""
        seen: list[int] = []
        forward = Backbone.forward

        def counted(self: Backbone, images: Tensor) -> Tensor:
            seen.append(len(images))
            return forward(self, images)

        monkeypatch.setattr(Backbone, "forward", counted)
        fit, augment = replace(CONFIG.fit, epochs=5), replace(CONFIG.augment, variants=2)
        config = replace(CONFIG, frozen=True, fit=fit, augment=augment)
        heads = []
        config = replace(config, fit=replace(config.fit, loader_workers=2))  # whose processes keep nothing
        for frozen_features, count in ((True, 2 * len(samples)), (False, 5 * 2)):
            seen.clear()
            if not frozen_features:
                config = replace(config, augment=replace(augment, variants=0), fit=fit)
                monkeypatch.setattr(AugmentConfig, "variant", lambda self, epoch: epoch % 2)
            place = FitPlace(tmp_path / str(frozen_features))
            train_classifier(samples, [], Classes(CLASSES), config=config, place=place)
            assert len(seen) == count
            heads.append(load_weights(place.folder / MODEL_FILE)["head.weight"])
        torch.testing.assert_close(*heads, rtol=1e-2, atol=1e-3)


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

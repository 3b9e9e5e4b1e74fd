"""ReCAM's second training, and its activations."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from cases import each
from generated import CLASSES, draw
from weakseg.artifacts import Activations
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.methods.recam.config import RecamRecipe
from weakseg.methods.recam.plan import RecamActivateJob
from weakseg.methods.recam.train import RecamLoss, train_recam
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import RecamClassifier, TagClassifier
from weakseg.nn.losses import tag_loss
from weakseg.nn.weights import MODEL_FILE, load_weights, save_model
from weakseg.pipeline.units import Unit
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.recam import RecamActivationsConfig, RecamConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import TagData, classifier_header, load_classifier, train_classifier
from weakseg.training.loop import FitPlace

FIT = FitConfig(epochs=2, batch_size=4, lr=0.01, head_lr_factor=1.0, norm_affine="frozen")
AUGMENT = AugmentConfig((64, 80), 64)
CONFIG = RecamConfig(augment=AUGMENT, fit=FIT)
BACKBONE = BackboneConfig("resnet10t", 16, "none")


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    for index in range(6):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    tags = [frozenset({c for c in (1, 2) if index & c}) for index in range(6)]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(shown)) for i, shown in enumerate(tags)]


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_classifier(tmp_path_factory.mktemp("classifier"), CLASSES)


@pytest.fixture(scope="module")
def trained(samples: list[WeakSample], classifier: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recam")
    records = train(samples, classifier, CONFIG, folder, samples)
    assert len(records) == 2 and 0 <= records[-1]["mAP"] <= 100
    return folder / MODEL_FILE


def write_classifier(folder: Path, names: tuple[str, ...]) -> Path:
    """Write a classifier that has learned nothing."""
    torch.manual_seed(0)
    model = TagClassifier(build_backbone(BACKBONE), len(names), convolutions=1)
    save_model(folder / MODEL_FILE, model, classifier_header(Classes(names), BACKBONE, 1))
    return folder / MODEL_FILE


def train(
    samples: list[WeakSample], classifier: Path, config: RecamConfig, folder: Path, val: list[WeakSample] | None = None
) -> list[dict[str, Any]]:
    place = FitPlace(folder)
    return train_recam(samples, val or [], Classes(CLASSES), config=config, place=place, classifier=classifier)


def changed(before: Path, after: Path) -> set[str]:
    """Return the parts, to the first point, of which a tensor differs by more than a rate of next to nothing makes."""
    old, new = load_weights(before), load_weights(after)
    same = {name for name in old.keys() & new.keys() if torch.allclose(new[name], old[name], rtol=0, atol=1e-20)}
    return {name.partition(".")[0] for name in new.keys() - same}


class TestTraining:
    def test_all_parts_learn_on_from_the_classifier(self, classifier: Path, trained: Path) -> None:
        assert changed(classifier, trained) == {"backbone", "convolutions", "head", "reactivation"}
        model, classes = load_classifier(trained)
        assert isinstance(model, RecamClassifier) and classes.names == CLASSES and model.weights == "product"

    def test_it_starts_where_a_classifier_with_a_class_graph_ended(
        self, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        # grm.md, 2.4: ReCAM's training goes on without the class network
        head = ClassHeadConfig(weight=1e-4, hidden=4, source="none")
        config = ClassifierConfig(BACKBONE, augment=AUGMENT, fit=replace(FIT, epochs=1), class_graph=head)
        train_classifier(samples, [], Classes(CLASSES), config=config, place=FitPlace(tmp_path / "classifier"))
        lazy, before = replace(CONFIG, fit=replace(FIT, lr=1e-30, weight_decay=0)), tmp_path / "classifier" / MODEL_FILE
        train(samples, before, lazy, tmp_path / "recam")
        assert changed(before, tmp_path / "recam" / MODEL_FILE) == {"reactivation"}
        assert "class_gcn.vectors" in load_weights(before)

    def test_it_goes_on_with_the_sum_of_both_sets_of_classifiers(
        self, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        head = ClassHeadConfig(weight=1.0, hidden=4, combine="sum")
        config = ClassifierConfig(backbone=BACKBONE, frozen=True, class_graph=head, augment=AUGMENT, fit=FIT)
        before = tmp_path / "classifier"
        train_classifier(samples, [], Classes(CLASSES), config=config, place=FitPlace(before))
        lazy = replace(CONFIG, fit=replace(FIT, lr=1e-30, weight_decay=0))
        train(samples, before / MODEL_FILE, lazy, tmp_path / "recam")
        first, _ = load_classifier(before / MODEL_FILE)
        second, _ = load_classifier(tmp_path / "recam" / MODEL_FILE)
        with torch.no_grad():
            assert second.head.weight.equal(first.exported()) and not second.head.weight.equal(first.head.weight)

    def test_neither_a_stop_nor_the_order_of_the_list_changes_a_bit(
        self,
        samples: list[WeakSample],
        classifier: Path,
        trained: Path,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        load = TagData.load

        def stopped(data: TagData, index: int, epoch: int) -> Any:
            if epoch == 1:
                raise KeyboardInterrupt
            return load(data, index, epoch)

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(TagData, "load", stopped)
            train(samples, classifier, CONFIG, tmp_path, samples)
        train(samples[::-1], classifier, CONFIG, tmp_path, samples)
        torch.testing.assert_close(load_weights(tmp_path / MODEL_FILE), load_weights(trained), rtol=0, atol=0)

    def test_a_frozen_backbone(self, samples: list[WeakSample], classifier: Path, tmp_path: Path) -> None:
        train(samples, classifier, replace(CONFIG, frozen=True), tmp_path)
        assert changed(classifier, tmp_path / MODEL_FILE) == {"convolutions", "head", "reactivation"}

    def test_without_weight_it_learns_tags_alone(
        self, samples: list[WeakSample], classifier: Path, tmp_path: Path
    ) -> None:
        # recam.md, oracles 6 and 7: the control has the updates of stage A, and its product is the first layer.
        config = replace(CONFIG, weight=0.0, fit=replace(FIT, epochs=1, batch_size=6, momentum=0, weight_decay=0))
        train(samples, classifier, config, tmp_path)
        model, before = (load_classifier(path)[0] for path in (tmp_path / MODEL_FILE, classifier))
        assert isinstance(model, RecamClassifier) and (model.reactivation.weight == 1).all()
        seen = [TagData(samples, 2, AUGMENT, 0).load(index, 0) for index in range(6)]
        images, targets = map(torch.stack, zip(*seen, strict=True))
        (slope,) = torch.autograd.grad(tag_loss(before(images).logits, targets), before.head.weight)
        torch.testing.assert_close(model.head.weight, before.head.weight - 0.01 * slope, rtol=1e-4, atol=1e-6)

    def test_one_class_is_left_to_the_first_layer(
        self, samples: list[WeakSample], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        # recam.md, section 8
        one = [replace(sample, tags=Tags(sample.tags.present & {1})) for sample in samples]
        before, config = write_classifier(tmp_path, CLASSES[:1]), replace(CONFIG, fit=replace(FIT, epochs=1))
        place = FitPlace(tmp_path / "recam")
        train_recam(one, [], Classes(CLASSES[:1]), config=config, place=place, classifier=before)
        assert "softmax over one class teaches nothing" in caplog.text
        assert (load_weights(tmp_path / "recam" / MODEL_FILE)["reactivation.weight"] == 1).all()

    def test_unknown_and_missing_tags(self, trained: Path) -> None:
        # recam.md, oracle 4
        model, _ = load_classifier(trained)
        images = 255 * torch.rand(2, 3, 64, 64)
        for targets in ([[1.0, float("nan")], [0, 0]], [[0.0, 0], [0, 0]], [[float("nan")] * 2] * 2):
            loss = RecamLoss(1.0)(model.train(), [images, torch.tensor(targets)])
            model.zero_grad()
            loss.backward()
            assert torch.isfinite(loss) and all(
                torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None
            )

    def test_another_network_is_refused(self, samples: list[WeakSample], trained: Path, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="but a recam-classifier"):
            train(samples, trained, CONFIG, tmp_path)


class TestActivations:
    @pytest.fixture(scope="class")
    def found(
        self, samples: list[WeakSample], trained: Path, tmp_path_factory: pytest.TempPathFactory
    ) -> dict[str, list[Activations]]:
        folder = tmp_path_factory.mktemp("activations")
        made = {}
        for weights in ("product", "recam", "cls", "product again"):
            config = RecamActivationsConfig(scales=(1.0,), weights=weights.split()[0])  # type: ignore[arg-type]
            job = RecamActivateJob(trained, folder / weights, config)
            for sample in samples:
                job.run(Unit((sample,)))
            made[weights] = [Activations.load(job.output(sample.id)) for sample in samples]
        return made

    def test_tagged_classes_alone(self, samples: list[WeakSample], found: dict[str, list[Activations]]) -> None:
        for maps in found.values():
            assert [set(one.class_ids) for one in maps] == [sample.tags.present for sample in samples]
            assert any(one.values.any() for one in maps)

    def test_a_mirrored_image_has_mirrored_activations(self, trained: Path) -> None:
        # recam.md, oracle 8
        model, image = load_classifier(trained)[0], draw(3)[0]
        for scales in ((1.0,), (1.0, 1.5)):
            config = RecamActivationsConfig(scales=scales)
            one = activate_image(model, image, (1, 2), config).values
            other = activate_image(model, image[:, ::-1].copy(), (1, 2), config).values
            torch.testing.assert_close(one, other.flip(-1), rtol=1e-3, atol=2e-3)

    def test_the_weights_are_those_asked_for(self, found: dict[str, list[Activations]]) -> None:
        shown = {name: maps[3].values for name, maps in found.items()}
        assert shown["product"].equal(shown["product again"])
        assert not any(shown["product"].equal(shown[other]) for other in ("recam", "cls"))
        assert not shown["cls"].equal(shown["recam"])


@each(
    ("change", "text"),
    [
        ({"weight": -1.0}, r"recam\.weight: need >= 0"),
        ({"lr_factor": 0.0}, r"recam\.lr_factor: need > 0"),
        ({"weight": 0.0, "lr_factor": 2.0}, r"recam\.lr_factor: has no effect with weight 0"),
        ({"weight": 0.0, "detach_mask": True}, r"recam\.detach_mask: has no effect with weight 0"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        RecamConfig(**change)


@each(
    ("change", "text"),
    [
        ({"classifier": ClassifierConfig(augment=AugmentConfig(None, warp=True), accumulate=True)}, "not accumulated"),
        (
            {"recam": RecamConfig(weight=0.0), "activations": RecamActivationsConfig(weights="recam")},
            r"activations\.weights: with recam\.weight 0",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(change: dict[str, Any], text: str) -> None:
    with pytest.raises(ConfigError, match=text):
        RecamRecipe(**change)


@each(("name", "value"), [("weights", "both"), ("from_folder", "maps")])
def test_activations_are_its_own(name: str, value: str) -> None:
    with pytest.raises(ConfigError, match=rf"activations\.{name}: "):
        RecamActivationsConfig(**{name: value})  # type: ignore[arg-type]

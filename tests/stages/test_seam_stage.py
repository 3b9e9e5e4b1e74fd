from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.nn.classifiers import SeamClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header
from weakseg.ops.cam import normalize_evidence
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.seam import SeamConfig, SeamLossConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.classify import load_classifier, start_config
from weakseg.stages.seam import train_seam
from weakseg.training.loop import FitPlace

CONFIG = SeamConfig(
    BackboneConfig(output_stride=8),
    augment=AugmentConfig((64, 80), 64),
    fit=FitConfig(epochs=4, batch_size=4, optimizer="adamw", lr=2e-4, norm_affine="frozen", frozen_levels=1),
    loss=SeamLossConfig(scale=0.5),
)
Trained = tuple[Path, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    for index in range(8):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    tags = [frozenset({c for c in (1, 2) if index & c}) for index in range(8)]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(shown)) for i, shown in enumerate(tags)]


@pytest.fixture(scope="module")
def trained(samples: list[WeakSample], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    records = train_seam(samples, samples, Classes(CLASSES), config=CONFIG, place=FitPlace(folder))
    return folder / MODEL_FILE, records


class TestTraining:
    def test_records(self, trained: Trained) -> None:
        losses = [record["loss"] for record in trained[1]]
        assert len(losses) == 4 and losses[-1] < losses[0]
        assert 0 <= trained[1][-1]["mAP"] <= 100

    def test_the_order_of_the_list_changes_nothing(
        self, trained: Trained, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        train_seam(samples[::-1], samples, Classes(CLASSES), config=CONFIG, place=FitPlace(tmp_path))
        torch.testing.assert_close(load_weights(tmp_path / MODEL_FILE), load_weights(trained[0]), rtol=0, atol=0)

    @pytest.mark.parametrize("frozen", [True, False])
    def test_what_is_trained(self, samples: list[WeakSample], tmp_path: Path, frozen: bool) -> None:
        config = replace(CONFIG, frozen=frozen, fit=replace(CONFIG.fit, epochs=1))
        train_seam(samples, [], Classes(CLASSES), config=config, place=FitPlace(tmp_path / "a"))
        lazy = replace(config, fit=replace(config.fit, lr=1e-30, weight_decay=0))
        train_seam(samples, [], Classes(CLASSES), config=lazy, place=FitPlace(tmp_path / "b"))
        first, start = (load_weights(tmp_path / name / MODEL_FILE) for name in "ab")
        changed = {name for name in first if not first[name].equal(start[name])}
        module = {"correlation.fine.weight", "correlation.coarse.weight", "correlation.theta.weight"}
        assert {"head.weight", *module} <= changed
        trunk = {name for name in changed if name.startswith("backbone.")}
        assert (not trunk) if frozen else trunk and not any("conv_stem" in name or "bn" in name for name in trunk)

    def test_a_random_backbone_is_doubtful(
        self, samples: list[WeakSample], tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        random = BackboneConfig("resnet10t", 8, "none")
        config = replace(CONFIG, backbone=random, fit=replace(CONFIG.fit, epochs=1))
        train_seam(samples[:4], [], Classes(CLASSES), config=config, place=FitPlace(tmp_path))
        assert "may collapse" in caplog.text


class TestFiles:
    def test_the_trained_one(self, trained: Trained) -> None:
        header = read_header(trained[0])
        assert header["kind"] == "seam-classifier" and header["published"] is False
        model, classes = load_classifier(trained[0])
        assert isinstance(model, SeamClassifier) and classes.names == CLASSES
        assert start_config("classifier", BackboneConfig(), trained[0]) == CONFIG.backbone


class TestActivations:
    """seam.md, oracle 11 and section 8."""

    config = ActivateConfig(scales=(1.0, 0.5), normalize="range")

    @pytest.mark.parametrize("align", ["cells", "edges"])
    def test_mirror_images_give_mirrored_activations(self, trained: Trained, align: Any) -> None:
        model, _ = load_classifier(trained[0])
        image, config = draw(3)[0], replace(self.config, align=align)
        one = activate_image(model, image, (1, 2), config).values
        other = activate_image(model, np.ascontiguousarray(image[:, ::-1]), (1, 2), config).values
        torch.testing.assert_close(one, other.flip(-1), rtol=1e-3, atol=2e-3)
        assert one.amax((1, 2)).tolist() == pytest.approx([1, 1], abs=2e-4)
        assert one.amin((1, 2)).tolist() == [0, 0]

    def test_only_tagged_classes_are_returned(self, trained: Trained) -> None:
        model, _ = load_classifier(trained[0])
        assert activate_image(model, draw(3)[0], (2,), self.config).class_ids == (2,)
        assert activate_image(model, draw(3)[0], (), self.config).values.shape[0] == 0

    @pytest.mark.parametrize("size", [(1, 1), (5, 9), (16, 16)])
    def test_tiny_and_constant_images(self, trained: Trained, size: tuple[int, int]) -> None:
        model, _ = load_classifier(trained[0])
        found = activate_image(model, np.full((*size, 3), 99, np.uint8), (1, 2), self.config).values
        assert torch.isfinite(found).all() and float(found.min()) >= 0


class TestRange:
    def test_by_hand(self) -> None:
        # seam.md, 2.5
        evidence = torch.tensor([[[1.0, 2, 5]]])
        assert normalize_evidence(evidence, by="range").flatten().tolist() == pytest.approx([0, 0.25, 1], abs=1e-5)

    def test_no_response_and_no_class(self) -> None:
        for flat in (torch.zeros(2, 3, 4), torch.full((2, 3, 4), 7.0)):
            assert float(normalize_evidence(flat, by="range").abs().max()) == 0
        assert normalize_evidence(torch.zeros(0, 3, 4), by="range").shape == (0, 3, 4)

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cases import each
from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.losses import integral_loss
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header
from weakseg.ops.resample import Cells
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.integral import IntegralConfig
from weakseg.stages.accumulate import map_index
from weakseg.stages.accumulated import AccumulatedMaps, Origin
from weakseg.stages.classify import TagData, load_classifier
from weakseg.stages.integral import IntegralLoss, train_integral
from weakseg.stages.placed import PlacedData
from weakseg.training.loop import FitPlace
from weakseg.training.placement import Placement

BACKBONE = BackboneConfig("vgg16_conv5_thin", 8, "none")
WARPED = AugmentConfig(None, 48, warp=True)
CONFIG = IntegralConfig(backbone=BACKBONE, convolutions=1, augment=WARPED, fit=FitConfig(2, batch_size=2, lr=0.01))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    folder = tmp_path_factory.mktemp("generated")
    for index in range(4):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    tags = [Tags(frozenset({c for c in (1, 2) if index & c})) for index in range(4)]
    tags[1] = Tags(frozenset({1}), frozenset({2}))
    return [WeakSample(str(i), folder / f"{i}.png", tag) for i, tag in enumerate(tags)]


@pytest.fixture(scope="module")
def store(samples: list[WeakSample]) -> AccumulatedMaps:
    """Maps of noise."""
    found, rng = AccumulatedMaps(map_index(samples, Classes(CLASSES), WARPED, 8)), np.random.default_rng(0)
    for name, class_ids in found.missing().items():
        for class_id in class_ids:
            found.fill(name, class_id, rng.integers(0, 256, (6, 6), np.uint8), Origin.LAST)
    return found


class TestTargets:
    def loss(self, store: AccumulatedMaps) -> IntegralLoss:
        return IntegralLoss(store, [image.id for image in store.index.images], 0.001)

    def test_absent_unknown_and_present_classes(self, samples: list[WeakSample], store: AccumulatedMaps) -> None:
        place, cells, loss = Placement(0, 0, 48, 48), Cells(3.5, 8), self.loss(store)
        for name in ("0", "1", "2", "3"):
            tags = torch.from_numpy(samples[int(name)].tags.targets(2))
            found = loss.targets(name, tags, place, (6, 6), cells)
            stored = iter(torch.from_numpy(store.maps(name) / np.float32(255)))
            for channel, tag in zip(found, tags.tolist(), strict=True):
                expected = next(stored) if tag == 1 else torch.full((6, 6), tag)
                torch.testing.assert_close(channel, expected, equal_nan=True)
        mirrored = loss.targets("3", torch.ones(2), place._replace(mirrored=1), (6, 6), cells)
        torch.testing.assert_close(mirrored, loss.targets("3", torch.ones(2), place, (6, 6), cells).flip(-1))

    @each("cells", (Cells(0.0, 8), Cells(3.5, 8)))
    def test_what_lies_beside_the_image_is_unknown(self, store: AccumulatedMaps, cells: Cells) -> None:
        found = self.loss(store).targets("3", torch.ones(2), Placement(16, 8, 24, 32), (7, 7), cells)
        pixels = cells.first + 8 * torch.arange(7)
        inside = ((pixels >= 16) & (pixels < 40))[:, None] & ((pixels >= 8) & (pixels < 40))
        assert (~found.isnan()).equal(inside.expand(2, 7, 7))
        # a cell in the middle: where it looks, in cells of the map, of which there are six over 24 rows and 32 columns
        rows, columns = ((float(pixels[3]) + 0.5 - first) / length * 6 - 0.5 for first, length in ((16, 24), (8, 32)))
        r, c = int(rows), int(columns)
        maps, row, column = store.maps("3")[0] / 255, rows - r, columns - c
        expected = (1 - row) * ((1 - column) * maps[r, c] + column * maps[r, c + 1]) + row * (
            (1 - column) * maps[r + 1, c] + column * maps[r + 1, c + 1]
        )
        assert float(found[0, 3, 3]) == pytest.approx(expected, abs=1e-5)

    def test_the_loss_is_that_of_scores_and_targets(self, samples: list[WeakSample], store: AccumulatedMaps) -> None:
        torch.manual_seed(0)
        model = TagClassifier(build_backbone(BACKBONE), 2, convolutions=1)
        data = PlacedData(TagData(samples, 2, WARPED, 0))
        batch = [torch.stack(parts) for parts in zip(*(data.load(i, 0) for i in range(4)), strict=True)]
        value = self.loss(store)(model, batch)
        scores = model(batch[0], further=("scores",)).further["scores"]
        targets = [
            self.loss(store).targets(str(i), batch[1][i], Placement(*batch[2][i].tolist()), (6, 6), model.cells)
            for i in range(4)
        ]
        torch.testing.assert_close(value, integral_loss(scores, torch.stack(targets)))
        value.backward()
        assert all(p.grad is not None and bool(p.grad.abs().max() > 0) for p in model.parameters())


class TestTraining:
    def test_it_is_a_classifier_that_finds_what_was_accumulated(
        self, samples: list[WeakSample], store: AccumulatedMaps, tmp_path: Path
    ) -> None:
        records = train_integral(samples, store, Classes(CLASSES), config=CONFIG, place=FitPlace(tmp_path / "one", 3))
        assert [record["epoch"] for record in records] == [1, 2] and records[1]["loss"] < records[0]["loss"]
        model, classes = load_classifier(tmp_path / "one" / MODEL_FILE)
        assert classes.names == CLASSES and len(model.convolutions) == 2
        train_integral(samples[::-1], store, Classes(CLASSES), config=CONFIG, place=FitPlace(tmp_path / "two", 3))
        one, two = (load_weights(tmp_path / name / MODEL_FILE) for name in ("one", "two"))
        assert all(one[name].equal(two[name]) for name in one)  # the order of the list changes nothing
        config = replace(CONFIG, start="classifier", convolutions=0, fit=replace(CONFIG.fit, epochs=1, lr=1e-9))
        file, place = tmp_path / "one" / MODEL_FILE, FitPlace(tmp_path / "three", 3)
        train_integral(samples, store, Classes(CLASSES), config=config, place=place, classifier=file)
        found = load_weights(tmp_path / "three" / MODEL_FILE)
        name = "backbone.model.conv1_1.weight"
        torch.testing.assert_close(found[name], one[name])
        assert read_header(tmp_path / "three" / MODEL_FILE)["convolutions"] == 0

    def test_settings_that_cannot_work(self) -> None:
        cases = (
            ({"augment": AugmentConfig()}, r"network\.augment: every variant must show all of the image"),
            ({"threshold": 1.0}, r"network\.threshold: need in \[0, 1\)"),
            ({"convolutions": -1}, r"network\.convolutions"),
            ({"start": "scratch"}, r"network\.start"),
        )
        for settings, message in cases:
            with pytest.raises(ConfigError, match=message):
                replace(CONFIG, **settings)  # type: ignore[arg-type]

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from cases import each
from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.weights import MODEL_FILE, load_weights
from weakseg.ops.resample import Cells
from weakseg.settings.accumulate import AccumulationConfig, AttentionDropConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.seam import SeamConfig
from weakseg.stages.accumulate import Accumulator, activation_bytes, fill_missing, map_index, train_accumulating
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps, Origin
from weakseg.stages.classify import TagData, load_classifier, tag_data, train_classifier
from weakseg.stages.map_index import MapIndex, MappedImage
from weakseg.stages.placed import PlacedData, PlacedLoss
from weakseg.training.loop import FitPlace
from weakseg.training.placement import Placement

BACKBONE = BackboneConfig("vgg16_pool5_thin", 8, "none")
WARPED = AugmentConfig(None, 48, warp=True)
CONFIG = ClassifierConfig(BACKBONE, augment=WARPED, fit=FitConfig(epochs=3, batch_size=2, lr=0.01), accumulate=True)
DROP = AttentionDropConfig(0.5, 0.4)
PAIR = MappedImage("x", (16, 16), (2, 3), (1, 2))


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    """Six images, the first and the fifth without a class."""
    folder = tmp_path_factory.mktemp("generated")
    for index in range(6):
        Image.fromarray(draw(index)[0]).save(folder / f"{index}.png")
    tags = [frozenset({c for c in (1, 2) if index % 4 & c}) for index in range(6)]
    return [WeakSample(str(i), folder / f"{i}.png", Tags(shown)) for i, shown in enumerate(tags)]


def train(
    samples: list[WeakSample], folder: Path, config: ClassifierConfig = CONFIG, held: int = 1
) -> list[dict[str, Any]]:
    """Train on all but the last images."""
    learned = samples[: len(samples) - held]
    place, rest = FitPlace(folder, 3), samples[len(samples) - held :]
    return train_accumulating(learned, samples, Classes(CLASSES), config=config, place=place, held=rest)


def opened(folder: Path) -> AccumulatedMaps:
    return AccumulatedMaps.open(folder / ACCUMULATED_FILE)


def assert_same(one: Path, other: Path) -> None:
    """Fail unless two trainings have left the same maps and weights."""
    assert (one / ACCUMULATED_FILE).read_bytes() == (other / ACCUMULATED_FILE).read_bytes()
    first, second = (load_weights(folder / MODEL_FILE) for folder in (one, other))
    assert all(first[name].equal(second[name]) for name in first)


class TestAccumulator:
    def accumulator(self, epochs: int = 3, **config: Any) -> Accumulator:
        store = AccumulatedMaps(MapIndex.of(Classes(CLASSES), [PAIR]))
        return Accumulator(store, AccumulationConfig(**config), epochs)

    def test_epochs(self) -> None:
        # oaa.md, oracle 3
        found = self.accumulator()
        for epoch, value in enumerate((200, 10, 30)):
            maps = np.full((2, 2, 3), value, np.uint8)
            found.take(epoch, "x", maps, (True, False))
            for _ in range(2):  # a step that is done again changes nothing
                found.take(epoch, "x", maps, (True, False))
            expected = ((0, 0), (10, 0), (30, 30))[epoch]
            assert [int(m.max()) for m in found.store.maps("x")] == list(expected)
        assert found.store.counts() == {"none": 0, "trained": 0, "last": 1, "accepted": 1}
        found.take(2, "x", np.full((2, 2, 3), 99, np.uint8), (False, False))
        assert found.store.maps("x").max() == 30

    def test_gates(self) -> None:
        logits, targets = torch.tensor([[-1.0, -5.0]]), torch.tensor([[1.0, 1.0]])
        assert self.accumulator().gate(logits, targets).tolist() == [[True, True]]
        assert self.accumulator(gate="probability").gate(logits, targets).tolist() == [[True, False]]
        assert self.accumulator(gate="probability", min_probability=0.001).gate(logits, targets).all()

    def test_no_epoch_is_left(self) -> None:
        with pytest.raises(ConfigError, match="1 of 1 epochs leave none in which anything is accumulated"):
            self.accumulator(1)
        self.accumulator(1, skip_epochs=0)


class TestPlacement:
    def test_mirrored_maps_are_undone(self) -> None:
        # oaa.md, oracle 4: cells in the middle of their pixels lie alike in the mirror
        scores = torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(0))
        place, cells = Placement(0, 0, 48, 48), Cells(3.5, 8)
        plain = activation_bytes(scores, place, (6, 6), cells)
        mirrored = activation_bytes(scores.flip(-1), place._replace(mirrored=1), (6, 6), cells)
        assert np.array_equal(plain, mirrored)
        evidence = scores.relu()
        expected = evidence / (evidence.amax((1, 2), keepdim=True) + 1e-8) * 255
        assert np.array_equal(plain, expected.round().to(torch.uint8).numpy())

    def test_without_evidence(self) -> None:
        # oaa.md, oracle 12
        place, cells = Placement(0, 0, 48, 48), Cells(0.0, 8)
        assert not activation_bytes(-torch.rand(1, 6, 6), place, (6, 6), cells).any()
        assert activation_bytes(torch.zeros(0, 6, 6), place, (6, 6), cells).shape == (0, 6, 6)

    @each("cells", (Cells(0.0, 8), Cells(3.5, 8)))
    def test_maps_of_a_part_of_the_canvas(self, cells: Cells) -> None:
        """A ramp over the canvas stays that ramp over the image; what lies beside the image has no part in it."""
        columns = cells.first + 8 * torch.arange(8.0)
        ramp = columns.expand(1, 8, 8)
        for mirrored in (0, 1):
            found = Placement(16, 12, 24, 40, mirrored).undone(ramp, (3, 5), cells)[0]
            expected = 12 + 8 * (torch.arange(5.0) + 0.5) - 0.5
            torch.testing.assert_close(found, (expected.flip(0) if mirrored else expected).expand(3, 5))

    def test_there_and_back(self) -> None:
        maps = torch.rand(2, 3, 5, generator=torch.Generator().manual_seed(0))
        for mirrored in (0, 1):
            place = Placement(16, 8, 24, 40, mirrored)
            canvas = place.done(maps, 64)
            cells = torch.nn.functional.avg_pool2d(
                place.done(maps.repeat_interleave(8, 1).repeat_interleave(8, 2), 64), 8
            )
            torch.testing.assert_close(place.undone(cells, (3, 5), Cells(3.5, 8)), maps)
            assert not canvas[:, :16].any() and not canvas[:, 40:].any() and not canvas[..., :8].any()

    def test_it_is_that_of_the_view(self, samples: list[WeakSample]) -> None:
        """A bright disc is where the placement says, in every variant."""
        for augment in (WARPED, AugmentConfig((40, 64), 72)):
            data = PlacedData(TagData(samples, 2, augment, 0))
            mirrors = set()
            for epoch in range(8):
                image, _, place, index = data.load(1, epoch)
                assert int(index) == 1
                placement = Placement(*place.tolist())
                red = (image[0] > 190) & (image[1] < 90)
                mask = torch.from_numpy(draw(1)[1] == 1)[None].float()
                expected = placement.done(mask, augment.crop)[0] > 0.5
                assert float((red & expected).sum() / (red | expected).sum()) > 0.75
                mirrors.add(placement.mirrored)
            assert mirrors == {0, 1}


class TestHidden:
    def loss(self, samples: list[WeakSample], probability: float = 1.0) -> PlacedLoss:
        store = AccumulatedMaps(map_index(samples, Classes(CLASSES), WARPED, 8))
        ids = [sample.id for sample in samples]
        bright = np.zeros((6, 6), np.uint8)
        bright[1:3, 1:4] = 255
        store.merge("3", 2, bright)
        return PlacedLoss(store, ids, AttentionDropConfig(probability, 0.6), 255 * build_backbone(BACKBONE).mean)

    def test_what_is_hidden(self, samples: list[WeakSample]) -> None:
        places = torch.tensor([[0, 0, 48, 48, mirrored, hidden] for mirrored in (0, 1) for hidden in (0, 1)])
        masks = self.loss(samples).hidden(places, torch.full((4,), 3), 48)
        assert [int(mask.sum()) for mask in masks[::2]] == [0, 0]
        ramp = 255 * torch.from_numpy(self.loss(samples).store.maps("3") > 0).float()
        expected = torch.nn.functional.interpolate(ramp[None], (48, 48), mode="bilinear").amax(1)[0] > 0.6 * 255
        assert masks[1].equal(expected) and masks[3].equal(expected.flip(-1)) and expected.any()
        none = self.loss(samples).hidden(places, torch.zeros(4, dtype=torch.int64), 48)  # it has no class
        assert not none.any()

    def test_the_network_sees_the_mean_colour(self, samples: list[WeakSample]) -> None:
        torch.manual_seed(0)
        model = TagClassifier(build_backbone(BACKBONE), 2).eval()
        data, loss = PlacedData(tag_data(samples, Classes(CLASSES), CONFIG, FitPlace(Path())), 1.0), self.loss(samples)
        batch = [torch.stack(parts) for parts in zip(*(data.load(i, 0) for i in range(4)), strict=True)]
        hidden = loss.hidden(batch[2], batch[3], 48)
        assert hidden[3].any() and not hidden[:3].any()
        value, found = loss(model, batch)
        seen = torch.where(hidden[:, None], 255 * model.backbone.mean, batch[0])
        assert not model.backbone.normalized(seen)[3][:, hidden[3]].any()
        torch.testing.assert_close(found.logits, model(seen).logits)
        torch.testing.assert_close(found.scores.mean((2, 3)), found.logits)
        without, _ = self.loss(samples, 0.0)(model, batch)
        assert value.item() != without.item()

    def test_how_often(self, samples: list[WeakSample]) -> None:
        data = PlacedData(TagData(samples[1:2], 2, WARPED, 0), 0.5)
        hidden = [int(data.load(0, epoch)[2][-1]) for epoch in range(200)]
        assert abs(sum(hidden) - 100) < 3 * 200**0.5 / 2
        assert hidden[:9] == [int(data.load(0, epoch)[2][-1]) for epoch in range(9)]


Taken = dict[tuple[str, int], list[tuple[int, Any, bool]]]


@pytest.fixture(scope="module")
def taken() -> Taken:
    """What the training of ``plain`` offered to the store: epoch, map, and whether it was accepted."""
    return {}


@pytest.fixture(scope="module")
def plain(samples: list[WeakSample], tmp_path_factory: pytest.TempPathFactory, taken: Taken) -> Path:
    """A training without attention drop."""
    folder = tmp_path_factory.mktemp("plain")

    class Noted(Accumulator):
        def take(self, epoch: int, image_id: str, maps: Any, known: Any) -> None:
            ids = self.store.index.images[self.store.index.place(image_id)].class_ids
            for class_id, values, accepted in zip(ids, maps, known, strict=True):
                taken.setdefault((image_id, class_id), []).append((epoch, values, accepted))
            super().take(epoch, image_id, maps, known)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("weakseg.stages.accumulate.Accumulator", Noted)
        (folder / "records.json").write_text(json.dumps(train(samples, folder)))
    return folder


class TestTraining:
    def test_maps_are_maxima_over_epochs(self, plain: Path, taken: Taken) -> None:
        store = opened(plain)
        assert set(taken) == {("1", 1), ("2", 2), ("3", 1), ("3", 2)}
        for (name, class_id), found in taken.items():
            assert [epoch for epoch, *_ in found] == [1, 2]
            kept = [values for _, values, accepted in found if accepted] or [found[-1][1]]
            place = store.index.images[store.index.place(name)].place(class_id)
            assert np.array_equal(store.maps(name)[place], np.max(kept, axis=0))
            assert all(values.max() in (0, 255) for _, values, _ in found)
        assert store.origin("5", 1) == Origin.TRAINED  # it was held out
        accepted = sum(any(a for *_, a in found) for found in taken.values())
        counts = {"none": 0, "trained": 1, "last": 4 - accepted, "accepted": accepted, "empty": store.empty()}
        assert json.loads((plain / "records.json").read_text())[-1]["accumulated"] == counts

    def test_it_trains_as_without(self, samples: list[WeakSample], plain: Path, tmp_path: Path) -> None:
        config, place = replace(CONFIG, accumulate=False), FitPlace(tmp_path, 3)
        train_classifier(samples[:5], samples, Classes(CLASSES), config=config, place=place)
        one, two = (load_weights(folder / MODEL_FILE) for folder in (plain, tmp_path))
        assert all(one[name].equal(two[name]) for name in one)

    def test_the_trained_classifier_fills_what_is_missing(self, samples: list[WeakSample], plain: Path) -> None:
        model, _ = load_classifier(plain / MODEL_FILE)
        store = AccumulatedMaps(map_index(samples, Classes(CLASSES), WARPED, 8))
        store.merge("3", 1, np.full((6, 6), 7, np.uint8))
        fill_missing(model, store, samples, WARPED)
        assert store.missing() == {} and (store.maps("3")[0] == 7).all()
        assert np.array_equal(store.maps("5"), opened(plain).maps("5"))
        assert store.counts() == {"none": 0, "trained": 4, "last": 0, "accepted": 1}

    def test_killed_resumed_and_in_two_processes_it_leaves_the_same(
        self, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        config = replace(CONFIG, attention_drop=DROP)
        train(samples, tmp_path / "whole", config)
        seen_of = TagData.seen
        for stop in ((1, 3), (2, 3)):  # in the middle of an epoch
            seen: list[int] = []

            def stopped(
                self: TagData, index: int, epoch: int, stop: tuple[int, int] = stop, seen: list[int] = seen
            ) -> Any:
                seen.append(epoch)
                if epoch == stop[0] and seen.count(epoch) > stop[1]:
                    raise KeyboardInterrupt
                return seen_of(self, index, epoch)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(TagData, "seen", stopped)
                with pytest.raises(KeyboardInterrupt):
                    train(samples, tmp_path / "killed", config)
        assert not (tmp_path / "killed" / ACCUMULATED_FILE).exists()
        train(samples, tmp_path / "killed", replace(config, fit=replace(config.fit, loader_workers=2)))
        assert_same(tmp_path / "killed", tmp_path / "whole")
        (tmp_path / "killed" / ACCUMULATED_FILE).unlink()  # what a finished training has lost comes from its state
        train(samples, tmp_path / "killed", config)
        assert_same(tmp_path / "killed", tmp_path / "whole")

    def test_a_state_of_other_images_or_sizes(self, samples: list[WeakSample], plain: Path) -> None:
        other = replace(samples[0], tags=Tags(frozenset({1})))
        for changed, config in (
            ([other, *samples[1:]], CONFIG),
            (samples, replace(CONFIG, augment=replace(WARPED, crop=64))),
        ):
            with pytest.raises(CheckpointError, match=r"fit AccumulatedMaps \(accumulated maps are of other classes"):
                train(changed, plain, config)
        with pytest.raises(CheckpointError, match="keeps the state of AccumulatedMaps, but that of nothing is wanted"):
            config = replace(CONFIG, accumulate=False)
            train_classifier(samples[:5], samples, Classes(CLASSES), config=config, place=FitPlace(plain, 3))

    def test_variants_on_a_canvas(self, samples: list[WeakSample], tmp_path: Path) -> None:
        config = replace(CONFIG, augment=AugmentConfig((32, 56), 56))
        train(samples, tmp_path, config)
        image = opened(tmp_path).index.images[3]
        assert (image.image_size, image.grid) == ((48, 64), (5, 6))  # as seen at 33 x 44

    def test_unknown_tags_have_no_map(self, samples: list[WeakSample], tmp_path: Path) -> None:
        unknown = replace(samples[3], tags=Tags(frozenset({1}), frozenset({2})))
        train([*samples[:3], unknown, *samples[4:]], tmp_path)
        assert opened(tmp_path).maps("3").shape == (1, 6, 6)


@each(
    ("settings", "message"),
    (
        ({"augment": AugmentConfig()}, "every variant must show all of the image, upright, for .*: set warp to true"),
        ({"augment": AugmentConfig(None, 64, warp=True, rotation=5.0)}, "every variant must show all of the image"),
        ({"augment": AugmentConfig((48, 65), 64)}, "every variant must show all of the image"),
        ({"augment": AugmentConfig(None, 64, scales=(0.5,))}, "every variant must show all of the image"),
        ({"fit": FitConfig(epochs=1)}, "skip_epochs: 1 of 1 epochs leave none"),
        ({"accumulate": False, "attention_drop": DROP}, "attention_drop: has no effect without classifier.accumulate"),
        ({"accumulate": False, "accumulation": AccumulationConfig("probability")}, "accumulation: has no effect"),
    ),
)
def test_settings_that_contradict(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replace(CONFIG, **settings)


def test_settings_that_are_none() -> None:
    cases: list[tuple[Callable[[], Any], str]] = [
        (lambda: AccumulationConfig("rank", 0.2), "min_probability: belongs to gate 'probability'"),
        (lambda: AccumulationConfig("best"), "gate: 'rank' or 'probability', got 'best'"),  # type: ignore[arg-type]
        (lambda: AccumulationConfig(skip_epochs=-1), "skip_epochs: need >= 0"),
        (lambda: AttentionDropConfig(0.0, 0.5), "threshold: has no effect with probability 0"),
        (lambda: AttentionDropConfig(1.5), r"probability: need in \[0, 1\]"),
        (lambda: SeamConfig(augment=WARPED, accumulate=True), "accumulate: belongs to the plain classifier"),
    ]
    for make, message in cases:
        with pytest.raises(ConfigError, match=message):
            make()

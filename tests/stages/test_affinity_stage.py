from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from generated import draw
from weakseg.artifacts import Scores
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError, DataError, ShapeError, StoreError
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.weights import load_weights, save_model
from weakseg.ops.resample import block_means
from weakseg.settings.affinity import AffinityConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.stages.affinity import ScoreData, find_features, load_affinity, merge_labels, train_affinity
from weakseg.training.augment import augment, draw_view
from weakseg.training.loop import FitPlace

Data = tuple[list[WeakSample], Path, Path]
Trained = tuple[Path, list[dict[str, float]]]
CONFIG = AffinityConfig(
    backbone=BackboneConfig("resnet10t", 16, "none"),
    augment=AugmentConfig((64, 80), 64),
    fit=FitConfig(epochs=3, batch_size=4, optimizer="adamw", lr=1e-3, frozen_levels=1),
)


def blocks(*labels: int, num_labels: int = 3) -> Tensor:
    """Return ``(L, 8, 8 n)`` scores: one block a label, one where that label is; -1 is a block without scores."""
    scores = torch.zeros(num_labels, 8, 8 * len(labels))
    for place, label in enumerate(labels):
        if label >= 0:
            scores[label, :, 8 * place : 8 * place + 8] = 1
    return scores


class TestMergeLabels:
    def test_table(self) -> None:
        # psa.md, oracle 13: (c, not 0) -> c; (0, not 0) -> 255; (any, 0) -> 0; no scores -> 255.
        strict, lenient = blocks(1, 2, 1, 0, 0, 2, -1), blocks(1, 2, 2, 1, 0, 0, -1)
        assert merge_labels(strict, lenient).tolist() == [[1, 2, 1, 255, 0, 0, 255]]

    def test_scores_in_one_of_both_are_enough(self) -> None:
        # One by one the argmax of nothing is 0, the background.
        assert merge_labels(blocks(1, -1), blocks(-1, 1)).tolist() == [[0, 255]]

    def test_means_come_before_maxima(self) -> None:
        # Class 1 is best in 40 of 64 pixels, but background has the higher mean: 24 / 64 against 40 * 0.5 / 64.
        scores = torch.zeros(2, 8, 8)
        scores[1, :5], scores[0, 5:] = 0.5, 1.0
        assert merge_labels(scores, scores).tolist() == [[0]]

    def test_of_equal_scores_the_first_counts(self) -> None:
        scores = torch.full((3, 8, 8), 0.5)
        assert merge_labels(scores, scores).tolist() == [[0]]
        scores[0] = 0
        assert merge_labels(scores, scores).tolist() == [[1]]

    def test_an_image_without_classes_is_background(self) -> None:
        assert merge_labels(torch.ones(1, 8, 16), torch.ones(1, 8, 16)).tolist() == [[0, 0]]

    def test_inputs_stay(self) -> None:
        strict, lenient = blocks(1, 0), blocks(0, 1)
        merge_labels(strict, lenient)
        assert torch.equal(strict, blocks(1, 0)) and torch.equal(lenient, blocks(0, 1))

    @pytest.mark.parametrize(
        ("strict", "lenient"), [((2, 8, 8), (3, 8, 8)), ((2, 8, 8), (2, 8, 9)), ((8, 8), (8, 8)), ((0, 8, 8),) * 2]
    )
    def test_other_shapes_are_refused(self, strict: tuple[int, ...], lenient: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match="scores"):
            merge_labels(torch.zeros(strict), torch.zeros(lenient))


class TestBlockMeans:
    @pytest.mark.parametrize("size", [(16, 24), (17, 23), (8, 9), (3, 5), (1, 1)])
    def test_cut_blocks_are_means_over_what_they_have(self, size: tuple[int, int]) -> None:
        # psa.md, oracle 14, section 4: valid pixels alone.
        maps = torch.rand(2, *size, generator=torch.Generator().manual_seed(0))
        found = block_means(maps, 8)
        assert found.shape == (2, -(-size[0] // 8), -(-size[1] // 8))
        for row, column in np.ndindex(*found.shape[1:]):
            block = maps[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8]
            torch.testing.assert_close(found[:, row, column], block.mean((1, 2)))

    def test_the_best_label_is_that_of_zero_padding(self) -> None:
        # Padding with zeros, as the official code does, scales all labels of a cell alike.
        maps = torch.rand(4, 21, 27, generator=torch.Generator().manual_seed(0))
        padded = nn.functional.pad(maps, (0, 5, 0, 3))
        assert torch.equal(block_means(maps, 8).argmax(0), block_means(padded, 8).argmax(0))


class TestMapsOfAView:
    @settings(max_examples=40)
    @given(st.integers(1, 90), st.integers(1, 90), st.integers(4, 100), st.integers(0, 10**6))
    def test_maps_go_with_labels(self, height: int, width: int, crop: int, seed: int) -> None:
        labels = np.random.default_rng(seed).integers(0, 3, (height, width), dtype=np.uint8)
        side = max(height, width)  # without scaling they agree exactly
        view = draw_view((height, width), AugmentConfig((side, side), crop), np.random.default_rng(seed))
        maps = view.maps(one_hot(labels, 3))
        turned = view.labels(labels)
        assert maps.shape == (3, crop, crop)
        torch.testing.assert_close(maps, one_hot(turned, 3), rtol=0, atol=0)  # 0 where labels are undecided

    def test_they_are_scaled_bilinearly(self) -> None:
        view = draw_view((4, 4), AugmentConfig((8, 8), 8, flip=False), np.random.default_rng(0))
        maps = torch.arange(16.0).reshape(1, 4, 4)
        expected = nn.functional.interpolate(maps[None], size=(8, 8), mode="bilinear", align_corners=False)[0]
        torch.testing.assert_close(view.maps(maps), expected)

    def test_augment_is_drawing_and_applying(self) -> None:
        image, mask = draw(3)
        config = AugmentConfig((40, 90), 64, jitter=0.3)
        for seed in range(10):
            view = draw_view(mask.shape, config, np.random.default_rng(seed))
            one, labels = augment(image, mask, config, np.random.default_rng(seed))
            np.testing.assert_array_equal(view.image(image), one)
            np.testing.assert_array_equal(view.labels(mask), labels)


def one_hot(labels: NDArray[np.uint8], num_labels: int) -> Tensor:
    return torch.stack([torch.from_numpy(labels == label).float() for label in range(num_labels)])


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Data:
    """Generated images with scores that tell the truth, but for a frame around objects where both disagree."""
    root = tmp_path_factory.mktemp("data")
    samples = []
    for index in range(8):
        image, mask = draw(index)
        Image.fromarray(image).save(root / f"{index}.png")
        tags = tuple(int(label) for label in np.unique(mask) if label)
        samples.append(WeakSample(f"i/{index}", root / f"{index}.png", Tags(frozenset(tags))))
        values = one_hot(mask, 3)[[0, *tags]]
        wide = nn.functional.max_pool2d(values[None, 1:], 5, 1, 2)[0] if tags else values[1:]
        lenient = torch.cat([1 - wide.sum(0, keepdim=True).clamp(max=1), wide])
        for name, scores in (("strict", values), ("lenient", lenient)):
            Scores(scores, (0, *tags), mask.shape).save(root / name / f"i/{index}.safetensors")
    return samples, root / "strict", root / "lenient"


class TestScoreData:
    def test_labels_lie_on_the_image(self, data: Data) -> None:
        # Without scaling, cells that are red through and through are discs, blue ones squares (position in the tags).
        seen = set()
        examples = ScoreData(*data, AugmentConfig((64, 64), 48), 0)
        for epoch, index in np.ndindex(6, len(examples)):
            image, labels = examples.load(index, epoch)
            assert image.shape == (3, 48, 48) and labels.shape == (6, 6) and labels.dtype == torch.int64
            classes = sorted(data[0][index].tags.present)
            red, blue = (
                -nn.functional.max_pool2d(-(found[None].float()), 8)[0] > 0
                for found in (image[0] > 200, image[2] > 200)
            )
            for cells, class_id in ((red, 1), (blue, 2)):
                if cells.any():
                    assert set(labels[cells].tolist()) == {1 + classes.index(class_id)}
                    seen.add(class_id)
            assert set(labels.unique().tolist()) <= {0, 255, *range(1, 1 + len(classes))}
        assert seen == {1, 2}

    def test_outside_of_the_image_is_undecided(self, data: Data) -> None:
        labels = ScoreData(*data, AugmentConfig((16, 16), 64), 0).load(0, 0)[1]
        assert (labels == 255).sum() >= 64 - 9  # 12 x 16 pixels touch at most 3 x 3 cells

    def test_epochs_differ_and_repeat(self, data: Data) -> None:
        examples = ScoreData(*data, CONFIG.augment, 0)
        first, again, other = (examples.load(1, epoch)[0] for epoch in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)

    @pytest.mark.parametrize(
        ("scores", "error", "message"),
        [
            (None, StoreError, "no such scores"),
            (b"nonsense", StoreError, "not a file of scores"),
            (Scores(torch.ones(2, 6, 8), (0, 1), (48, 64)), DataError, r"size \(48, 64\) .* got \(6, 8\)"),
            (Scores(torch.ones(2, 48, 64), (1, 2), (48, 64)), DataError, r"background first, .* labels \(1, 2\)"),
            (Scores(torch.ones(2, 48, 64), (0, 2), (48, 64)), DataError, r"labels \(0, 1\) in .* but \(0, 2\) in"),
        ],
    )
    def test_bad_scores(
        self, data: Data, tmp_path: Path, scores: Scores | bytes | None, error: type[Exception], message: str
    ) -> None:
        path = tmp_path / "i" / "1.safetensors"
        path.parent.mkdir()
        if isinstance(scores, Scores):
            scores.save(path)
        elif scores:
            path.write_bytes(scores)
        with pytest.raises(error, match=message):
            ScoreData(data[0], data[1], tmp_path, CONFIG.augment, 0).load(1, 0)


@pytest.fixture(scope="module")
def trained(data: Data, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("model")
    return folder, train_affinity(*data, config=CONFIG, place=FitPlace(folder))


class TestTraining:
    def test_the_loss_falls(self, trained: Trained) -> None:
        losses = [record["loss"] for record in trained[1]]
        assert len(losses) == 3
        assert losses[-1] < 0.8 * losses[0]

    def test_the_order_of_the_list_and_a_second_call_change_nothing(
        self, trained: Trained, data: Data, tmp_path: Path
    ) -> None:
        samples, strict, lenient = data
        train_affinity(samples[::-1], strict, lenient, config=CONFIG, place=FitPlace(tmp_path))
        first, second = (load_weights(folder / "model.safetensors") for folder in (trained[0], tmp_path))
        torch.testing.assert_close(second, first, rtol=0, atol=0)
        again = train_affinity(*data, config=CONFIG, place=FitPlace(tmp_path))  # resumes after its last epoch
        assert len(again) == 3
        torch.testing.assert_close(load_weights(tmp_path / "model.safetensors"), first, rtol=0, atol=0)

    def test_it_goes_on_where_it_was_interrupted(
        self,
        trained: Trained,
        data: Data,
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        load = ScoreData.load

        def stop(self: ScoreData, index: int, epoch: int) -> tuple[Tensor, Tensor]:
            if epoch == 1:
                raise KeyboardInterrupt
            return load(self, index, epoch)

        monkeypatch.setattr(ScoreData, "load", stop)
        with pytest.raises(KeyboardInterrupt):
            train_affinity(*data, config=CONFIG, place=FitPlace(tmp_path))
        monkeypatch.undo()
        train_affinity(*data, config=CONFIG, place=FitPlace(tmp_path))
        first, second = (load_weights(folder / "model.safetensors") for folder in (trained[0], tmp_path))
        torch.testing.assert_close(second, first, rtol=0, atol=0)

    def test_it_starts_from_the_classifier(self, data: Data, tmp_path: Path) -> None:
        torch.manual_seed(5)
        backbone = BackboneConfig("resnet10t", 32, "none")
        classifier = TagClassifier(build_backbone(backbone), 2)
        header = {"kind": "classifier", "classes": ["a", "b"], "backbone": vars(backbone)}
        save_model(tmp_path / "classifier.safetensors", classifier, header)
        config = replace(CONFIG, start="classifier", fit=replace(CONFIG.fit, epochs=1))
        place = FitPlace(tmp_path / "model")
        train_affinity(*data, config=config, place=place, classifier=tmp_path / "classifier.safetensors")
        model = load_affinity(place.folder / "model.safetensors")
        assert model.strides == [8, 16, 32]
        change = {
            name: float((value - model.backbone.state_dict()[name]).abs().max())
            for name, value in classifier.backbone.state_dict().items()
        }
        assert change["model.conv1.0.weight"] == 0  # frozen
        assert 0 < change["model.layer1.0.conv1.weight"] < 0.01  # a few steps of about the learning rate
        with pytest.raises(ConfigError, match=r"start: 'classifier' needs a trained classifier"):
            train_affinity(*data, config=config, place=place)

    def test_alike_and_unlike_cells(self, trained: Trained) -> None:
        # A new image with both objects: neighbours within an object are more alike than across its border.
        image, mask = draw(11)
        features = find_features(load_affinity(trained[0] / "model.safetensors"), image)
        affinity = feature_affinity(features, ((0, 1),))[0, :, :-1]
        cells = torch.from_numpy(mask[4::8, 4::8].astype(np.int64))
        alike = cells[:, :-1] == cells[:, 1:]
        assert float(affinity[alike].mean()) > float(affinity[~alike].mean())


class TestFindFeatures:
    model = AffinityNet(build_backbone(BackboneConfig("resnet10t", 16, "none"))).eval()

    @pytest.mark.parametrize("size", [(48, 64), (41, 50), (1, 1), (7, 100)])
    def test_one_cell_for_eight_pixels(self, size: tuple[int, int]) -> None:
        features = find_features(self.model, np.zeros((*size, 3), np.uint8))
        assert features.shape == (448, -(-size[0] // 8), -(-size[1] // 8))

    def test_padding_is_the_mean_colour(self) -> None:
        image = draw(3)[0][:41, :50]
        mean = (255 * self.model.backbone.mean).reshape(3, 1, 1).expand(3, 48, 56).clone()
        mean[:, :41, :50] = torch.from_numpy(image).permute(2, 0, 1)
        with torch.no_grad():
            torch.testing.assert_close(find_features(self.model, image), self.model(mean[None])[0])


class TestFiles:
    @pytest.mark.parametrize("norms", [False, True])
    def test_save_and_load(self, norms: bool, tmp_path: Path) -> None:
        torch.manual_seed(0)
        config = BackboneConfig("resnet10t", 8, "none")
        model = AffinityNet(build_backbone(config), norms=norms).eval()
        header = {"kind": "affinity", "backbone": vars(config), **({"norms": True} if norms else {})}
        save_model(tmp_path / "m.safetensors", model, header)
        loaded = load_affinity(tmp_path / "m.safetensors")
        assert not any(module.training for module in loaded.modules())
        image = draw(3)[0]
        assert torch.equal(find_features(loaded, image), find_features(model, image))
        (tmp_path / "cut.safetensors").write_bytes((tmp_path / "m.safetensors").read_bytes()[:-100])
        with pytest.raises(CheckpointError, match="cut"):
            load_affinity(tmp_path / "cut.safetensors")

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ({"kind": "boundary", "backbone": {}}, "is no affinity but a boundary"),
            ({"kind": "affinity"}, "describes no network of kind 'affinity'"),
            ({"kind": "affinity", "backbone": {"name": "hf-hub:a/b"}}, "describes no network of kind 'affinity'"),
            ({"kind": "affinity", "backbone": {"depth": 3}}, "describes no network of kind 'affinity'"),
            ({"kind": "affinity", "backbone": {"name": "resnet10t", "weights": "none"}}, "belongs to another model"),
        ],
    )
    def test_bad_headers(self, tmp_path: Path, header: dict[str, object], message: str) -> None:
        save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), header)
        with pytest.raises(CheckpointError, match=message):
            load_affinity(tmp_path / "m.safetensors")

    def test_no_file(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="not a weakseg model"):
            load_affinity(tmp_path / "m.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"start": "seeds"}, r"affinity\.start: 'classifier' or 'pretrained', got 'seeds'"),
        ({"radius_cells": 1.0}, r"affinity\.radius_cells: need > 1"),
        ({"radius_cells": float("nan")}, r"affinity\.radius_cells: need > 1"),
        ({"augment": AugmentConfig(crop=60)}, r"affinity\.augment\.crop: need a multiple of 8, got 60"),
    ],
)
def test_impossible_settings_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AffinityConfig(**change)  # type: ignore[arg-type]

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from generated import draw
from weakseg.artifacts import LabelMap
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import CheckpointError, ConfigError, ShapeError
from weakseg.graph.feature_affinity import feature_affinity
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.window_affinity import WindowAffinityNet
from weakseg.nn.weights import load_weights, save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.window_affinity import PairLossConfig, WindowAffinityConfig, WindowConfig
from weakseg.stages.window_affinity import (
    WindowData,
    find_window_maps,
    keep_window_affinity,
    load_window_affinity,
    start_window_affinity,
    train_window_affinity,
)
from weakseg.training.loop import FitPlace

BACKBONE = BackboneConfig("resnet10t", 16, "none")
NETWORK = WindowConfig(2, (8, 8, 16))
CONFIG = WindowAffinityConfig(
    backbone=BACKBONE,
    network=NETWORK,
    augment=AugmentConfig(None, 64, jitter=0.1, hue=0.05),
    fit=FitConfig(epochs=3, batch_size=4, optimizer="adamw", lr=1e-3, frozen_levels=1),
)
Trained = tuple[Path, list[dict[str, float]]]


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    """Eight samples; in ``seeds`` beside the images the truth, undecided around objects."""
    root, found = tmp_path_factory.mktemp("window"), []
    for index in range(8):
        image, mask = draw(index)
        Image.fromarray(image).save(root / f"i{index}.png")
        wide = nn.functional.max_pool2d(torch.from_numpy(mask.astype(np.float32))[None], 5, 1, 2)[0].numpy() > 0
        seeds = np.where(wide & (mask == 0), 255, mask).astype(np.uint8)
        LabelMap(seeds).save(root / "seeds" / f"i{index}.png")
        found.append(WeakSample(f"i{index}", root / f"i{index}.png", Tags(frozenset(np.unique(mask).tolist()) - {0})))
    return found


@pytest.fixture(scope="module")
def trained(samples: list[WeakSample], tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("trained")
    records = train_window_affinity(samples, seeds_of(samples), config=CONFIG, place=FitPlace(folder))
    return folder / "model.safetensors", records


def seeds_of(samples: list[WeakSample]) -> Path:
    return samples[0].image_path.parent / "seeds"


class TestData:
    def test_without_scaling_and_padding_it_is_the_image(self, samples: list[WeakSample]) -> None:
        # a2gnn.md, section 3: no rescaling; crops smaller than the photograph are cut out of it.
        data = WindowData(samples, seeds_of(samples), AugmentConfig(None, 48, flip=False), "cells", 0)
        image, labels, inside = data.load(3, 0)
        pixels, _ = draw(3)
        starts = [x for x in range(17) if np.array_equal(pixels[:, x : x + 48], image.permute(1, 2, 0).numpy())]
        assert len(starts) == 1 and inside.all() and image.shape == (3, 48, 48)
        seeds = LabelMap.load(seeds_of(samples) / "i3.png").labels[:, starts[0] : starts[0] + 48]
        np.testing.assert_array_equal(labels.numpy(), seeds[4::8, 4::8])
        edges = WindowData(samples, seeds_of(samples), AugmentConfig(None, 48, flip=False), "edges", 0)
        np.testing.assert_array_equal(edges.load(3, 0)[1].numpy(), seeds[::8, ::8])

    def test_padding_is_undecided_and_outside(self, samples: list[WeakSample]) -> None:
        data = WindowData(samples, seeds_of(samples), AugmentConfig(None, 96), "cells", 0)
        for epoch in range(4):
            image, labels, inside = data.load(1, epoch)
            grey = (image == 127).all(0)
            cells = ~grey.reshape(12, 8, 12, 8).all(3).all(1)
            assert inside.dtype == torch.bool and labels.dtype == torch.int64
            assert not (inside & ~cells).any() and int(inside.sum()) >= 5 * 7  # 48 x 64 pixels, wherever they start
            assert (labels[~cells] == 255).all()

    def test_epochs_differ_and_repeat(self, samples: list[WeakSample]) -> None:
        data = WindowData(samples, seeds_of(samples), CONFIG.augment, "cells", 0)
        first, again, other = (data.load(1, epoch)[0] for epoch in (0, 0, 1))
        assert torch.equal(first, again) and not torch.equal(first, other)

    def test_seeds_of_another_size_are_refused(self, samples: list[WeakSample], tmp_path: Path) -> None:
        LabelMap(np.zeros((4, 4), np.uint8)).save(tmp_path / "i0.png")
        with pytest.raises(ShapeError, match=r"seeds of 'i0' is \(4, 4\) but image is \(48, 64\)"):
            WindowData(samples, tmp_path, CONFIG.augment, "cells", 0).load(0, 0)


class TestTraining:
    def test_the_loss_falls(self, trained: Trained) -> None:
        losses = [record["loss"] for record in trained[1]]
        assert len(losses) == 3 and losses[-1] < 0.8 * losses[0]

    def test_the_order_of_the_list_and_a_second_call_change_nothing(
        self, trained: Trained, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        for _ in range(2):  # the second resumes after its last epoch
            train_window_affinity(samples[::-1], seeds_of(samples), config=CONFIG, place=FitPlace(tmp_path))
            torch.testing.assert_close(
                load_weights(tmp_path / "model.safetensors"), load_weights(trained[0]), rtol=0, atol=0
            )

    def test_alike_and_unlike_cells(self, trained: Trained) -> None:
        image, mask = draw(11)
        features = find_window_maps(load_window_affinity(trained[0]), image).features[0]
        affinity = feature_affinity(features, ((0, 1),))[0, :, :-1]
        cells = torch.from_numpy(mask[4::8, 4::8].astype(np.int64))
        alike = cells[:, :-1] == cells[:, 1:]
        assert float(affinity[alike].mean()) > float(affinity[~alike].mean()) + 0.02

    def test_it_starts_from_the_classifier(self, samples: list[WeakSample], tmp_path: Path) -> None:
        torch.manual_seed(5)
        classifier = TagClassifier(build_backbone(BACKBONE), 2)
        header = {"kind": "classifier", "classes": ["a", "b"], "backbone": asdict(BACKBONE)}
        save_model(tmp_path / "c.safetensors", classifier, header)
        config = replace(CONFIG, start="classifier", fit=replace(CONFIG.fit, epochs=1))
        place = FitPlace(tmp_path / "m")
        train_window_affinity(
            samples, seeds_of(samples), config=config, place=place, classifier=tmp_path / "c.safetensors"
        )
        found, start = load_weights(place.folder / "model.safetensors"), classifier.state_dict()
        assert found["backbone.model.conv1.0.weight"].equal(start["backbone.model.conv1.0.weight"])  # frozen
        with pytest.raises(ConfigError, match="start: 'classifier' needs a trained classifier"):
            train_window_affinity(samples, seeds_of(samples), config=config, place=place)


class TestStart:
    def test_it_goes_on_with_a_trained_network(
        self, trained: Trained, samples: list[WeakSample], tmp_path: Path
    ) -> None:
        # a2gnn.md, section 3: backbone and head of an affinity network of the same shape
        plain = AffinityNet(build_backbone(BACKBONE))
        save_model(tmp_path / "plain.safetensors", plain, {"kind": "affinity", "backbone": asdict(BACKBONE)})
        for path, network in ((trained[0], NETWORK), (tmp_path / "plain.safetensors", WindowConfig(3))):
            expected = {k: v for k, v in load_weights(path).items() if k.startswith(("head.", "backbone."))}
            for start, file, before in (("file", str(path), None), ("affinity", "", path)):
                config = replace(CONFIG, start=start, file=file, network=network)
                build, header = start_window_affinity(config, trained=before)
                torch.testing.assert_close(dict(build().state_dict()), expected, rtol=0, atol=0)
                assert header["network"] == asdict(network) and header["backbone"] == asdict(BACKBONE)
        config = replace(CONFIG, start="file", file=str(trained[0]), fit=replace(CONFIG.fit, epochs=1))
        records = train_window_affinity(samples, seeds_of(samples), config=config, place=FitPlace(tmp_path / "on"))
        assert records[0]["loss"] < trained[1][0]["loss"]

    def test_it_may_stay_as_it_starts(self, trained: Trained, tmp_path: Path) -> None:
        config = replace(CONFIG, start="file", file=str(trained[0]), trained=False)
        keep_window_affinity(config, FitPlace(tmp_path))
        model = load_window_affinity(tmp_path / "model.safetensors")
        torch.testing.assert_close(dict(model.state_dict()), load_weights(trained[0]), rtol=0, atol=0)
        for name in ("a", "b"):  # a head that is drawn is drawn by the seed
            keep_window_affinity(replace(CONFIG, trained=False), FitPlace(tmp_path / name))
        assert (tmp_path / "a/model.safetensors").read_bytes() == (tmp_path / "b/model.safetensors").read_bytes()

    def test_other_widths_and_missing_networks_are_refused(self, trained: Trained, tmp_path: Path) -> None:
        config = replace(CONFIG, start="file", file=str(trained[0]), network=WindowConfig(2, (8, 8, 8)))
        message = r"its levels have \(8, 8, 16\) channels, affinity.network.widths are \(8, 8, 8\)"
        with pytest.raises(CheckpointError, match=message):
            start_window_affinity(config)[0]()
        with pytest.raises(CheckpointError, match="nothing"):
            start_window_affinity(replace(config, file=str(tmp_path / "nothing")))
        with pytest.raises(ConfigError, match="'affinity' needs a network that was trained before"):
            start_window_affinity(replace(CONFIG, start="affinity"))


class TestFiles:
    def test_a_model_is_read_as_it_was_written(self, trained: Trained) -> None:
        model = load_window_affinity(trained[0])
        assert model.config == NETWORK and not any(module.training for module in model.modules())
        torch.testing.assert_close(model.state_dict(), load_weights(trained[0]), rtol=0, atol=0)

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ({"kind": "affinity", "backbone": {}}, "is no window-affinity but a affinity"),
            ({"kind": "window-affinity", "backbone": {}}, "describes no network of kind 'window-affinity'"),
            (
                {"kind": "window-affinity", "backbone": asdict(BACKBONE), "network": {"widths": [4], "radius": 3}},
                "backbone: belongs to another model",
            ),
            (
                {"kind": "window-affinity", "backbone": asdict(BACKBONE), "network": asdict(NETWORK)},
                "belongs to another model",
            ),
        ],
    )
    def test_bad_headers(self, tmp_path: Path, header: dict[str, Any], message: str) -> None:
        save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), header)
        with pytest.raises(CheckpointError, match=message):
            load_window_affinity(tmp_path / "m.safetensors")

    def test_damaged(self, trained: Trained, tmp_path: Path) -> None:
        (tmp_path / "cut.safetensors").write_bytes(trained[0].read_bytes()[:-100])
        with pytest.raises(CheckpointError, match="cut"):
            load_window_affinity(tmp_path / "cut.safetensors")


class TestFindWindowMaps:
    model = WindowAffinityNet(build_backbone(BACKBONE), NETWORK).eval()

    @pytest.mark.parametrize("size", [(48, 64), (41, 50), (1, 1), (7, 100)])
    def test_one_cell_for_eight_pixels(self, size: tuple[int, int]) -> None:
        maps = find_window_maps(self.model, np.zeros((*size, 3), np.uint8))
        assert maps.taps.shape[2:] == maps.features.shape[2:] == (-(-size[0] // 8), -(-size[1] // 8))

    def test_padding_is_the_mean_colour(self) -> None:
        # a2gnn.md, 2.1: 0 in normalised space.
        image = draw(3)[0][:41, :50]
        mean = (255 * self.model.backbone.mean).reshape(3, 1, 1).expand(3, 48, 56).clone()
        mean[:, :41, :50] = torch.from_numpy(image).permute(2, 0, 1)
        torch.testing.assert_close(find_window_maps(self.model, image), self.model.maps(mean[None]))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (
            lambda: WindowAffinityConfig(start="seeds"),
            r"affinity\.start: 'classifier', 'pretrained', 'affinity' or 'file'",
        ),  # type: ignore[arg-type]
        (lambda: WindowAffinityConfig(augment=AugmentConfig(crop=60)), "need a multiple of 8, got 60"),
        (lambda: PairLossConfig(similarity=-1), r"affinity\.loss\.similarity: need >= 0"),
        (lambda: PairLossConfig(sigma_color=0), r"affinity\.loss\.sigma_color: need > 0"),
        (lambda: PairLossConfig(colors="grey"), r"affinity\.loss\.colors: 'point' or"),  # type: ignore[arg-type]
    ],
)
def test_impossible_settings_are_refused(build: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build()

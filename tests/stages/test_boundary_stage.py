from collections.abc import Callable, Iterator
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
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.boundary import BoundaryMaps, BoundaryNet
from weakseg.nn.weights import save_model
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.boundary import BoundaryConfig
from weakseg.settings.fit import FitConfig
from weakseg.stages.boundary import SeedData, find_boundary, load_boundary, train_boundary
from weakseg.training.loop import FitPlace

SIDE = 48
AUGMENT = AugmentConfig((48, 64), SIDE)
FIT = FitConfig(epochs=4, batch_size=3, lr=0.1, head_lr_factor=1.0, momentum=0.0)
CONFIG = BoundaryConfig(radius_cells=4.0, augment=AUGMENT, fit=FIT)
PARTS = ("logits", "features", "field")


@pytest.fixture(scope="module", autouse=True)
def small_work_on_one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> list[WeakSample]:
    """Return six samples whose ideal seeds lie in ``seeds`` beside the images."""
    root = tmp_path_factory.mktemp("generated")
    found = []
    for index in range(6):
        image, mask = draw(index + 1)
        Image.fromarray(image).save(root / f"i{index}.png")
        LabelMap(mask).save(root / "seeds" / f"i{index}.png")
        found.append(WeakSample(f"i{index}", root / f"i{index}.png", Tags(frozenset(np.unique(mask).tolist()) - {0})))
    return found


@pytest.fixture(scope="module")
def trained(samples: list[WeakSample], tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    folder = tmp_path_factory.mktemp("trained")
    seeds = samples[0].image_path.parent / "seeds"
    return folder / "model.safetensors", train_boundary(samples, seeds, config=CONFIG, place=FitPlace(folder))


@pytest.fixture(scope="module")
def model() -> BoundaryNet:
    torch.manual_seed(0)
    found = BoundaryNet(build_backbone(BackboneConfig("resnet10t", 16, "none"))).eval()
    found.field.mean_shift.copy_(torch.tensor([0.5, -0.25]))
    return found


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def assert_same(found: BoundaryMaps, expected: BoundaryMaps, parts: tuple[str, ...] = PARTS) -> None:
    for part in parts:
        torch.testing.assert_close(getattr(found, part), getattr(expected, part), rtol=1e-4, atol=1e-4)


class TestTraining:
    def test_the_loss_falls(self, trained: tuple[Path, list[dict[str, Any]]]) -> None:
        losses = [record["loss"] for record in trained[1]]
        assert len(losses) == 4 and losses[-1] < 0.9 * losses[0]

    def test_objects_have_boundaries(self, trained: tuple[Path, list[dict[str, Any]]]) -> None:
        model, side = load_boundary(trained[0])
        image, mask = draw(2)
        boundary = torch.sigmoid(find_boundary(model, image, side=side).logits[0, 0])
        edge = torch.from_numpy(np.abs(np.diff(mask.astype(int), axis=1, append=0))).float()[None, None]
        near = nn.functional.max_pool2d(edge, 4)[0, 0] > 0
        assert boundary[near].mean() > boundary[~near].mean()

    def test_a_model_is_read_as_it_was_written(
        self, trained: tuple[Path, list[dict[str, Any]]], samples: list[WeakSample], tmp_path: Path
    ) -> None:
        model, side = load_boundary(trained[0])
        assert side == SIDE and not model.training
        assert model.field.mean_shift.abs().max() > 0
        header = {"kind": "boundary", "backbone": vars(BackboneConfig()), "pad": side}
        save_model(tmp_path / "copy.safetensors", model, header)
        again, _ = load_boundary(tmp_path / "copy.safetensors")
        image = samples[0].load_image()
        assert_same(find_boundary(again, image, side=side), find_boundary(model, image, side=side))

    def test_the_mean_displacement_of_the_images_is_zero(
        self, trained: tuple[Path, list[dict[str, Any]]], samples: list[WeakSample]
    ) -> None:
        # irnet.md, section 3: the mean over the training images is what is subtracted.
        model, side = load_boundary(trained[0])
        fields = [find_boundary(model, s.load_image()[:side, :side], side=side).field for s in samples]
        assert torch.stack(fields).mean((0, 1, 3, 4)).abs().max() < 1e-4

    def test_the_order_of_the_list_does_not_count(
        self, trained: tuple[Path, list[dict[str, Any]]], samples: list[WeakSample], tmp_path: Path
    ) -> None:
        seeds = samples[0].image_path.parent / "seeds"
        records = train_boundary(samples[::-1], seeds, config=CONFIG, place=FitPlace(tmp_path))
        assert [r["loss"] for r in records] == pytest.approx([r["loss"] for r in trained[1]], rel=1e-5)

    def test_labels_are_those_in_the_middle_of_cells(self, samples: list[WeakSample]) -> None:
        # irnet.md, 2.5: source index 4 i + 2.
        data = SeedData(samples, samples[0].image_path.parent / "seeds", AugmentConfig((64, 64), 64, flip=False), 0)
        image, labels = data.load(1, 0)
        assert image.shape == (3, 64, 64) and labels.shape == (16, 16) and labels.dtype == torch.long
        _, mask = draw(2)
        assert sorted(labels.unique().tolist()) == [0, 2, 255]
        top = next(row for row in range(17) if (image[:, row] != 127).any())
        canvas = np.full((64, 64), 255, np.uint8)
        canvas[top : top + 48] = mask
        np.testing.assert_array_equal(labels.numpy(), canvas[2::4, 2::4])

    def test_seeds_of_another_size_are_refused(self, samples: list[WeakSample], tmp_path: Path) -> None:
        LabelMap(np.zeros((4, 4), np.uint8)).save(tmp_path / "i0.png")
        with pytest.raises(ShapeError, match=r"seeds of 'i0' is \(4, 4\) but image is \(48, 64\)"):
            SeedData(samples, tmp_path, AUGMENT, 0).load(0, 0)

    def test_a_start_from_the_classifier_needs_one(self, samples: list[WeakSample], tmp_path: Path) -> None:
        config = BoundaryConfig(start="classifier", augment=AUGMENT, fit=FIT)
        with pytest.raises(ConfigError, match="start: 'classifier' needs a trained classifier"):
            train_boundary(samples, tmp_path, config=config, place=FitPlace(tmp_path))

    @pytest.mark.parametrize(
        "settings", [{"start": "nothing"}, {"radius_cells": 1.0}, {"augment": AugmentConfig((64, 64), 40)}]
    )
    def test_impossible_settings_are_refused(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="boundary"):
            BoundaryConfig(**settings)


class TestFindBoundary:
    @pytest.mark.parametrize("align", [False, True])
    @pytest.mark.parametrize("width", range(40, 44))
    @pytest.mark.parametrize("height", range(28, 32))
    def test_one_cell_for_four_pixels_begun(self, model: BoundaryNet, height: int, width: int, align: bool) -> None:
        # irnet.md, oracle 15.
        maps = find_boundary(model, noise(height, width), side=48, align_mirror=align)
        cells = (-(-height // 4), -(-width // 4))
        assert maps.logits.shape == (1, 1, *cells) and maps.field.shape == (1, 2, *cells)
        assert maps.features.shape == (1, len(model.feature_weights()), *cells)

    @pytest.mark.parametrize("size", [(33, 90), (90, 33), (97, 98), (32, 32), (1, 1)])
    def test_images_may_be_larger_than_the_side(self, model: BoundaryNet, size: tuple[int, int]) -> None:
        maps = find_boundary(model, noise(*size), side=32)
        assert maps.logits.shape[2:] == (-(-size[0] // 4), -(-size[1] // 4))
        assert torch.isfinite(maps.logits).all()

    @pytest.mark.parametrize("align", [False, True])
    @pytest.mark.parametrize(("size", "side"), [((37, 40), 48), ((50, 64), 32)])
    def test_mirrored_images_have_mirrored_boundaries(
        self, model: BoundaryNet, size: tuple[int, int], side: int, align: bool
    ) -> None:
        # Where the width is whole cells; else the grid, which starts at the left, lies elsewhere in the mirror image.
        image = noise(*size)
        here = find_boundary(model, image, side=side, align_mirror=align)
        there = find_boundary(model, image[:, ::-1].copy(), side=side, align_mirror=align)
        for part in ("logits", "features"):
            torch.testing.assert_close(getattr(there, part).flip(-1), getattr(here, part), rtol=1e-3, atol=1e-4)

    @pytest.mark.parametrize("width", range(41, 44))
    def test_aligned_is_padded_to_whole_cells_before_mirroring(
        self, model: BoundaryNet, width: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        mean = torch.full((1, 3, 1, 1), 127 / 255)  # a colour of uint8
        monkeypatch.setitem(model.backbone._buffers, "mean", mean)
        image = noise(36, width)
        whole = np.pad(image, ((0, 0), (0, -width % 4), (0, 0)), constant_values=127)
        aligned = find_boundary(model, image, side=48, align_mirror=True)
        assert_same(aligned, find_boundary(model, whole, side=48))
        plain = find_boundary(model, image, side=48)
        assert_same(aligned, plain, ("field",))  # from the image alone
        assert not torch.allclose(aligned.logits, plain.logits, atol=1e-3)

    def test_logits_and_features_are_means_and_the_field_is_not(self, model: BoundaryNet) -> None:
        image = noise(32, 48)
        batch = torch.from_numpy(image).permute(2, 0, 1)[None].float()
        with torch.no_grad():
            own, other = model(batch), model(batch.flip(-1))
        expected = BoundaryMaps(
            (own.logits + other.logits.flip(-1)) / 2, (own.features + other.features.flip(-1)) / 2, own.field
        )
        assert_same(find_boundary(model, image, side=16), expected)


class TestLoading:
    @pytest.mark.parametrize(
        "damage", [lambda data: b"", lambda data: data[:1000], lambda data: b"no model", lambda data: data[:-1000]]
    )
    def test_damaged_files(
        self, trained: tuple[Path, list[dict[str, Any]]], tmp_path: Path, damage: Callable[[bytes], bytes]
    ) -> None:
        path = tmp_path / "m.safetensors"
        path.write_bytes(damage(trained[0].read_bytes()))
        with pytest.raises(CheckpointError, match=r"m\.safetensors"):
            load_boundary(path)

    def test_a_missing_file(self, tmp_path: Path) -> None:
        with pytest.raises(CheckpointError, match="not a weakseg model"):
            load_boundary(tmp_path / "m.safetensors")

    def test_a_classifier_is_no_boundary_network(self, tmp_path: Path) -> None:
        save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), {"kind": "classifier", "backbone": {}, "pad": 48})
        with pytest.raises(CheckpointError, match="is no boundary but a classifier"):
            load_boundary(tmp_path / "m.safetensors")

    @pytest.mark.parametrize(
        "header",
        [
            {"pad": 48},
            {"backbone": {}},
            {"backbone": [], "pad": 48},
            {"backbone": {"name": "hf-hub:someone/model"}, "pad": 48},
            {"backbone": {"colour": "red"}, "pad": 48},
            {"backbone": {}, "pad": "wide"},
        ],
    )
    def test_a_header_that_describes_nothing(self, tmp_path: Path, header: dict[str, Any]) -> None:
        save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), {"kind": "boundary", **header})
        with pytest.raises(CheckpointError, match="describes no network of kind 'boundary'"):
            load_boundary(tmp_path / "m.safetensors")

    def test_weights_of_another_model(self, tmp_path: Path) -> None:
        header = {"kind": "boundary", "backbone": {"name": "resnet10t", "weights": "none"}, "pad": 48}
        save_model(tmp_path / "m.safetensors", nn.Linear(2, 2), header)
        with pytest.raises(CheckpointError, match="belongs to another model"):
            load_boundary(tmp_path / "m.safetensors")

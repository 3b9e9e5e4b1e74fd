"""Features of networks that do not learn: of which levels, where they lie, kept in half precision, and in graphs."""

from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from numpy.typing import NDArray

from tiny_transformers import dinov2
from weakseg.errors import CheckpointError, ConfigError, ShapeError, StoreError
from weakseg.feature_maps import FeatureMaps
from weakseg.nn.backbones import embedded_backbone
from weakseg.nn.backbones.plain_vit import PlainVit
from weakseg.ops.resample import Cells
from weakseg.photograph.photograph import Photograph
from weakseg.settings.graph import FeaturesConfig, FreeGraphConfig
from weakseg.stages.build_graph import free_graph
from weakseg.stages.features import check_features, feature_backbone, feature_maps

TINY = "test_vit"


def noise(rows: int, columns: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (rows, columns, 3), dtype=np.uint8)


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    torch.save(timm.create_model(TINY).state_dict(), tmp_path / "w.pth")
    return tmp_path / "w.pth"


def config(weights: Path, *, levels: int = 1, enlarged: float = 1.0, max_side: int = 512) -> FreeGraphConfig:
    features = FeaturesConfig(TINY, str(weights), enlarged)
    return FreeGraphConfig(stride=8, levels=levels, max_side=max_side, features=features)


def test_the_default_is_the_embedded_network() -> None:
    assert feature_backbone(FeaturesConfig()) is embedded_backbone() is feature_backbone(FeaturesConfig(enlarged=2.0))
    maps = feature_maps(embedded_backbone(), noise(64, 96), FreeGraphConfig(stride=8, levels=2))
    assert [tuple(level.shape) for level in maps.levels] == [(40, 8, 12), (112, 4, 6)]
    assert maps.cells == (embedded_backbone().cells(8), embedded_backbone().cells(16)) and maps.image_size == (64, 96)


def test_of_equal_levels_the_last_count() -> None:
    torch.manual_seed(0)
    backbone = PlainVit(dinov2()).eval()
    every = feature_maps(backbone, noise(56, 84), FreeGraphConfig(stride=8, levels=4)).levels
    two = feature_maps(backbone, noise(56, 84), FreeGraphConfig(stride=8, levels=2)).levels
    assert len(every) == 4 and len(two) == 2 and two[0].equal(every[2]) and two[1].equal(every[3])


def test_an_enlarged_image_has_finer_cells_at_the_same_places(weights: Path) -> None:
    image = noise(64, 96)
    plain, finer = (config(weights, enlarged=by) for by in (1.0, 2.0))
    backbone = feature_backbone(plain.features)
    assert feature_maps(backbone, image, plain).levels[0].shape[1:] == (4, 6)
    maps = feature_maps(backbone, image, finer)
    assert maps.levels[0].shape[1:] == (8, 12) and maps.image_size == (128, 192) and maps.cells == (Cells(7.5, 16),)
    one, other = free_graph(image, plain), free_graph(image, finer)
    assert one.size == other.size == (8, 12) and not one.features.equal(other.features)
    # patches of 16 pixels of the image at twice its size are the graph's cells of 8, so that nothing is interpolated
    level = maps.levels[0].flatten(1)
    expected = (level - level.mean(1, keepdim=True)) / level.std(1, correction=0, keepdim=True)
    torch.testing.assert_close(other.features[:, : len(level)], expected.T, rtol=0, atol=2e-3)


def test_files_keep_half_precision(weights: Path, tmp_path: Path) -> None:
    settings, image = config(weights, levels=2), noise(40, 60)
    maps = feature_maps(feature_backbone(settings.features), image, settings)
    maps.save(tmp_path / "a.safetensors")
    again = FeatureMaps.load(tmp_path / "a.safetensors")
    assert again.cells == maps.cells and again.image_size == maps.image_size
    assert all(one.equal(other.half().float()) for one, other in zip(again.levels, maps.levels, strict=True))
    exact, rounded = (free_graph(image, settings, maps=one).affinity.to_dense() for one in (maps, again))
    torch.testing.assert_close(exact, rounded, rtol=0, atol=2e-3)
    assert free_graph(image, settings).affinity.to_dense().equal(rounded)  # wherever they are made


@pytest.mark.parametrize("levels", [(), (torch.zeros(2, 3),), (torch.full((1, 2, 2), torch.nan),)])
def test_maps_that_are_none(levels: tuple[torch.Tensor, ...]) -> None:
    with pytest.raises(ShapeError, match="features"):
        FeatureMaps(levels, tuple(Cells(0.0, 8) for _ in levels), (16, 16))


def test_what_half_precision_cannot_hold_is_not_written(tmp_path: Path) -> None:
    with pytest.raises(ShapeError, match="half precision"):
        FeatureMaps((torch.full((1, 2, 2), 1e6),), (Cells(0.0, 8),), (16, 16)).save(tmp_path / "a.safetensors")
    assert not list(tmp_path.iterdir())


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="no such features"):
        FeatureMaps.load(tmp_path / "a.safetensors")


def test_networks_that_are_not_to_be_had(tmp_path: Path, weights: Path) -> None:
    with pytest.raises(ConfigError, match="dinov2"):
        check_features(FeaturesConfig("dinov2"))
    with pytest.raises(ConfigError, match=r"features\.file: .*gone\.pth is no file"):
        check_features(FeaturesConfig(TINY, str(tmp_path / "gone.pth")))
    with pytest.raises(ConfigError, match=r"gone\.pth is no file"):
        free_graph(noise(40, 60), FreeGraphConfig(features=FeaturesConfig(TINY, str(tmp_path / "gone.pth"))))
    with pytest.raises(CheckpointError):
        feature_backbone(FeaturesConfig("vit_tiny_patch16_224", str(weights)))
    with pytest.raises(ConfigError, match="enlarged"):
        FeaturesConfig(enlarged=0.5)
    with pytest.raises(ConfigError, match="no level has cells of 32 pixels"):
        free_graph(noise(40, 60), FreeGraphConfig(stride=32, features=FeaturesConfig(TINY, str(weights))))


def test_one_photograph_looks_once(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = config(weights)
    seen: list[tuple[int, ...]] = []
    own = PlainVit.levels

    def levels(self: PlainVit, images: torch.Tensor) -> list[torch.Tensor]:
        seen.append(tuple(images.shape[2:]))
        return own(self, images)

    monkeypatch.setattr(PlainVit, "levels", levels)
    photograph = Photograph(noise(60, 80))
    assert photograph.graph(settings) is photograph.graph(settings) and seen.count((60, 80)) == 1

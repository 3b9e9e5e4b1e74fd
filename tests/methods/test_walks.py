from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import dense_reference as dense
from generated import draw
from weakseg.artifacts import Activations, Scores
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError
from weakseg.nn.backbones import build_backbone
from weakseg.nn.pairs.affinity import AffinityNet
from weakseg.nn.pairs.boundary import BoundaryNet
from weakseg.nn.weights import save_model
from weakseg.ops.stencil import half_disc, stencil_matrix
from weakseg.pipeline.units import Unit
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.walk import BoundaryWalkConfig as IrnetConfig
from weakseg.settings.walk import WalkConfig as PsaConfig
from weakseg.stages.boundary_walk import walk_activations as irnet_walk
from weakseg.stages.walk import walk_activations as psa_walk
from weakseg.stages.walk import without_border
from weakseg.steps.affinity import AffinityWalkJob as PsaJob
from weakseg.steps.boundary import BoundaryWalkJob as IrnetJob

FIVE = half_disc(5)
IRNET, PSA = IrnetConfig(error=0), PsaConfig(error=0)


def uniform(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def activations(values: Tensor, image_size: tuple[int, int], *class_ids: int) -> Activations:
    return Activations(values, class_ids or tuple(range(3, 3 + len(values))), image_size)


def resized(maps: Tensor, size: tuple[int, int]) -> Tensor:
    return torch.stack([torch.from_numpy(dense.bilinear(plane.numpy(), size)) for plane in maps])


def walked(start: Tensor, affinity: Tensor, config: IrnetConfig | PsaConfig) -> Tensor:
    """Return ``(C, h, w)`` scores after the walk, multiplied out."""
    graph = dense.stencil_matrix(
        affinity**config.beta, half_disc(config.radius_cells), torch.ones(start.shape[1:]).double()
    )
    return (dense.walk_matrix(graph, config.steps) @ start.flatten(1).T).T.reshape(start.shape)


class TestIrnet:
    @pytest.mark.parametrize(
        ("boundary", "change", "expected"),
        [
            ([0, 0.1, 0], {"steps": 1}, [0.589151, 0.205424, 0.205424]),
            ([0, 0.1, 0], {"steps": 2}, [0.431498, 0.284251, 0.284251]),
            ([0, 0.1, 0], {"steps": 256}, [1 / 3] * 3),
            ([0, 0, 0.5, 0, 0], {"steps": 1, "beta": 1, "radius_cells": 3}, [0.4, 0.333333, 0.166667, 0, 0]),
            (
                [0, 0, 0.5, 0, 0],
                {"steps": 4, "beta": 1, "radius_cells": 3},
                [0.243007, 0.221488, 0.178568, 0.135648, 0.114148],
            ),
            ([0, 0, 0.5, 0, 0], {"radius_cells": 3}, [0.426011, 0.425821, 0.149878, 0.036468, 0.036278]),
        ],
    )
    def test_strips(self, boundary: list[float], change: dict[str, Any], expected: list[float]) -> None:
        # irnet.md, oracles 3 and 4; scores are divided by the largest.
        start = torch.zeros(1, len(boundary), 1, dtype=torch.float64)
        start[0, 0, 0] = 1
        strip = torch.tensor(boundary, dtype=torch.float64)[:, None]
        for values, walls, size in (
            (start, strip, (len(boundary), 1)),
            (start.mT.contiguous(), strip.T.contiguous(), (1, len(boundary))),
        ):
            found = irnet_walk(activations(values, size), walls, replace(IRNET, **change))
            assert found.label_ids == (0, 3)
            assert found.values[0].unique().tolist() == [0.25]
            by_largest = [value / (expected[0] + 1e-5) for value in expected]
            assert found.values[1].flatten().tolist() == pytest.approx(by_largest, abs=3e-6)

    @pytest.mark.parametrize("scaled_by", ["image", "class"])
    @pytest.mark.parametrize(("size", "image_size"), [((6, 7), (23, 28)), ((1, 1), (2, 3)), ((2, 5), (8, 20))])
    def test_equals_the_dense_version(self, scaled_by: Any, size: tuple[int, int], image_size: tuple[int, int]) -> None:
        # irnet.md, 2.6
        maps, boundary, config = uniform(3, *size), 0.6 * uniform(*size, seed=1), replace(IRNET, scaled_by=scaled_by)
        found = irnet_walk(activations(maps, image_size, 2, 5, 9), boundary, config)
        scores = walked(maps * (1 - boundary), dense.boundary_affinity(boundary, FIVE), config)
        full = resized(scores, image_size)
        peak = full.amax((1, 2), keepdim=True) if scaled_by == "class" else full.max()
        expected = torch.cat([torch.full((1, *size), 0.25).double(), scores / (peak + 1e-5)])
        torch.testing.assert_close(found.values, expected / expected.max().clamp(min=1))
        assert found.label_ids == (0, 2, 5, 9) and found.image_size == image_size

    def test_weak_classes_are_lost_to_the_background_unless_scaled_alone(self) -> None:
        maps = torch.tensor([1.0, 0.1], dtype=torch.float64).reshape(2, 1, 1).expand(2, 4, 4).clone()
        maps[0, :, 2:], maps[1, :, :2] = 0, 0
        boundary = torch.zeros(4, 4, dtype=torch.float64)
        found = [
            irnet_walk(activations(maps, (4, 4)), boundary, replace(IRNET, steps=0, scaled_by=by)).values.argmax(0)
            for by in ("image", "class")
        ]
        assert found[0][0].tolist() == [1, 1, 0, 0]
        assert found[1][0].tolist() == [1, 1, 2, 2]

    def test_the_strongest_class_wins_a_cell_above_every_pixel(self) -> None:
        # Pixels lie beside the middle of a cell of four: the largest is (7 / 8)^2 of the cell; both classes exceed it.
        maps = torch.zeros(2, 5, 5, dtype=torch.float64)
        maps[0, 2, 2], maps[1, 2, 2] = 0.9, 1.0
        found = irnet_walk(activations(maps, (20, 20)), torch.zeros(5, 5).double(), replace(IRNET, steps=0)).values
        assert int(found[:, 2, 2].argmax()) == 2
        expected = [0.25 * (49 / 64 + 1e-5), 0.9, 1.0]
        assert found[:, 2, 2].tolist() == pytest.approx(expected, abs=1e-6)

    def test_fewer_products_are_about_the_same(self) -> None:
        maps, boundary = uniform(2, 8, 9), 0.6 * uniform(8, 9, seed=1)
        found, exact = (
            irnet_walk(activations(maps, (32, 36)), boundary, config).values for config in (IrnetConfig(), IRNET)
        )
        torch.testing.assert_close(found, exact, rtol=0, atol=0.02)

    def test_walls_hold(self) -> None:
        # irnet.md, oracle 7
        boundary, maps = 0.3 * uniform(6, 9), torch.zeros(1, 6, 9, dtype=torch.float64)
        boundary[:, 4], maps[0, :, :4] = 1, 0.8
        found = irnet_walk(activations(maps, (24, 36)), boundary, IrnetConfig()).values[1]
        assert float(found[:, 4:].abs().max()) == 0 and float(found[:, :4].min()) > 0.25

    def test_mirrored_images(self) -> None:
        # irnet.md, oracle 5
        maps, boundary = uniform(2, 6, 7), uniform(6, 7, seed=1)
        expected = irnet_walk(activations(maps, (24, 28)), boundary, IRNET).values
        found = irnet_walk(activations(maps.flip(-1), (24, 28)), boundary.flip(-1), IRNET).values
        torch.testing.assert_close(found.flip(-1), expected)

    def test_other_sizes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"activations is \(3, 4\) but boundary is \(3, 5\)"):
            irnet_walk(activations(uniform(1, 3, 4), (12, 16)), uniform(3, 5), IRNET)

    @pytest.mark.parametrize(
        "change",
        [{"radius_cells": 1.0}, {"beta": 0.0}, {"steps": -1}, {"background": 1.1}, {"scaled_by": "all"}],
    )
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="walk"):
            IrnetConfig(**change)


def block_means(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return the means of blocks of 8 x 8 pixels, of those that exist."""
    cells = [maps[:, 8 * row : 8 * row + 8, 8 * column : 8 * column + 8] for row, column in np.ndindex(size)]
    return torch.stack([cell.mean((1, 2)) for cell in cells], 1).reshape(-1, *size)


def psa_start(maps: Tensor, image_size: tuple[int, int], power: float = 16) -> Tensor:
    """Return background and classes on the grid of 8 x 8 pixels, before the walk."""
    full = resized(maps, image_size)
    size = (-(-image_size[0] // 8), -(-image_size[1] // 8))
    return block_means(torch.cat([(1 - full.amax(0))[None] ** power, full]), size)


class TestPsa:
    @pytest.mark.parametrize("border", ["complete", "official"])
    @pytest.mark.parametrize("image_size", [(40, 75), (64, 90), (41, 50), (41, 41), (9, 30), (8, 8)])
    def test_equals_the_dense_version(self, border: Any, image_size: tuple[int, int]) -> None:
        # psa.md, 2.5 and 4: blocks at the border are means over what exists.
        maps = uniform(2, -(-image_size[0] // 4), -(-image_size[1] // 4))
        start = psa_start(maps, image_size)
        features = uniform(5, *start.shape[1:], seed=1)
        affinity = dense.feature_affinity(features, FIVE)
        if border == "official":
            for _, (row, column), _ in dense.neighbor_pairs(start.shape[1:], FIVE):
                if row > start.shape[1] - 5 or not 4 <= column <= start.shape[2] - 5:
                    affinity[:, row, column] = 0
        found = psa_walk(activations(maps, image_size, 1, 20), features, replace(PSA, border=border))
        torch.testing.assert_close(found.values, walked(start, affinity, PSA))
        assert found.label_ids == (0, 1, 20) and found.image_size == image_size

    def test_a_strip(self) -> None:
        # psa.md, oracle 1: mean difference 2, a = exp(-2) = .135335, here to the power 1: one step of three cells.
        features = torch.tensor([[[0.0, 1, 0]], [[0.0, 3, 0]]], dtype=torch.float64)
        maps = torch.zeros(1, 8, 24, dtype=torch.float64)
        maps[..., :8] = 1
        found = psa_walk(activations(maps, (8, 24)), features, replace(PSA, beta=1, steps=1)).values
        a = 0.135335
        first, middle = 1 / (2 + a), a / (1 + 2 * a)
        assert found[1, 0].tolist() == pytest.approx([first, middle, first], abs=1e-6)
        torch.testing.assert_close(found[0], 1 - found[1])  # background is 1 where the class is 0

    def test_no_step_is_the_best_mean(self) -> None:
        # psa.md, oracles 6 and 7: m against (1 - m)^16 crosses at .12283.
        maps = torch.tensor([0.1228, 0.1229], dtype=torch.float64).repeat_interleave(8).expand(1, 8, 16)
        found = psa_walk(activations(maps.clone(), (8, 16)), uniform(2, 1, 2), replace(PSA, steps=0))
        assert found.values.argmax(0).tolist() == [[0, 1]]

    @pytest.mark.parametrize("size", [(12, 13), (47, 63)])
    def test_missing_pairs_of_the_official_border(self, size: tuple[int, int]) -> None:
        # psa.md, oracle 3 and 2.2
        height, width = size
        kept = without_border(torch.ones(34, *size), 5)
        assert float(kept.sum()) == (height - 4) * (width - 8) * 34
        degrees = stencil_matrix(kept, FIVE).row_sums().reshape(size)
        last = {(height - 1, column) for column in (0, 1, width - 2, width - 1)}
        isolated = {(0, column) for column in range(4)} | last | {(height - 2, 0), (height - 2, width - 1)}
        assert {tuple(cell) for cell in (degrees == 0).nonzero().tolist()} == isolated
        if size == (47, 63):
            assert float(kept.sum()) == 80_410
            found = [float(degrees[cell]) for cell in ((20, 30), (0, 30), (46, 30), (20, 0))]
            assert found == [68, 38, 5, 2]

    def test_isolated_cells_keep_their_scores(self) -> None:
        maps, features = uniform(1, 20, 24), uniform(3, 10, 12, seed=1)
        found = psa_walk(activations(maps, (80, 96)), features, replace(PSA, border="official")).values
        start = psa_start(maps, (80, 96))
        same = ((found - start).abs() < 1e-12).all(0)
        isolated = [*((0, c) for c in range(4)), *((9, c) for c in (0, 1, 10, 11)), (8, 0), (8, 11)]
        assert sorted(map(tuple, same.nonzero().tolist())) == sorted(isolated)

    @pytest.mark.parametrize("size", [(3, 20), (20, 8), (1, 1)])
    def test_grids_without_official_pairs(self, size: tuple[int, int]) -> None:
        assert float(without_border(torch.ones(34, *size), 5).abs().max()) == 0

    def test_mirrored_images(self) -> None:
        # psa.md, oracle 12: with all pairs.
        maps, features = uniform(2, 10, 12), uniform(4, 5, 6, seed=1)
        expected = psa_walk(activations(maps, (40, 48)), features, PSA).values
        found = psa_walk(activations(maps.flip(-1), (40, 48)), features.flip(-1), PSA).values
        torch.testing.assert_close(found.flip(-1), expected)

    @pytest.mark.parametrize(
        "change",
        [{"radius_cells": 1.0}, {"beta": 0.0}, {"steps": -1}, {"background_power": 0.0}, {"border": "none"}],
    )
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="walk"):
            PsaConfig(**change)


class TestNothingToWalk:
    def test_without_a_class_all_is_background(self) -> None:
        nothing = Activations(torch.zeros(0, 4, 6), (), (16, 24))
        for found, size in (
            (irnet_walk(nothing, torch.rand(4, 6), IrnetConfig()), (4, 6)),
            (psa_walk(nothing, torch.rand(3, 2, 3), PsaConfig()), (2, 3)),
        ):
            assert found.label_ids == (0,) and found.image_size == (16, 24)
            assert found.values.equal(torch.ones(1, *size))

    @pytest.mark.parametrize("walls", [0.0, 1.0])
    def test_without_activation_all_is_background(self, walls: float) -> None:
        # irnet.md, oracle 2: no division by a maximum of zero.
        for value in (0.0, walls):  # activation on boundaries alone is none
            maps = activations(torch.full((2, 4, 6), value), (16, 24))
            found = irnet_walk(maps, torch.full((4, 6), walls), IrnetConfig()).values
            assert float(found[0].min()) == 0.25 and float(found[1:].abs().max()) == 0
        found = psa_walk(activations(torch.zeros(2, 4, 6), (16, 24)), torch.rand(3, 2, 3), PsaConfig()).values
        assert float(found[0].min()) > 0.99 and float(found[1:].abs().max()) == 0


class TestJobs:
    @pytest.mark.parametrize("kind", ["boundary", "affinity"])
    @pytest.mark.parametrize("size", [(48, 50), (41, 50), (41, 41), (9, 30)])
    def test_images_to_scores(self, tmp_path: Path, kind: str, size: tuple[int, int]) -> None:
        torch.manual_seed(0)
        backbone, stride = BackboneConfig("resnet10t", 16, "none"), 4 if kind == "boundary" else 8
        model = (BoundaryNet if kind == "boundary" else AffinityNet)(build_backbone(backbone))
        save_model(tmp_path / "m.safetensors", model, {"kind": kind, "backbone": vars(backbone), "pad": 64})
        Image.fromarray(draw(3)[0][: size[0], : size[1]]).save(tmp_path / "i.png")
        grid = -(-size[0] // 4), -(-size[1] // 4)
        Activations(torch.rand(2, *grid), (1, 2), size).save(tmp_path / "cam" / "i.safetensors")
        places = tmp_path / "m.safetensors", tmp_path / "cam", tmp_path / "out"
        job = IrnetJob(*places, IrnetConfig()) if kind == "boundary" else PsaJob(*places, PsaConfig())
        job.run(Unit((WeakSample("i", tmp_path / "i.png", Tags(frozenset({1, 2}))),)))
        found = Scores.load(job.output("i"))
        assert found.label_ids == (0, 1, 2) and found.image_size == size
        assert found.values.shape[1:] == (-(-size[0] // stride), -(-size[1] // stride))

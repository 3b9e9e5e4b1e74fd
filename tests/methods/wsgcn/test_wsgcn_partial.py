from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

import dense_reference as dense
from weakseg.artifacts import Activations, LabelMap
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, ShapeError
from weakseg.methods.wsgcn import partial
from weakseg.methods.wsgcn.config import WSGCN_SEEDS, PartialConfig
from weakseg.methods.wsgcn.jobs import PartialJob
from weakseg.methods.wsgcn.partial import grid_image, partial_labels, sure_cells
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.resample import grid_labels
from weakseg.pipeline.units import Unit
from weakseg.stages.build_graph import activations_on

CONFIG = PartialConfig()
NO_CRF = PartialConfig(crf=replace(WSGCN_SEEDS, iterations=0))  # marginals are the scores, normalised
IDS = (2, 5, 7, 11)


def blobs(seed: int, classes: int, size: tuple[int, int] = (11, 13)) -> tuple[Activations, NDArray[np.uint8]]:
    """Return smooth maps in which classes and background win somewhere, and an image that agrees with them."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[: size[0], : size[1]]
    maps = np.zeros((classes, *size))
    image = rng.integers(90, 130, (*size, 3))
    for index in range(classes):
        center, width = (rng.integers(0, size[0]), rng.integers(0, size[1])), rng.uniform(1.5, 4)
        distance = (rows - center[0]) ** 2 + (columns - center[1]) ** 2
        maps[index] = rng.uniform(0.5, 1) * np.exp(-distance / width**2) + 1e-3 * rng.random(size)
        image[maps[index] > 0.3] = rng.integers(0, 256, 3)
    activations = Activations(torch.from_numpy(maps).clamp(0, 1), IDS[:classes], size)
    return activations, image.astype(np.uint8)


def one_row(*values: float) -> Tensor:
    return torch.tensor([[values]], dtype=torch.float64)


def kept_cells(*values: float, config: PartialConfig = CONFIG) -> list[bool]:
    """Return which cells of one row of one class are sure, where the strict run gives them that class."""
    maps = one_row(*values)
    return sure_cells(maps, torch.ones(1, len(values), dtype=torch.int64), config)[0].tolist()


class TestSureCells:
    def test_ten_cells(self) -> None:
        # wsgcn.md, oracle 11: .11 .. .20, threshold .18, two cells.
        assert kept_cells(*(0.11 + 0.01 * i for i in range(10))) == [False] * 8 + [True] * 2

    @pytest.mark.parametrize("n", [*range(1, 12), 30, 90])
    def test_how_many_are_kept(self, n: int) -> None:
        # wsgcn.md, 2.3: n - 1 - floor(.7 n) without ties; 0.7 * 90 is 62.99... in floating point.
        assert sum(kept_cells(*np.linspace(0.2, 0.9, n))) == n - 1 - 7 * n // 10

    def test_equal_values(self) -> None:
        # wsgcn.md, oracle 11, and section 8: ties at the maximum.
        assert not any(kept_cells(*[0.5] * 20))
        assert not any(kept_cells(*[0.2] * 14, *[0.9] * 7))

    def test_values_up_to_the_floor_are_not_ranked(self) -> None:
        ranked = [0.11 + 0.01 * i for i in range(10)]
        assert kept_cells(*[0.09] * 20, *ranked) == [False] * 20 + kept_cells(*ranked)
        assert not any(kept_cells(*[0.09] * 20))  # none is left: an index error in the official code

    @pytest.mark.parametrize(("chosen", "expected"), [(0, True), (1, False)])
    def test_no_activation(self, chosen: int, expected: bool) -> None:
        # wsgcn.md, oracle 11: background is sure iff the strict run has it somewhere.
        found = sure_cells(torch.zeros(1, 3, 4), torch.full((3, 4), chosen), CONFIG)
        assert found.equal(torch.full((3, 4), expected))

    @pytest.mark.parametrize(("value", "expected"), [(0.00694, True), (0.00695, False)])
    def test_background_beyond_doubt(self, value: float, expected: bool) -> None:
        # wsgcn.md, 2.3: m < 1 - .8^(1 / 32) = .006949
        assert sure_cells(one_row(value), torch.zeros(1, 1, dtype=torch.int64), CONFIG).item() is expected

    @pytest.mark.parametrize(("kept", "count"), [(0.0, 0), (1.0, 9)])
    def test_none_or_all_but_the_least(self, kept: float, count: int) -> None:
        assert sum(kept_cells(*np.linspace(0.2, 0.9, 10), config=replace(CONFIG, kept=kept))) == count


def vote(activations: Activations, marginals: list[Tensor], config: PartialConfig) -> NDArray[np.int64]:
    """Return the labels that the strict and the lenient marginals give, cell by cell."""
    index = dense.wsgcn_partial(
        activations.values.numpy(),
        *(found.numpy() for found in marginals),
        power=config.lenient,
        kept=config.kept,
        floor=config.floor,
        confidence=config.confidence,
    )
    return np.select([index == 255, index == 0], [255, 0], np.array([0, *IDS])[np.minimum(index, 4)])


class TestPartialLabels:
    @pytest.mark.parametrize("config", [CONFIG, NO_CRF, replace(NO_CRF, kept=0.6, floor=0.3, confidence=0.5)])
    def test_equals_the_vote_cell_by_cell(self, config: PartialConfig) -> None:
        # wsgcn.md, 2.3
        seen: set[int] = set()
        for seed in range(12):
            activations, image = blobs(seed, 1 + seed % 3)
            maps, pixels = activations.values, torch.from_numpy(image)
            marginals = [
                dense_crf(unary_from_scores(torch.cat([(1 - maps.amax(0))[None] ** power, maps])), pixels, config.crf)
                for power in (4, 32)
            ]
            expected = vote(activations, marginals, config)
            found = partial_labels(activations, image, config)
            assert found.dtype == torch.uint8
            np.testing.assert_array_equal(found.numpy(), expected)
            seen |= set(found.unique().tolist())
        assert seen == {0, 2, 5, 7, 255}

    @pytest.mark.parametrize("confidence", [0.1, 0.3, 0.45])
    def test_any_marginals(self, monkeypatch: pytest.MonkeyPatch, confidence: float) -> None:
        # wsgcn.md, 2.3: what the CRF could say, even if it never does for these maps.
        config, seen = replace(CONFIG, confidence=confidence, kept=0.9), set[int]()
        for seed in range(10):
            activations, image = blobs(seed, 3)
            generator = torch.Generator().manual_seed(seed)
            strict, lenient = torch.softmax(2 * torch.randn(2, 4, 11, 13, generator=generator).double(), 1)
            queue = [strict, lenient]
            crf = SimpleNamespace(infer=lambda unary, queue=queue: queue.pop(0))
            monkeypatch.setattr(partial, "build_crf", lambda *_, crf=crf, **__: crf)
            found = partial_labels(activations, image, config)
            expected = vote(activations, [strict, lenient], config)
            np.testing.assert_array_equal(found.numpy(), expected)
            seen |= set(found.unique().tolist())
        assert seen == {0, 2, 5, 7, 255}

    def test_laws(self) -> None:
        # wsgcn.md, oracle 12: labels are tagged; what is labelled stays so at lower confidence or with more kept.
        for seed in range(6):
            activations, image = blobs(seed, 3)
            before = partial_labels(activations, image, CONFIG)
            assert set(before.unique().tolist()) <= {0, *activations.class_ids, 255}
            for change in ({"confidence": 0.6}, {"kept": 0.5}, {"confidence": 0.5, "kept": 0.9}):
                after = partial_labels(activations, image, replace(CONFIG, **change))
                assert after[before != 255].equal(before[before != 255])

    def test_mirrored_images(self) -> None:
        activations, image = blobs(3, 2)
        mirrored = replace(activations, values=activations.values.flip(-1))
        found = partial_labels(mirrored, np.ascontiguousarray(image[:, ::-1]), NO_CRF)
        assert found.flip(-1).equal(partial_labels(activations, image, NO_CRF))

    def test_of_equal_maps_the_first_class_counts(self) -> None:
        # wsgcn.md, section 8
        activations, image = blobs(0, 1)
        twice = Activations(activations.values.expand(2, -1, -1), (4, 9), activations.image_size)
        assert set(partial_labels(twice, image, replace(NO_CRF, confidence=0.4)).unique().tolist()) == {0, 4, 255}

    @pytest.mark.parametrize("size", [(1, 1), (3, 5)])
    def test_without_a_class_all_is_background(self, size: tuple[int, int]) -> None:
        nothing = Activations(torch.zeros(0, *size), (), size)
        found = partial_labels(nothing, np.zeros((*size, 3), np.uint8), CONFIG)
        assert found.dtype == torch.uint8 and found.equal(torch.zeros(size, dtype=torch.uint8))

    @pytest.mark.parametrize("size", [(1, 1), (1, 7), (2, 2)])
    @pytest.mark.parametrize(("value", "label"), [(0.0, 0), (1.0, 255)])
    def test_flat_maps(self, size: tuple[int, int], value: float, label: int) -> None:
        # No activation is background; a plateau has no strongest cells.
        flat = Activations(torch.full((1, *size), value), (3,), size)
        assert partial_labels(flat, np.zeros((*size, 3), np.uint8), CONFIG).equal(
            torch.full(size, label, dtype=torch.uint8)
        )

    def test_the_image_is_reduced_to_the_grid(self) -> None:
        activations, image = blobs(1, 2)
        large = image.repeat(4, 0).repeat(4, 1)[:-1, :-3]
        assert grid_image(large, (11, 13)).shape == (11, 13, 3)
        reduced = grid_image(large, (11, 13))
        assert partial_labels(activations, large, CONFIG).equal(partial_labels(activations, reduced, CONFIG))
        bilinear = np.array(Image.fromarray(large).resize((13, 11), Image.Resampling.BILINEAR))
        assert np.array_equal(grid_image(large, (11, 13), "bilinear"), bilinear) and (bilinear != reduced).any()
        found = partial_labels(activations, large, replace(CONFIG, reduced="bilinear"))
        assert found.equal(partial_labels(activations, bilinear, CONFIG))

    def test_activations_that_are_none(self) -> None:
        with pytest.raises(ShapeError, match="activations"):
            Activations(torch.full((1, 2, 2), torch.nan), (1,), (2, 2))


class TestMinSeeds:
    def test_a_class_without_cells_gets_its_strongest(self) -> None:
        flat = Activations(torch.full((1, 3, 4), 0.9), (3,), (3, 4))
        found = partial_labels(flat, np.zeros((3, 4, 3), np.uint8), replace(CONFIG, min_seeds=5))
        assert found.flatten().sort().values.tolist() == [3] * 5 + [255] * 7

    @pytest.mark.parametrize("least", [1, 4, 1000])
    def test_only_where_no_other_is_stronger(self, least: int) -> None:
        for seed in range(4):
            activations, image = blobs(seed, 3)
            maps, before = activations.values, partial_labels(activations, image, CONFIG)
            found = partial_labels(activations, image, replace(CONFIG, min_seeds=least))
            for index, class_id in enumerate(activations.class_ids):
                new = (found == class_id) & (before != class_id)
                own = (maps.argmax(0) == index) & (maps[index] > 0)
                assert bool(own[new].all())
                if int((before == class_id).sum()) >= least:
                    assert not new.any()
                else:
                    wanted = min(least, int(own.sum()))
                    assert int((found == class_id).sum()) >= wanted
                    weakest = maps[index][own].sort(descending=True).values[wanted - 1] if wanted else 0
                    assert bool((maps[index][new] >= weakest).all())

    def test_a_class_that_is_nowhere_gets_none(self) -> None:
        maps = torch.cat([blobs(0, 1)[0].values, torch.zeros(1, 11, 13, dtype=torch.float64)])
        found = partial_labels(Activations(maps, (1, 2), (11, 13)), blobs(0, 1)[1], replace(CONFIG, min_seeds=9))
        assert 2 not in found.unique().tolist()


class TestConfig:
    @pytest.mark.parametrize(
        "change",
        [{"strict": 0.0}, {"strict": 33.0}, {"kept": 1.1}, {"floor": 1.0}, {"floor": -0.1}, {"confidence": 0.0},
         {"confidence": 1.1}, {"min_seeds": -1}, {"reduced": "nearest"}, {"kept": float("nan")},
         {"lenient": float("nan")}],
    )  # fmt: skip
    def test_impossible_settings_are_refused(self, change: dict[str, Any]) -> None:
        with pytest.raises(ConfigError, match="partial"):
            replace(CONFIG, **change)


class TestPartialJob:
    @pytest.mark.parametrize(
        ("size", "stride"), [((44, 52), 4), ((41, 50), 4), ((9, 30), 4), ((64, 50), 8), ((41, 50), 8), ((41, 41), 8)]
    )
    def test_cells_are_written_as_squares(self, tmp_path: Path, size: tuple[int, int], stride: int) -> None:
        image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
        Image.fromarray(image).save(tmp_path / "i.png")
        stored = blobs(2, 2, (-(-size[0] // 4), -(-size[1] // 4)))[0]
        replace(stored, values=stored.values.float(), image_size=size).save(tmp_path / "cam" / "i.safetensors")
        job = PartialJob(tmp_path / "cam", tmp_path / "out", CONFIG, stride)
        job.run(Unit((WeakSample("i", tmp_path / "i.png", Tags(frozenset(IDS[:2]))),)))
        labels = LabelMap.load(job.output("i")).labels
        assert labels.shape == size
        cells = labels[::stride, ::stride]
        np.testing.assert_array_equal(cells.repeat(stride, 0).repeat(stride, 1)[: size[0], : size[1]], labels)
        loaded = activations_on(Activations.load(tmp_path / "cam" / "i.safetensors"), stride)
        np.testing.assert_array_equal(cells, partial_labels(loaded, image, CONFIG).numpy())
        np.testing.assert_array_equal(grid_labels(labels, (cells.shape[0], cells.shape[1]), stride), cells)
        assert set(np.unique(cells)) - {0, 255}

    def test_a_cell_has_the_label_of_its_middle(self) -> None:
        labels = np.arange(9 * 30, dtype=np.int64).reshape(9, 30).astype(np.uint8)
        expected = labels[np.ix_([4, 8], [4, 12, 20, 28])]  # the last row of cells has one row of pixels
        np.testing.assert_array_equal(grid_labels(labels, (2, 4), 8), expected)

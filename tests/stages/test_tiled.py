"""Large photographs in tiles: seams, details, memory, and nothing new for photographs that are small enough."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.profiler import ProfilerActivity, profile

from generated import draw
from weakseg.artifacts import LabelMap, Scores
from weakseg.errors import ConfigError
from weakseg.nn.output import Output
from weakseg.nn.segmenters import build_segmenter
from weakseg.ops.blend import Tile
from weakseg.ops.resample import Cells, resize_image, resize_labels, scaled_size
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.predict import PredictConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.settings.tiles import TileConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.decode import decode_image
from weakseg.stages.predict import predict_image, predict_restricted
from weakseg.stages.refine import refine_image
from weakseg.stages.tiled import part_of, say_tiles, sharpened_labels

TILES = TileConfig(tile=64, overlap=16, beyond=64)
NONE = TileConfig(tile=0)
CRF = CrfParams(5, 3.0, 3.0, 20.0, 10.0, 10.0)


class Colours(nn.Module):
    """Logits of single pixels: each of the first labels where its channel is above 128, else background."""

    def __init__(self, labels: int = 3) -> None:
        super().__init__()
        self.scale, self.labels = nn.Parameter(torch.tensor(1.0)), labels
        self.sizes: list[tuple[int, int]] = []

    def forward(self, images: Tensor) -> Output:
        self.sizes.append((images.shape[2], images.shape[3]))
        bright = (images - 128) * self.scale / 64
        spare = bright.new_full((len(images), self.labels - 3, *images.shape[2:]), -9.0)
        return Output(torch.cat([-bright.amax(1, keepdim=True), bright[:, :2], spare], 1), {})


def dots(size: tuple[int, int] = (300, 260)) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return a photograph with small squares, too small for a view of it that is reduced to 64 pixels, and its mask."""
    image, mask = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    for number, (row, column) in enumerate((r, c) for r in range(5, 290, 31) for c in range(8, 250, 23)):
        label = 1 + number % 2
        image[row : row + 5, column : column + 4, label - 1] = 255
        mask[row : row + 5, column : column + 4] = label
    return image, mask


def scene(side: int = 200) -> tuple[NDArray[np.uint8], LabelMap]:
    """Return a drawn photograph and its true labels."""
    image, labels = draw(3, (side, side + 40))
    return image, LabelMap(labels)


class TestPredict:
    CONFIG = PredictConfig(scales=(1.0,), max_side=64, mask_side=64, tiles=TILES, tiles_for="labels")

    def test_what_is_too_small_for_the_whole_view_is_seen_in_tiles(self) -> None:
        image, mask = dots()
        whole = predict_image(Colours(), image, replace(self.CONFIG, tiles=NONE)).labels
        found = predict_image(Colours(), image, self.CONFIG).labels
        assert (whole[mask > 0] == mask[mask > 0]).mean() < 0.4
        assert (found == mask).all()

    def test_for_outlines_the_whole_alone_is_looked_at(self) -> None:
        """Its probabilities are enlarged, not its labels: a slanted outline is no stair of blocks."""
        rows, columns = np.mgrid[:300, :300]
        image = np.zeros((300, 300, 3), np.uint8)
        image[rows + 2 * columns < 400] = (255, 0, 0)
        truth = (image[..., 0] > 0).astype(np.uint8)
        config, model = replace(self.CONFIG, tiles_for="outlines", flip=False), Colours()
        found = predict_image(model, image, config).labels
        blocks = predict_image(Colours(), image, replace(config, tiles=NONE)).labels
        assert model.sizes == [(64, 64)]
        assert (found != truth).sum() < 0.8 * (blocks != truth).sum()
        crf = replace(config, crf=True, crf_params=CRF)
        assert (predict_image(Colours(), image, crf).labels != truth).sum() <= (found != truth).sum()

    def test_there_are_no_seams(self) -> None:
        """A network of single pixels says the same of every tile size, at the borders of tiles as elsewhere."""
        image, mask = dots()
        for tiles in (TileConfig(64, 0, 64), TileConfig(64, 32, 64), TileConfig(100, 13, 64)):
            config = replace(self.CONFIG, tiles=tiles, max_side=100)
            assert (predict_image(Colours(), image, config).labels == mask).all()

    @pytest.mark.parametrize("size", [(64, 64), (60, 64), (20, 30)])
    def test_photographs_that_are_no_longer_than_a_tile_are_looked_at_once(self, size: tuple[int, int]) -> None:
        image, model = dots()[0][: size[0], : size[1]], Colours()
        found = predict_image(model, image, self.CONFIG).labels
        assert model.sizes == [size, size]
        np.testing.assert_array_equal(found, predict_image(Colours(), image, replace(self.CONFIG, tiles=NONE)).labels)

    def test_usual_photographs_are_below_the_default(self) -> None:
        model = Colours()
        predict_image(model, np.zeros((400, 4096, 3), np.uint8), replace(self.CONFIG, tiles=TileConfig()))
        assert model.sizes == [(6, 64), (6, 64)]

    def test_labels_that_are_ruled_out_are_in_no_tile(self) -> None:
        image, mask = dots()
        found = predict_restricted(Colours(), image, self.CONFIG, {0, 2}).mask.labels
        assert set(np.unique(found)) <= {0, 2} and (found[mask == 2] == 2).all()

    def test_the_crf_is_that_of_the_pixels_of_a_tile(self) -> None:
        image, mask = dots()
        noisy = image.copy()
        noisy[150, 150] = (130, 0, 0)  # one pixel is hardly red
        config = replace(self.CONFIG, crf=True, crf_params=CrfParams(5, 1.5, 6.0, 20.0, 60.0, 6.0))
        without = predict_image(Colours(), noisy, self.CONFIG).labels
        found = predict_image(Colours(), noisy, config).labels
        assert found.shape == mask.shape and (found != without).any()

    def test_tiles_of_too_few_cells_are_refused(self) -> None:
        backbone = BackboneConfig("resnet18", 16, "none")
        model = build_segmenter(SegmenterConfig(backbone), 2).eval()
        with pytest.raises(ConfigError, match=r"predictions\.tiles\.tile: a tile of 32 pixels has too few cells of 16"):
            predict_image(model, dots()[0], replace(self.CONFIG, tiles=TileConfig(32, 8, 64)))

    def test_memory_follows_the_width_and_not_the_area(self) -> None:
        """Of 21 labels a whole map takes 84 bytes a pixel; a row of tiles is kept, and the mask of one byte a pixel."""
        config = replace(self.CONFIG, flip=False, tiles=TileConfig(64, 16, 64))

        def peak(side: int) -> float:
            image, model = np.zeros((side, side, 3), np.uint8), Colours(21)
            with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
                predict_image(model, image, config)
            events = sorted(
                (e for e in profiled.profiler.kineto_results.events() if e.name() == "[memory]"),  # type: ignore[union-attr]
                key=lambda event: event.start_ns(),
            )
            return float(np.cumsum([event.nbytes() for event in events]).max())

        small, large = peak(320), peak(640)
        assert large < 2.2 * small  # four times the area
        assert large < 0.5 * 84 * 640**2


class TestOutlines:
    def coarse(self, image: NDArray[np.uint8], truth: LabelMap, side: int = 50) -> Scores:
        """Return the scores of a view that is reduced, sure of true labels."""
        size = (image.shape[0], image.shape[1])
        small = resize_labels(truth.labels, scaled_size(size, 1.0, max_side=side))
        ids = tuple(sorted(truth.label_ids | {0}))
        values = torch.stack([torch.from_numpy(small == label).float() for label in ids])
        return Scores(values, ids, size)

    def test_outlines_become_sharp(self) -> None:
        image, truth = scene()
        coarse = self.coarse(image, truth)
        blocky = resize_labels(np.array(coarse.label_ids, np.uint8)[coarse.values.argmax(0)], coarse.image_size)
        found = sharpened_labels(coarse, image, CRF, TILES).labels
        assert (found != truth.labels).sum() < 0.7 * (blocky != truth.labels).sum()

    def test_seams_are_no_worse_than_the_rest(self) -> None:
        """Tiles against one tile that is the photograph: what differs is little, and not more where tiles meet."""
        image, truth = scene()
        coarse = self.coarse(image, truth)
        one = sharpened_labels(coarse, image, CRF, TileConfig(512, 0, 64)).labels
        many = sharpened_labels(coarse, image, CRF, TileConfig(96, 32, 64)).labels
        differ = one != many
        seam = np.zeros(differ.shape, bool)
        for start in range(64, 240, 64):  # where a tile begins and the one before fades
            seam[start : start + 32] = True
            seam[:, start : start + 32] = True
        assert differ.mean() < 0.01
        assert differ[seam].mean() < differ[~seam].mean() + 0.01

    def test_tiles_of_one_label_are_left_as_they_are(self, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[Tile] = []

        def spy(probs: Tensor, image: NDArray[np.uint8], tile: Tile, crf: CrfParams) -> Tensor:
            asked.append(tile)
            return probs

        monkeypatch.setattr("weakseg.stages.tiled.in_tile_crf", spy)
        values = torch.zeros(2, 20, 20)
        values[0], values[0, :4, :4], values[1, :4, :4] = 1, 0, 1
        sharpened_labels(Scores(values, (0, 1), (400, 400)), np.zeros((400, 400, 3), np.uint8), CRF, TILES)
        assert {(tile.rows.start, tile.columns.start) for tile in asked} == {(0, 48), (48, 0), (48, 48)}

    def test_refine_and_decode_are_sharp_in_large_photographs_alone(self) -> None:
        image, truth = scene()
        refine = RefineConfig(crf=CRF, max_side=50, tiles=TILES)
        decode = DecodeConfig(crf=CRF, max_side=50, tiles=TILES)
        scores = self.coarse(image, truth)
        for make, config in (
            (lambda c: refine_image(truth, image, c), refine),
            (lambda c: decode_image(scores, image, c), decode),
        ):
            near, far = make(config).labels, make(replace(config, tiles=NONE)).labels
            unused = make(replace(config, tiles=TileConfig(64, 16, beyond=240))).labels
            np.testing.assert_array_equal(far, unused)
            assert (near != truth.labels).sum() < (far != truth.labels).sum()

    def test_parts_are_those_of_the_enlarged_whole(self) -> None:
        maps = torch.rand(2, 7, 9, generator=torch.Generator().manual_seed(0))
        whole = F.interpolate(maps[None], (70, 81), mode="bilinear")[0]
        tile = Tile(slice(13, 44), slice(50, 81))
        torch.testing.assert_close(part_of(maps, tile, (70, 81)), whole[:, *tile], rtol=1e-4, atol=1e-5)


class Spots:
    """Evidence of class c: brightness of channel c - 1, at stride 4."""

    device = torch.device("cpu")
    cells = Cells(1.5, 4)

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        return F.avg_pool2d(images, 4, ceil_mode=True, count_include_pad=False)[:, [c - 1 for c in class_ids]]


class SpotsFromNear(Spots):
    """The same, nothing in images of less than 64 pixels."""

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        return super().evidence(images, class_ids) * (max(images.shape[2:]) >= 64)


class TestActivate:
    CONFIG = ActivateConfig(scales=(1.0,), max_side=64, tiles=TILES)

    @pytest.mark.parametrize("align", ["cells", "edges"])
    def test_small_objects_have_evidence_of_their_own(self, align: Any) -> None:
        image, mask = dots()
        found = activate_image(Spots(), image, (1, 2), replace(self.CONFIG, align=align))
        whole = activate_image(Spots(), image, (1, 2), replace(self.CONFIG, align=align, tiles=NONE))
        assert found.values.shape == whole.values.shape == (2, 75, 65) and found.image_size == (300, 260)
        marked = np.repeat((mask == 1)[..., None] * np.uint8(255), 3, 2)
        there = torch.from_numpy(resize_image(marked, (75, 65)).copy())[..., 0]

        def contrast(values: Tensor) -> float:
            return float(values[0][there > 200].mean() / values[0][there == 0].mean())

        assert contrast(found.values) > 2 * contrast(whole.values)

    def test_evidence_of_single_cells_has_no_seams(self) -> None:
        """A model that looks at one cell, and sees nothing from afar, says in tiles what it says at full size."""
        image = dots()[0]
        alone = activate_image(SpotsFromNear(), image, (1, 2), replace(self.CONFIG, max_side=300, tiles=NONE)).values
        near = activate_image(SpotsFromNear(), image, (1, 2), replace(self.CONFIG, max_side=32)).values
        torch.testing.assert_close(near, alone)

    def test_a_small_photograph_is_as_before(self) -> None:
        image = dots()[0][:64, :60]
        one, other = (activate_image(Spots(), image, (1,), replace(self.CONFIG, tiles=t)) for t in (TILES, NONE))
        assert one.values.equal(other.values)


class TestSettings:
    @pytest.mark.parametrize(
        ("given", "said"),
        [
            ({"tile": 31}, r"tiles.tile: need 0, which is none, or at least 32 pixels, got 31"),
            ({"tile": -1}, r"tiles.tile: need >= 0, got -1"),
            ({"tile": 64, "overlap": 33}, r"tiles.overlap: need at most half of a tile, of 64 pixels, got 33"),
            ({"tile": 64, "overlap": 64}, r"tiles.overlap: need at most half of a tile"),
            ({"overlap": -1}, r"tiles.overlap: need >= 0, got -1"),
            ({"beyond": 0}, r"tiles.beyond: need >= 1, got 0"),
        ],
    )
    def test_values_that_make_no_tiles_are_refused(self, given: dict[str, int], said: str) -> None:
        with pytest.raises(ConfigError, match=said):
            TileConfig(**given)

    def test_cells_of_a_tile(self) -> None:
        assert TileConfig(64, 10).on_cells(4) == (16, 3)
        with pytest.raises(ConfigError, match="two cells of 64 pixels"):
            TileConfig(64, 10).on_cells(64)

    @pytest.mark.parametrize(
        ("size", "covered"), [((4096, 10), False), ((10, 4097), True), ((6000, 6000), True), ((375, 500), False)]
    )
    def test_the_longer_side_decides(self, size: tuple[int, int], covered: bool) -> None:
        assert TileConfig().covers(size) is covered
        assert not TileConfig(tile=0).covers(size)
        assert not TileConfig(tile=8000).covers(size)

    def test_tiles_are_said(self, caplog: pytest.LogCaptureFixture) -> None:
        say_tiles.cache_clear()
        for _ in range(2):
            say_tiles("outlines of masks are found", (6000, 4500), TileConfig())
        assert [record.message for record in caplog.records] == [
            "photographs of 4500 x 6000 pixels are longer than 4096: outlines of masks are found in tiles of 512 "
            "pixels, beside the whole, reduced (tiles.tile 0: the whole alone)"
        ]

"""Large photographs: what is known of the whole, reduced, is made sharp tile by tile on the photograph's own pixels."""

import logging
from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.artifacts import LabelMap, Scores
from weakseg.checks import check_same_size
from weakseg.ops.blend import Tile, blend_tiles
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.labels import best_label
from weakseg.ops.resample import sample_maps
from weakseg.settings.crf import CrfParams
from weakseg.settings.tiles import TileConfig

logger = logging.getLogger(__name__)

SURE = 0.7  # probability that the whole view is right where it knows no other label


def sharpened_labels(
    scores: Scores, image: NDArray[np.uint8], crf: CrfParams, tiles: TileConfig, *, device: str = "cpu"
) -> LabelMap:
    """Return the mask of a large photograph: a CRF in each tile decides outlines that the whole view has blurred.

    Where one label alone is the best in all of a tile it stays so: such a tile takes no time.

    Args:
        scores: ``(L, h, w)`` of the whole view; h and w cells cover the photograph exactly.
        image: ``(H, W, 3)`` uint8.
        crf: On the photograph's pixels.
        tiles: Side and overlap.
        device: Where the CRF runs.

    Returns:
        ``(H, W)`` labels among those of the scores.
    """
    size = (image.shape[0], image.shape[1])
    check_same_size("scores", scores.image_size, "image", size)
    values = scores.values.to(device)

    def find(tile: Tile) -> Tensor:
        seen = part_of(values, tile, size)
        best = seen.argmax(0)
        if bool((best == best[0, 0]).all()):
            return seen
        return in_tile_crf(SURE * seen + (1 - SURE) / len(seen), image, tile, crf)

    labels = np.empty(size, np.uint8)
    for rows, found in blend_tiles(size, tiles.tile, tiles.overlap, find):
        labels[rows] = best_label(found, scores.label_ids).cpu().numpy()
    return LabelMap(labels)


def in_tile_crf(probs: Tensor, image: NDArray[np.uint8], tile: Tile, crf: CrfParams) -> Tensor:
    """Return the marginals of the CRF of one tile's pixels for ``(L, h, w)`` probabilities."""
    pixels = torch.from_numpy(np.array(image[tile])).to(probs.device)
    return dense_crf(unary_from_scores(probs), pixels, crf)


def part_of(maps: Tensor, tile: Tile, size: tuple[int, int]) -> Tensor:
    """Return what ``(L, h, w)`` maps of a whole image of ``size`` say of a tile's pixels; bilinear."""
    places = [
        (torch.arange(span.start, span.stop, device=maps.device, dtype=maps.dtype) + 0.5) * (cells / length) - 0.5
        for span, cells, length in zip((tile.rows, tile.columns), maps.shape[1:], size, strict=True)
    ]
    return sample_maps(maps, places[0], places[1])


@cache
def say_tiles(what: str, size: tuple[int, int], tiles: TileConfig) -> None:
    """Log, once for each process, size and setting, that photographs are worked on in tiles."""
    logger.warning(
        "photographs of %d x %d pixels are longer than %d: %s in tiles of %d pixels, beside the whole, reduced "
        "(tiles.tile 0: the whole alone)",
        *size[::-1],
        max(tiles.beyond, tiles.tile),
        what,
        tiles.tile,
    )

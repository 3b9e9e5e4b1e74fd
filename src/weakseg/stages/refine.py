"""From seeds to masks: a dense CRF decides every pixel."""

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap, Scores
from weakseg.checks import check_same_size
from weakseg.ops.crf import dense_crf, unary_from_labels
from weakseg.ops.labels import best_label
from weakseg.ops.resample import resize_image, resize_labels, scaled_size
from weakseg.settings.crf import CrfParams
from weakseg.settings.refine import RefineConfig
from weakseg.settings.tiles import TileConfig
from weakseg.stages.tiled import say_tiles, sharpened_labels


def refine_image(
    seeds: LabelMap,
    image: NDArray[np.uint8],
    config: RefineConfig,
    *,
    with_background: bool = True,
    device: str = "cpu",
) -> LabelMap:
    """Return the mask that a dense CRF makes of seeds.

    Args:
        seeds: ``(H, W)`` labels in {0..K, 255}.
        image: ``(H, W, 3)`` uint8.
        config: Confidence and CRF.
        with_background: Whether a pixel can be background; else it is what some seed is.
        device: Where the CRF runs.

    Returns:
        ``(H, W)`` labels among those of the seeds; the seeds themselves where the CRF is off or one label is possible.

    Reference:
        [kraehenbuehl2011densecrf]; undecided pixels have a uniform unary.
    """
    found = refined_scores(seeds, image, config, with_background=with_background, device=device)
    if found is None:
        return seeds
    return mask_of(found, image, config.crf, config.tiles, device=device)


def refined_scores(
    seeds: LabelMap,
    image: NDArray[np.uint8],
    config: RefineConfig,
    *,
    with_background: bool = True,
    device: str = "cpu",
) -> Scores | None:
    """Return the marginals of the CRF that ``refine_image`` takes the best of, at the size that it works in.

    ``None`` where the CRF is off or one label is possible. Arguments as of ``refine_image``.
    """
    size = (image.shape[0], image.shape[1])
    check_same_size("seeds", seeds.labels.shape, "image", size)
    label_ids = tuple(sorted(seeds.label_ids | ({0} if with_background else set())))
    if not config.crf.iterations or len(label_ids) < 2:
        return None
    working = scaled_size(size, 1.0, max_side=config.max_side)
    index_of = np.full(256, UNDECIDED, np.uint8)
    index_of[list(label_ids)] = np.arange(len(label_ids))
    labels = torch.from_numpy(index_of[resize_labels(seeds.labels, working)]).to(device)
    unary = unary_from_labels(labels, len(label_ids), confidence=config.label_confidence)
    pixels = torch.from_numpy(np.array(resize_image(image, working))).to(device)
    return Scores(dense_crf(unary, pixels, config.crf).clamp(0, 1), label_ids, size)


def mask_of(
    scores: Scores, image: NDArray[np.uint8], crf: CrfParams, tiles: TileConfig, *, device: str = "cpu"
) -> LabelMap:
    """Return the mask of scores that a CRF has made of an image: sharp in tiles, where the image is large enough."""
    if not crf.iterations or len(scores.values) < 2 or not tiles.covers(scores.image_size):
        return best_labels(scores)
    say_tiles("outlines of masks are found", scores.image_size, tiles)
    return sharpened_labels(scores, image, crf, tiles, device=device)


def best_labels(scores: Scores) -> LabelMap:
    """Return the best label of each pixel of an image, the lowest of equal ones; labels are enlarged, not scores."""
    return LabelMap(resize_labels(best_label(scores.values, scores.label_ids).cpu().numpy(), scores.image_size))

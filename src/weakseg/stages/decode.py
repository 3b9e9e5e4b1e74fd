"""From scores on a grid to a mask of the photograph, with or without a dense CRF."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED, LabelMap, Scores
from weakseg.checks import check_same_size
from weakseg.data.annotations import Box
from weakseg.errors import ConfigError
from weakseg.ops.crf import DenseCrf, build_crf, unary_from_labels, unary_from_scores, unary_from_softmax
from weakseg.ops.fuse import fuse_scores
from weakseg.ops.resample import Cells, resample_cells, resize_image, resize_maps, scaled_size
from weakseg.settings.decode import DecodeConfig, Enlarged, Fusion
from weakseg.stages.refine import mask_of

SMALLEST = {"logarithms": 1e-30, "logits": 2.0**-24}  # of scores whose logarithm is taken; the latter is float16's


def decode_image(
    scores: Scores,
    image: NDArray[np.uint8],
    config: DecodeConfig,
    *,
    device: str = "cpu",
    crf: DenseCrf | None = None,
) -> LabelMap:
    """Return the mask of an image: scores enlarged, optionally a CRF, the best label.

    Args:
        scores: ``(L, h, w)`` of any grid.
        image: ``(H, W, 3)`` uint8 of the size that the scores were made for.
        config: CRF, unary and interpolation.
        device: Where the CRF runs.
        crf: From ``decoding_crf`` of the same image and settings, where it is used again.

    Returns:
        ``(H, W)`` labels among those of the scores; the lowest of equal ones.

    Reference:
        [pan2021wsgcn], [ahn2018affinitynet] and [ahn2019irnet], last step.
    """
    found = decoded_scores(scores, image, config, device=device, crf=crf)
    return mask_of(found, image, config.crf, config.tiles, device=device)


def decoded_scores(
    scores: Scores,
    image: NDArray[np.uint8],
    config: DecodeConfig,
    *,
    device: str = "cpu",
    crf: DenseCrf | None = None,
) -> Scores:
    """Return the scores that ``decode_image`` takes the best of, at the size that it works in; arguments as there."""
    size = (image.shape[0], image.shape[1])
    check_same_size("scores", scores.image_size, "image", size)
    working = scaled_size(size, 1.0, max_side=config.max_side)
    values = enlarge_scores(scores.values.to(device), working, config.enlarged, cells=_cells_of(scores))
    if config.crf.iterations and len(values) > 1:
        values = (crf or decoding_crf(image, config, device=device)).infer(_unary(values, config))
    return Scores(values.clamp(0, 1), scores.label_ids, size)


def decoding_crf(image: NDArray[np.uint8], config: DecodeConfig, *, device: str = "cpu") -> DenseCrf:
    """Return the CRF of an image at the size that it is decoded at, for any number of scores."""
    working = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side)
    return build_crf(torch.from_numpy(np.array(resize_image(image, working))).to(device), config.crf)


def keep_to_boxes(mask: LabelMap, boxes: Sequence[Box]) -> LabelMap:
    """Return a mask with background wherever a class lies outside of all its boxes."""
    allowed = np.isin(mask.labels, (0, UNDECIDED))
    size = (mask.labels.shape[0], mask.labels.shape[1])
    for box in boxes:
        if pixels := box.pixels(size):
            allowed[pixels] |= mask.labels[pixels] == box.class_id
    return LabelMap(np.where(allowed, mask.labels, 0).astype(np.uint8))


def fuse_walked(scores: Scores, walked: Scores, config: DecodeConfig, fusion: Fusion) -> Scores:
    """Return a network's probabilities together with the scores of a walk; see ``weakseg.ops.fuse.fuse_scores``.

    Labels that the walk does not know have its score 0; those that the network does not know are left out.

    Args:
        scores: Of the network.
        walked: Of the same photograph, on the same grid.
        config: How the network's probabilities are enlarged; those of the walk are interpolated as they are.
        fusion: Weight of the walk, and whether both are added on cells or on pixels.

    Returns:
        Scores on the cells, or at the size that the photograph is decoded at.

    Reference:
        [zhang2021a2gnn], fusion for image tags in its code, there on pixels.
    """
    check_same_size("walked scores", walked.image_size, "scores", scores.image_size)
    if scores.label_ids == (0,):
        return scores
    values, added = scores.values, walked.values
    if fusion.fused == "pixels":
        working = scaled_size(scores.image_size, 1.0, max_side=config.max_side)
        values = enlarge_scores(values, working, config.enlarged, cells=_cells_of(scores))
        added = enlarge_scores(added, working, cells=_cells_of(walked))
        scores = Scores(values, scores.label_ids, scores.image_size)
    known = values.new_zeros(values.shape)
    for index, label in enumerate(scores.label_ids):
        if label in walked.label_ids:
            known[index] = added[walked.label_ids.index(label)]
    return replace(scores, values=fuse_scores(values, known, weight=fusion.weight).clamp(0, 1))


def enlarge_scores(
    values: Tensor,
    size: tuple[int, int],
    enlarged: Enlarged = "scores",
    *,
    cells: tuple[int, tuple[int, int]] | None = None,
) -> Tensor:
    """Return ``(L, H, W)`` of ``(L, h, w)``: bilinear in the scores, in their logarithms, or in logits.

    The first and the last keep sums of one, the second does not: half-way between (.9, .1) and (.1, .9) lies (.3, .3).

    Args:
        values: Scores.
        size: (H, W).
        enlarged: What is interpolated, see ``DecodeConfig``; for ``logits`` the scores are a softmax of them.
        cells: Stride in pixels and (rows, columns) of the photograph, or of what it was reduced to, where the cells
            reach over its border: enlarged to whole cells, then cropped. ``None`` where they cover it exactly.
    """
    if enlarged == "scores":
        return _enlarged_maps(values, size, cells)
    logarithms = torch.log(values.clamp(min=SMALLEST[enlarged]))
    if enlarged == "logits":
        return torch.softmax(_enlarged_maps(logarithms, size, cells), 0)
    if cells is not None:
        raise ConfigError("decode.enlarged: 'logarithms' aligns corners; these reach over the border, so take 'logits'")
    return F.interpolate(logarithms[None], size=size, mode="bilinear", align_corners=True)[0].exp()


def _cells_of(scores: Scores) -> tuple[int, tuple[int, int]] | None:
    return None if scores.stride is None else (scores.stride, scores.reduced_size or scores.image_size)


def _enlarged_maps(maps: Tensor, size: tuple[int, int], cells: tuple[int, tuple[int, int]] | None) -> Tensor:
    if cells is None:
        return resize_maps(maps, size)
    stride, image_size = cells
    return resample_cells(maps, size, image_size, Cells((stride - 1) / 2, stride))


def _unary(values: Tensor, config: DecodeConfig) -> Tensor:
    if config.unary == "labels":
        labels = values.argmax(0)
        return unary_from_labels(labels, len(values), confidence=config.label_confidence)
    return unary_from_softmax(values) if config.unary == "softmax" else unary_from_scores(values)

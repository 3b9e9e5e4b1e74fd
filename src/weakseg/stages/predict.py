"""Apply a segmenter: scales, mirror images and windows to one map of probabilities, and to a mask."""

from collections.abc import Iterator, Set
from dataclasses import replace
from itertools import product
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.artifacts import LabelMap
from weakseg.errors import ConfigError
from weakseg.nn.output import Layout
from weakseg.ops.blend import Tile, blend_tiles
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.labels import best_label
from weakseg.ops.resample import image_tensor, on_canvas, resize_image, resize_labels, resize_maps, scaled_size
from weakseg.settings.predict import PredictConfig
from weakseg.stages.tiled import in_tile_crf, part_of, say_tiles

GREY = 127.0  # around images of what is no segmenter of weakseg
SHORTEST_TILE = 4  # cells of a network along a side of a tile


class Restricted(NamedTuple):
    """A mask with labels of a list alone.

    Attributes:
        mask: ``(H, W)`` labels.
        pixels: How many pixels the network looked at; of images above ``mask_side`` those of the reduced one.
        changed: To how many of them it would have given a label that is not in the list, without a CRF.
    """

    mask: LabelMap
    pixels: int
    changed: int


def predict_image(model: nn.Module, image: NDArray[np.uint8], config: PredictConfig) -> LabelMap:
    """Return the mask of an image: fused probabilities, optionally a CRF, arg-max.

    Args:
        model: A ``Segmenter``, or what returns logits as it does.
        image: ``(H, W, 3)`` uint8.
        config: Scales, mirror image, windows and CRF.

    Returns:
        ``(H, W)`` labels in {0..K}.

    Raises:
        ConfigError: If windows do not lie on the cells of a head whose corners are aligned.
    """
    probs = predict_probabilities(model, image, config, _working_size(image, config))
    return _decided(model, probs, tuple(range(len(probs))), image, config)


def predict_restricted(
    model: nn.Module, image: NDArray[np.uint8], config: PredictConfig, label_ids: Set[int]
) -> Restricted:
    """Return the mask of an image whose labels are known to be among some.

    The others have probability 0, and the rest is normalized, before the CRF. Its labels are then conditioned on what
    is known; those of an arg-max among some, after a CRF that gives others weight, are not.

    Args:
        model: As in ``predict_image``.
        image: ``(H, W, 3)`` uint8.
        config: As in ``predict_image``.
        label_ids: Those that there may be, one at least that the model knows.

    Reference:
        [feng2021dgcn], retraining.
    """
    probs = predict_probabilities(model, image, config, _working_size(image, config))
    kept = sorted(label_ids & set(range(len(probs))))
    best = probs.argmax(0)
    changed = best.numel() - int(torch.isin(best, torch.tensor(kept, device=best.device)).sum())
    return Restricted(_decided(model, probs, tuple(kept), image, config), best.numel(), changed)


def _working_size(image: NDArray[np.uint8], config: PredictConfig) -> tuple[int, int]:
    return scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.mask_side)


def _decided(
    model: nn.Module, probs: Tensor, label_ids: tuple[int, ...], image: NDArray[np.uint8], config: PredictConfig
) -> LabelMap:
    """Return the best of some labels for each pixel, after the CRF where there is one.

    Args:
        model: As in ``predict_image``.
        probs: ``(K + 1, h, w)`` of the whole image, of all labels.
        label_ids: Those that there may be.
        image: ``(H, W, 3)`` uint8.
        config: As in ``predict_image``.
    """
    size, working = (image.shape[0], image.shape[1]), (probs.shape[1], probs.shape[2])
    probs = _among(probs, label_ids)
    if config.tiles.covers(size):
        return _decided_in_tiles(model, probs, label_ids, image, config)
    if config.crf and len(probs) > 1:
        pixels = torch.from_numpy(np.array(resize_image(image, working))).to(probs.device)
        probs = dense_crf(unary_from_scores(probs), pixels, config.crf_settings)
    return LabelMap(resize_labels(best_label(probs, label_ids).cpu().numpy(), size))


def _among(probs: Tensor, label_ids: tuple[int, ...]) -> Tensor:
    """Return probabilities of some labels, which sum to one again where others had some."""
    if len(label_ids) == len(probs):
        return probs
    kept = probs[list(label_ids)]
    return kept / kept.sum(0, keepdim=True).clamp(min=torch.finfo(probs.dtype).tiny)


def _decided_in_tiles(
    model: nn.Module, whole: Tensor, label_ids: tuple[int, ...], image: NDArray[np.uint8], config: PredictConfig
) -> LabelMap:
    """Return the best labels by what the model says of the whole image and, where ``tiles_for`` says so, of each tile.

    The CRF, where there is one, is that of a tile's own pixels.
    """
    size, tiles = (image.shape[0], image.shape[1]), config.tiles
    looks = config.tiles_for == "labels"
    if looks:
        _check_tiles(model, config)
    say_tiles("the segmenter looks at them" if looks else "outlines of predictions are found", size, tiles)

    def find(tile: Tile) -> Tensor:
        probs = part_of(whole, tile, size)
        if looks:
            probs = _with_tile(model, probs, label_ids, np.ascontiguousarray(image[tile]), config)
        unanimous = len(torch.unique(probs.argmax(0))) == 1
        return in_tile_crf(probs, image, tile, config.crf_settings) if config.crf and not unanimous else probs

    labels = np.empty(size, np.uint8)
    for rows, found in blend_tiles(size, tiles.tile, tiles.overlap, find):
        labels[rows] = best_label(found, label_ids).cpu().numpy()
    return LabelMap(labels)


def _with_tile(
    model: nn.Module, whole: Tensor, label_ids: tuple[int, ...], image: NDArray[np.uint8], config: PredictConfig
) -> Tensor:
    """Return the larger of the probabilities in the whole image and in a tile, summing to one.

    Either knows what the other cannot see: things larger than a tile, and what is too small in the whole, reduced.
    A tile is looked at once: neither reduced nor enlarged, nor in the mirror.
    """
    once = replace(config, scales=(1.0,), flip=False, max_side=max(config.max_side, *image.shape[:2]))
    own = _among(predict_probabilities(model, image, once, (image.shape[0], image.shape[1])), label_ids)
    best = torch.maximum(own, whole)
    return best / best.sum(0, keepdim=True)


def _check_tiles(model: nn.Module, config: PredictConfig) -> None:
    stride = _layout(model).stride
    if config.tiles.tile < SHORTEST_TILE * stride:
        raise ConfigError(
            f"predictions.tiles.tile: a tile of {config.tiles.tile} pixels has too few cells of {stride} pixels; take "
            f"at least {SHORTEST_TILE * stride}"
        )


def predict_probabilities(
    model: nn.Module, image: NDArray[np.uint8], config: PredictConfig, size: tuple[int, int]
) -> Tensor:
    """Return the probabilities of labels, fused over scales and mirror images; no more than two maps are kept.

    Args:
        model: As in ``predict_image``.
        image: ``(H, W, 3)`` uint8.
        config: Scales, mirror image and windows.
        size: (rows, columns) of the result.

    Returns:
        ``(K + 1, *size)`` in [0, 1], summing to one over labels.
    """
    base = scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=config.max_side)
    seen = (resize_image(image, scaled_size(base, scale)) for scale in config.scales)
    maps = (one for scaled in seen for one in _values(model, scaled, config, size))
    fused, count = next(maps), 1
    for one in maps:
        fused = torch.maximum(fused, one) if config.fusion.startswith("max") else fused + one
        count += 1
    if config.fusion == "max_logits":
        return fused.softmax(0)
    if config.fusion == "mean_logits":
        return (fused / count).softmax(0)
    return fused / (fused.sum(0, keepdim=True) if config.fusion == "max_probabilities" else count)


def _layout(model: nn.Module) -> Layout:
    found = getattr(model, "layout", None)
    if isinstance(found, Layout):
        return found
    return Layout(False, 1, next(model.parameters()).new_full((1, 3, 1, 1), GREY))


def _values(
    model: nn.Module, image: NDArray[np.uint8], config: PredictConfig, size: tuple[int, int]
) -> Iterator[Tensor]:
    """Yield what is fused, logits or probabilities, ``(K + 1, *size)``, of an image and of its mirror image."""
    look = _windowed if config.window else _whole
    images = image_tensor(image)[None].to(_layout(model).fill.device)
    yield look(model, images, config, size)
    if config.flip:
        yield look(model, images.flip(-1), config, size).flip(-1)


def _whole(model: nn.Module, images: Tensor, config: PredictConfig, size: tuple[int, int]) -> Tensor:
    """Return the values of one whole image; where corners are aligned it is padded until they lie on cells."""
    layout, (rows, columns) = _layout(model), images.shape[2:]
    if not layout.corners:
        return _read(model, images, config, size)
    height, width = (-(-(length - 1) // layout.stride) * layout.stride + 1 for length in (rows, columns))
    values = _read(model, on_canvas(images, (height, width), layout.fill), config, (height, width), corners=True)
    return resize_maps(values[:, :rows, :columns], size)


def _windowed(model: nn.Module, images: Tensor, config: PredictConfig, size: tuple[int, int]) -> Tensor:
    """Return the values of one image, averaged over the windows that each pixel lies in."""
    layout, side, (rows, columns) = _layout(model), config.window, images.shape[2:]
    if layout.corners and side % layout.stride != 1 % layout.stride:
        raise ConfigError(
            f"predictions.window: the model aligns corners: a side has to be 1 modulo {layout.stride}, got {side}"
        )
    canvas = on_canvas(images, (max(rows, side), max(columns, side)), layout.fill)
    height, width = canvas.shape[2:]
    total, counts = canvas.new_zeros(1, height, width), canvas.new_zeros(height, width)
    for top, left in product(*(_starts(length, config) for length in (height, width))):
        place = slice(top, top + side), slice(left, left + side)
        values = _read(model, canvas[:, :, *place], config, (side, side), corners=layout.corners)
        if len(total) != len(values):
            total = total.repeat(len(values), 1, 1)
        total[:, *place] += values
        counts[place] += 1
    return resize_maps((total / counts)[:, :rows, :columns], size)


def _starts(length: int, config: PredictConfig) -> list[int]:
    """Return where windows begin along an axis: one stride apart, the last ends where the axis does."""
    stride = max(1, round(config.window * config.window_stride))
    return [min(start, length - config.window) for start in range(0, length - config.window + stride, stride)]


@torch.inference_mode()
def _read(
    model: nn.Module, images: Tensor, config: PredictConfig, size: tuple[int, int], *, corners: bool = False
) -> Tensor:
    """Return the logits or probabilities of one image, enlarged."""
    values: Tensor = model(images).logits.float()
    probable, early = config.fusion.endswith("probabilities"), config.enlarged == "probabilities"
    values = values.softmax(1) if early else values
    values = F.interpolate(values, size, mode=config.interpolation, align_corners=corners)[0]
    if not early:
        return values.softmax(0) if probable else values
    values = values.clamp(min=0)  # bicubic interpolation goes below
    return values / values.sum(0, keepdim=True)

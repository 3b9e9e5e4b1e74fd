"""Labels that were drawn on photographs as their files store them, without EXIF orientation, become upright."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from numpy.typing import NDArray

from weakseg.data.annotations import AnnotatedImage, Position, Shape
from weakseg.data.image import Frame, Scalar, read_frame
from weakseg.data.regions import mask_of_runs, runs_of_mask
from weakseg.errors import DataError

logger = logging.getLogger(__name__)


def turn_upright(
    images: Sequence[AnnotatedImage], photographs: Sequence[Path | None], source: Path
) -> tuple[AnnotatedImage, ...]:
    """Return the labels of upright photographs.

    Where the size that the label file states is that of the photograph's file, and not that of the upright photograph,
    they are turned as its pixels are, and the log says how many. All others are taken to be upright.

    Args:
        images: What the label file says.
        photographs: File of each, ``None`` where not known; one that cannot be read fails by itself later.
        source: The label file, or folder of them, for the log.
    """
    frames = [stored_frame(image.size, path) for image, path in zip(images, photographs, strict=True)]
    if count := sum(frame is not None for frame in frames):
        logger.info("%s: labels of %d photographs were drawn without EXIF orientation, and are turned", source, count)
    return tuple(_turned(image, frame) if frame else image for image, frame in zip(images, frames, strict=True))


def stored_frame(size: tuple[int, int] | None, photograph: Path | None) -> Frame | None:
    """Return how a photograph lies in its file if labels for ``size`` were drawn on it like that, else ``None``."""
    if photograph is None or size is None or size[0] == size[1]:
        return None
    try:
        frame = read_frame(photograph)
    except DataError:
        return None
    return frame if frame.labelled_as_stored(size) else None


def upright_mask(mask: NDArray[Scalar], photograph: Path) -> NDArray[Scalar]:
    """Return an ``(H, W)`` mask upright, as ``turn_upright`` does with labels for its size."""
    frame = stored_frame((mask.shape[0], mask.shape[1]), photograph)
    return frame.upright_mask(mask) if frame else mask


def upright_runs(runs: bytes, frame: Frame) -> bytes:
    """Return COCO's runs of pixels in the file as those of the upright photograph."""
    return runs_of_mask(frame.upright_mask(mask_of_runs(runs, frame.stored)))


def _turned(image: AnnotatedImage, frame: Frame) -> AnnotatedImage:
    return replace(image, shapes=tuple(_turned_shape(shape, frame) for shape in image.shapes), size=frame.size)


def _turned_shape(shape: Shape, frame: Frame) -> Shape:
    if shape.kind == "region" and shape.size == frame.stored:
        return replace(shape, size=frame.size, runs=upright_runs(shape.runs, frame))
    if shape.kind == "box":
        return replace(shape, positions=_turned_box(shape.positions, frame))
    return replace(shape, positions=tuple(frame.upright_position(*position) for position in shape.positions))


def _turned_box(corners: tuple[Position, ...], frame: Frame) -> tuple[Position, ...]:
    """Return top left and bottom right corner; a box without area stays one."""
    (top, left), (bottom, right) = corners
    if not (top < bottom and left < right):
        return corners
    rows, columns = zip(*(frame.upright_position(*corner) for corner in corners), strict=True)
    return (min(rows), min(columns)), (max(rows), max(columns))

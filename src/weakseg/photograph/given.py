"""What callers give: photographs in any form, and marks as plain tuples."""

from collections.abc import Iterator, Sequence
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from weakseg.data.image import as_rgb, load_rgb
from weakseg.data.levels import SIXTEEN_BITS
from weakseg.errors import DataError, cut

Given: TypeAlias = str | Path | Image.Image | torch.Tensor | NDArray[np.generic]
Named: TypeAlias = Sequence[Any]
"""Marks: ``(name, place)`` or ``(name, *place)`` each; or one alone."""

CHANNELS = (1, 3, 4)


def read_given(image: Given) -> NDArray[np.uint8]:
    """Return a photograph as ``(H, W, 3)`` uint8, upright RGB.

    Args:
        image: A file; an image of Pillow, whose EXIF orientation is applied; a tensor ``(C, H, W)``, or ``(H, W)``; or
            an array as ``as_rgb`` takes it.

    Raises:
        DataError: If it is none of these, or cannot be used.
    """
    if isinstance(image, str | Path):
        return load_rgb(Path(image))
    if isinstance(image, Image.Image):
        return as_rgb(_pixels(ImageOps.exif_transpose(image)))
    if isinstance(image, torch.Tensor):
        array = image.detach().cpu().numpy()
        if array.ndim == 3 and array.shape[0] in CHANNELS:
            array = np.moveaxis(array, 0, 2)
        return as_rgb(array).copy()
    if isinstance(image, np.ndarray):
        return as_rgb(image).copy()
    raise DataError(f"image: give a file, an array, a tensor or an image of Pillow, got {type(image).__name__}")


def _pixels(image: Image.Image) -> NDArray[np.generic]:
    """Return the pixels of an image of any mode as ``as_rgb`` takes them."""
    if image.mode.startswith("I"):
        array = np.asarray(image)
        if array.size and (array.min() < 0 or array.max() > SIXTEEN_BITS):
            raise DataError(f"image: values {array.min()} to {array.max()} are no 16 bits; convert it first")
        return array.astype(np.uint16)
    if image.mode == "F":
        return np.asarray(image)
    transparent = image.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in image.info
    return np.asarray(image.convert("RGBA" if transparent else "RGB"))


def read_tags(tags: str | Sequence[str]) -> list[str]:
    """Return tags of a list, or of a text that separates them by commas."""
    return [tag for part in tags.split(",") if (tag := part.strip())] if isinstance(tags, str) else list(tags)


def named_places(kind: str, given: Named, wanted: str) -> Iterator[tuple[str, Any]]:
    """Yield name and place of each mark of a list, or of one mark alone.

    Args:
        kind: What they are called, for errors.
        given: ``(name, place)`` or ``(name, *place)`` each.
        wanted: How a place is written, for errors.

    Raises:
        DataError: If a mark has no name.
    """
    for mark in [given] if given and isinstance(given[0], str) else given:
        if isinstance(mark, str) or not isinstance(mark, Sequence) or not mark or not isinstance(mark[0], str):
            raise DataError(
                f"{kind}: each is a name and {wanted}, such as {('cat', *EXAMPLES[wanted])}; got {cut(mark)}"
            )
        name, *place = mark
        nested = len(place) == 1 and not isinstance(place[0], Real)
        yield name, place[0] if nested else place


EXAMPLES: dict[str, tuple[Any, ...]] = {
    "(left, top, right, bottom)": (40, 30, 200, 180),
    "(x, y)": (120, 90),
    "[(x, y), ...]": ((90, 80), (150, 100)),
}

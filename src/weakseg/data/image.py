"""Image files and users' arrays become RGB uint8 here, once."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from weakseg.errors import DataError

MAX_PIXELS = 100_000_000
IMAGE_SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm"})
_ORIENTATION = 0x0112
_UPSIDE_DOWN, _RIGHT_TO_LEFT, _EXCHANGED = (3, 4, 6, 7), (2, 3, 7, 8), (5, 6, 7, 8)
Scalar = TypeVar("Scalar", bound=np.generic)


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """Return the photograph at ``path`` as a person would see it.

    EXIF orientation is applied; grayscale, palette, CMYK and 16-bit images are converted; what is transparent
    becomes white; of an animation the first frame counts. Floating-point images may count to 1, 255 or 65535: the
    smallest of them that holds the largest value is white.

    Args:
        path: Image file of at most ``MAX_PIXELS`` pixels.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        DataError: If the file is missing, unreadable, truncated, or larger than ``MAX_PIXELS``.
    """
    with _opened(path) as image:
        return as_rgb(np.array(_to_eight_bits(ImageOps.exif_transpose(image))))


def image_size(path: Path) -> tuple[int, int]:
    """Return (rows, columns) of the upright image; JPEG pixels are not decoded.

    Raises:
        DataError: As ``load_rgb``.
    """
    return read_frame(path).size


@dataclass(frozen=True)
class Frame:
    """How a photograph lies in its file, and how what lies on it there becomes upright, as ``load_rgb`` makes it.

    Attributes:
        stored: (rows, columns) in the file.
        orientation: EXIF's number, 1 to 8: which sides of the photograph the first row and column in the file are.
    """

    stored: tuple[int, int]
    orientation: int = 1

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns) of the upright photograph."""
        return self.stored[::-1] if self.orientation in _EXCHANGED else self.stored

    def labelled_as_stored(self, size: tuple[int, int]) -> bool:
        """Return whether the size that labels are for is that in the file, and not that of the upright photograph."""
        return size == self.stored != self.size

    def upright_position(self, row: float, column: float) -> tuple[float, float]:
        """Return where a position in the file is upright; both are continuous, from the outer top left corner."""
        row = self.stored[0] - row if self.orientation in _UPSIDE_DOWN else row
        column = self.stored[1] - column if self.orientation in _RIGHT_TO_LEFT else column
        return (column, row) if self.orientation in _EXCHANGED else (row, column)

    def upright_mask(self, mask: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return an ``(H, W)`` mask of the file upright, ``(W, H)`` where rows and columns are exchanged."""
        mask = mask[::-1] if self.orientation in _UPSIDE_DOWN else mask
        mask = mask[:, ::-1] if self.orientation in _RIGHT_TO_LEFT else mask
        return mask.T if self.orientation in _EXCHANGED else mask


def read_frame(path: Path) -> Frame:
    """Return how a photograph lies in its file; JPEG pixels are not decoded.

    Raises:
        DataError: As ``load_rgb``.
    """
    with _opened(path) as image:
        columns, rows = image.size
        if isinstance(image, TiffImageFile):  # of which some versions of Pillow give the upright size
            columns, rows = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
        orientation = image.getexif().get(_ORIENTATION, 1)
    return Frame((rows, columns), orientation if orientation in range(1, 9) else 1)


def check_frame(stated: tuple[int, int], actual: tuple[int, int], where: str) -> None:
    """Refuse labels that were drawn on a photograph of another size, or on one that was not upright.

    Args:
        stated: (rows, columns) that the label file gives.
        actual: (rows, columns) of the upright photograph.
        where: Label file or image, for the error.

    Raises:
        DataError: If they differ; rows and columns that are exchanged get their own words.
    """
    if stated == actual:
        return
    if stated == actual[::-1]:
        raise DataError(
            f"{where}: labels are for {stated[0]} x {stated[1]} (rows x columns), but the photograph is {actual[0]} x "
            f"{actual[1]} when upright: they were drawn on its side, and its EXIF orientation does not say so, or they "
            "are PNGs, which it does not turn. Turn the labels, or give the photograph that was labelled"
        )
    raise DataError(
        f"{where}: labels are for {stated[0]} x {stated[1]} (rows x columns), but the photograph is {actual[0]} x "
        f"{actual[1]}; give the photograph that was labelled"
    )


def as_rgb(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return a user's array as ``(H, W, 3)`` uint8 RGB.

    Args:
        array: ``(H, W)`` or ``(H, W, 1 | 3 | 4)``; uint8, bool, uint16, or float in [0, 1]; the fourth channel is
            opacity, and what is transparent becomes white.

    Raises:
        DataError: If shape, type or range is another.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if array.ndim == 2:
        array = np.stack([array] * 3, axis=-1)
    if array.ndim != 3 or array.shape[2] not in (3, 4) or array.size == 0:
        raise DataError(
            f"image: expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with at least one pixel, got {array.shape}"
        )
    values = _as_uint8(array)
    return np.ascontiguousarray(_over_white(values) if values.shape[2] == 4 else values)


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield the opened image; every way in which reading can fail becomes a ``DataError`` that names the file."""
    if not path.is_file():
        raise DataError(f"{path}: no such image file; check the path in the label file")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            image = Image.open(path)
        with image:
            columns, rows = image.size
            if columns * rows > MAX_PIXELS:
                raise _too_large(path, f"{rows} x {columns} pixels")
            yield image
    except Image.DecompressionBombError as error:
        raise _too_large(path, str(error)) from error
    except (OSError, ValueError, SyntaxError, EOFError) as error:
        raise DataError(f"{path}: cannot be read as an image ({error}); repair it or leave it out") from error


def _too_large(path: Path, what: str) -> DataError:
    return DataError(f"{path}: {what}: more than the limit of {MAX_PIXELS:,} pixels; reduce the image first")


def _to_eight_bits(image: Image.Image) -> Image.Image:
    """Return the image in mode L, RGB or RGBA."""
    if image.mode.startswith("I;16"):
        return Image.fromarray(_as_uint8(np.asarray(image).astype(np.uint16)))
    if image.mode in ("I", "F"):
        values = np.asarray(image, np.float64)
        if not np.isfinite(values).all():
            raise ValueError("it holds NaN or infinite values")
        top = 1.0 if image.mode == "F" and values.max() <= 1 else 255.0 if values.max() <= 255 else 65535.0
        return Image.fromarray(_as_uint8(np.clip(values / top, 0, 1)))
    if image.mode in ("LA", "PA", "La", "RGBa") or "transparency" in image.info:
        return image.convert("RGBA")
    return image if image.mode in ("RGB", "RGBA", "L") else image.convert("RGB")


def _as_uint8(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return values of any accepted type as 0..255."""
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return np.round(array.astype(np.float64) / 257.0).astype(np.uint8)
    if not np.issubdtype(array.dtype, np.floating):
        raise DataError(f"image: expected uint8, uint16, bool or float in [0, 1], got {array.dtype}; convert it first")
    values = array.astype(np.float64)
    if not (np.isfinite(values).all() and values.min() >= 0 and values.max() <= 1):
        raise DataError(
            f"image: floating-point images must lie in [0, 1], got [{values.min():.3g}, {values.max():.3g}]; scale it, "
            "or give uint8"
        )
    return np.round(values * 255.0).astype(np.uint8)


def _over_white(rgba: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Composite ``(H, W, 4)`` over white, rounded to the nearest integer."""
    alpha = rgba[..., 3:].astype(np.uint32)
    composite = (rgba[..., :3] * alpha + 255 * (255 - alpha) + 127) // 255
    return composite.astype(np.uint8)

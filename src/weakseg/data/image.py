"""Image files and users' arrays become RGB uint8 here, once."""

import logging
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.TiffImagePlugin import IMAGELENGTH, IMAGEWIDTH, TiffImageFile

from weakseg.data.levels import LOW_RANGE, SIXTEEN_BITS, Levels, over_white, range_of_fractions
from weakseg.errors import DataError, cut
from weakseg.image_file import MAX_PIXELS as MAX_PIXELS
from weakseg.image_file import opened_image, photograph_formats

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif", ".ppm", ".pgm", ".pbm"}
    | {".pnm", ".avif", ".heic", ".heif"}
)
_BLOCK = 2**18
_ORIENTATION = 0x0112
_UPSIDE_DOWN, _RIGHT_TO_LEFT, _EXCHANGED = (3, 4, 6, 7), (2, 3, 7, 8), (5, 6, 7, 8)
Scalar = TypeVar("Scalar", bound=np.generic)

logger = logging.getLogger(__name__)


def load_rgb(path: Path) -> NDArray[np.uint8]:
    """Return the photograph at ``path`` as a person would see it.

    EXIF orientation is applied; grayscale, palette, CMYK and 16-bit images are converted; what is transparent
    becomes white; of an animation the first frame counts. Images of one channel with more than 8 bits become 8 bits by
    the rule of ``Levels.of``; where it stretches them, the log says so.

    Args:
        path: Image file of at most ``MAX_PIXELS`` pixels, less where a decoder would take much memory for each.

    Returns:
        ``(H, W, 3)`` uint8.

    Raises:
        DataError: If the file is missing, unreadable, truncated, of a format that is not read, or too large.
    """
    with _opened(path) as image:
        shallow = _sixteen_bit_colours(image)
        frame = _frame_of(image, path)
        image.load()
        levels = _levels_of(image, frame.stored)
        rgb = np.empty((*frame.size, 3), np.uint8)
        stored = frame.as_stored(rgb)
        for rows, columns in _blocks(frame.stored):
            block = image.crop((columns.start, rows.start, columns.stop, rows.stop))
            stored[rows, columns] = _as_colours(block, levels)
    if levels and levels.stretched:
        _say(path, levels.sentence)
    if shallow and (top := int(rgb.max())) < LOW_RANGE >> 8:
        _say(
            path, f"colours of 16 bits are read by their upper 8, of which {top + 1} levels are left; convert it first"
        )
    return rgb


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

    def as_stored(self, upright: NDArray[Scalar]) -> NDArray[Scalar]:
        """Return a view of an upright ``(H, W, ...)`` array in the order of the file."""
        view = upright.swapaxes(0, 1) if self.orientation in _EXCHANGED else upright
        view = view[:, ::-1] if self.orientation in _RIGHT_TO_LEFT else view
        return view[::-1] if self.orientation in _UPSIDE_DOWN else view


def read_frame(path: Path) -> Frame:
    """Return how a photograph lies in its file; JPEG pixels are not decoded.

    Raises:
        DataError: As ``load_rgb``.
    """
    with _opened(path) as image:
        return _frame_of(image, path)


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
            opacity, and what is transparent becomes white. Colours of uint16 become 8 bits by the rule of
            ``Levels.of``, in all channels alike; where it stretches them, the log says so.

    Raises:
        DataError: If shape, type or range is another.
    """
    if array.ndim == 2:
        array = array[..., None]
    if array.ndim != 3 or array.shape[2] not in (1, 3, 4) or array.size == 0:
        raise DataError(
            f"image: expected (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) with at least one pixel, got {array.shape}"
        )
    values = _as_uint8(array)
    if values.shape[2] == 1:
        return np.repeat(values, 3, axis=2)
    return np.ascontiguousarray(over_white(values) if values.shape[2] == 4 else values)


def _as_uint8(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return an array of any accepted type as 0..255."""
    if array.dtype == np.uint8:
        return array.astype(np.uint8, copy=False)
    if array.dtype == np.bool_:
        return array.astype(np.uint8) * np.uint8(255)
    if array.dtype == np.uint16:
        return _sixteen_bits_as_uint8(array)
    if np.issubdtype(array.dtype, np.floating):
        return range_of_fractions(array).as_bytes(array)
    raise DataError(f"image: expected uint8, uint16, bool or float in [0, 1], got {array.dtype}; convert it first")


def _sixteen_bits_as_uint8(array: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Return colours by their range, and opacity, whose range is always the full one."""
    colours = array[..., :3]
    levels = Levels.of(float(colours.min()), float(colours.max()))
    if levels.stretched:
        logger.warning("image: %s", levels.sentence)
    opacity = Levels(0, SIXTEEN_BITS, 0, SIXTEEN_BITS).as_bytes(array[..., 3:])
    return np.concatenate([levels.as_bytes(colours), opacity], axis=2)


def _opened(path: Path) -> AbstractContextManager[Image.Image]:
    """Return the opened photograph; every way in which reading can fail becomes a ``DataError`` that names the file."""
    if not path.is_file():
        raise DataError(f"{path}: no such image file; check the path in the label file")
    return opened_image(path, str(path), formats=photograph_formats())


def _frame_of(image: Image.Image, path: Path) -> Frame:
    """Return how an image lies in its file, and make Pillow forget its EXIF, so that decoding turns and reads none."""
    columns, rows = image.size
    if isinstance(image, TiffImageFile):  # of which some versions of Pillow give the upright size
        columns, rows = image.tag_v2[IMAGEWIDTH], image.tag_v2[IMAGELENGTH]
    orientation: object = 1
    try:
        orientation = image.getexif().get(_ORIENTATION)
        if orientation is None and "exif" in image.info:
            Image.Exif().load(image.info["exif"])  # of what opening has met, and passed over, it speaks no more
    except Exception as error:  # Pillow's reader of EXIF throws whatever it likes at damaged blocks
        _forget_exif(image)
        image.load()  # which fails where it was not EXIF alone
        _say(path, f"EXIF cannot be read ({cut(error)}); taken as upright")
    _forget_exif(image)
    return Frame((rows, columns), orientation if isinstance(orientation, int) and orientation in range(1, 9) else 1)


def _forget_exif(image: Image.Image) -> None:
    exif = image.getexif()
    for tag in list(exif):
        del exif[tag]


def _blocks(size: tuple[int, int]) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of the parts, of at most 262,144 pixels, that an image is converted in."""
    wide = min(size[1], _BLOCK)
    high = max(1, _BLOCK // wide)
    for top in range(0, size[0], high):
        for left in range(0, size[1], wide):
            yield slice(top, min(top + high, size[0])), slice(left, min(left + wide, size[1]))


def _levels_of(image: Image.Image, size: tuple[int, int]) -> Levels | None:
    """Return which values are black and white in an image of more than 8 bits; ``None`` for others."""
    if not _is_deep(image):
        return None
    ranges = []
    for rows, columns in _blocks(size):
        block = np.asarray(image.crop((columns.start, rows.start, columns.stop, rows.stop)))
        ranges.append((float(block.min()), float(block.max())))
    if not np.isfinite(ranges).all():
        raise ValueError("it holds NaN or infinite values")
    lows, highs = zip(*ranges, strict=True)
    return Levels.of(min(lows), max(highs), fractions=image.mode == "F")


def _is_deep(image: Image.Image) -> bool:
    return image.mode in ("I", "F") or image.mode.startswith("I;16")


def _sixteen_bit_colours(image: Image.Image) -> bool:
    """Return whether each colour has 16 bits in the file, of which Pillow keeps 8; known before it is decoded."""
    return not _is_deep(image) and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def _as_colours(block: Image.Image, levels: Levels | None) -> NDArray[np.uint8]:
    """Return a part of an image as ``(h, w, 3)``, or ``(h, w, 1)`` where it is grey."""
    if levels is not None:
        return levels.as_bytes(np.asarray(block))[..., None]
    if block.mode in ("LA", "PA", "La", "RGBa", "RGBA") or "transparency" in block.info:
        return over_white(np.asarray(block.convert("RGBA")))
    if block.mode in ("L", "1"):
        return np.asarray(block.convert("L"))[..., None]
    return np.asarray(block.convert("RGB"))


@cache
def _say(path: Path, what: str) -> None:
    """Log, once for each file and process, what reading changes."""
    logger.warning("%s: %s", path, what)

"""Image files are opened here alone: by the decoders of a list, up to a number of pixels, with one typed error."""

import importlib
import io
import math
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError, WebPImagePlugin  # noqa: F401 - or all decoders are loaded for it
from PIL.TiffImagePlugin import BITSPERSAMPLE, ROWSPERSTRIP, TILELENGTH, TILEWIDTH, TiffImageFile

from weakseg.errors import DataError, WeaksegError, cut

MAX_PIXELS = 100_000_000
MAX_DECODING_BYTES = 620_000_000
"""What decoding an image may take, its pixels included; with its libraries a process stays below 1.2 GB."""
LOSSLESS = ("PNG", "TIFF", "BMP", "GIF")
_HEIF_SUFFIXES = frozenset({".heic", ".heif"})


@cache
def photograph_formats() -> tuple[str, ...]:
    """Return Pillow's names of the formats that photographs may have: none that starts a program or holds no pixels.

    AVIF is one where Pillow reads it, HEIF where the package ``pillow-heif`` is installed.
    """
    found = ["JPEG", "PNG", "TIFF", "BMP", "WEBP", "GIF", "PPM"]
    with suppress(ImportError):
        importlib.import_module("PIL.AvifImagePlugin")
        found.append("AVIF")
    with suppress(ImportError):
        importlib.import_module("pillow_heif").register_heif_opener()
        found.append("HEIF")
    Image.preinit()
    return tuple(name for name in found if name in Image.OPEN)


@contextmanager
def opened_image(
    source: Path | io.BytesIO, where: str, *, formats: Collection[str], what: str = "an image"
) -> Iterator[Image.Image]:
    """Yield an image that is not decoded yet.

    Args:
        source: The file, or its content.
        where: File and entry, for errors.
        formats: Pillow's names of those that it may have; no other decoder sees the file.
        what: What it should be, for errors.

    Raises:
        DataError: If it is of no such format, has too many pixels to decode, or if anything fails before the image is
            closed: decoders throw whatever they like at damaged files.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of sizes, which are checked here, and of metadata that nobody reads
            image = Image.open(source, formats=tuple(formats))
            with image:
                _check_size(image, where)
                yield image
    except WeaksegError:
        raise
    except Image.DecompressionBombError as error:
        raise _too_large(where, str(error), MAX_PIXELS) from error
    except Exception as error:
        reason = _unknown(source, formats) if isinstance(error, UnidentifiedImageError) else cut(error)
        raise DataError(
            f"{where}: cannot be read as {what} ({reason or type(error).__name__}); repair it or leave it out"
        ) from error


def _check_size(image: Image.Image, where: str) -> None:
    columns, rows = image.size
    limit = min(MAX_PIXELS, int(MAX_DECODING_BYTES / _bytes_per_pixel(image)))
    if columns * rows > limit:
        raise _too_large(where, f"{rows} x {columns} pixels", limit)


def _bytes_per_pixel(image: Image.Image) -> float:
    """Return what decoding and the result take at once, at most: of what the decoder keeps, Pillow's copy, RGB."""
    held = {"1": 1, "L": 1, "P": 1, "I;16": 2}.get(image.mode, 4)
    return held + max(3.0, _bytes_of_decoder(image))


def _bytes_of_decoder(image: Image.Image) -> float:
    """Return what a decoder keeps for each pixel beside Pillow's copy."""
    if image.format in ("WEBP", "AVIF", "HEIF"):
        return 6.0 if image.format == "AVIF" else 12.0  # WebP's two canvases, and the frame once more
    if image.info.get("progressive"):
        return 2.0 * len(image.getbands())  # coefficients of the whole image
    if isinstance(image, TiffImageFile):
        bits = image.tag_v2.get(BITSPERSAMPLE, (8,))
        bytes_each = sum(bits if isinstance(bits, tuple) else (bits,)) / 8
        tile = image.tag_v2.get(TILEWIDTH, image.width), image.tag_v2.get(TILELENGTH, image.height)
        strip = image.width * min(image.tag_v2.get(ROWSPERSTRIP, image.height), image.height)
        return float(bytes_each * min(strip, math.prod(tile)) / max(image.width * image.height, 1))
    return 0.0


def _too_large(where: str, what: str, limit: int) -> DataError:
    least = "" if limit == MAX_PIXELS else ", which its way of being stored takes to decode"
    return DataError(f"{where}: {what}: more than the limit of {limit:,} pixels{least}; reduce the image first")


def _unknown(source: Path | io.BytesIO, formats: Collection[str]) -> str:
    if isinstance(source, Path) and source.suffix.lower() in _HEIF_SUFFIXES and "HEIF" not in formats:
        return "HEIC is read where the package pillow-heif is installed; install it, or convert the file"
    return f"it is no sound file of {', '.join(formats)}"

"""Values of Label Studio's results become shapes."""

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import Position, Shape
from weakseg.data.formats.brush import mask_of_brush
from weakseg.data.formats.records import any_number, list_in, number_in, positions_in, text_in
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    region_of,
    turned,
)
from weakseg.data.values import shown
from weakseg.errors import DataError
from weakseg.image_file import opened_image
from weakseg.ops.runs import Size

Record = dict[str, object]
GEOMETRY = {  # the key of a value by which its kind can be told
    "rle": "brush",
    "imageDataURL": "bitmask",
    "points": "polygon",
    "radiusX": "ellipse",
    "height": "rectangle",
    "x": "keypoint",
}
KINDS = frozenset(GEOMETRY.values())
_HALF = 128  # painted pixels have soft edges


def geometry_of(value: object) -> str:
    """Return the kind of shape that a value describes; empty where it describes none."""
    keys = value if isinstance(value, dict) else {}
    return next((kind for key, kind in GEOMETRY.items() if key in keys), "")


def shapes_of(
    kind: str, value: Record, label: str, size: Size, where: str, check_claim: Callable[[], None]
) -> Sequence[Shape]:
    """Return what one value stands for.

    Args:
        kind: One of ``KINDS``.
        value: Its geometry, in percentages of the photograph.
        label: Name of its class.
        size: (rows, columns) that the file states of the photograph.
        where: File and entry, for errors.
        check_claim: Raises ``DataError`` where that is not the photograph's size; called before anything is rastered.

    Raises:
        DataError: If it is malformed.
        Unusable: If nothing comes of it.
    """
    if kind == "rectangle":
        return [box_around(label, _corners(value, size, where), where)]
    if kind == "keypoint":
        return points_at(label, [_pixels(number_in(value, "y", where), number_in(value, "x", where), size)], where)
    check_claim()
    if kind == "polygon":
        outline = [_pixels(row, column, size) for row, column in positions_in(value, "points", where)]
        return [region_inside(label, outline, size, where)]
    if kind == "ellipse":
        return [region_inside(label, _ellipse(value, size, where), size, where)]
    if kind == "bitmask":
        return [region_of(label, _bitmask(value, size, where), where)]
    if value.get("format") != "rle":
        raise Unusable(f"brush strokes in the format {shown(value.get('format'))} are not known")
    return [region_of(label, mask_of_brush(_stream(value, where), size, where), where)]


def _bitmask(value: Record, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the painted pixels of a PNG: at least half opaque or, where all are opaque, not black."""
    head, _, content = text_in(value, "imageDataURL", where).partition(",")
    if not head.startswith("data:image/png") or not head.endswith(";base64"):
        raise DataError(f"{where}: 'imageDataURL' must be a PNG in base64, got {shown(head)}; export it again")
    try:
        file = io.BytesIO(base64.b64decode(content, validate=True))
    except ValueError as error:
        raise DataError(f"{where}: 'imageDataURL' is no PNG in base64 ({error}); export it again") from error
    with opened_image(file, f"{where}: 'imageDataURL'", formats=("PNG",)) as image:
        if (image.height, image.width) != size:
            raise DataError(
                f"{where}: its bitmask has {image.height} x {image.width} pixels, but the photograph {size[0]} x "
                f"{size[1]} (rows x columns); export it again"
            )
        if "A" in image.getbands() or "transparency" in image.info:
            opaque = np.asarray(image.convert("RGBA").getchannel("A")) >= _HALF
            if not opaque.all():
                return np.asarray(opaque, np.bool_)
        return np.asarray(np.asarray(image.convert("RGB")).any(-1), np.bool_)


def _corners(value: Record, size: Size, where: str) -> list[Position]:
    """Return the corners of a rectangle, turned about the top left one; in pixels, where angles are angles."""
    left, top, width, height = (number_in(value, key, where) for key in ("x", "y", "width", "height"))
    corners = [(top, left), (top, left + width), (top + height, left + width), (top + height, left)]
    pixels = [_pixels(row, column, size) for row, column in corners]
    return turned(pixels, pixels[0], _angle(value, where))


def _ellipse(value: Record, size: Size, where: str) -> list[Position]:
    """Return the outline of an ellipse; x and y are its centre, of which Label Studio's documentation says corner."""
    column, row, across, down = (number_in(value, key, where) for key in ("x", "y", "radiusX", "radiusY"))
    return ellipse_outline(_pixels(row, column, size), _pixels(down, across, size), _angle(value, where))


def _angle(value: Record, where: str) -> float:
    return any_number(value.get("rotation") or 0, "'rotation'", where)


def _pixels(row: float, column: float, size: Size) -> Position:
    """Return a position in pixels from percentages."""
    return row * size[0] / 100, column * size[1] / 100


def _stream(value: Record, where: str) -> bytes:
    try:
        return bytes(list_in(value, "rle", where))  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise DataError(f"{where}: 'rle' must be numbers from 0 to 255 ({error}); export it again") from error

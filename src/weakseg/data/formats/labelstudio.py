"""Label Studio: one JSON file of tasks with rectangles, key points, polygons, ellipses, brush strokes and choices."""

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.brush import mask_of_brush
from weakseg.data.formats.records import (
    any_number,
    list_in,
    number_in,
    positions_in,
    size_in,
    text_in,
)
from weakseg.data.formats.shapes import (
    Unusable,
    box_around,
    ellipse_outline,
    points_at,
    region_inside,
    region_of,
    text_label,
    turned,
    usable_shapes,
)
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_record, as_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Record = dict[str, object]
_KINDS = ("rectanglelabels", "keypointlabels", "polygonlabels", "ellipselabels", "brushlabels")
_GEOMETRY = frozenset({"x", "points", "rle"})
_SIZE_KEYS = ("original_height", "original_width")


def read_table(path: Path) -> AnnotationTable:
    """Return what an export says; photographs are not opened.

    Rectangles become boxes (rotated ones the upright box around them), key points points, polygons, ellipses and brush
    strokes regions, choices for the whole photograph tags. Of several annotations of a task the first that was not
    cancelled counts. Tasks without one, and those of photographs that were rotated for labelling, are left out.

    Args:
        path: An export as "JSON", a list of tasks.

    Raises:
        DataError: If it cannot be read, no task is labelled, or an entry is malformed.
    """
    tasks = parse_json(path, read_text(path, "Label Studio file"))
    if not isinstance(tasks, list):
        raise DataError(f"{path}: expected a list of tasks, got {shown(tasks)}; export from Label Studio as 'JSON'")
    skipped: dict[str, str] = {}
    images = []
    for number, task in enumerate(tasks):
        where = f"{path}: tasks[{number}]"
        try:
            images.append(_image(as_record(task, "a task", where), where))
        except Unusable as reason:
            skipped[where] = str(reason)
    if skipped and not images:
        raise DataError(f"{path}: no task can be used: {next(iter(skipped.values()))}; label some and export again")
    return AnnotationTable(path, tuple(images), skipped=skipped)


def image_name(address: str, where: str) -> str:
    """Return the name of a photograph from what a task calls it.

    ``/data/local-files/?d=PATH`` gives the path, ``/data/upload/1/0a1b2c3d-NAME`` the name without the eight digits
    that uploading put before it; any other URL, bucket address or absolute path gives the file name; a relative path
    stays as it is.

    Raises:
        Unusable: If the photograph itself is written there (``data:``).
        DataError: If there is no name in it.
    """
    try:
        parts = urlsplit(address)
    except ValueError as error:
        raise DataError(f"{where}: 'image' {shown(address)} is no address ({error}); correct it") from error
    if parts.scheme == "data":
        raise Unusable("the photograph is written into the task, so that it has no name")
    if parts.path.rstrip("/").endswith("/data/local-files"):
        name = parse_qs(parts.query).get("d", [""])[0].replace("\\", "/").lstrip("/")
    elif "/data/upload/" in parts.path:
        name = re.sub("^[0-9a-f]{8}-", "", _last(unquote(parts.path)))
    elif parts.scheme in ("http", "https"):
        name = _last(unquote(parts.path))
    else:
        name = _last(address) if parts.scheme or address.startswith(("/", "\\")) else address
    return as_text(name, f"the file name in 'image' {shown(address)}", where)


def _last(path: str) -> str:
    return PurePosixPath(path.replace("\\", "/")).name


def _image(task: Record, where: str) -> AnnotatedImage:
    dropped: dict[str, Dropped] = {}
    if not {"data", "annotations"} <= task.keys():
        raise DataError(f"{where}: has no 'data' or no 'annotations'; export from Label Studio as 'JSON', not another")
    name = image_name(text_in(as_record(task.get("data"), "'data'", where), "image", where), where)
    place, annotation = _first_completed(task, where, dropped)
    items = {
        f"{place}: result[{number}]": as_record(item, "a result", f"{place}: result[{number}]")
        for number, item in enumerate(list_in(annotation, "result", place))
    }
    sizes = {at: size for at, item in items.items() if (size := size_in(item, _SIZE_KEYS, at)) is not None}
    size = next(iter(sizes.values()), None)
    for at, item in items.items():
        if sizes.get(at, size) != size:
            raise DataError(f"{at}: the photograph has {sizes[at]} pixels, but {size} in results before; correct it")
        if any_number(item.get("image_rotation") or 0, "'image_rotation'", at) != 0:
            raise Unusable(f"the photograph was rotated by {shown(item['image_rotation'])} degrees for labelling")
    choices = {at: item for at, item in items.items() if item.get("type") == "choices"}
    drawn = [(at, item) for at, item in items.items() if at not in choices]
    tags = [tag for at, item in choices.items() for tag in _tags(item, at, dropped)]
    shapes = usable_shapes(drawn, lambda item, at: _shapes(item, sizes.get(at), at), _labels_of, dropped)
    return AnnotatedImage(name, tuple(shapes), where, frozenset(tags), size, dropped=dropped)


def _labels_of(item: Record) -> frozenset[str] | None:
    """Return the labels of a result that is left out; ``None`` where they cannot be told."""
    value = item.get("value")
    lists = [value.get(kind) for kind in (*_KINDS, "choices")] if isinstance(value, dict) else []
    texts = [text_label(label) for found in lists if isinstance(found, list) for label in found]
    known = [label for label in texts if label is not None]
    return frozenset().union(*known) if known and len(known) == len(texts) else None


def _first_completed(task: Record, where: str, dropped: dict[str, Dropped]) -> tuple[str, Record]:
    """Return place and content of the first annotation that was not cancelled; the others are dropped."""
    found: tuple[str, Record] | None = None
    for number, entry in enumerate(list_in(task, "annotations", where)):
        place = f"{where}: annotations[{number}]"
        annotation = as_record(entry, "an annotation", place)
        if annotation.get("was_cancelled"):
            dropped[place] = Dropped("it was cancelled", frozenset())
        elif found is not None:
            dropped[place] = Dropped("an annotation of the same photograph before it counts", frozenset())
        else:
            found = place, annotation
    if found is None:
        raise Unusable("nobody has completed an annotation of it")
    return found


def _tags(item: Record, where: str, dropped: dict[str, Dropped]) -> list[str]:
    """Return the choices for the whole photograph; those for one shape are dropped."""
    value = as_record(item.get("value"), "'value'", where)
    if _GEOMETRY & value.keys():
        dropped[where] = Dropped("it is a choice for one shape, not for the photograph", frozenset())
        return []
    return [as_text(choice, "a choice", where) for choice in list_in(value, "choices", where)]


def _shapes(item: Record, size: Size | None, where: str) -> Sequence[Shape]:
    kind = text_in(item, "type", where)
    if kind not in _KINDS:
        raise Unusable(f"results of type {kind!r} are not known")
    if size is None:
        raise Unusable("it has no original_width and original_height, so that its percentages mean nothing")
    value = as_record(item.get("value"), "'value'", where)
    label = _label(value, kind, where)
    if kind == "rectanglelabels":
        return [box_around(label, _corners(value, size, where), where)]
    if kind == "keypointlabels":
        return points_at(label, [_pixels(number_in(value, "y", where), number_in(value, "x", where), size)], where)
    if kind == "polygonlabels":
        outline = [_pixels(row, column, size) for row, column in positions_in(value, "points", where)]
        return [region_inside(label, outline, size, where)]
    if kind == "ellipselabels":
        return [region_inside(label, _ellipse(value, size, where), size, where)]
    if value.get("format") != "rle":
        raise Unusable(f"brush strokes in the format {shown(value.get('format'))} are not known")
    return [region_of(label, mask_of_brush(_stream(value, where), size, where), where)]


def _label(value: Record, kind: str, where: str) -> str:
    """Return the one label of a shape."""
    labels = list_in(value, kind, where) if value.get(kind) is not None else []
    if len(labels) != 1:
        raise Unusable(f"it has {len(labels)} labels, not one")
    return as_text(labels[0], "a label", where)


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

"""What weakseg's own file says of one photograph."""

from collections.abc import Sequence
from functools import partial
from typing import Literal, get_args

from weakseg.data.annotations import AnnotatedImage, Dropped, Kind, Position, Shape
from weakseg.data.formats.shapes import Unusable, left_out, painted_along, region_inside, text_label, usable_shapes
from weakseg.data.paths import image_id_of
from weakseg.data.regions import count_pixels, encode_runs, whole_runs
from weakseg.data.values import as_list, as_number, as_record, as_size, as_text, shown
from weakseg.errors import DataError
from weakseg.names import composed
from weakseg.ops.runs import Size

Record = dict[str, object]
Verdict = Literal["accepted", "rejected"]
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
LISTS: dict[str, Kind] = {"boxes": "box", "points": "point", "scribbles": "scribble", "regions": "region"}
_KEYS: dict[Kind, str] = {"box": "rectangle", "point": "position", "scribble": "path"}
KEYS = ("file", "size", "tags", "unknown", *LISTS, "mask", "verdict", "effort", "revision")
_Entry = tuple[Kind, object]
WHOLE = object()  # in place of a record: the background of an accepted mask


def read_record(image_id: str, record: Record, where: str) -> AnnotatedImage:
    """Return the labels of one photograph; of a malformed record, that is what is left out.

    An accepted mask lies on top of all regions, with the background where it has no class.
    """
    name = image_id if image_id_of(image_id) == image_id else f"{image_id}.png"  # an id may end as a file name does
    try:
        name = _file(record, image_id, where) if "file" in record else name
        size, tags, unknown, entries = _content(record, where)
    except DataError as error:
        return AnnotatedImage(name, (), where, dropped={where: left_out(error, where, None)})
    dropped: dict[str, Dropped] = {}
    read = partial(_read, size=size)
    shapes = usable_shapes(entries, read, _labels_of, dropped)
    of_mask = f"{where}: mask"
    if any(place.startswith(of_mask) for place in dropped):  # what is left of it would say that the rest is background
        shapes = [shape for shape in shapes if not shape.where.startswith(of_mask)]
    return AnnotatedImage(name, tuple(shapes), where, tags, size, unknown, dropped)


def _file(record: Record, image_id: str, where: str) -> str:
    """Return the photograph's file, which the image id is the path of, without suffix."""
    file = as_text(record["file"], "file", where)
    if image_id not in (image_id_of(file), composed(file)):
        raise DataError(f"{where}: file {shown(file)} is another photograph's; it must be {image_id} with its suffix")
    return file


def effort_of(record: Record, where: str) -> dict[str, float]:
    """Return what the labels took, by any names.

    Raises:
        DataError: If a value is no number.
    """
    effort = as_record(record.get("effort", {}), "effort", where)
    return {name: as_number(value, f"effort {name!r}", where) for name, value in effort.items()}


def verdict_of(record: Record, where: str) -> Verdict | None:
    """Return what a person has said of the mask; ``None`` where nobody has.

    Raises:
        DataError: If it is anything else than a verdict, or a mask is accepted that is not there.
    """
    found = next((one for one in VERDICTS if record.get("verdict") == one), None)
    if found is None and record.get("verdict") is not None:
        raise DataError(f"{where}: verdict must be one of {', '.join(VERDICTS)}, got {shown(record['verdict'])}")
    if (found == "accepted") != ("mask" in record):
        raise DataError(f"{where}: an accepted photograph has a 'mask', and no other has; correct it")
    return found


def _content(record: Record, where: str) -> tuple[Size, frozenset[str], frozenset[str], list[tuple[str, _Entry]]]:
    """Return size, tags present and unknown, and entries: these by their place and with their kind."""
    if unknown := sorted(set(record) - set(KEYS)):
        raise DataError(f"{where}: unknown key {shown(unknown[0])}; there are {', '.join(KEYS)}")
    numbers = [as_number(value, "size", where) for value in as_list(record.get("size"), "size", where)]
    if len(numbers) != 2:
        raise DataError(f"{where}: size must be rows and columns, got {len(numbers)} numbers; correct it")
    tags, open_ = (
        frozenset(as_text(tag, "a tag", where) for tag in as_list(record.get(key, []), key, where))
        for key in ("tags", "unknown")
    )
    verdict_of(record, where)
    effort_of(record, where)
    entries: list[tuple[str, _Entry]] = [
        (f"{where}: {key}[{n}]", (kind, value))
        for key, kind in LISTS.items()
        for n, value in enumerate(as_list(record.get(key, []), key, where))
    ]
    if "mask" in record:
        parts = as_record(record["mask"], "mask", where)
        named = {f"{where}: mask {label!r}": {"class": label, "runs": runs} for label, runs in parts.items()}
        entries += [(f"{where}: mask", ("region", WHOLE)), *((at, ("region", one)) for at, one in named.items())]
    return as_size(numbers[0], numbers[1], where), tags, open_ - tags, entries


def _labels_of(entry: _Entry) -> frozenset[str] | None:
    _, value = entry
    if isinstance(value, dict) and value.get("ignored") is True:
        return frozenset()
    return text_label(value.get("class")) if isinstance(value, dict) else None


def _read(entry: _Entry, where: str, *, size: Size) -> Sequence[Shape]:
    kind, value = entry
    if value is WHOLE:
        return [Shape("region", "background", (), where, size=size, runs=whole_runs(size))]
    record = as_record(value, "an entry", where)
    if kind == "region":
        return [_region(record, size, where)]
    label, key = as_text(record.get("class"), "class", where), _KEYS[kind]
    values = as_list(record.get(key), key, where)
    if kind == "scribble":
        return [Shape(kind, label, _positions(values, where), where)]
    if kind == "point":
        return [Shape(kind, label, (_position(values, where),), where)]
    if len(values) != 4:
        raise DataError(f"{where}: rectangle must be top, left, bottom, right, got {len(values)} values; correct it")
    return [Shape(kind, label, (_position(values[:2], where), _position(values[2:], where)), where)]


def _region(record: Record, size: Size, where: str) -> Shape:
    """Return what is outlined, painted along a path, or given as runs."""
    ignored = record.get("ignored", False)
    if not isinstance(ignored, bool):
        raise DataError(f"{where}: ignored must be true or false, got {shown(ignored)}; correct it")
    label = "" if ignored else as_text(record.get("class"), "class", where)
    if "outline" in record:
        outline = _positions(as_list(record["outline"], "outline", where), where)
        return region_inside(label, outline, size, where, ignored=ignored)
    if "path" in record:
        radius = as_number(record.get("radius"), "radius", where)
        path = _positions(as_list(record["path"], "path", where), where)
        return painted_along(label, path, radius, size, where, ignored=ignored)
    text = as_text(record.get("runs"), "outline, path or runs", where)
    runs = encode_runs({"size": list(size), "counts": text}, size, where)
    counts = bytes(runs["counts"])
    if not count_pixels(counts, size):
        raise Unusable(f"it covers no pixel of the image of {size[0]} x {size[1]} pixels")
    return Shape("region", label, (), where, size=size, runs=counts, ignored=ignored)


def _positions(values: list[object], where: str) -> tuple[Position, ...]:
    return tuple(_position(as_list(value, "a position", where), where) for value in values)


def _position(values: list[object], where: str) -> Position:
    if len(values) != 2:
        raise DataError(f"{where}: a position is row and column, got {len(values)} values; correct it")
    return as_number(values[0], "a row", where), as_number(values[1], "a column", where)

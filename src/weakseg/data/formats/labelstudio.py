"""Label Studio: one JSON file of tasks with rectangles, key points, outlines, painted pixels and choices."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import parse_qs, unquote, urlsplit

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.label_format import Surroundings, claim_check
from weakseg.data.formats.labelstudio_min import as_task
from weakseg.data.formats.labelstudio_values import KINDS, Record, geometry_of, shapes_of
from weakseg.data.formats.records import any_number, list_in, size_in, text_in
from weakseg.data.formats.repeated import without_repeats
from weakseg.data.formats.shapes import Unusable, left_out, text_label, usable_shapes
from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.data.paths import parse_json, read_text
from weakseg.data.values import as_record, as_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

_SIZE_KEYS = ("original_height", "original_width")
_NO_CLASS = frozenset({"relation", "textarea", "rating", "number", "datetime", "pairwise", "ranker"})


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return what an export says.

    Rectangles become boxes (rotated ones the upright box around them), key points points, polygons, ellipses, brush
    strokes and bitmasks regions, choices for the whole photograph tags. Labels may stand with their shape, or in a
    result of their own with its id. Of several annotations of a task the first that was not cancelled counts. Tasks
    without one, and those of photographs that were rotated for labelling, are left out.

    Args:
        path: An export as "JSON" or "JSON-MIN", a list of tasks.
        around: Where the photographs are; ``None``: they are not opened.

    Raises:
        DataError: If it cannot be read, or no task can be used.
    """
    tasks = parse_json(path, read_text(path, "Label Studio file"))
    if not isinstance(tasks, list):
        raise DataError(f"{path}: expected a list of tasks, got {shown(tasks)}; export from Label Studio as 'JSON'")
    skipped: dict[str, str] = {}
    images = []
    for number, task in enumerate(tasks):
        where = f"{path}: tasks[{number}]"
        try:
            images.append(task_image(as_task(as_record(task, "a task", where)), where, around))
        except (Unusable, DataError) as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    if skipped and not images:
        raise DataError(f"{path}: no task can be used: {next(iter(skipped.values()))}; label some and export again")
    return AnnotationTable(path, without_repeats(images), skipped=skipped)


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


def task_address(data: Record, where: str) -> str:
    """Return what a task calls its photograph: at ``image``, else at the one key that looks like one."""
    if "image" in data:
        return text_in(data, "image", where)
    found = {key: value for key, value in data.items() if isinstance(value, str) and _is_image(value)}
    if len(found) != 1:
        keys = ", ".join(map(shown, found or data))
        raise DataError(
            f"{where}: 'image' is missing, and {len(found)} of its data ({keys:.200}) are photographs, not one"
        )
    return next(iter(found.values()))


def _is_image(address: str) -> bool:
    try:
        return PurePosixPath(image_name(address, "")).suffix.lower() in IMAGE_SUFFIXES
    except (DataError, Unusable):
        return address.startswith("data:image/")


@dataclass(frozen=True)
class _Result:
    """One result: its record, its kind without ``labels`` at the end, and the labels with it, or of its id."""

    record: Record
    kind: str
    labels: tuple[object, ...] | None
    size: Size | None

    @property
    def names(self) -> frozenset[str] | None:
        """The classes if the result is left out; ``None`` where they cannot be told."""
        if self.kind in _NO_CLASS:
            return frozenset()
        found = [text_label(label) for label in self.labels or ()]
        known = [label for label in found if label is not None]
        return frozenset().union(*known) if known and len(known) == len(found) else None


def task_image(task: Record, where: str, around: Surroundings | None) -> AnnotatedImage:
    """Return what one task says: its first annotation that was not cancelled.

    The place of a shape is ``WHERE: annotations[N]: result[M]``.

    Raises:
        Unusable: If nobody has completed an annotation, or the photograph was rotated for labelling.
        DataError: If it is malformed, or names no photograph.
    """
    dropped: dict[str, Dropped] = {}
    if not {"data", "annotations"} <= task.keys():
        raise DataError(f"{where}: has no 'data' or no 'annotations'; export from Label Studio as 'JSON', not another")
    name = image_name(task_address(as_record(task.get("data"), "'data'", where), where), where)
    place, annotation = _first_completed(task, where, dropped)
    results = _results(list_in(annotation, "result", place), place, dropped)
    size = next((result.size for result in results.values() if result.size is not None), None)
    for at, result in list(results.items()):
        if result.size not in (None, size):
            reason = f"the photograph has {result.size} pixels, but {size} in results before; correct it"
            dropped[at] = Dropped(reason, results.pop(at).names)
    tags = [tag for at, result in results.items() if result.kind == "choices" for tag in _tags(result, at, dropped)]
    drawn = [(at, result) for at, result in results.items() if result.kind != "choices"]
    claim = claim_check(around, name, size, where) if size else lambda: None
    shapes = usable_shapes(drawn, lambda result, at: _shapes(result, at, claim), lambda result: result.names, dropped)
    return AnnotatedImage(name, tuple(shapes), where, frozenset(tags), size, dropped=dropped)


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


def _results(items: Sequence[object], place: str, dropped: dict[str, Dropped]) -> dict[str, _Result]:
    """Return the results by place; labels that are a result of their own are with the shape that has their id.

    Raises:
        Unusable: If the photograph was rotated for labelling.
    """
    records = {f"{place}: result[{number}]": item for number, item in enumerate(items)}
    sound = {at: item for at, item in records.items() if isinstance(item, dict)}
    shape_ids = Counter(_id_of(item) for item in sound.values() if _kind(item) in KINDS)
    labels = {_id_of(item): _labels(item) for item in sound.values() if _kind(item) == "labels"}
    found: dict[str, _Result] = {}
    for at, item in records.items():
        try:
            record = as_record(item, "a result", at)
            kind = _kind(record)
            if any_number(record.get("image_rotation") or 0, "'image_rotation'", at) != 0:
                raise Unusable(f"the photograph was rotated by {shown(record['image_rotation'])} degrees for labelling")
            if kind == "labels" and shape_ids[_id_of(record)]:
                continue
            own = _labels(record)
            named = own if own is not None or kind not in KINDS else labels.get(_id_of(record))
            kind = (geometry_of(record.get("value")) or kind) if kind == "labels" else kind
            found[at] = _Result(record, kind, named, size_in(record, _SIZE_KEYS, at))
        except DataError as error:
            own = _labels(item) if isinstance(item, dict) else None
            dropped[at] = left_out(error, at, _Result({}, "", own, None).names)
    return found


def _id_of(item: Mapping[str, object]) -> object:
    """Return what shape and labels have in common; without an id a result is alone."""
    own = item.get("id")
    return own if isinstance(own, str | int) else id(item)


def _kind(item: Mapping[str, object]) -> str:
    """Return the type of a result, without ``labels`` at its end, by its value where it is not said."""
    kind, value = item.get("type"), item.get("value")
    if not isinstance(kind, str) and isinstance(value, dict):
        named = (f"{one}labels" for one in KINDS)
        kind = next((key for key in (*named, "labels", "choices") if key in value), geometry_of(value))
    if not isinstance(kind, str):
        return ""
    return kind if kind == "labels" else kind.removesuffix("labels")


def _labels(item: Mapping[str, object]) -> tuple[object, ...] | None:
    """Return the labels in a result; ``None`` where it has none."""
    value = item.get("value")
    if not isinstance(value, dict):
        return None
    keys = (*(f"{kind}labels" for kind in sorted(KINDS)), "labels", "choices")
    lists = [value[key] for key in keys if key in value and value[key] is not None]
    return (
        tuple(label for found in lists for label in (found if isinstance(found, list) else [None])) if lists else None
    )


def _tags(result: _Result, where: str, dropped: dict[str, Dropped]) -> list[str]:
    """Return the choices for the whole photograph; those for one shape are dropped, and what is malformed."""
    try:
        value = as_record(result.record.get("value"), "'value'", where)
        if geometry_of(value):
            dropped[where] = Dropped("it is a choice for one shape, not for the photograph", frozenset())
            return []
        return [as_text(choice, "a choice", where) for choice in list_in(value, "choices", where)]
    except DataError as error:
        dropped[where] = left_out(error, where, result.names)
        return []


def _shapes(result: _Result, where: str, check_claim: Callable[[], None]) -> Sequence[Shape]:
    if result.kind not in KINDS:
        kind = text_in(result.record, "type", where)
        raise Unusable(
            "its labels belong to no shape" if kind == "labels" else f"results of type {kind!r} are not known"
        )
    if result.size is None:
        raise Unusable("it has no original_width and original_height, so that its percentages mean nothing")
    value = as_record(result.record.get("value"), "'value'", where)
    labels = result.labels or ()
    if len(labels) != 1:
        raise Unusable(f"it has {len(labels)} labels, not one")
    return shapes_of(result.kind, value, as_text(labels[0], "a label", where), result.size, where, check_claim)

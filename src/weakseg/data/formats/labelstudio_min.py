"""Label Studio's "JSON-MIN": a task is its data with the results at the names of their controls."""

from weakseg.data.formats.labelstudio_values import Record, geometry_of

_CHOICES = ("choice", "choices")
_MARKS = frozenset({"annotator", "annotation_id", "lead_time"})


def as_task(record: Record) -> Record:
    """Return a task as "JSON" writes it; one that is written so, or is no task, stays as it is.

    Lists of shapes become results, and choices where they are a list, or stand at ``choice`` or ``choices``.
    """
    if "annotations" in record or "data" in record:
        return record
    results: list[object] = []
    data: Record = {}
    for key, value in record.items():
        if isinstance(value, list) and any(map(_says_something, value)):
            results += [_result(entry) for entry in value]
        elif isinstance(value, dict) and isinstance(value.get("choices"), list):
            results.append({"type": "choices", "value": value})
        elif key in _CHOICES and isinstance(value, str):
            results.append({"type": "choices", "value": {"choices": [value]}})
        else:
            data[key] = value
    return {"data": data, "annotations": [{"result": results}]} if results or _MARKS & record.keys() else record


def _says_something(entry: object) -> bool:
    return isinstance(entry, dict) and ("choices" in entry or bool(geometry_of(entry)))


def _result(entry: object) -> object:
    """Return the result of one shape; a shape and its labels, which have no id here, agree in their geometry."""
    if not isinstance(entry, dict):
        return entry
    size = {key: entry[key] for key in ("original_width", "original_height", "image_rotation") if key in entry}
    if not geometry_of(entry):
        return {"type": entry.get("type", "choices" if "choices" in entry else None), "value": entry, **size}
    place = [(key, value) for key, value in sorted(entry.items()) if isinstance(value, int | float)]
    return {"id": repr((geometry_of(entry), place))[:1000], "value": entry, **size}

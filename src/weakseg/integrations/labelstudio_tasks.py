"""What Label Studio asks of one task, and what it is answered: marks of a person become masks."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from weakseg.data.annotations import AnnotatedImage, Drawn, Shape
from weakseg.data.binding import bind_image
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.labelstudio import task_address, task_image
from weakseg.data.formats.labelstudio_out import Record, brush_region, prediction
from weakseg.data.formats.shapes import Unusable
from weakseg.data.image import check_frame
from weakseg.data.values import as_record
from weakseg.errors import WeaksegError
from weakseg.integrations.found_photographs import FoundPhotographs
from weakseg.integrations.labelstudio_view import View
from weakseg.photograph.marks import Marks, with_short_strokes
from weakseg.photograph.photograph import Photograph
from weakseg.photograph.segmentation import Segmentation
from weakseg.version import __version__

logger = logging.getLogger(__name__)

MODEL_VERSION = f"weakseg-{__version__}"
_BACKGROUND = min(BACKGROUND_NAMES)


@dataclass(frozen=True)
class _Said:
    """What a person has said of a photograph.

    Attributes:
        image: Shapes and tags.
        records: Label Studio's own record of each shape by its place.
        now: Whether somebody waits: painted pixels are strokes then, else finished masks.
    """

    image: AnnotatedImage
    records: Mapping[str, Record]
    now: bool


def answer(task: object, where: str, view: View, context: object, photographs: FoundPhotographs) -> Record:
    """Return the prediction of one task; an empty one, with the reason in the log, where nothing comes of it.

    Args:
        task: As Label Studio sends it.
        where: Which of the request, for the log.
        view: The project's labelling configuration.
        context: What somebody who waits has just drawn; nothing: what the task's annotations and choices say counts.
        photographs: Where photographs are.
    """
    try:
        record = as_record(task, "a task", where)
        where = f"{where} (id {record.get('id')})"
        said = _said(record, where, view, context)
        path = photographs.find(said.image.name, where)
        return photographs.work_on(path, lambda photograph: _answered(photograph, said, view))
    except WeaksegError as error:
        logger.warning("%s: no prediction: %s", where, str(error).removeprefix(f"{where}: "))
    except Exception:  # of libraries, on one photograph: the other tasks get their answer
        logger.exception("%s: no prediction", where)
    return prediction([], MODEL_VERSION)


def _said(task: Record, where: str, view: View, context: object) -> _Said:
    """Return what is said of a task's photograph."""
    data = as_record(task.get("data"), "'data'", where)
    if view.data_key in data:
        data = {"image": data[view.data_key]}
    drawn = context.get("result") if isinstance(context, dict) else None
    given = [{"result": drawn}] if drawn else _annotations(task)
    if not given:
        task_address(data, where)  # which may be the reason itself
        raise Unusable("nothing is drawn on it, and no choice says what it shows")
    image = task_image({"data": data, "annotations": given}, where, None)
    records = {
        f"{where}: annotations[{n}]: result[{m}]": item
        for n, one in enumerate(given)
        for m, item in enumerate(one["result"] if isinstance(one.get("result"), list) else [])
        if isinstance(item, dict)
    }
    for place, entry in image.dropped.items():
        logger.warning("left out: %s: %s", place, entry.reason)
    return _Said(image, records, bool(drawn))


def _annotations(task: Record) -> list[Record]:
    """Return the annotations of a task that say something, else its drafts."""
    for key in ("annotations", "drafts"):
        given = task.get(key)
        found = [one for one in given if isinstance(one, dict) and one.get("result")] if isinstance(given, list) else []
        if found:
            return found
    return []


def _answered(photograph: Photograph, said: _Said, view: View) -> Record:
    """Return the prediction that a photograph's mask makes."""
    if said.image.size is not None:
        check_frame(said.image.size, photograph.size, said.image.where)
    found = photograph.segment(_marks(said, photograph.size))
    regions = _regions(found, said, view)
    if not any(region["type"] == "brushlabels" for region in regions):
        raise Unusable("the mask shows nothing of what the configuration labels")
    return prediction(regions, MODEL_VERSION, found.reliability)


def _marks(said: _Said, size: tuple[int, int]) -> Marks:
    """Return what is said as marks; what is clicked or painted as not being an object is background."""
    shapes = _signed(said)
    given = [shape.label for shape in shapes] or sorted(said.image.tags)
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    if not names:
        raise Unusable("only background is marked; mark an object too")
    painted = [s for s in shapes if said.now and s.kind == "region" and _is_brush(said.records.get(s.where, {}))]
    apart = {shape.where for shape in painted}
    others = [shape for shape in shapes if shape.where not in apart]
    drawn, strokes = (_bound(said.image, some, names, size) for some in (others, painted))
    if shapes and drawn == strokes == Drawn():
        raise Unusable("nothing that is drawn lies on it")
    known = tuple(one for one in strokes.regions if one.class_id <= len(names))
    return Marks(names, with_short_strokes(replace(drawn, strokes=known)))


def _signed(said: _Said) -> list[Shape]:
    """Return the shapes, on the background where Label Studio says that one is negative; a box cannot be."""
    found = []
    for shape in said.image.shapes:
        negative = said.records.get(shape.where, {}).get("is_positive") is False
        if negative and shape.kind == "box":
            logger.warning("left out: %s: a box around what is no object says nothing", shape.where)
        else:
            found.append(replace(shape, label=_BACKGROUND) if negative else shape)
    return found


def _is_brush(record: Record) -> bool:
    value = record.get("value")
    return isinstance(value, dict) and "rle" in value


def _bound(image: AnnotatedImage, shapes: Sequence[Shape], names: tuple[str, ...], size: tuple[int, int]) -> Drawn:
    """Return what is drawn, by label."""
    some = replace(image, shapes=tuple(shapes), tags=frozenset(), unknown=frozenset(), size=size, dropped={})
    bound = bind_image(some, Classes(names))
    for where, reason in bound.dropped.items():
        logger.warning("left out: %s: %s", where, reason)
    return bound.drawn


def _regions(found: Segmentation, said: _Said, view: View) -> list[Record]:
    """Return the mask of each label that the brush of the project has, and the boxes that were drawn."""
    regions = []
    for label, name in enumerate(found.tags, start=1):
        pixels = np.asarray(found.mask == label)
        if view.labels and name not in view.labels:
            logger.warning("%s: %r is no label of the brush %r, and is left out", said.image.where, name, view.brush)
        elif pixels.any():
            reliability = found.reliabilities.get(name)
            score = reliability.value if reliability else None
            regions.append(brush_region(_new_id(), name, pixels, score, from_name=view.brush, to_name=view.image))
    boxes = [said.records.get(shape.where, {}) for shape in said.image.shapes if shape.kind == "box"]
    return regions + [{**box, "id": _new_id()} for box in boxes if box.get("from_name") in view.rectangles]


def _new_id() -> str:
    """Return an id of a region that no other of the annotation has."""
    return secrets.token_urlsafe(8)

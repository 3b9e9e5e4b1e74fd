"""Label Studio: tasks with predictions, and the labelling configuration that they are made for."""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote
from xml.sax.saxutils import quoteattr

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, voc_palette
from weakseg.data.classes import Classes
from weakseg.data.formats.brush import brush_of_mask
from weakseg.data.formats.outgoing import Outgoing
from weakseg.instances import Extent
from weakseg.ops.runs import Size

Record = dict[str, Any]
UNDECIDED_NAME = "undecided"
BRUSH, BOX, IMAGE = "brush", "box", "image"


def address_of(name: str, prefix: str) -> str:
    """Return what a task calls its photograph: ``prefix`` and the quoted name, or the name where there is none."""
    return f"{prefix}{quote(name)}" if prefix else name


def task_record(item: Outgoing, classes: Classes, address: str, model_version: str) -> Record:
    """Return a task with one prediction: a brush region for each object, or each class of a mask, and boxes of objects.

    Undecided pixels of a mask are a region ``undecided``.
    """
    regions = [
        brush_region(f"mask{number}", classes.name_of(class_id), mask, None if item.is_mask else score)
        for number, (class_id, mask, score) in enumerate(item.masks(), start=1)
    ]
    if item.undecided is not None and item.undecided.any():
        regions.append(brush_region(f"mask{len(regions) + 1}", UNDECIDED_NAME, item.undecided))
    if not item.is_mask:
        found = zip(item.objects.class_ids, item.objects.boxes, item.objects.scores, strict=True)
        regions += [
            box_region(f"box{number}", classes.name_of(class_id), box, item.size, score)
            for number, (class_id, box, score) in enumerate(found, start=1)
        ]
    return {"data": {IMAGE: address}, "predictions": [prediction(regions, model_version, item.score)]}


def prediction(regions: Sequence[Record], model_version: str, score: float | None = None) -> Record:
    """Return a prediction of regions, with how sure it is where that is known."""
    return {"model_version": model_version, **_score(score), "result": list(regions)}


def brush_region(
    region_id: str,
    label: str,
    mask: NDArray[np.bool_],
    score: float | None = None,
    *,
    from_name: str = BRUSH,
    to_name: str = IMAGE,
) -> Record:
    """Return the painted pixels of a label.

    Args:
        region_id: Its id, unique on the photograph.
        label: Its class.
        mask: ``(H, W)`` bool, of the upright photograph.
        score: How sure it is, where that is known.
        from_name: Name of the control in the labelling configuration.
        to_name: Name of its image there.
    """
    rows, columns = mask.shape
    value = {"format": "rle", "rle": list(brush_of_mask(mask)), "brushlabels": [label]}
    return _region(region_id, "brushlabels", value, (rows, columns), (from_name, to_name)) | _score(score)


def box_region(region_id: str, label: str, box: Extent, size: Size, score: float | None = None) -> Record:
    """Return a rectangle, in percent of the photograph."""
    (top, left, bottom, right), (rows, columns) = box, size
    value = {
        "x": 100 * left / columns,
        "y": 100 * top / rows,
        "width": 100 * (right - left) / columns,
        "height": 100 * (bottom - top) / rows,
        "rotation": 0,
        "rectanglelabels": [label],
    }
    return _region(region_id, "rectanglelabels", value, size, (BOX, IMAGE)) | _score(score)


def labelling_config(classes: Classes, *, boxes: bool, undecided: bool) -> str:
    """Return the labelling configuration (XML) with the colours of VOC's palette.

    Args:
        classes: The labels.
        boxes: Whether rectangles have them, too.
        undecided: Whether ``undecided`` is one more.
    """
    palette = voc_palette()
    named = [*zip(classes.names, palette[1:].tolist(), strict=False)]
    named += [(UNDECIDED_NAME, palette[UNDECIDED].tolist())][:undecided]
    labels = [f"    <Label value={quoteattr(name)} background={quoteattr(_hex(colour))}/>" for name, colour in named]
    controls = [("BrushLabels", BRUSH), *[("RectangleLabels", BOX)][:boxes]]
    lines = ["<View>", f'  <Image name="{IMAGE}" value="${IMAGE}" zoom="true" zoomControl="true"/>']
    for tag, name in controls:
        lines += [f'  <{tag} name="{name}" toName="{IMAGE}">', *labels, f"  </{tag}>"]
    return "".join(f"{line}\n" for line in [*lines, "</View>"])


def _region(region_id: str, kind: str, value: Record, size: Size, names: tuple[str, str]) -> Record:
    return {
        "id": region_id,
        "type": kind,
        "from_name": names[0],
        "to_name": names[1],
        "original_width": size[1],
        "original_height": size[0],
        "image_rotation": 0,
        "value": value,
    }


def _score(score: float | None) -> Record:
    return {} if score is None else {"score": score}


def _hex(colour: Sequence[int]) -> str:
    return "#" + "".join(f"{value:02x}" for value in colour)

"""YOLO: a text file of outlines or boxes for each photograph, and data.yaml, as its trainers read them."""

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.data.classes import Classes
from weakseg.data.formats.outgoing import Outgoing
from weakseg.data.formats.outlines import Ring, parts_of
from weakseg.errors import DataError
from weakseg.files import write_bytes
from weakseg.ops.runs import Size

Holes = Literal["bridge", "refuse"]
PHOTOGRAPHS, LABELS = "images", "labels"
_QUADRILATERAL = 4


def segment_lines(item: Outgoing, *, holes: Holes = "bridge") -> tuple[list[str], int]:
    """Return a line for each part of each object, of class and outline, and how many holes are bridged.

    An outline of four points gets a fifth, for lines of nine values are oriented boxes to some.

    Args:
        item: The photograph.
        holes: Whether an outline runs into holes over bridges of no width, which leaves the pixels as they are, or a
            photograph with holes is refused.

    Raises:
        DataError: If there are holes that may not be bridged.
    """
    lines, bridged = [], 0
    for class_id, mask, _ in item.masks():
        parts = parts_of(mask)
        bridged += sum(part.holes for part in parts)
        lines += [_line(class_id, _longer(part.ring), item.size) for part in parts]
    if bridged and holes == "refuse":
        raise DataError(
            f"image {item.image_id!r}: has {bridged} holes, which YOLO's outlines cannot have; bridge them by --holes "
            "bridge, or fill them"
        )
    return lines, bridged


def box_lines(item: Outgoing) -> list[str]:
    """Return a line for each box: of objects their own, of a mask that around each part of each class."""
    if not item.is_mask:
        found = list(zip(item.objects.class_ids, item.objects.boxes, strict=True))
    else:
        found = [(class_id, box) for class_id, mask, _ in item.masks() for box in _boxes_of_parts(mask)]
    return [
        _line(class_id, np.array([[(left + right) / 2, (top + bottom) / 2], [right - left, bottom - top]]), item.size)
        for class_id, (top, left, bottom, right) in found
    ]


def label_file(root: Path, image_id: str) -> Path:
    """Return where the labels of ``images/ID.jpg`` lie: the last folder ``images`` of its path becomes ``labels``."""
    parts = PurePosixPath(PHOTOGRAPHS, f"{image_id}.txt").parts
    last = max(number for number, part in enumerate(parts[:-1]) if part == PHOTOGRAPHS)
    return root.joinpath(*parts[:last], LABELS, *parts[last + 1 :])


def write_lines(path: Path, lines: Sequence[str]) -> None:
    """Write the label file of a photograph; one that shows nothing has an empty one."""
    write_bytes(path, "".join(f"{line}\n" for line in lines).encode())


def write_yaml(root: Path, classes: Classes) -> None:
    """Write ``data.yaml``: the names, and the folder of photographs, for training and for validation."""
    lines = [
        "# train and val are the same photographs here: set val to others before you trust what is measured on it",
        f"train: {PHOTOGRAPHS}",
        f"val: {PHOTOGRAPHS}",
        "names:",
        *(f"  {number}: {json.dumps(name, ensure_ascii=False)}" for number, name in enumerate(classes.names)),
    ]
    write_bytes(root / "data.yaml", "".join(f"{line}\n" for line in lines).encode())


def _line(class_id: int, places: NDArray[np.float64], size: Size) -> str:
    """Return class and normalised x, y of each place; eight digits are a thousandth of any pixel."""
    values = (places / (size[1], size[0])).ravel().tolist()
    return " ".join([str(class_id - 1), *(f"{value:.8g}" for value in values)])


def _longer(ring: Ring) -> Ring:
    """Return a ring of at least five points: one of four gets the middle of an upright or level side."""
    if len(ring) != _QUADRILATERAL:
        return ring
    following = np.roll(ring, -1, 0)
    number = int((ring == following).any(1).argmax())
    return np.insert(ring, number + 1, (ring[number] + following[number]) / 2, 0)


def _boxes_of_parts(mask: NDArray[np.bool_]) -> list[tuple[float, float, float, float]]:
    """Return (top, left, bottom, right) around each part of a mask, whose pixels touch by sides or corners."""
    _, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return [(top, left, top + rows, left + columns) for left, top, columns, rows, _ in stats[1:].tolist()]

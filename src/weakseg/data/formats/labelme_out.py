"""LabelMe: one JSON file for each photograph, with masks, or polygons of the same pixels."""

import base64
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.classes import Classes
from weakseg.data.formats.coco_polygons import polygons_of
from weakseg.data.formats.labelme import IGNORED_LABEL
from weakseg.data.formats.outgoing import Outgoing

Record = dict[str, Any]
VERSION = "5.4.1"  # whose form it is: the first with masks that all later ones read


def labelme_record(item: Outgoing, classes: Classes, image_path: str, *, polygons: bool = False) -> Record:
    """Return the content of a LabelMe file; undecided pixels are labelled ``__ignore__``.

    Args:
        item: The photograph.
        classes: Names of the classes.
        image_path: Of the photograph, from the folder of the file.
        polygons: Whether pixels are written as polygons; several of one object share a ``group_id``.
    """
    shapes: list[Record] = []
    for number, (class_id, mask, score) in enumerate(item.masks(), start=1):
        more = {} if item.is_mask else {"score": score}
        shapes += _shapes(classes.name_of(class_id), mask, number, polygons, more)
    if item.undecided is not None and item.undecided.any():
        shapes += _shapes(IGNORED_LABEL, item.undecided, len(item.objects) + 1, polygons, {})
    return {
        "version": VERSION,
        "flags": {},
        "shapes": shapes,
        "imagePath": image_path,
        "imageData": None,
        "imageHeight": item.size[0],
        "imageWidth": item.size[1],
    }


def path_from(folder: Path, photograph: Path) -> str:
    """Return the path of a photograph from a folder, with ``/`` between folders."""
    return Path(os.path.relpath(photograph.resolve(), folder.resolve())).as_posix()


def _shapes(label: str, mask: NDArray[np.bool_], number: int, polygons: bool, more: Record) -> list[Record]:
    """Return the shapes of one object."""
    if not polygons:
        corners, crop = _cropped(mask)
        return [{**_shape(label, "mask", corners, None), "mask": _as_png(crop), **more}]
    found = polygons_of(mask)
    group = number if len(found) > 1 else None
    rings = (np.reshape(values, (-1, 2)).tolist() for values in found)
    return [{**_shape(label, "polygon", ring, group), **more} for ring in rings]


def _shape(label: str, kind: str, points: list[list[float]], group: int | None) -> Record:
    return {
        "label": label,
        "points": points,
        "group_id": group,
        "description": "",
        "shape_type": kind,
        "flags": {},
    }


def _cropped(mask: NDArray[np.bool_]) -> tuple[list[list[float]], NDArray[np.bool_]]:
    """Return the first and the last pixel (x, y) of the rectangle around a mask, and what lies in it."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    top, bottom, left, right = (int(side) for side in (rows[0], rows[-1], columns[0], columns[-1]))
    return [[float(left), float(top)], [float(right), float(bottom)]], mask[top : bottom + 1, left : right + 1]


def _as_png(crop: NDArray[np.bool_]) -> str:
    file = io.BytesIO()
    Image.fromarray(crop.astype(np.uint8)).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()

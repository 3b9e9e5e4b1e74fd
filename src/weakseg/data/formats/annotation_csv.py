"""CSV files of boxes and points, one a row; rows without coordinates are tags."""

from collections.abc import Sequence, Set
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Shape
from weakseg.data.formats.tags import csv_rows
from weakseg.data.paths import image_id_of
from weakseg.data.values import as_text, number_of_text
from weakseg.errors import DataError

POINT, BOX = ("x", "y"), ("xmin", "ymin", "xmax", "ymax")
_WANTED = "want 'image,label' with 'x,y' (points), with 'xmin,ymin,xmax,ymax' (boxes), or with both"


def has_shapes(header: Set[str]) -> bool:
    """Return whether the header of a CSV file has the columns of points or boxes."""
    return {"image", "label"} <= header and any(set(group) <= header for group in (POINT, BOX))


def read_table(path: Path) -> AnnotationTable:
    """Return the content of a CSV file of boxes and points::

        image,label,x,y                   points: pixels counted from 0; x,y mean the centre of that pixel
        image,label,xmin,ymin,xmax,ymax   boxes: edges, so that 0,0,1,1 is the first pixel
        image,label,x,y,xmin,ymin,xmax,ymax        a point or a box each row, the other columns empty

    A row without coordinates is a tag, and one that has no label either says that the image shows no class.

    Raises:
        DataError: If the file is missing, not UTF-8, has another header or a malformed row.
    """
    (where, header), *body = csv_rows(path)
    groups = [group for group in (POINT, BOX) if set(group) <= set(header)]
    expected = {"image", "label"}.union(*groups)
    if not groups or set(header) != expected or len(header) != len(expected):
        raise DataError(f"{where}: got header {','.join(header)!r}; {_WANTED}")
    shapes: dict[str, list[Shape]] = {}
    tags: dict[str, set[str]] = {}
    first: dict[str, tuple[str, str]] = {}
    for where, cells in body:
        if len(cells) != len(header):
            raise DataError(f"{where}: {len(cells)} cells, but the header has {len(header)}; correct the row")
        row = dict(zip(header, cells, strict=True))
        name = as_text(row["image"], "the name of the image", where)
        image_id = image_id_of(name)
        if first.setdefault(image_id, (name, where))[0] != name:
            other = first[image_id]
            raise DataError(f"{where}: {name!r} and {other[0]!r} ({other[1]}) have one image id; rename one")
        shape = _shape(row, groups, where)
        shapes.setdefault(image_id, []).extend([shape] if shape else [])
        tags.setdefault(image_id, set()).update({row["label"]} - {""})
    images = (AnnotatedImage(name, tuple(shapes[i]), where, frozenset(tags[i])) for i, (name, where) in first.items())
    return AnnotationTable(path, tuple(images))


def _shape(row: dict[str, str], groups: Sequence[tuple[str, ...]], where: str) -> Shape | None:
    """Return the point or box of a row; ``None`` if it is a tag."""
    given = [group for group in groups if any(row[column] for column in group)]
    if len(given) > 1:
        raise DataError(f"{where}: a point and a box in one row; write two rows")
    if not given:
        return None
    label = as_text(row["label"], "label", where)
    values = [number_of_text(row[column], column, where) for column in given[0]]
    if given[0] == POINT:
        return Shape("point", label, ((values[1] + 0.5, values[0] + 0.5),), where)
    left, top, right, bottom = values
    return Shape("box", label, ((top, left), (bottom, right)), where)

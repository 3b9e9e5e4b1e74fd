"""CSV files of boxes and points, one a row; rows without coordinates are tags."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PureWindowsPath

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Shape
from weakseg.data.formats.csv_files import CsvFile, check_columns, known_columns, read_csv
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.shapes import Unusable, box_around, points_at, text_label, usable_shapes
from weakseg.data.image import image_size
from weakseg.data.paths import image_id_of
from weakseg.data.values import as_size, as_text, number_of_text
from weakseg.errors import DataError, quoted
from weakseg.names import composed
from weakseg.ops.runs import Size

POINT, BOX, SIZE = ("x", "y"), ("xmin", "ymin", "xmax", "ymax"), ("height", "width")
_RETINANET = ("image", *BOX, "label")
_IDLE = {"depth", "source", "confidence", "isoccluded", "istruncated", "isgroupof", "isdepiction", "isinside", *SIZE}
_WANTED = "want 'image,label' with 'x,y' (points), with 'xmin,ymin,xmax,ymax' (boxes), or with both"

Row = Mapping[str, str]


@dataclass(frozen=True)
class _Layout:
    """What the columns of a file are.

    Attributes:
        columns: Their names.
        groups: Those of ``POINT`` and ``BOX`` that there are.
        normalised: Whether coordinates are fractions of the photograph, as in Open Images, whose boxes say nothing of
            the classes that have none.
    """

    columns: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    normalised: bool = False


def has_shapes(first: Sequence[str]) -> bool:
    """Return whether the first row of a CSV file names the columns of points or boxes, or is a box of RetinaNet."""
    columns = known_columns(first)
    return ({"image", "label"} <= set(columns) and bool(_groups(columns))) or _is_box(first)


def read_table(path: Path, around: Surroundings | None = None) -> AnnotationTable:
    """Return the content of a CSV file of boxes and points::

        image,label,x,y                   points: pixels counted from 0; x,y mean the centre of that pixel
        image,label,xmin,ymin,xmax,ymax   boxes: edges, so that 0,0,1,1 is the first pixel
        image,label,x,y,xmin,ymin,xmax,ymax        a point or a box each row, the other columns empty
        filename,width,height,class,xmin,ymin,xmax,ymax        as for TensorFlow
        path,x1,y1,x2,y2,class            as for RetinaNet, without such a line
        ImageID,LabelName,XMin,XMax,YMin,YMax      as Open Images has it, fractions of the photograph

    A row without coordinates is a tag, and one that has no label either says that the image shows no class. Of an
    absolute path, that of another computer, the longest end counts that there is, or else the file name.

    Args:
        path: The file.
        around: Where photographs are; ``None``: they are not opened.

    Raises:
        DataError: If the file is missing, not UTF-8, has another header, or no row with the name of an image.
    """
    file = read_csv(path, _WANTED)
    layout, body = _layout(file)
    rows, skipped = _by_image(body, layout, around)
    names = frozenset(row["label"] for _, members in rows.values() for _, row in members if row.get("label"))
    images = [_image(name, members, layout, file, around) for name, members in rows.values()]
    if layout.normalised:
        images = [_with_unknown(image, names) for image in images]
    return AnnotationTable(path, tuple(images), skipped=skipped)


def _groups(columns: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    return tuple(group for group in (POINT, BOX) if set(group) <= set(columns))


def _is_box(cells: Sequence[str]) -> bool:
    """Return whether cells are those of RetinaNet: a path, four edges or none, and a class."""
    if len(cells) != len(_RETINANET) or not cells[0]:
        return False
    try:
        edges = [number_of_text(cell, "edge", "") for cell in cells[1:5] if cell]
    except DataError:
        return False
    return len(edges) == (4 if cells[5] else 0)


def _layout(file: CsvFile) -> tuple[_Layout, Sequence[tuple[str, tuple[str, ...]]]]:
    """Return what columns are, and the rows below their names."""
    if _is_box(file.first):
        return _Layout(_RETINANET, (BOX,)), file.rows
    (where, header), *body = file.rows
    columns = known_columns(header)
    groups = _groups(columns)
    known = {"image", "label", *_IDLE}.union(*groups)
    strange = [column for column in columns if column not in known and not column.startswith("xclick")]
    if not groups or not {"image", "label"} <= set(columns) or strange:
        raise DataError(f"{where}: got header {quoted(','.join(header))}; {_WANTED}")
    check_columns(columns, where, _WANTED)
    return _Layout(columns, groups, "imageid" in {name.lower() for name in header}), body


def _by_image(
    body: Sequence[tuple[str, tuple[str, ...]]], layout: _Layout, around: Surroundings | None
) -> tuple[dict[str, tuple[str, list[tuple[str, Row]]]], dict[str, str]]:
    """Return name and rows of each image by its id, and why rows without one are left out."""
    found: dict[str, tuple[str, list[tuple[str, Row]]]] = {}
    skipped: dict[str, str] = {}
    written: dict[str, tuple[str, str]] = {}
    for where, cells in body:
        row = dict(zip(layout.columns, cells, strict=False))
        if not (given := row.get("image")):
            skipped[where] = "the name of the image must be text, got ''; add it, or remove the row"
            continue
        if len(cells) != len(layout.columns):
            row["ragged"] = f"{len(cells)} cells, but the header has {len(layout.columns)}; correct the row"
        name = _local(given, around)
        first = written.setdefault(image_id_of(name), (given, where))
        if composed(first[0]) != composed(given):
            skipped[where] = f"{quoted(given)} and {quoted(first[0])} ({first[1]}) have one image id; rename one"
            continue
        found.setdefault(image_id_of(name), (name, []))[1].append((where, row))
    return found, skipped


def _local(name: str, around: Surroundings | None) -> str:
    """Return a name without the folders of another computer."""
    path = PureWindowsPath(name)  # which knows the absolute paths of both worlds
    if not (path.drive or path.root):
        return name
    parts = path.parts[1:]
    ends = ["/".join(parts[start:]) for start in range(len(parts))]
    there = (end for end in ends if around and ".." not in parts and around.find(end, name).is_file())
    return next(there, path.name or name)


def _image(
    name: str, rows: Sequence[tuple[str, Row]], layout: _Layout, file: CsvFile, around: Surroundings | None
) -> AnnotatedImage:
    where = rows[0][0]
    dropped: dict[str, Dropped] = {}
    size = _stated(rows)
    scale = _photograph_size(name, where, around) if layout.normalised else (1, 1)
    read = partial(_shapes, layout=layout, file=file, size=size, scale=scale)
    shapes = usable_shapes(rows, read, _labels_of, dropped)
    tags = frozenset(row["label"] for at, row in rows if at not in dropped and row.get("label"))
    return AnnotatedImage(name, tuple(shapes), where, tags, size, dropped=dropped)


def _with_unknown(image: AnnotatedImage, names: frozenset[str]) -> AnnotatedImage:
    return AnnotatedImage(image.name, image.shapes, image.where, image.tags, image.size, names, image.dropped)


def _labels_of(row: Row) -> frozenset[str] | None:
    """Return the class of a row that is left out; of one with too many or too few cells it cannot be told."""
    return None if "ragged" in row else text_label(row.get("label"))


def _stated(rows: Sequence[tuple[str, Row]]) -> Size | None:
    """Return the size in the first row that states one."""
    for where, row in rows:
        try:
            if size := _size(row, where):
                return size
        except DataError:
            continue  # the row is left out where its shape is read
    return None


def _size(row: Row, where: str) -> Size | None:
    """Return (rows, columns) in a row; ``None`` where it has none, or 0 as some programs write."""
    texts = [row.get(column, "") for column in SIZE]
    if not any(texts):
        return None
    height, width = (number_of_text(text, column, where) for text, column in zip(texts, SIZE, strict=True))
    return None if (height, width) == (0, 0) else as_size(height, width, where)


def _photograph_size(name: str, where: str, around: Surroundings | None) -> Size | Unusable:
    """Return the size that fractions are of, or why it is not known."""
    if around is None:
        return Unusable("fractions need the size of the photograph, which is not known here")
    try:
        return image_size(around.find(name, where))
    except DataError as error:
        return Unusable(f"the size of the photograph is not known: {error}")


def _shapes(
    row: Row, where: str, *, layout: _Layout, file: CsvFile, size: Size | None, scale: Size | Unusable
) -> list[Shape]:
    """Return the point or box of a row; nothing if it is a tag."""
    if "ragged" in row:
        raise Unusable(row["ragged"])
    if (own := _size(row, where)) and own != size:
        raise Unusable(f"it states a photograph of {own[0]} x {own[1]} (rows x columns), a row before it {size}")
    given = [group for group in layout.groups if any(row[column] for column in group)]
    if len(given) > 1:
        raise Unusable("a point and a box in one row; write two rows")
    if not given:
        return []
    label = as_text(row["label"], "label", where)
    values = [number_of_text(file.number_text(row[column]), column, where) for column in given[0]]
    if given[0] == POINT:
        return points_at(label, [(values[1] + 0.5, values[0] + 0.5)], where)
    if row.get("isgroupof") == "1":
        raise Unusable("a box around a group, not around one object")
    if isinstance(scale, Unusable):
        raise scale
    left, top, right, bottom = values
    return [box_around(label, [(top * scale[0], left * scale[1]), (bottom * scale[0], right * scale[1])], where)]

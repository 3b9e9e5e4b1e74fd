"""YOLO: a text file of normalised boxes and outlines for each photograph, class names in data.yaml."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Position, Shape
from weakseg.data.formats.label_format import Quadrilaterals, Surroundings
from weakseg.data.image import IMAGE_SUFFIXES, image_size
from weakseg.data.paths import files_inside, inside, read_lines, read_text
from weakseg.data.regions import runs_of_polygons
from weakseg.data.values import as_record, as_text, number_of_text, shown
from weakseg.errors import DataError
from weakseg.yaml_text import yaml_value

_DETECT, _QUADRILATERAL, _SMALLEST_SEGMENT = 5, 9, 7


def read_names(root: Path, given: Sequence[str] | None) -> tuple[str, ...]:
    """Return the class names in the order of their numbers: as given, else ``names`` in ``data.yaml`` in the root.

    Raises:
        DataError: If there are none, or ``names`` is neither a list nor a map from 0 on.
    """
    path = next((root / name for name in ("data.yaml", "data.yml") if (root / name).is_file()), None)
    if path is None:
        if given:
            return tuple(given)
        raise DataError(f"{root}: no data.yaml, and no class names; add it, or set data.classes in YOLO's order")
    inside(root, path.name, str(path))
    try:
        document = as_record(yaml_value(read_text(path, "data.yaml")), "the file", str(path))
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as YAML ({error}); repair it") from error
    names = document.get("names")
    if isinstance(names, dict):
        if sorted(names, key=str) != sorted(range(len(names)), key=str):
            raise DataError(f"{path}: names must be numbered 0..{len(names) - 1} without gaps; correct them")
        names = [names[number] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names must be a list, or a map from number to name, got {shown(names)}; add them")
    checked = tuple(as_text(name, "a name", str(path)) for name in names)
    if twice := [name for name in checked if checked.count(name) > 1]:
        raise DataError(f"{path}: {twice[0]!r} is listed more than once; rename one, and merge them by data.class_map")
    return checked


def read_labels(path: Path, around: Surroundings) -> AnnotationTable:
    """Return the labels of a folder of photographs; or, where one photograph is asked for, those in its label file.

    Class names are in ``data.yaml`` in the root; for one photograph in the nearest folder above its label file.

    Raises:
        DataError: As ``read_names`` and ``read_table``.
    """
    if around.photograph is None:
        names = read_names(around.root, around.classes)
        return read_table(path, root=around.root, start=around.start, names=names, quadrilaterals=around.quadrilaterals)
    folders = path.resolve().parents
    root = next((f for f in folders if (f / "data.yaml").is_file() or (f / "data.yml").is_file()), path.parent)
    names, dropped = read_names(root, around.classes), dict[str, str]()
    image = read_image(around.photograph, path, around.photograph.name, names, dropped)
    return AnnotationTable(path, (image,), names, dropped)


def read_table(
    folder: Path, *, root: Path, start: Path, names: Sequence[str], quadrilaterals: Quadrilaterals = ""
) -> AnnotationTable:
    """Return the labels of all photographs in a folder, at any depth.

    Labels of ``images/x/a.jpg`` are in ``labels/x/a.txt``, or beside the photograph where no folder is called
    ``images``. No file, or an empty one: nothing is on the photograph.

    Args:
        folder: Resolved folder of photographs.
        root: Resolved folder of the data set, which labels must not leave.
        start: Folder that names of photographs start from; holds ``folder``.
        names: Class names by number.
        quadrilaterals: What lines of 9 values are: outlines, or oriented boxes, which become the upright boxes around
            them; empty: such lines are an error.

    Raises:
        DataError: If there are no photographs, or a label file is malformed.
    """
    dropped: dict[str, str] = {}
    images = []
    for path in files_inside(folder, IMAGE_SUFFIXES, "photographs", deep=True):
        name = str(_label_path(path.relative_to(root)))
        labels, shown = inside(root, name, str(path)), str(path.relative_to(start))
        images.append(read_image(path, labels, shown, names, dropped, quadrilaterals=quadrilaterals))
    return AnnotationTable(folder, tuple(images), tuple(names), dropped)


def read_image(
    photograph: Path,
    labels: Path,
    name: str,
    names: Sequence[str],
    dropped: dict[str, str],
    *,
    quadrilaterals: Quadrilaterals = "",
) -> AnnotatedImage:
    """Return the labels of one photograph; without a file nothing is on it.

    Args:
        photograph: Its file, for the size.
        labels: Its label file.
        name: What to call it.
        names: Class names by number.
        dropped: Receives the reason where the size cannot be read.
        quadrilaterals: As in ``read_table``.

    Raises:
        DataError: If the label file is malformed.
    """
    lines = read_lines(labels, "label file") if labels.is_file() else []
    parsed = [_parse(line, names, f"{labels}:{number}") for number, line in lines]
    size = _size(photograph, str(labels), dropped) if parsed else None
    shapes = [_shape(*one, size, quadrilaterals) for one in parsed] if size else []
    return AnnotatedImage(name, tuple(shapes), str(labels), frozenset(label for label, _, _ in parsed), size)


def _label_path(photograph: Path) -> Path:
    """Return where the labels of a photograph lie: the last folder ``images`` becomes ``labels``."""
    parts = list(photograph.with_suffix(".txt").parts)
    if folders := [number for number, part in enumerate(parts[:-1]) if part == "images"]:
        parts[folders[-1]] = "labels"
    return Path(*parts)


def _size(path: Path, labels: str, dropped: dict[str, str]) -> tuple[int, int] | None:
    """Return the size of a photograph; one that cannot be opened loses its shapes here, and fails when it is read."""
    try:
        return image_size(path)
    except DataError as error:
        dropped[labels] = f"the size of the photograph is not known: {error}"
        return None


def _parse(line: str, names: Sequence[str], where: str) -> tuple[str, list[float], str]:
    """Return class name and normalised values of a line, and where it is."""
    first, *rest = line.split()
    if not (first.isascii() and first.isdigit()) or len(first) > 9 or int(first) >= len(names):
        raise DataError(f"{where}: class {shown(first)} is none of 0..{len(names) - 1}; correct it, or data.yaml")
    values = [number_of_text(text, "a coordinate", where) for text in rest]
    if wrong := [value for value in values if not -1 <= value <= 2]:
        raise DataError(f"{where}: {wrong[0]:g} is no part of a photograph; YOLO's values are normalised to 0..1")
    return names[int(first)], values, where


def _shape(label: str, values: list[float], where: str, size: tuple[int, int], quadrilaterals: Quadrilaterals) -> Shape:
    """Return the shape of one line."""
    fields = len(values) + 1
    if fields == _DETECT:
        column, row, width, height = values
        corners = [(row - height / 2, column - width / 2), (row + height / 2, column + width / 2)]
        return _box(label, corners, where, size)
    if fields < _SMALLEST_SEGMENT or fields % 2 == 0:
        raise DataError(
            f"{where}: {fields} values; want class and x y w h, or class and x y of at least three points. (A line of "
            "6 values is a prediction with its confidence, no label)"
        )
    ring = list(zip(values[1::2], values[::2], strict=True))
    if fields == _QUADRILATERAL and quadrilaterals != "segments":
        if not quadrilaterals:
            raise DataError(
                f"{where}: 9 values are an outline of four points, or an oriented box; set data.yolo to 'segments' or "
                "'boxes'"
            )
        return _box(label, ring, where, size)
    runs = runs_of_polygons([[(row * size[0], column * size[1]) for row, column in ring]], size, where)
    return Shape("region", label, (), where, size, runs)


def _box(label: str, corners: list[Position], where: str, size: tuple[int, int]) -> Shape:
    """Return the upright box around corners, to a hundredth of a pixel: normalised values carry no more."""
    pixels = ((round(row * size[0], 2), round(column * size[1], 2)) for row, column in corners)
    rows, columns = zip(*pixels, strict=True)
    return Shape("box", label, ((min(rows), min(columns)), (max(rows), max(columns))), where)

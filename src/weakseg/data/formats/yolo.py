"""YOLO: a text file of normalised boxes, outlines or poses for each photograph."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import TypeVar

from weakseg.data.annotations import AnnotatedImage, AnnotationTable, Dropped, Position, Shape
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.formats.shapes import Unusable, box_around, left_out, points_at, region_inside, usable_shapes
from weakseg.data.formats.yolo_names import YoloRules, read_rules, root_of
from weakseg.data.image import IMAGE_SUFFIXES, image_size
from weakseg.data.paths import check_inside, inside, read_lines
from weakseg.data.photographs import photographs_in
from weakseg.data.values import number_of_text, shown
from weakseg.errors import DataError
from weakseg.ops.runs import Size

Entry = TypeVar("Entry")

_DETECT, _QUADRILATERAL, _SMALLEST_SEGMENT = 5, 9, 7
_ASK = "9 values are an outline of four points, or an oriented box; set data.yolo to 'segments' or 'boxes'"


def read_labels(path: Path, around: Surroundings) -> AnnotationTable:
    """Return the labels of a folder of photographs, or of a list of them; or of the one that is asked for.

    Labels of ``images/x/a.jpg`` are in ``labels/x/a.txt``, or beside the photograph where no folder is called
    ``images``. No file, or an empty one: nothing is on the photograph. What a line is follows from the number of its
    values and from ``kpt_shape`` in ``data.yaml``: a box, an outline, or a pose, which is a box and a point for each
    visible key point. What cannot be told is left out.

    Args:
        path: Resolved folder of photographs, at any depth; text file with the path of one a line; or the label file
            of the photograph that is asked for.
        around: The data set.

    Raises:
        DataError: As ``read_rules``; or there are no photographs, none has a label file, or all that is labelled are
            lines of 9 values, of which nobody says what they are.
    """
    if around.photograph is not None:
        rules = read_rules(root_of(path), path.resolve().parent, around.classes, around.quadrilaterals)
        image = read_image(around.photograph, path, around.photograph.name, rules)
        return AnnotationTable(path, (image,), rules.names)
    skipped: dict[str, str] = {}
    photographs = _photographs_below(path, skipped) if path.is_dir() else _listed(path, around, skipped)
    files = [_label_path(photograph, around.root) for photograph in photographs]
    usable = [file for file in files if isinstance(file, Path)]
    first = usable[0].parent if usable else around.root
    rules = read_rules(around.root, first, around.classes, around.quadrilaterals)
    if not any(file.is_file() for file in usable):
        raise DataError(f"{path}: none of its {len(files)} photographs has labels, such as {files[0]}; add them")
    images = [
        read_image(photograph, labels, photograph.relative_to(around.start).as_posix(), rules)
        for photograph, labels in zip(photographs, files, strict=True)
    ]
    _check_decided(images)
    return AnnotationTable(path, tuple(images), rules.names, skipped)


def _photographs_below(folder: Path, skipped: dict[str, str]) -> list[Path]:
    """Return the photographs of a folder; those that links lead to from outside are left out."""
    found = photographs_in(folder)
    if not found:
        raise DataError(f"{folder}: no photographs (*{' *'.join(sorted(IMAGE_SUFFIXES))}); give the folder of them")
    return _usable([(str(path), path) for path in found], partial(_checked, folder), folder, skipped)


def _checked(folder: Path, path: Path, where: str) -> Path:
    check_inside(folder, path)
    return path


def _usable(
    entries: Sequence[tuple[str, Entry]], find: Callable[[Entry, str], Path], path: Path, skipped: dict[str, str]
) -> list[Path]:
    """Return the photographs of entries, each once; an entry that leads outside is left out, and noted.

    Raises:
        DataError: If all do.
    """
    found = []
    for where, entry in entries:
        try:
            found.append(find(entry, where))
        except DataError as error:
            skipped[where] = str(error).removeprefix(f"{where}: ")
    if not found:
        where, reason = next(iter(skipped.items()))
        raise DataError(f"{path}: lists no images that can be used: {where}: {reason}")
    return list(dict.fromkeys(found))


def read_image(photograph: Path, labels: Path | DataError, name: str, rules: YoloRules) -> AnnotatedImage:
    """Return the labels of one photograph; without a file nothing is on it.

    Args:
        photograph: Its file, for the size; of one that cannot be opened all shapes are left out.
        labels: Its label file, or why it cannot be used.
        name: What to call it.
        rules: How lines are read.
    """
    if isinstance(labels, DataError):
        where = str(photograph)
        return AnnotatedImage(name, (), where, dropped={where: left_out(labels, where, None)})
    try:
        lines = read_lines(labels, "label file") if labels.is_file() else []
    except DataError as error:
        return AnnotatedImage(name, (), str(labels), dropped={str(labels): left_out(error, str(labels), None)})
    dropped: dict[str, Dropped] = {}
    size = _size(photograph) if lines else Unusable("nothing is labelled")
    entries = [(f"{labels}:{number}", line.split()) for number, line in lines]
    shapes = usable_shapes(
        entries, partial(_shapes, size=size, rules=rules), lambda values: _labels_of(values, rules), dropped
    )
    known = None if isinstance(size, Unusable) else size
    return AnnotatedImage(name, tuple(shapes), str(labels), size=known, dropped=dropped)


def _listed(path: Path, around: Surroundings, skipped: dict[str, str]) -> list[Path]:
    """Return the photographs in a list; what stands before a path that there is, is of another computer.

    Lines that lead outside the root are left out.
    """
    if path.suffix.lower() != ".txt":
        raise DataError(f"{path}: is no folder of photographs and no list of them (*.txt); give one of both")
    lines = [(f"{path}:{number}", line) for number, line in read_lines(path, "list of images")]
    if not lines:
        raise DataError(f"{path}: lists no photographs; write the path of one a line")
    return _usable(lines, partial(_photograph, path.parent, around.root), path, skipped)


def _photograph(folder: Path, root: Path, line: str, where: str) -> Path:
    """Return the file that a line means: the longest end of its path that there is, or else its path as it stands."""
    path = PurePosixPath(line.replace("\\", "/"))
    foreign = bool(PureWindowsPath(line).drive) or path.is_absolute()
    parts = [part for part in path.parts[foreign:] if part != "."]
    parts = parts[len(parts) - parts[::-1].index("..") :] if ".." in parts else parts
    shortest = 1 if foreign else min(len(parts), 2)
    ends = [PurePosixPath(*parts[start:]) for start in range(len(parts) - shortest + 1)] if parts else []
    places = [inside(root, str(end), where, folder=base) for end in ends for base in dict.fromkeys((folder, root))]
    there = next((place for place in places if place.is_file()), None)
    return there or inside(root, parts[-1] if foreign and parts else line, where, folder=folder)


def _label_path(photograph: Path, root: Path) -> Path | DataError:
    """Return where the labels of a photograph lie: the last folder ``images`` becomes ``labels``; or why nowhere."""
    parts = list(photograph.relative_to(root).with_suffix(".txt").parts)
    if folders := [number for number, part in enumerate(parts[:-1]) if part == "images"]:
        parts[folders[-1]] = "labels"
    try:
        return inside(root, str(Path(*parts)), str(photograph))
    except DataError as error:
        return error


def _size(photograph: Path) -> Size | Unusable:
    """Return the size of a photograph; one that cannot be opened loses its shapes here, and fails when it is read."""
    try:
        return image_size(photograph)
    except DataError as error:
        return Unusable(f"the size of the photograph is not known: {error}")


def _check_decided(images: Sequence[AnnotatedImage]) -> None:
    """Ask what lines of 9 values are where there is nothing else."""
    asked = [where for image in images for where, entry in image.dropped.items() if entry.reason == _ASK]
    if asked and not any(image.shapes for image in images):
        raise DataError(f"{asked[0]}: {_ASK}")


def _labels_of(values: Sequence[str], rules: YoloRules) -> frozenset[str] | None:
    """Return the class of a line; ``None`` where it is none."""
    try:
        return frozenset({_name(values[0], rules, "")})
    except DataError:
        return None


def _name(text: str, rules: YoloRules, where: str) -> str:
    """Return the name of a class number, which numpy writes as ``3.0``."""
    number = number_of_text(text, "the number of the class", where)
    if not number.is_integer() or not 0 <= number < len(rules.names):
        raise DataError(f"{where}: class {shown(text)} is none of 0..{len(rules.names) - 1}; correct it, or the names")
    return rules.names[int(number)]


def _shapes(values: Sequence[str], where: str, *, size: Size | Unusable, rules: YoloRules) -> list[Shape]:
    """Return the shapes of one line."""
    label = _name(values[0], rules, where)
    numbers = [number_of_text(text, "a coordinate", where) for text in values[1:]]
    keypoints = rules.keypoints
    pose = keypoints is not None and len(numbers) == 4 + keypoints[0] * keypoints[1]
    seen = set(range(6, len(numbers), 3)) if pose and keypoints and keypoints[1] == 3 else set()
    if wrong := [v for n, v in enumerate(numbers) if n not in seen and not -1 <= v <= 2]:
        raise Unusable(f"{wrong[0]:g} is no part of a photograph; YOLO's values are normalised to 0..1")
    if isinstance(size, Unusable):
        raise size
    if pose and keypoints:
        return [_box(label, numbers[:4], where, size), *_points(label, numbers[4:], keypoints[1], where, size)]
    if len(values) == _DETECT:
        return [_box(label, numbers, where, size)]
    if keypoints:
        wanted = _DETECT + keypoints[0] * keypoints[1]
        raise Unusable(f"{len(values)} values, but kpt_shape {list(keypoints)} wants {wanted}, or 5 of a box alone")
    return [_outlined(label, numbers, where, size, rules)]


def _outlined(label: str, numbers: Sequence[float], where: str, size: Size, rules: YoloRules) -> Shape:
    """Return the region of an outline, or the upright box around an oriented one."""
    count = len(numbers) + 1
    if count < _SMALLEST_SEGMENT or count % 2 == 0:
        raise Unusable(
            f"{count} values; want class and x y w h, or class and x y of at least three points. (6 are a prediction "
            "with its confidence; a pose needs kpt_shape in data.yaml)"
        )
    ring = _pixels(numbers[::2], numbers[1::2], size)
    if count == _QUADRILATERAL and rules.quadrilaterals != "segments":
        if not rules.quadrilaterals:
            raise Unusable(_ASK)
        return box_around(label, [_rounded(corner) for corner in ring], where)
    if rules.quadrilaterals != "segments" and _may_be_pose(numbers):
        raise Unusable(
            f"{count} values are an outline, or a pose of {(count - 5) // 3} key points, of which every third value is "
            "0, 1 or 2; write kpt_shape into data.yaml, or set data.yolo to 'segments'"
        )
    return region_inside(label, ring, size, where)


def _may_be_pose(numbers: Sequence[float]) -> bool:
    """Return whether values can be a box and key points that are visible or not."""
    points = numbers[4:]
    return len(points) >= 6 and len(points) % 3 == 0 and all(value in (0, 1, 2) for value in points[2::3])


def _points(label: str, numbers: Sequence[float], values: int, where: str, size: Size) -> list[Shape]:
    """Return a point for each visible key point; of two values, both are 0 where it is not visible."""
    points = [numbers[start : start + values] for start in range(0, len(numbers), values)]
    visible = [n for n, one in enumerate(points) if (one[2] > 0 if values == 3 else any(one))]
    at = _pixels([points[n][0] for n in visible], [points[n][1] for n in visible], size)
    return [points_at(label, [p], f"{where}: keypoint {n}")[0] for n, p in zip(visible, at, strict=True)]


def _box(label: str, numbers: Sequence[float], where: str, size: Size) -> Shape:
    column, row, width, height = numbers
    corners = _pixels((column - width / 2, column + width / 2), (row - height / 2, row + height / 2), size)
    return box_around(label, [_rounded(corner) for corner in corners], where)


def _pixels(columns: Sequence[float], rows: Sequence[float], size: Size) -> list[Position]:
    """Return (row, column) positions in pixels of normalised values."""
    return [(row * size[0], column * size[1]) for row, column in zip(rows, columns, strict=True)]


def _rounded(position: Position) -> Position:
    """Return a position to a hundredth of a pixel: normalised values carry no more."""
    return round(position[0], 2), round(position[1], 2)

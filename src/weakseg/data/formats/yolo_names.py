"""What a YOLO data set says of itself: class names and key points in data.yaml, or class names in classes.txt."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.formats.label_format import Quadrilaterals
from weakseg.data.paths import inside, read_lines, read_text
from weakseg.data.values import as_record, as_text, shown
from weakseg.errors import DataError
from weakseg.yaml_text import yaml_value

_YAML = ("data.yaml", "data.yml")


@dataclass(frozen=True)
class YoloRules:
    """How lines are read.

    Attributes:
        names: Class names in the order of their numbers.
        keypoints: ``kpt_shape``: how many key points each object has, and how many values each of them (x, y, and with
            3 whether it is visible); ``None`` where lines are no poses.
        quadrilaterals: What lines of 9 values are: outlines, or oriented boxes; empty: it is not known.
    """

    names: tuple[str, ...]
    keypoints: tuple[int, int] | None = None
    quadrilaterals: Quadrilaterals = ""


def read_rules(root: Path, labels: Path, given: Sequence[str] | None, quadrilaterals: Quadrilaterals = "") -> YoloRules:
    """Return the rules of a data set.

    Class names are in ``data.yaml`` in the root; else in ``classes.txt`` in the folder of labels, or the nearest above
    it within the root; else those that are given.

    Raises:
        DataError: If there are no names, or ``data.yaml`` or ``classes.txt`` is malformed.
    """
    if path := next((root / name for name in _YAML if (root / name).is_file()), None):
        document = _document(root, path)
        return YoloRules(_names(document, path), _keypoints(document, path), quadrilaterals)
    folders = [labels, *labels.parents]
    within = [folder for folder in folders if folder.is_relative_to(root)]
    if path := next((f / "classes.txt" for f in within if (f / "classes.txt").is_file()), None):
        inside(root, path.name, str(path), folder=path.parent)
        return YoloRules(_unique([name for _, name in read_lines(path, "list of classes")], path), None, quadrilaterals)
    if given:
        return YoloRules(tuple(given), None, quadrilaterals)
    raise DataError(
        f"{root}: no data.yaml or classes.txt, and no class names; add one, or set data.classes in YOLO's order"
    )


def root_of(labels: Path) -> Path:
    """Return the nearest folder above a label file that has ``data.yaml`` or ``classes.txt``, else its own."""
    names = (*_YAML, "classes.txt")
    return next((f for f in labels.resolve().parents if any((f / n).is_file() for n in names)), labels.resolve().parent)


def _document(root: Path, path: Path) -> dict[str, object]:
    inside(root, path.name, str(path))
    try:
        return as_record(yaml_value(read_text(path, "data.yaml")), "the file", str(path))
    except ValueError as error:
        raise DataError(f"{path}: cannot be read as YAML ({error}); repair it") from error


def _names(document: dict[str, object], path: Path) -> tuple[str, ...]:
    """Return ``names``: a list, or a map from 0 on, of texts or numbers."""
    names = document.get("names")
    if isinstance(names, dict):
        numbers = {str(number): name for number, name in names.items()}
        if missing := [n for n in range(len(names)) if str(n) not in numbers]:
            raise DataError(
                f"{path}: names must be numbered 0..{len(names) - 1} without gaps, but {missing[0]} is missing; "
                "correct them"
            )
        names = [numbers[str(number)] for number in range(len(names))]
    if not isinstance(names, list) or not names:
        raise DataError(f"{path}: names must be a list, or a map from number to name, got {shown(names)}; add them")
    return _unique([_name(name, path) for name in names], path)


def _name(value: object, path: Path) -> str:
    """Return a name; numbers are names, but ``yes`` and ``no``, which YAML takes for true and false, need quotes."""
    if isinstance(value, bool):
        raise DataError(f"{path}: a name is read as {value}; put it in quotes")
    return as_text(str(value) if isinstance(value, int | float) else value, "a name", str(path))


def _unique(names: list[str], path: Path) -> tuple[str, ...]:
    if twice := [name for name, count in Counter(names).items() if count > 1]:
        raise DataError(
            f"{path}: {shown(twice[0])} is listed more than once; rename one, and merge them by data.class_map"
        )
    if not names:
        raise DataError(f"{path}: names no class; write one a line")
    return tuple(names)


def _keypoints(document: dict[str, object], path: Path) -> tuple[int, int] | None:
    """Return ``kpt_shape``, or ``None`` where there is none."""
    shape = document.get("kpt_shape")
    if shape is None:
        return None
    whole = isinstance(shape, list) and all(isinstance(n, int) and not isinstance(n, bool) for n in shape)
    if not isinstance(shape, list) or not whole or len(shape) != 2 or shape[0] < 1 or shape[1] not in (2, 3):
        raise DataError(
            f"{path}: kpt_shape must be the number of key points, and 2 or 3 values each, got {shown(shape)}; "
            "correct it"
        )
    return shape[0], shape[1]

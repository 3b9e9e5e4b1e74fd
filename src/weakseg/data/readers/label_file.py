"""Labels of one photograph from a label file of any format, which follows from its suffix and content."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from weakseg.data.annotations import AnnotatedImage, AnnotationTable
from weakseg.data.formats import (
    annotation_csv,
    coco,
    cvat,
    drawn_json,
    labelme,
    labelstudio,
    scribblesup,
    tags,
    voc_boxes,
    whats_the_point,
    yolo,
)
from weakseg.data.formats.coco_shapes import shapes_of
from weakseg.data.formats.xml_files import parse_xml
from weakseg.data.paths import image_id_of, parse_json, read_text
from weakseg.errors import DataError

SHOWN_NAMES = 5
_WANTED = "give a file of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup, weakseg, or CSV"


@dataclass(frozen=True)
class PhotographLabels:
    """What a label file says of one photograph.

    Attributes:
        image: Its labels.
        dropped: Reason by file and entry of those that were left out.
    """

    image: AnnotatedImage
    dropped: Mapping[str, str]


def labels_of(photograph: Path, path: Path) -> PhotographLabels:
    """Return the labels of a photograph.

    In a file of several photographs it is the one of its file name, folders as far as both agree; a file of one
    photograph is taken to be about this one. Segmentations of COCO are left alone, as elsewhere.

    Args:
        photograph: The image file.
        path: A label file, or a folder with one that has the photograph's name (``ID.json``, ``ID.xml``, ``ID.txt``).

    Raises:
        DataError: If the file is missing, malformed, of no known format, or does not know the photograph.
    """
    table = _table(_file_of(photograph, path), photograph)
    image = _chosen(photograph, table)
    return PhotographLabels(image, {w: reason for w, reason in table.dropped.items() if w.startswith(image.where)})


def _file_of(photograph: Path, path: Path) -> Path:
    """Return the label file itself, where a folder is given."""
    if not path.is_dir():
        return path
    names = [f"{photograph.stem}{suffix}" for suffix in (".json", ".xml", ".txt")]
    found = next((path / name for name in names if (path / name).is_file()), None)
    if found is None:
        raise DataError(f"{path}: holds no {' or '.join(names)}; give the file that labels {photograph.name}")
    return found


def _table(path: Path, photograph: Path) -> AnnotationTable:
    readers: dict[str, Callable[[Path], AnnotationTable]] = {
        ".csv": _of_csv,
        ".json": _of_json,
        ".jsonl": _of_tags,
        ".xml": _of_xml,
        ".txt": lambda path: _of_yolo(path, photograph),
    }
    if not path.is_file():
        raise DataError(f"{path}: no such label file; {_WANTED}")
    if (reader := readers.get(path.suffix.lower())) is None:
        raise DataError(f"{path}: {path.suffix or 'no suffix'} is that of no label file; {_WANTED}")
    return reader(path)


def _of_csv(path: Path) -> AnnotationTable:
    return annotation_csv.read_table(path) if annotation_csv.is_annotation_csv(path) else _of_tags(path)


def _of_json(path: Path) -> AnnotationTable:
    """Return the content of a JSON file, told apart by its outermost keys."""
    document = parse_json(path, read_text(path, "label file"))
    if isinstance(document, list):
        return labelstudio.read_table(path)
    if not isinstance(document, dict):
        raise DataError(f"{path}: is no label file; {_WANTED}")
    if "weakseg" in document:
        return drawn_json.read_table(path)
    if "shapes" in document:
        return labelme.read_table(path)
    if {"images", "annotations"} <= document.keys():
        return _of_coco(path)
    clicks = any(isinstance(entry, dict) for value in document.values() if isinstance(value, list) for entry in value)
    return whats_the_point.read_table(path) if clicks else _of_tags(path)


def _of_coco(path: Path) -> AnnotationTable:
    file = coco.read_instances(path)
    images = []
    for image in file.images.values():
        named = [(item, file.categories[item.category_id]) for item in image.objects]
        shapes = (shape for item, name in named for shape in shapes_of(item, name, image.size, "auto"))
        shown = frozenset(name for item, name in named if not item.crowd)
        images.append(AnnotatedImage(image.file_name, tuple(shapes), image.where, shown, image.size))
    return AnnotationTable(path, tuple(images), file.class_names)


def _of_xml(path: Path) -> AnnotationTable:
    """Return the content of an XML file: of all photographs (CVAT), or of one (ScribbleSup, VOC)."""
    root = parse_xml(path, "label file", "repair it, or export it again")
    if root.tag == "annotations":
        return cvat.read_table(path)
    if root.find("polygon") is not None:
        return scribblesup.read_table(path)
    if root.tag != "annotation":
        raise DataError(f"{path}: <{root.tag}> is of no label file; {_WANTED}")
    dropped: dict[str, str] = {}
    image = voc_boxes.read_objects(path, path.stem, voc_boxes.VocRules(), dropped)
    return AnnotationTable(path, (image,), dropped=dropped)


def _of_yolo(path: Path, photograph: Path) -> AnnotationTable:
    """Return the content of YOLO's file of one photograph; class names are in the nearest data.yaml above it."""
    folders = path.resolve().parents
    root = next((f for f in folders if (f / "data.yaml").is_file() or (f / "data.yml").is_file()), path.parent)
    names, dropped = yolo.read_names(root, None), dict[str, str]()
    image = yolo.read_image(photograph, path, photograph.name, names, dropped)
    return AnnotationTable(path, (image,), names, dropped)


def _of_tags(path: Path) -> AnnotationTable:
    """Return the tags of a table of tags; what is absent or unknown says nothing here."""
    present: dict[str, set[str]] = {}
    first: dict[str, str] = {}
    for row in tags.read_table(path).rows:
        present.setdefault(row.image, set()).update(name for name, state in row.states.items() if state)
        first.setdefault(row.image, row.where)
    images = (AnnotatedImage(name, (), first[name], frozenset(names)) for name, names in present.items())
    return AnnotationTable(path, tuple(images))


def _chosen(photograph: Path, table: AnnotationTable) -> AnnotatedImage:
    """Return the entry of a photograph: that of its path, the longer the better, else of its name, else the only."""
    own = f"/{image_id_of(photograph.resolve().as_posix()).lstrip('/')}"
    ids = {image: image_id_of(image.name) for image in table.images}
    if ends := [image for image, image_id in ids.items() if own.endswith(f"/{image_id.lstrip('/')}")]:
        return max(ends, key=lambda image: len(ids[image]))
    name = PurePosixPath(own).name
    named = [image for image, image_id in ids.items() if PurePosixPath(image_id).name == name]
    found = named or list(table.images)
    if len(found) == 1:
        return found[0]
    names = ", ".join(repr(image.name) for image in found[:SHOWN_NAMES])
    more = f" and {len(found) - SHOWN_NAMES} more" if len(found) > SHOWN_NAMES else ""
    what = "several images of the name" if named else "no image"
    raise DataError(
        f"{table.path}: has {what} {photograph.name!r}, but {names}{more}; name the photograph as one of these"
    )

"""Forms of label files that are not read: each is named, with how it becomes one that is."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from weakseg.data.formats.label_format import Content
from weakseg.errors import DataError

_IMPORT = "import it into CVAT and export it as 'CVAT for images 1.1', or as COCO"


@dataclass(frozen=True)
class ForeignForm:
    """A form that is not read.

    Attributes:
        title: Its name.
        suffixes: Of its files, lower case with the dot.
        holds: Whether a file with such a suffix is one of it.
        remedy: How its labels come here.
    """

    title: str
    suffixes: tuple[str, ...]
    holds: Callable[[Content], bool]
    remedy: str = _IMPORT


def foreign_form(content: Content) -> ForeignForm | None:
    """Return which form, of those that are not read, a file is of; ``None`` where it is none that is known."""
    suffix = content.path.suffix.lower()
    for form in FOREIGN:
        if suffix in form.suffixes:
            try:
                if form.holds(content):
                    return form
            except DataError:  # it is no JSON or XML at all, which its own parser says
                return None
    return None


def refuse_foreign(path: Path, what: str = "label file") -> None:
    """Raise ``DataError`` that names the form and the way here, if a file is of one that is not read."""
    if path.is_file() and (form := foreign_form(Content(path, what))) is not None:
        raise DataError(f"{path}: is of {form.title}, which is not read; {form.remedy}")


def _entries(value: object) -> Iterable[dict[str, object]]:
    """Return the first of the objects in a list or an object of objects."""
    several = list(value.values()) if isinstance(value, dict) else value if isinstance(value, list) else []
    return [entry for entry in several[:20] if isinstance(entry, dict)]


def _list_of(*keys: str) -> Callable[[Content], bool]:
    """Return the test for a JSON list of objects with all of these keys."""
    return lambda content: (
        isinstance(content.json, list) and any(set(keys) <= entry.keys() for entry in _entries(content.json))
    )


def _object_with(*keys: str) -> Callable[[Content], bool]:
    """Return the test for a JSON object with all of these keys."""
    return lambda content: content.has_keys(*keys)


def _is_mit(content: Content) -> bool:
    return content.xml.tag == "annotation" and content.xml.find("object/polygon/pt") is not None


def _fields(content: Content) -> list[list[str]]:
    return [line.split() for line in content.text[:10_000].splitlines()[:20] if line.strip()]


def _is_kitti(content: Content) -> bool:
    lines = _fields(content)
    return bool(lines) and all(len(words) in (15, 16) and not _is_number(words[0]) for words in lines)


def _is_dota(content: Content) -> bool:
    lines = [words for words in _fields(content) if not words[0].lower().startswith(("imagesource", "gsd"))]
    return bool(lines) and all(len(w) in (9, 10) and not _is_number(w[8]) and _is_number(w[0]) for w in lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def _by_suffix(content: Content) -> bool:
    return True


FOREIGN = (
    ForeignForm("VIA 3", (".json",), _object_with("file", "view"), "export it from VIA as COCO"),
    ForeignForm(
        "COCO's results of a detector",
        (".json",),
        _list_of("image_id", "category_id"),
        "labels are wanted; put the list as 'annotations' beside the 'images' and 'categories' of its data set",
    ),
    ForeignForm("Cityscapes' polygons", (".json",), _object_with("imgHeight", "objects"), "take its masks (labelIds)"),
    ForeignForm("BDD100K (Scalabel)", (".json",), _list_of("name", "labels"), "convert it to COCO with scalabel"),
    ForeignForm("Scalabel", (".json",), _object_with("frames", "config"), "convert it to COCO with scalabel"),
    ForeignForm("Labelbox", (".json",), _list_of("data_row", "projects"), "convert it to COCO with labelbox's tools"),
    ForeignForm("V7 Darwin", (".json",), _object_with("item", "annotations"), "export it from V7 as COCO"),
    ForeignForm("SuperAnnotate", (".json",), _object_with("metadata", "instances"), "export it as COCO"),
    ForeignForm("Hasty", (".json",), _object_with("label_classes", "images"), "export it from Hasty as COCO"),
    ForeignForm("SA-1B", (".json",), _object_with("image", "annotations"), "gather its images into one COCO file"),
    ForeignForm(
        "GeoJSON", (".json", ".geojson"), _object_with("type", "features"), "draw its polygons into masks (PNG)"
    ),
    ForeignForm("MIT's online LabelMe", (".xml",), _is_mit),
    ForeignForm("imglab (dlib)", (".xml",), lambda c: c.xml.tag == "dataset" and c.xml.find("images") is not None),
    ForeignForm("KITTI", (".txt",), _is_kitti, "convert it to VOC, COCO or YOLO, or " + _IMPORT),
    ForeignForm("DOTA", (".txt",), _is_dota, "convert it to COCO, or to YOLO's oriented boxes"),
    ForeignForm(
        "MATLAB, as masks of SBD and PASCAL Context are",
        (".mat",),
        _by_suffix,
        "load it with scipy.io.loadmat and save the array of classes as PNG of 8 bits, ID.png",
    ),
    ForeignForm("TFRecord", (".tfrecord", ".record"), _by_suffix, "export it as COCO or VOC"),
    ForeignForm("pickle or numpy", (".pkl", ".pickle", ".npy", ".npz"), _by_suffix, "save tags as CSV, masks as PNG"),
    ForeignForm(
        "an archive", (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar"), _by_suffix, "unpack it, and give what is in it"
    ),
)

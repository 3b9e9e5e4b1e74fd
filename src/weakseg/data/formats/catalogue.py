"""Every label format, and the one place that tells which of them a file is of.

A format is added by a module beside this one and an entry here.
"""

from collections.abc import Mapping
from pathlib import Path

from weakseg.data.formats import (
    annotation_csv,
    coco,
    coco_panoptic,
    createml,
    cvat,
    datumaro,
    drawn_json,
    labelme,
    labelstudio,
    scribblesup,
    supervisely,
    tags,
    via,
    voc_xml,
    whats_the_point,
    yolo,
)
from weakseg.data.formats.foreign import refuse_foreign
from weakseg.data.formats.label_format import Content, LabelFormat, Use, by_itself

FORMATS: dict[str, LabelFormat] = {
    "labelme": LabelFormat(
        "LabelMe",
        labelme.read_table,
        (".json",),
        lambda content: content.has_keys("shapes"),
        uses=frozenset({"dataset", "photograph"}),
        names_from="labels",
        one_each=True,
    ),
    "supervisely": LabelFormat(
        "Supervisely",
        supervisely.read_table,
        (".json",),
        lambda content: content.has_keys("objects", "size"),
        uses=frozenset({"dataset", "photograph"}),
        one_each=True,
    ),
    "datumaro": LabelFormat(
        "Datumaro",
        datumaro.read_table,
        (".json",),
        lambda content: content.has_keys("items", "categories"),
        uses=frozenset({"dataset", "photograph"}),
    ),
    "createml": LabelFormat(
        "CreateML",
        by_itself(createml.read_table),
        (".json",),
        createml.is_createml,
        uses=frozenset({"dataset", "photograph"}),
    ),
    "via": LabelFormat(
        "VIA",
        via.read_table,
        (".json", ".csv"),
        via.is_via,
        uses=frozenset({"dataset", "photograph"}),
    ),
    "coco_panoptic": LabelFormat(
        "COCO panoptic",
        coco_panoptic.read_table,
        (".json",),
        coco_panoptic.is_panoptic,
        uses=frozenset({"dataset", "photograph"}),
    ),
    "cvat": LabelFormat(
        "CVAT",
        cvat.read_table,
        (".xml",),
        lambda content: content.xml.tag == "annotations",
        uses=frozenset({"dataset", "photograph"}),
    ),
    "labelstudio": LabelFormat(
        "Label Studio",
        labelstudio.read_table,
        (".json",),
        lambda content: isinstance(content.json, list),
        uses=frozenset({"dataset", "photograph"}),
    ),
    "coco": LabelFormat(
        "COCO",
        by_itself(coco.read_table),
        (".json",),
        lambda content: content.has_keys("images", "annotations"),
        uses=frozenset({"photograph"}),
    ),
    "scribblesup": LabelFormat(
        "ScribbleSup",
        by_itself(scribblesup.read_table),
        (".xml",),
        lambda content: content.xml.tag != "annotations" and content.xml.find("polygon") is not None,
        one_each=True,
    ),
    "voc": LabelFormat(
        "VOC",
        voc_xml.read_table,
        (".xml",),
        uses=frozenset({"photograph"}),
        names_from="labels",
        one_each=True,
        unmarked=True,
    ),
    "yolo": LabelFormat(
        "YOLO",
        yolo.read_labels,
        (".txt",),
        uses=frozenset({"dataset", "photograph"}),
        names_from="photographs",
        one_each=True,
    ),
    "weakseg": LabelFormat(
        "weakseg",
        by_itself(drawn_json.read_table),
        (".json",),
        lambda content: content.has_keys("weakseg"),
    ),
    "csv": LabelFormat(
        "CSV of points or boxes",
        annotation_csv.read_table,
        (".csv",),
        lambda content: annotation_csv.has_shapes(content.header),
    ),
    "tags": LabelFormat(
        "tags",
        by_itself(tags.read_shown),
        (".csv", ".json", ".jsonl"),
        lambda content: isinstance(content.json, dict) and not whats_the_point.has_clicks(content.json),
        uses=frozenset({"photograph"}),
        unmarked=True,
    ),
    "whats_the_point": LabelFormat(
        "What's the Point",
        by_itself(whats_the_point.read_table),
        (".json",),
        lambda content: isinstance(content.json, dict),
        uses=frozenset({"drawn", "photograph"}),
        unmarked=True,
    ),
}


def formats_for(use: Use) -> dict[str, LabelFormat]:
    """Return the formats that may be given in one place, by name."""
    return {name: known for name, known in FORMATS.items() if use in known.uses}


def recognise_file(path: Path, known: Mapping[str, LabelFormat], what: str = "label file") -> str | None:
    """Return the name of the format of a file, or ``None`` where it is none of the ``known`` ones.

    The suffix decides; where several formats have it, the content does.

    Args:
        path: The file.
        known: The formats that it may be of.
        what: What it is to the user, for errors.

    Raises:
        DataError: If the content is asked for and cannot be read, or is of a form that is known and not read.
    """
    refuse_foreign(path, what)
    possible = {name: one for name, one in known.items() if path.suffix.lower() in one.suffixes}
    if len(possible) == 1:
        return next(iter(possible))
    content = Content(path, what)
    marked = [name for name, one in possible.items() if not one.unmarked]
    if (found := next((name for name in marked if possible[name].holds(content)), None)) is not None:
        return found
    unmarked = [name for name in possible if name not in marked]
    return unmarked[0] if len(unmarked) == 1 else next((n for n in unmarked if possible[n].holds(content)), None)


def recognise_folder(path: Path, known: Mapping[str, LabelFormat]) -> str | None:
    """Return the name of the format whose files, one for each photograph, a folder holds.

    The suffixes decide; where no file has one, it is the first of the ``known`` formats that come in folders, whose
    parser says what is missing.
    """
    possible = {name: one for name, one in known.items() if one.one_each}
    there = {child.suffix.lower() for child in path.iterdir()}
    return next((name for name, one in possible.items() if there & set(one.suffixes)), next(iter(possible), None))

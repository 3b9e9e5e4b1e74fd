"""What ``weakseg export`` writes photograph by photograph: one writer a format, and the dictionary of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from jsonargparse import Namespace

from weakseg.data.classes import Classes
from weakseg.data.formats.labelme import IGNORED_LABEL
from weakseg.data.formats.labelme_out import labelme_record, path_from
from weakseg.data.formats.labelstudio_out import (
    UNDECIDED_NAME,
    Record,
    address_of,
    labelling_config,
    task_record,
)
from weakseg.data.formats.outgoing import Outgoing
from weakseg.data.formats.yolo_out import PHOTOGRAPHS, box_lines, label_file, segment_lines, write_lines, write_yaml
from weakseg.errors import DataError
from weakseg.files import write_bytes, write_json
from weakseg.version import __version__


class Writer(Protocol):
    """Writes a folder of one format."""

    def add(self, item: Outgoing) -> None:
        """Write what is on one photograph.

        Raises:
            DataError: If the format cannot hold it; nothing of it is written then.
        """

    def finish(self) -> list[str]:
        """Write what is of all photographs, and return what was decided for the user."""


class YoloWriter:
    """``data.yaml``, ``images`` and ``labels``, of outlines or of boxes."""

    def __init__(self, given: Namespace, classes: Classes) -> None:
        self._given, self._classes = given, classes
        self._boxes = given.format == "yolo-boxes"
        self._lines = self._bridged = self._undecided = 0

    def add(self, item: Outgoing) -> None:
        """Write label file and photograph."""
        if item.num_undecided and self._given.undecided == "refuse":
            raise DataError(
                f"image {item.image_id!r}: {item.num_undecided} pixels are undecided, which YOLO cannot say; take them "
                "for background by --undecided background, or export as labelme"
            )
        bridged = 0
        if self._boxes:
            lines = box_lines(item)
        else:
            lines, bridged = segment_lines(item, holes=self._given.holes)
        out = self._given.out
        if self._given.photographs == "copy":
            item.copy_photograph(out / PHOTOGRAPHS / item.name)
        write_lines(label_file(out, item.image_id), lines)
        self._lines += len(lines)
        self._bridged += bridged
        self._undecided += item.num_undecided > 0

    def finish(self) -> list[str]:
        """Write ``data.yaml``."""
        write_yaml(self._given.out, self._classes)
        told = [f"{self._lines} {'boxes' if self._boxes else 'outlines, one for each part that hangs together'}"]
        told += [f"{self._bridged} holes are bridged"][: self._bridged]
        return told + [f"undecided pixels of {self._undecided} masks are background now"][: self._undecided]


class LabelmeWriter:
    """A JSON file for each photograph, beside it."""

    def __init__(self, given: Namespace, classes: Classes) -> None:
        self._given, self._classes = given, classes
        self._undecided = 0
        if IGNORED_LABEL in classes.names:
            raise DataError(f"classes: {IGNORED_LABEL!r} means to LabelMe what nobody knows; rename the class")

    def add(self, item: Outgoing) -> None:
        """Write JSON and photograph."""
        place: Path = self._given.out / f"{item.image_id}.json"
        if self._given.photographs == "copy":
            item.copy_photograph(self._given.out / item.name)
            image_path = Path(item.name).name
        else:
            image_path = path_from(place.parent, item.existing())
        write_json(place, labelme_record(item, self._classes, image_path, polygons=self._given.polygons))
        self._undecided += item.num_undecided > 0

    def finish(self) -> list[str]:
        """Return what became of undecided pixels."""
        return [f"undecided pixels of {self._undecided} masks are {IGNORED_LABEL!r}"][: self._undecided]


class LabelStudioWriter:
    """``tasks.json`` and ``labelstudio.xml``."""

    def __init__(self, given: Namespace, classes: Classes) -> None:
        self._given, self._classes = given, classes
        self._tasks: list[Record] = []
        self._undecided, self._objects = 0, False
        if UNDECIDED_NAME in classes.names:
            raise DataError(f"classes: {UNDECIDED_NAME!r} is what undecided pixels are called; rename the class")

    def add(self, item: Outgoing) -> None:
        """Keep the task of one photograph."""
        item.existing()
        address = address_of(item.name, self._given.url_prefix)
        self._tasks.append(task_record(item, self._classes, address, f"weakseg-{__version__}"))
        self._undecided += item.num_undecided > 0
        self._objects |= not item.is_mask

    def finish(self) -> list[str]:
        """Write tasks and labelling configuration."""
        config = labelling_config(self._classes, boxes=self._objects, undecided=self._undecided > 0)
        write_bytes(self._given.out / "labelstudio.xml", config.encode())
        write_json(self._given.out / "tasks.json", self._tasks)
        return [f"undecided pixels of {self._undecided} masks are {UNDECIDED_NAME!r}"][: self._undecided]


WRITERS: Mapping[str, Callable[[Namespace, Classes], Writer]] = {
    "yolo-segments": YoloWriter,
    "yolo-boxes": YoloWriter,
    "labelme": LabelmeWriter,
    "labelstudio": LabelStudioWriter,
}
"""Formats that are written photograph by photograph into a folder; ``Format`` in ``cli/export.py`` names them, too."""

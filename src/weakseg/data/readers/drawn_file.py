"""weakseg's own file of drawn labels read back, with class ids and effort, as it was written."""

from pathlib import Path

from weakseg.data.binding import bind
from weakseg.data.classes import Classes
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, read_document
from weakseg.data.paths import image_id_of
from weakseg.errors import DataError


def read_drawn(path: Path) -> DrawnFile:
    """Return the drawn labels in a file.

    Raises:
        DataError: If it is malformed, or a label lies outside its photograph.
    """
    document = read_document(path)
    classes = Classes(document.table.declared)
    bound = bind(document.table, classes)
    if bound.dropped:
        where, reason = next(iter(bound.dropped.items()))
        raise DataError(f"{where}: {reason}; correct it")
    images = {}
    for image, (image_id, effort) in zip(document.table.images, document.efforts.items(), strict=True):
        assert image.size is not None
        tags, drawn = bound.labels[image_id_of(image.name)]
        images[image_id] = DrawnImage(image.size, drawn, effort, tags.present)
    return DrawnFile(document.kind, classes, images)

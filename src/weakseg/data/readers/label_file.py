"""Labels of one photograph from a label file of any format, which follows from its suffix and content."""

from pathlib import Path, PurePosixPath

from weakseg.data.annotations import AnnotatedImage, AnnotationTable
from weakseg.data.formats.catalogue import formats_for, recognise_file
from weakseg.data.formats.foreign import refuse_foreign
from weakseg.data.formats.label_format import Surroundings
from weakseg.data.paths import image_id_of
from weakseg.errors import DataError
from weakseg.names import in_any_form

SHOWN_NAMES = 5


def labels_of(photograph: Path, path: Path) -> AnnotatedImage:
    """Return the labels of a photograph.

    In a file of several photographs it is the one of its file name, folders as far as both agree; a file of one
    photograph is taken to be about this one. Segmentations of COCO are left alone, as elsewhere.

    Args:
        photograph: The image file.
        path: A label file, or a folder with one that has the photograph's name (``ID.json``, ``ID.xml``, ``ID.txt``).

    Raises:
        DataError: If the file is missing, malformed, of no known format, or does not know the photograph.
    """
    return _chosen(photograph, _table(_file_of(photograph, path), photograph))


def _file_of(photograph: Path, path: Path) -> Path:
    """Return the label file itself, where a folder is given."""
    if not path.is_dir():
        return path
    suffixes = [s for known in formats_for("photograph").values() if known.one_each for s in known.suffixes]
    names = [f"{photograph.stem}{suffix}" for suffix in dict.fromkeys(suffixes)]
    found = next((file for name in names if (file := in_any_form(path / name)).is_file()), None)
    if found is None:
        raise DataError(f"{path}: holds no {' or '.join(names)}; give the file that labels {photograph.name}")
    return found


def _table(path: Path, photograph: Path) -> AnnotationTable:
    known = formats_for("photograph")
    wanted = f"give a file of {', '.join(one.title for one in known.values())}"
    if not path.is_file():
        raise DataError(f"{path}: no such label file; {wanted}")
    refuse_foreign(path)
    if not any(path.suffix.lower() in one.suffixes for one in known.values()):
        raise DataError(f"{path}: {path.suffix or 'no suffix'} is that of no label file; {wanted}")
    name = recognise_file(path, known)
    if name is None:
        raise DataError(f"{path}: is no label file; {wanted}")
    return known[name].parse(path, Surroundings(path.parent, path.parent, photograph=photograph))


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

"""Text files that list photographs, one a line."""

from pathlib import Path

from weakseg.data.paths import find_image, inside, read_lines
from weakseg.data.reading import Extras
from weakseg.errors import DataError, quoted
from weakseg.names import composed


def list_path(root: Path, name: str, setting: str) -> Path:
    """Return where a list of the VOC layout lies."""
    return inside(root, f"ImageSets/Segmentation/{name}.txt", setting)


def read_image_list(path: Path, root: Path, images: Path, extras: Extras) -> dict[str, Path]:
    """Return the photographs of a list by their ids.

    An id that is there already, or leads outside the root, is left out; what follows an id on its line is no part of
    it, unless a photograph is called so.

    Args:
        path: The list.
        root: Of the data set.
        images: Folder that the names start from.
        extras: Get what is left out.

    Raises:
        DataError: If there is no such file, or nothing in it can be used.
    """
    found: dict[str, Path] = {}
    first: dict[str, str] = {}
    for number, line in read_lines(path, "list of images"):
        where = f"{path}:{number}"
        try:
            photograph = find_image(root, images, line, where)
            image_id = composed(line if photograph.is_file() else line.split()[0])
            if (other := first.setdefault(image_id, where)) != where:
                raise DataError(f"{where}: image {quoted(image_id)} is already at {other}; keep one entry")
            found[image_id] = find_image(root, images, image_id, where)
        except DataError as error:
            extras.dropped[where] = str(error).removeprefix(f"{where}: ")
    if not found:
        why = next((f" that can be used: {where}: {reason}" for where, reason in extras.dropped.items()), "")
        raise DataError(f"{path}: lists no images{why}; write the name of one a line")
    return found

"""Which files of a folder are photographs: one rule for every verb and reader that looks through a folder."""

import logging
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from weakseg.artifacts import voc_palette
from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.errors import DataError, StoreError
from weakseg.files import read_json

MASK_FOLDERS = frozenset({"SegmentationClass", "SegmentationObject"})
OTHER_PICTURES = frozenset(
    {".jp2", ".jxl", ".cr2", ".cr3", ".nef", ".arw", ".dng", ".raf", ".orf", ".rw2", ".psd", ".tga", ".exr", ".hdr"}
    | {".svg", ".eps", ".pdf", ".ico"}
)
"""Suffixes of pictures that are not read; they are counted, for the user may take them for photographs."""
_MADE_WITH = ("failures.csv", "recipe.json", "overlays.json")
_HEAD_BYTES = 4096
_SURE, _GREY, _INDEXED, _VOC = range(4)  # how little a file looks like a photograph

logger = logging.getLogger(__name__)


def photographs_in(folder: Path, *, deep: bool = True) -> list[Path]:
    """Return the photographs of a folder by name, and log what else looked like some.

    Image files are photographs, but for what is hidden, lies in a folder that weakseg made or that a link stands for,
    or is a label map: a PNG with VOC's palette, or in VOC's folders of masks; one of a single channel where another
    file of its name looks more like a photograph; and whatever lies in a folder of such PNGs alone, one of which is a
    label map.

    Args:
        folder: The folder.
        deep: Also those of folders in it.

    Raises:
        DataError: If it cannot be listed.
    """
    files, made, links = _visible(folder, deep)
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    maps = _label_maps(images)
    others = [path for path in files if path.suffix.lower() in OTHER_PICTURES]
    _say(folder, "label maps", sorted(maps))
    _say(folder, "folders that weakseg made", made)
    _say(folder, "links to folders", links)
    _say(folder, "pictures of kinds that are not read", others)
    return [path for path in images if path not in maps]


def _visible(folder: Path, deep: bool) -> tuple[list[Path], list[Path], list[Path]]:
    """Return the files that are not hidden, and what was not looked into: folders that weakseg made, and links."""
    files: list[Path] = []
    made: list[Path] = []
    links: list[Path] = []
    waiting = [folder]
    while waiting:
        try:
            children = sorted(path for path in waiting.pop().iterdir() if not path.name.startswith("."))
        except OSError as error:
            raise DataError(f"{folder}: cannot be listed ({error.strerror}); check its permissions") from error
        files += [path for path in children if path.is_file()]
        for path in (path for path in children if deep and path.is_dir()):
            (links if path.is_symlink() else made if was_made_here(path) else waiting).append(path)
    return sorted(files), sorted(made), sorted(links)


def was_made_here(folder: Path) -> bool:
    """Return whether a folder is one of products: of a run, a stage, or a picture of each."""
    if any((folder / name).is_file() for name in _MADE_WITH):
        return True
    try:
        settings = read_json(folder / "settings.json")
    except StoreError:
        return False
    return isinstance(settings, dict) and settings.keys() == {"settings", "inputs"}


def _label_maps(images: Iterable[Path]) -> set[Path]:
    """Return the label maps among image files."""
    looks = {path: _look_of(path) for path in images}
    best: dict[str, int] = {}
    for path, look in looks.items():
        best[path.stem] = min(best.get(path.stem, look), look)
    maps = {path for path, look in looks.items() if look == _VOC or look > max(best[path.stem], _SURE)}
    mixed = {path.parent for path, look in looks.items() if look == _SURE}
    folders = {path.parent for path in maps} - mixed
    return maps | {path for path in looks if path.parent in folders}


def _look_of(path: Path) -> int:
    """Return how little a file looks like a photograph; of a PNG its first bytes tell."""
    if MASK_FOLDERS & set(path.parent.parts[-1:]):
        return _VOC
    if path.suffix.lower() != ".png":
        return _SURE
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD_BYTES)
    except OSError:
        return _SURE
    if head[12:16] != b"IHDR" or head[25:26] not in (b"\0", b"\3"):
        return _SURE
    if head[25:26] == b"\0":
        return _GREY
    palette = head[head.find(b"PLTE") + 4 :][:24]
    return _VOC if palette == voc_palette()[:8].tobytes() else _INDEXED


def _say(folder: Path, what: str, paths: list[Path]) -> None:
    if paths:
        kinds = Counter(path.suffix for path in paths)
        first = paths[0].relative_to(folder)
        _say_once(f"{folder}: {len(paths)} {what} are left out, such as {first}" + _kinds(kinds, what))


def _kinds(kinds: Counter[str], what: str) -> str:
    return f" ({', '.join(sorted(kinds))})" if what.startswith("pictures") else ""


@cache
def _say_once(text: str) -> None:
    logger.warning("%s", text)

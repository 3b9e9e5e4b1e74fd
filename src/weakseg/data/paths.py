"""Paths and text that come from users' label files: paths resolve inside the data root and nowhere else."""

import io
import json
import os
import re
import stat
from collections.abc import Collection
from pathlib import Path, PurePosixPath, PureWindowsPath

from weakseg.data.image import IMAGE_SUFFIXES
from weakseg.errors import DataError, cut, quoted
from weakseg.names import composed, in_any_form

_USUAL_SUFFIXES = (".jpg", ".jpeg", ".png", ".JPG", ".JPEG", ".PNG")
_ODD_PARTS = re.compile(r"//|(^|/)\./")
"""Parts that say nothing."""
_TRIED_SUFFIXES = (*_USUAL_SUFFIXES, *sorted(IMAGE_SUFFIXES - set(_USUAL_SUFFIXES)))


def inside(root: Path, name: str, where: str, *, folder: Path | None = None) -> Path:
    """Return the resolved path that ``name`` means, in whichever Unicode form its letters with marks are on disk.

    Args:
        root: Resolved folder that must not be left.
        name: Relative path from a label file or setting; back-slashes count as separators.
        where: File and line, or setting, for the error.
        folder: Folder inside ``root`` that ``name`` starts from; the root itself where not given.

    Raises:
        DataError: If the path leads outside ``root``, by ``..``, a link or an absolute path, or is no path at all.
    """
    posix, shown = PurePosixPath(name.replace("\\", "/")), quoted(name)
    try:
        path = ((folder or root) / posix).resolve()
        if not path.exists():  # which fails where a name is longer than the system's
            path = in_any_form(path).resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{where}: {shown} is no usable path ({cut(error)}); correct it") from error
    absolute = posix.is_absolute() or PureWindowsPath(name).is_absolute()
    if absolute or ".." in posix.parts or not path.is_relative_to(root):
        raise DataError(f"{where}: {shown} leads outside the data folder {root}; give a path below it, without '..'")
    return path


def image_id_of(name: str) -> str:
    """Return the image id of a relative path: composed, without the suffix of an image file, ``/`` between folders."""
    plain = composed(name).replace("\\", "/")
    stem, _, suffix = plain.rpartition(".")
    if f".{suffix.lower()}" in IMAGE_SUFFIXES and stem[-1:] not in ("", "/") and not _ODD_PARTS.search(plain):
        return stem
    path = PurePosixPath(plain)
    return str(path.with_suffix("") if path.suffix.lower() in IMAGE_SUFFIXES else path)


def image_folder(root: Path, name: str) -> Path:
    """Return the folder that names of images start from: as given, else ``images``, else the root.

    Raises:
        DataError: If it is no folder, or lies outside ``root``.
    """
    folder = inside(root, name or ("images" if (root / "images").is_dir() else "."), "data.images")
    if not folder.is_dir():
        raise DataError(f"data.images: {folder} is not a folder; give the folder of the images inside {root}")
    return folder


def find_image(root: Path, folder: Path, name: str, where: str) -> Path:
    """Return the image file ``folder / name``; a name without suffix gets the first usual one that exists.

    A name that begins with the folder itself (``images/a.jpg`` in ``images``) starts beside it, unless it has such a
    folder within. A missing file is no error here: it fails by itself when it is read.

    Args:
        root: Resolved folder that must not be left.
        folder: Resolved folder inside ``root``.
        name: Relative path from a label file.
        where: File and line, for the error.

    Raises:
        DataError: If the path leads outside ``root``.
    """
    if "/" in name or "\\" in name:
        first, *rest = PurePosixPath(name.replace("\\", "/")).parts or ("",)
        if rest and first == folder.name and folder != root and not (folder / first).is_dir():
            folder = folder.parent
    if (plain := _plainly_there(folder, name)) is not None:
        return plain
    path = inside(root, name, where, folder=folder)
    if PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
        return path
    candidates = (inside(root, f"{name}{suffix}", where, folder=folder) for suffix in _TRIED_SUFFIXES)
    return next((candidate for candidate in candidates if candidate.is_file()), path.with_name(f"{path.name}.jpg"))


def _plainly_there(folder: Path, name: str) -> Path | None:
    """Return an image file that a name of plain parts leads to by no link, as ``inside`` does five times as slowly."""
    parts = name.split("/")
    if not parts[-1].lower().endswith(tuple(IMAGE_SUFFIXES)) or "\\" in name or ":" in name or "\0" in name:
        return None
    path = os.fspath(folder)
    for part in parts:
        if part in ("", ".", ".."):
            return None
        path = f"{path}{os.sep}{part}"
        try:
            if stat.S_ISLNK(os.lstat(path).st_mode):
                return None
        except OSError:
            return None
    return Path(path)


def files_inside(folder: Path, suffixes: Collection[str], what: str, *, deep: bool = False) -> list[Path]:
    """Return the files of a resolved folder by name, hidden ones left out; at least one.

    Args:
        folder: The folder; whether a file in it is a link that leads elsewhere is for ``check_inside`` to say.
        suffixes: Suffixes that count, lower case with the dot.
        what: What the files are to the user, for the error, as in ``"scribbles"``.
        deep: Also those of folders in it.

    Raises:
        DataError: If there is none.
    """
    found = [path for path in visible_files(folder, "**/*" if deep else "*") if path.suffix.lower() in suffixes]
    if not found:
        raise DataError(f"{folder}: no {what} (*{' *'.join(sorted(suffixes))}); give the folder that holds them")
    return found


def visible_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files of a folder that a pattern matches, by name; what is hidden, or in a hidden folder, is none."""
    found = sorted(path for path in folder.glob(pattern) if path.is_file())
    return [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]


def check_inside(folder: Path, path: Path) -> None:
    """Refuse a file of a resolved folder that is a link, or lies behind one, that leads outside of the folder.

    Raises:
        DataError: If it is.
    """
    inside(folder, str(path.relative_to(folder)), str(path))


def read_text(path: Path, what: str) -> str:
    """Return the content of a UTF-8 text file.

    Args:
        path: The file.
        what: What it is to the user, for the error, as in ``"label file"``.

    Raises:
        DataError: If the file is missing, cannot be read, or is not UTF-8.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such {what}; give the path of one below data.root")
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except OSError as error:
        raise DataError(f"{path}: {what} cannot be read ({error.strerror}); check its permissions") from error
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise DataError(
            f"{path}:{line}: {what} is not UTF-8 (byte 0x{error.object[error.start]:02x}); save it as UTF-8"
        ) from error


def read_lines(path: Path, what: str) -> list[tuple[int, str]]:
    """Return (line number, stripped text) of the non-empty lines of a UTF-8 text file.

    Raises:
        DataError: If the file is missing or not UTF-8.
    """
    lines = enumerate(io.StringIO(read_text(path, what), newline=None), start=1)
    return [(number, line.strip()) for number, line in lines if line.strip()]


def parse_json(path: Path, text: str, *, first_line: int = 1) -> object:
    """Return the JSON value in ``text``, which is ``path`` from ``first_line`` on.

    Raises:
        DataError: If the text is empty, malformed, nested too deeply, or repeats a key of an object.
    """
    if not text.strip():
        raise DataError(f"{path}: the file is empty; expected JSON")
    try:
        value: object = json.loads(text, object_pairs_hook=_unique_keys)
    except json.JSONDecodeError as error:
        line = first_line + error.lineno - 1
        raise DataError(f"{path}:{line}: malformed JSON ({error.msg} at column {error.colno}); repair it") from error
    except RecursionError as error:
        raise DataError(f"{path}:{first_line}: JSON cannot be used: it is nested too deeply") from error
    except ValueError as error:
        raise DataError(f"{path}:{first_line}: JSON cannot be used: {cut(error)}") from error
    return value


def read_classes(root: Path, given: tuple[str, ...]) -> tuple[str, ...] | None:
    """Return the class names that the user gave, else those of ``classes.txt`` in the root, else ``None``.

    A first line ``background`` in ``classes.txt`` is left out.

    Raises:
        DataError: If ``classes.txt`` is empty, not UTF-8, or names a class twice.
    """
    path = root / "classes.txt"
    if given or not path.is_file():
        return given or None
    first_line: dict[str, int] = {}
    for number, name in read_lines(path, "list of classes"):
        if name in first_line:
            raise DataError(f"{path}:{number}: class {quoted(name)} is already in line {first_line[name]}; remove one")
        first_line[name] = number
    names = tuple(first_line)
    names = names[1:] if names[:1] == ("background",) else names
    if not names:
        raise DataError(f"{path}: names no class; write one a line, or remove the file")
    return names


def _unique_keys(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Build the dictionary of one JSON object; a repeated key is an error."""
    found: dict[str, object] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"key {quoted(key)} appears twice in one object; keep one")
        found[key] = value
    return found

"""The photographs of a folder, as a browser shows them."""

import io
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.data.image import IMAGE_SUFFIXES, image_size, load_rgb
from weakseg.data.paths import check_inside, image_id_of
from weakseg.data.photographs import photographs_in
from weakseg.errors import DataError
from weakseg.photograph.overlay import shrink

Made = TypeVar("Made")
SIDES = (64, 256, 1024, 2048, 4096)
SHOWN_SIDE = 2048
QUALITY = 88
KEPT_PICTURES, KEPT_SIZES = 200, 20_000


class Recent(Generic[Made]):
    """What was made last, by key; at most ``most`` of them are kept. Threads may share it."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Made] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Made]) -> Made:
        """Return what was made under a key, made now or before."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
        return made


class Album:
    """The photographs of a folder by image id, which is the path below it without suffix.

    Attributes:
        folder: Resolved; nothing outside of it is read.
        files: By image id, in the order of the names.
        left_out: Why some files are none of them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.files: dict[str, Path] = {}
        self.left_out: list[str] = []
        for path in photographs_in(self.folder):
            name = path.relative_to(self.folder).as_posix()
            try:
                check_inside(self.folder, path)
                first = self.files.setdefault(image_id_of(name), path)
                if first != path:
                    raise DataError(f"{name}: {first.name} has the same name; rename one")
            except DataError as error:
                self.left_out.append(str(error))
        if not self.files:
            raise DataError(f"{folder}: holds no photograph; give a folder of *{' *'.join(sorted(IMAGE_SUFFIXES))}")
        self._sizes: Recent[tuple[int, int]] = Recent(KEPT_SIZES)
        self._pictures: Recent[bytes] = Recent(KEPT_PICTURES)

    def path(self, image_id: str) -> Path:
        """Return the file of a photograph.

        Raises:
            DataError: If there is no such photograph, or its file has gone or is now a link that leads outside.
        """
        path = self.files.get(image_id)
        if path is None:
            raise DataError(f"{image_id!r:.200}: no such photograph in {self.folder.name}")
        check_inside(self.folder, path)
        if not path.is_file():
            raise DataError(f"{self.name(image_id)}: the photograph is no longer there; put it back, or go to the next")
        return path

    def name(self, image_id: str) -> str:
        """Return the path of a photograph below the folder."""
        return self.files[image_id].relative_to(self.folder).as_posix()

    def size(self, image_id: str) -> tuple[int, int]:
        """Return (rows, columns) of the upright photograph.

        Raises:
            DataError: As ``path``, or if it cannot be read.
        """
        path = self.path(image_id)
        return self._sizes.get((image_id, *_state(path)), lambda: image_size(path))

    def picture(self, image_id: str, side: int) -> bytes:
        """Return a JPEG of the upright photograph, whose longest side is at most ``side`` pixels.

        Raises:
            DataError: As ``size``, or if the side is none of ``SIDES``.
        """
        if side not in SIDES:
            raise DataError(f"side: must be one of {', '.join(map(str, SIDES))}, got {side}")
        path = self.path(image_id)
        return self._pictures.get((image_id, side, *_state(path)), lambda: _jpeg(load_rgb(path), side))


def shown_size(size: tuple[int, int], side: int = SHOWN_SIDE) -> tuple[int, int]:
    """Return the size of the picture of a photograph that ``Album.picture`` makes."""
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _state(path: Path) -> tuple[int, int]:
    """Return time and size of a file, which tell whether it is still the same.

    Raises:
        DataError: If it has gone.
    """
    try:
        status = path.stat()
    except OSError as error:
        raise DataError(f"{path.name}: the photograph cannot be found ({error.strerror}); put it back") from error
    return status.st_mtime_ns, status.st_size


def _jpeg(image: NDArray[np.uint8], side: int) -> bytes:
    held = io.BytesIO()
    Image.fromarray(shrink(image, side)).save(held, "JPEG", quality=QUALITY)
    return held.getvalue()

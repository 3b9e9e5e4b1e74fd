"""Masks that people or other programs painted: values and colours of PNGs become class ids."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import UNDECIDED
from weakseg.data.class_map import ClassMap
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.palettes import FILE_NAME, VOID_NAMES, Palette, read_palette
from weakseg.errors import ConfigError, DataError
from weakseg.image_file import LOSSLESS, opened_image

Void = Literal["auto", "none"] | int
_MODES = ("1", "L", "P", "RGB", "RGBA")
_NO_CLASS = -1
_STRIP = 1 << 20  # pixels of a coloured mask that are looked up at once


@dataclass(frozen=True)
class MaskRules:
    """What values and colours of masks mean.

    Attributes:
        classes: The foreground classes.
        void: The value that says nothing. ``auto``: 255, unless masks hold no class but 0 and 255, which is a question;
            ``none``: there is none. If it is not 255, that is the class, where there is one class.
        palette: The classes of colours; ``None``: values are class ids.
        class_map: What becomes of the names in the palette.
    """

    classes: Classes
    void: Void = "auto"
    palette: Palette | None = None
    class_map: ClassMap = field(default_factory=ClassMap)

    def __post_init__(self) -> None:
        """Refuse a void that leaves 255 to several classes."""
        if self.void not in ("auto", UNDECIDED) and len(self.classes) > 1:
            raise ConfigError(
                f"data.void: {self.void} makes 255 a class, but there are {len(self.classes)} of them; paint class ids"
            )

    @cached_property
    def labels(self) -> dict[int, int]:
        """Label of each colour of the palette, red first in 24 bits; -1: of no class."""
        colours = self.palette.names.items() if self.palette else ()
        return {(red << 16) | (green << 8) | blue: self._label_of(name) for (red, green, blue), name in colours}

    def _label_of(self, name: str) -> int:
        target = self.class_map.target(name)
        if target is None:
            return UNDECIDED
        if target in self.classes.names:
            return self.classes.names.index(target) + 1
        return 0 if target in BACKGROUND_NAMES else UNDECIDED if target.lower() in VOID_NAMES else _NO_CLASS


def palette_classes(folder: Path) -> tuple[str, ...]:
    """Return the classes in the ``labelmap.txt`` of a folder, in its order; none where there is none."""
    path = folder / FILE_NAME
    names = read_palette(path).names.values() if path.is_file() else ()
    return tuple(dict.fromkeys(n for n in names if n not in BACKGROUND_NAMES and n.lower() not in VOID_NAMES))


def load_mask(path: Path, rules: MaskRules) -> NDArray[np.uint8]:
    """Return the labels of a mask: ``(H, W)`` uint8, 0 background, class ids as painted, 255 unlabelled.

    Colours count where there is a palette with them; else palette indices and grey values do.

    Raises:
        DataError: If the file is missing, unreadable or of another kind than 8 bits, has more than ``MAX_PIXELS``, or
            shows a colour that the palette does not have or that is of no class.
    """
    with _opened(path) as image:
        if image.mode == "RGB":
            return _labels_of_colours(image, path, rules)
        values = np.array(image, np.uint8)
        if rules.labels and (table := _table(image, values, path, rules)) is not None:
            return table[values]
    return _with_void(values, rules.void)


def load_numbers(path: Path) -> NDArray[np.int32]:
    """Return the numbers of the objects in a mask: ``(H, W)`` int32, 0 where there is none.

    Of an indexed or grey PNG they are the values but 255, of a coloured one the colours but black and VOC's border.

    Raises:
        DataError: As ``load_mask``.
    """
    with _opened(path) as image:
        if image.mode != "RGB":
            numbers = np.array(image, np.int32)
            return np.where(numbers == UNDECIDED, 0, numbers)
        strips = list(_colours(image))
    found = np.unique(np.concatenate([np.unique(strip) for strip in strips]))
    found = found[(found != 0) & (found != (224 << 16 | 224 << 8 | 192))]
    return np.concatenate([_position_in(found, strip) + 1 for strip in strips]).astype(np.int32)


def check_meaning(paths: Iterable[Path], rules: MaskRules, where: str, setting: str = "data.void") -> None:
    """Raise ``DataError`` where masks hold no class but 0 and 255: nobody can tell whether 255 is the object.

    Masks are opened until one holds a class; one that cannot be read is left to whoever reads it.

    Args:
        paths: The masks.
        rules: What their values mean; nothing is asked where they say what 255 is, or colours do.
        where: Their folder, for the error.
        setting: What says what 255 is.
    """
    if rules.void != "auto" or rules.labels:
        return
    unlabelled = False
    for path in paths:
        try:
            labels = load_mask(path, rules)
        except DataError:
            continue
        if ((labels > 0) & (labels < UNDECIDED)).any():
            return
        unlabelled |= bool((labels == UNDECIDED).any())
    if unlabelled:
        raise DataError(
            f"{where}: the masks hold no values but 0 and 255, and 255 means 'not labelled'. If it is the object, set "
            f"{setting} to none; if really no class is in them, to 255"
        )


@contextmanager
def _opened(path: Path) -> Iterator[Image.Image]:
    """Yield the image in mode L, P or RGB."""
    if not path.is_file():
        raise DataError(f"{path}: no such mask; give the folder that holds it")
    with opened_image(path, str(path), formats=LOSSLESS, what="a mask") as image:
        if image.mode not in _MODES:
            raise DataError(f"{path}: a mask must be a PNG of 8 bits or in colours, got mode {image.mode}; convert it")
        yield image.convert({"1": "L", "RGBA": "RGB"}[image.mode]) if image.mode in ("1", "RGBA") else image


def _colours(image: Image.Image) -> Iterator[NDArray[np.int64]]:
    """Yield the colours of a few rows at a time, 24 bits each."""
    step = max(_STRIP // image.width, 1)
    for top in range(0, image.height, step):
        rows = np.asarray(image.crop((0, top, image.width, min(top + step, image.height))), np.int64)
        yield (rows[..., 0] << 16) | (rows[..., 1] << 8) | rows[..., 2]


def _labels_of_colours(image: Image.Image, path: Path, rules: MaskRules) -> NDArray[np.uint8]:
    if not rules.labels:
        raise DataError(
            f"{path}: is a coloured mask, and nothing says which colour is which class; put a labelmap.txt beside it, "
            "or above its folder, or name one as data.palette"
        )
    known = np.array(sorted(rules.labels))
    labels = np.array([rules.labels[colour] for colour in known.tolist()], np.int64)
    strips = []
    for colours in _colours(image):
        place = _position_in(known, colours)
        if (wrong := np.unique(colours[(place < 0) | (labels[place] == _NO_CLASS)])).size:
            raise _wrong_colour(int(wrong[0]), path, rules)
        strips.append(labels[place].astype(np.uint8))
    return np.concatenate(strips)


def _position_in(known: NDArray[np.int64], colours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return where colours stand in an increasing list; -1 where they do not."""
    if not known.size:
        return np.full(colours.shape, -1, np.int64)
    place = np.searchsorted(known, colours).clip(max=len(known) - 1)
    return np.where(known[place] == colours, place, -1)


def _table(image: Image.Image, values: NDArray[np.uint8], path: Path, rules: MaskRules) -> NDArray[np.uint8] | None:
    """Return the label of each value by its colour; ``None`` where the colours that occur are not in the palette."""
    raw = image.getpalette("RGB") if image.mode == "P" else [value for value in range(256) for _ in range(3)]
    channels = np.array([*(raw or []), *[0] * 768][:768], np.int64).reshape(256, 3)
    colours = (channels[:, 0] << 16) | (channels[:, 1] << 8) | channels[:, 2]
    table = np.full(256, UNDECIDED, np.uint8)
    for value in np.unique(values).tolist():
        colour = int(colours[value])
        if colour in rules.labels and not (value and colour == 0):  # what has no entry in the file is black
            if rules.labels[colour] == _NO_CLASS:
                raise _wrong_colour(colour, path, rules)
            table[value] = rules.labels[colour]
        elif value != UNDECIDED:
            return None
    return table


def _wrong_colour(colour: int, path: Path, rules: MaskRules) -> DataError:
    assert rules.palette is not None
    parts = (colour >> 16, colour >> 8 & 255, colour & 255)
    if (name := rules.palette.names.get(parts)) is None:
        return DataError(
            f"{path}: colour {parts} is none of those in {rules.palette.path}; add its class, or repaint it"
        )
    known = ", ".join(rules.classes.names[:10])
    return DataError(
        f"{path}: shows {name!r:.200} of {rules.palette.path}, which is none of the classes ({known:.200}); add it to "
        "them, or rename, merge or ignore it by data.class_map"
    )


def _with_void(values: NDArray[np.uint8], void: Void) -> NDArray[np.uint8]:
    """Return class ids with 255 for the void alone."""
    if void in ("auto", UNDECIDED):
        return values
    labels = np.where(values == UNDECIDED, np.uint8(1), values)
    if void != "none":
        labels[values == void] = UNDECIDED
    return labels

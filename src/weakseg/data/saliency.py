"""Saliency maps: how much each pixel of a photograph draws the eye, as another program wrote it, or a step."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from weakseg.checks import check_rank, check_within
from weakseg.data.levels import EIGHT_BITS, SIXTEEN_BITS
from weakseg.errors import DataError
from weakseg.files import atomic_path
from weakseg.image_file import opened_image
from weakseg.ops.resample import same_form

DEEP = ("I;16", "I;16B", "I;16L", "I")
OTHERS = (".npy", ".npz", ".tif", ".tiff", ".jpg", ".jpeg", ".exr", ".mat")


def find_saliency(folder: Path, image_id: str) -> Path | None:
    """Return the saliency map ``ID.png`` of an image, if there is one; else what is called so, of another kind."""
    names = (folder / f"{image_id}{suffix}" for suffix in (".png", *OTHERS))
    return next((path for path in names if path.is_file()), None)


def load_saliency(path: Path, size: tuple[int, int]) -> NDArray[np.float32]:
    """Return a saliency map on the pixels of its photograph: white is 1, black is 0.

    A map of the photograph's form and of another size is resized bilinearly.

    Args:
        path: A grey PNG of 8 or 16 bits.
        size: (rows, columns) of the upright photograph.

    Returns:
        ``(rows, columns)`` float32 in [0, 1].

    Raises:
        DataError: If the file is missing or no such PNG, is of a photograph of another form, or holds values that have
            lost their levels.
    """
    values, white = _values(path)
    share = Image.fromarray(values.astype(np.float32) / white)
    _check_form(path, values.shape, size)
    if values.shape != size:
        share = share.resize((size[1], size[0]), Image.Resampling.BILINEAR)
    return np.asarray(share).clip(0, 1)


def save_map(path: Path, saliency: NDArray[np.float32]) -> None:
    """Write ``(H, W)`` values in [0, 1] as an 8-bit grey PNG, 255 what draws the eye most.

    Raises:
        ShapeError: If values are not finite, or leave [0, 1].
    """
    check_rank("saliency", saliency, 2, "(H, W)")
    check_within("saliency", torch.from_numpy(saliency), 0, 1)
    with atomic_path(path) as temporary:
        Image.fromarray(np.rint(EIGHT_BITS * saliency).astype(np.uint8)).save(temporary, format="PNG")


def load_map(path: Path) -> NDArray[np.float32]:
    """Return ``(H, W)`` float32 in [0, 1]: what ``save_map`` wrote, whatever its levels.

    Raises:
        DataError: If the file is missing, or no such PNG.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such saliency map; the step before has to make it first")
    with opened_image(path, str(path), formats=("PNG",), what="a saliency map") as image:
        if image.mode != "L":
            raise DataError(f"{path}: a step's saliency map is an 8-bit grey PNG, got mode {image.mode}")
        return np.array(image, np.float32) / np.float32(EIGHT_BITS)


def saliency_size(path: Path) -> tuple[int, int]:
    """Return (rows, columns) of a saliency map as it is stored."""
    with opened_image(path, str(path), formats=("PNG",), what="a saliency map") as image:
        return image.height, image.width


def _values(path: Path) -> tuple[NDArray[np.generic], int]:
    """Return ``(h, w)`` values as they are stored, and which of them is white."""
    if path.suffix.lower() != ".png":
        raise DataError(
            f"{path}: saliency maps are 8-bit PNG; write round(255 * map) of a map in [0, 1] as {path.stem}.png"
        )
    with opened_image(path, str(path), formats=("PNG",), what="a saliency map") as image:
        deep = image.mode in DEEP
        values: NDArray[np.generic] = np.array(image if deep else _grey(path, image))
    highest = int(values.max(initial=0))
    if highest == 1:
        raise DataError(
            f"{path}: no value but 0 and 1: a map in [0, 1] was saved as whole numbers, and its levels are lost; write "
            "round(255 * map)"
        )
    if deep and 0 < highest <= EIGHT_BITS:
        raise DataError(
            f"{path}: values up to {highest} in 16 bits, of which 65535 is white, are nearly black; save the map as an "
            "8-bit PNG"
        )
    return values, SIXTEEN_BITS if deep else EIGHT_BITS


def _grey(path: Path, image: Image.Image) -> Image.Image:
    """Return an image as 8-bit grey, if it is grey."""
    if image.mode in ("1", "L"):
        return image.convert("L")
    colours = np.array(image.convert("RGB"))
    if (colours != colours[..., :1]).any():
        raise DataError(f"{path}: is in colours, as a heat map; write the saliency itself as a grey PNG")
    return Image.fromarray(colours[..., 0])


def _check_form(path: Path, found: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse a map that is no photograph's of this form, reduced or enlarged."""
    (h, w), (rows, columns) = found, size

    if not same_form((h, w), size):
        hint = (
            "rows and columns are exchanged; turn it"
            if same_form((w, h), size)
            else "was it made of a crop, or squeezed?"
        )
        raise DataError(
            f"{path}: the saliency map is {h} x {w}, but the photograph is {rows} x {columns} (rows x columns, "
            f"upright); {hint}"
        )

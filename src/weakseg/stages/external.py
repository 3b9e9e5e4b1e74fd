"""Activations that another program wrote, as if they had been computed here: checked, and on the usual grid."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import Activations
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.formats.array_files import ARRAY_SUFFIXES, CLASS_IDS, CLASS_NAMES, WHOLE, Arrays, read_arrays
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError, cut
from weakseg.ops.cam import grid_size, normalize_evidence
from weakseg.ops.resample import same_form
from weakseg.settings.activate import ExternalConfig

KEYS = "keys"
TOLERANCE = 1e-3
"""By which values may leave [0, 1]: half-precision numbers are rounded."""


@dataclass(frozen=True)
class ExternalMaps:
    """Reads the activations of each photograph from a folder.

    Attributes:
        folder: Holds ``ID.safetensors``, ``ID.npz`` or ``ID.npy``.
        classes: Of the data set.
        config: How values and numbers are meant.
        stride: Image pixels per cell of the result.
    """

    folder: Path
    classes: Classes
    config: ExternalConfig
    stride: int = 4

    def load(self, sample: WeakSample, size: tuple[int, int], *, every: bool = False) -> Activations:
        """Return the activations of the tagged classes of a photograph of (rows, columns).

        Maps of the background, and of classes that are not tagged, are left out.

        Args:
            sample: The photograph.
            size: (rows, columns).
            every: Take all classes that the file has maps of instead.

        Raises:
            DataError: If there is no file, or two; if a tagged class has no map; or if maps, classes, sizes or values
                are not what they have to be.
        """
        wanted = tuple(sorted(sample.tags.present))
        if not wanted and not every:
            return Activations(torch.zeros(0, *grid_size(size, self.stride)), (), size, self.stride)
        path = self._file(sample.id)
        maps = self._by_class(path, read_arrays(path))
        if missing := [class_id for class_id in wanted if class_id not in maps]:
            raise self._no_map(path, missing[0], maps)
        class_ids = tuple(sorted(maps)) if every else wanted
        values = np.stack([maps[class_id] for class_id in class_ids]) if class_ids else np.zeros((0, *size))
        _check_form(path, values.shape[1:], size)
        found = _on_grid(self._in_range(path, values), grid_size(size, self.stride))
        return Activations(found, class_ids, size, self.stride)

    def _file(self, image_id: str) -> Path:
        found = [path for end in ARRAY_SUFFIXES if (path := self.folder / f"{image_id}{end}").is_file()]
        if not found:
            endings = ", ".join(ARRAY_SUFFIXES)
            raise DataError(
                f"{self.folder}: no activations of image {image_id!r} ({image_id} with {endings}); write them"
            )
        if len(found) > 1:
            raise DataError(f"{found[0]}: there is {found[1].name}, too; keep one of them")
        return found[0]

    def _by_class(self, path: Path, arrays: Arrays) -> dict[int, NDArray[Any]]:
        """Return ``(h, w)`` maps by class id, those of the background and of other classes' names left out."""
        numbered = {key: one for key, one in arrays.items() if isinstance(key, int)}
        maps = _stacked(path, list(numbered.values())) if numbered else _maps_of(path, arrays)
        ids = self._ids(path, arrays, [*numbered], len(maps))
        if len(ids) != len(maps):
            beside = "; is one of the background? Leave it out, or name it" if len(maps) == len(ids) + 1 else ""
            raise DataError(f"{path}: {len(maps)} maps, but {len(ids)} classes{beside}")
        if repeated := [number for number, count in Counter(ids).items() if count > 1 and number is not None]:
            raise DataError(f"{path}: two maps are of class {repeated[0]}; keep one")
        if wrong := [number for number in ids if number is not None and not 0 <= number <= len(self.classes)]:
            raise DataError(
                f"{path}: a map of class {wrong[0]}, but there are {len(self.classes)}; are they other classes, or "
                "counted from another number (activations.from_ids)? Names in 'classes' say which they are"
            )
        return {number: one for number, one in zip(ids, maps, strict=True) if number}

    def _ids(self, path: Path, arrays: Arrays, numbered: list[int], count: int) -> list[int | None]:
        """Return the id of each map's class: 0 for the background, ``None`` for a name of no class."""
        if CLASS_NAMES in arrays:
            names = [str(name) for name in arrays[CLASS_NAMES].ravel()]
            return [0 if name in BACKGROUND_NAMES else self.classes.ids.get(name) for name in names]
        if not numbered and CLASS_IDS not in arrays and KEYS not in arrays:
            if count == len(self.classes):
                return [*range(1, count + 1)]
            raise DataError(
                f"{path}: {count} maps that do not say of which classes, and the data set has {len(self.classes)}; "
                f"write their names as 'classes', or their ids as '{CLASS_IDS}'"
            )
        given = numbered or arrays[CLASS_IDS if CLASS_IDS in arrays else KEYS].ravel().tolist()
        first = self.config.from_ids
        shift = 1 if first == "0" or (first == "auto" and CLASS_IDS not in arrays) else 0
        if not all(type(number) is int for number in given):
            raise DataError(f"{path}: ids of classes must be whole numbers, got {cut(given)}")
        return [number + shift for number in given]

    def _no_map(self, path: Path, missing: int, maps: dict[int, NDArray[Any]]) -> DataError:
        names = ", ".join(self.classes.name_of(class_id) for class_id in sorted(maps)) or "no class of the data set"
        return DataError(
            f"{path}: no map of {self.classes.name_of(missing)!r}, which is tagged; there are maps of {cut(names)}. "
            "Are these the classes that are meant? Numbers may be counted from another one (activations.from_ids)"
        )

    def _in_range(self, path: Path, values: NDArray[Any]) -> Tensor:
        """Return float32 maps in [0, 1]."""
        maps = torch.from_numpy(np.ascontiguousarray(values, np.float32))
        if not torch.isfinite(maps).all():
            raise DataError(f"{path}: holds NaN or infinite values; write finite ones")
        if self.config.from_values == "as_written":
            low, high = (float(bound) for bound in torch.aminmax(maps)) if maps.numel() else (0.0, 1.0)
            if low < -TOLERANCE or high > 1 + TOLERANCE:
                raise DataError(
                    f"{path}: values from {low:.6g} to {high:.6g}, but activations lie in [0, 1]; write them so, or "
                    "let activations.from_values divide each map by its 'max', or stretch it over its 'range'"
                )
            return maps.clamp(0, 1)
        by_range = self.config.from_values == "range"
        return normalize_evidence(maps if by_range else maps.clamp(min=0), by="range" if by_range else "max").clamp(
            0, 1
        )


def _maps_of(path: Path, arrays: Arrays) -> NDArray[Any]:
    """Return the ``(K, h, w)`` maps of a file: called ``values`` or ``cam``, else its only ones."""
    shaped = {str(name): one for name, one in arrays.items() if one.ndim == 3}
    name = next((name for name in (WHOLE, "cam", *(shaped if len(shaped) == 1 else ())) if name in shaped), None)
    if name is None:
        there = ", ".join(f"{name} {one.shape}" for name, one in arrays.items())
        raise DataError(f"{path}: no maps (K, h, w) that are called 'values'; it holds {cut(there) or 'no array'}")
    return _numbers(path, shaped[name])


def _stacked(path: Path, maps: list[NDArray[Any]]) -> NDArray[Any]:
    shapes = sorted({one.shape for one in maps})
    if len(shapes) > 1 or len(shapes[0]) != 2:
        raise DataError(f"{path}: maps of the shapes {cut(shapes)}; write maps (h, w) of one size")
    return _numbers(path, np.stack(maps))


def _numbers(path: Path, maps: NDArray[Any]) -> NDArray[Any]:
    if maps.dtype.kind not in "buif" or 0 in maps.shape[1:]:
        raise DataError(f"{path}: maps of {maps.dtype} {maps.shape}; write numbers, at least one a map")
    return maps


def _check_form(path: Path, cells: tuple[int, ...], size: tuple[int, int]) -> None:
    """Refuse maps that no grid of square cells lays on the photograph: they are of another, or of a part of it."""
    (h, w), (rows, columns) = cells, size

    if not same_form((h, w), size):
        turned = same_form((w, h), size)
        hint = "are rows and columns exchanged?" if turned else "are they of a crop, or of a square reduced image?"
        raise DataError(
            f"{path}: maps of {h} x {w} do not have the form of the photograph, {rows} x {columns} (rows x columns, "
            f"upright); {hint} Write maps that cover it from edge to edge"
        )


def _on_grid(maps: Tensor, size: tuple[int, int]) -> Tensor:
    """Return maps on another grid over the same photograph; what is reduced is averaged."""
    if maps.shape[1:] == size or not len(maps):
        return maps if len(maps) else maps.new_zeros(0, *size)
    found = F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False, antialias=True)[0]
    return found.clamp(0, 1)

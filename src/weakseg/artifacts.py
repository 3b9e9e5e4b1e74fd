"""What travels between stages: frozen, validated at construction, with save and load."""

import json
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from weakseg.checks import check_finite, check_rank, check_same_size, check_within
from weakseg.errors import DataError, ShapeError, StoreError, cut
from weakseg.files import atomic_path, json_value, write_bytes
from weakseg.image_file import LOSSLESS, MAX_PIXELS, opened_image
from weakseg.names import in_any_form
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix

UNDECIDED = 255
MAX_STRIDE = 1024


@dataclass(frozen=True)
class Activations:
    """Class evidence of one image.

    Attributes:
        values: ``(K_present, h, w)`` float in [0, 1].
        class_ids: ``K_present`` class ids in increasing order, none below 1.
        image_size: (rows, columns) of the photograph.
        stride: Image pixels per grid cell.
    """

    values: Tensor
    class_ids: tuple[int, ...]
    image_size: tuple[int, int]
    stride: int = 4

    def __post_init__(self) -> None:
        """Check shape, range and order."""
        check_rank("activations", self.values, 3, "(K_present, h, w)")
        check_within("activations", self.values, 0, 1)
        if len(self.class_ids) != len(self.values) or list(self.class_ids) != sorted(set(self.class_ids)):
            raise ShapeError(f"activations: {len(self.values)} maps with class ids {self.class_ids}; want one, sorted")
        if any(class_id < 1 for class_id in self.class_ids):
            raise ShapeError(f"activations: class ids start at 1, got {self.class_ids}")

    def save(self, path: Path) -> None:
        """Write as float16 safetensors."""
        header = {"class_ids": self.class_ids, "image_size": self.image_size, "stride": self.stride}
        tensors = {"values": self.values.to(torch.float16).contiguous()}
        write_bytes(path, save(tensors, {"weakseg": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "Activations":
        """Read what ``save`` wrote, as float32.

        Raises:
            StoreError: If the file is missing, truncated or of another kind.
        """
        with stored(path, "activations", "weakseg activate") as (header, tensors):
            size, stride = stored_size(header["image_size"]), _stored_stride(header["stride"])
            return cls(_stored_maps(tensors, size), _stored_ids(header["class_ids"]), size, stride)


@dataclass(frozen=True)
class Scores:
    """How much speaks for each label at each cell of one image; labels of a cell need not sum to one.

    Attributes:
        values: ``(L, h, w)`` float in [0, 1], L >= 1.
        label_ids: L labels in increasing order: 0 background, 1..K classes.
        image_size: (rows, columns) of the photograph.
        stride: Pixels of a cell where the last ones reach over the border, as of a photograph that was padded at the
            right and at the bottom; ``None`` where the cells cover the photograph exactly.
        reduced_size: (rows, columns) to which the photograph was reduced before cells of ``stride`` were laid on it;
            ``None`` where it was not.
    """

    values: Tensor
    label_ids: tuple[int, ...]
    image_size: tuple[int, int]
    stride: int | None = None
    reduced_size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        """Check shape, range and order."""
        check_rank("scores", self.values, 3, "(L, h, w)")
        check_within("scores", self.values, 0, 1)
        ordered = list(self.label_ids) == sorted(set(self.label_ids)) and min(self.label_ids, default=-1) >= 0
        if len(self.label_ids) != len(self.values) or not ordered:
            raise ShapeError(f"scores: {len(self.values)} maps with labels {self.label_ids}; want one each, sorted")
        if self.stride is not None:
            wanted = tuple(-(-side // self.stride) for side in self.reduced_size or self.image_size)
            check_same_size("scores", tuple(self.values.shape[1:]), "image in cells", wanted)
        elif self.reduced_size is not None:
            raise ShapeError(f"scores: a reduced size of {self.reduced_size}, but no stride; give both or neither")

    def of_photograph(self, size: tuple[int, int]) -> "Scores":
        """Return the scores of a reduced photograph as those of the photograph of ``size`` that it was made from."""
        if size == self.image_size:
            return self
        return replace(self, image_size=size, reduced_size=None if self.stride is None else self.image_size)

    def save(self, path: Path) -> None:
        """Write as float16 safetensors."""
        header = {"label_ids": self.label_ids, "image_size": self.image_size, "stride": self.stride}
        header |= {"reduced_size": self.reduced_size} if self.reduced_size else {}
        tensors = {"values": self.values.to(torch.float16).contiguous()}
        write_bytes(path, save(tensors, {"weakseg": json.dumps(header)}))

    @classmethod
    def load(cls, path: Path) -> "Scores":
        """Read what ``save`` wrote, as float32.

        Raises:
            StoreError: If the file is missing, truncated or of another kind.
        """
        with stored(path, "scores", "weakseg run") as (header, tensors):
            size, stride = stored_size(header["image_size"]), header.get("stride")  # absent from older files
            stride = None if stride is None else _stored_stride(stride)
            reduced = stored_size(header["reduced_size"]) if "reduced_size" in header else None
            return cls(_stored_maps(tensors, size), _stored_ids(header["label_ids"]), size, stride, reduced)


@dataclass(frozen=True)
class PixelGraph:
    """The cells of one image's grid as nodes.

    Attributes:
        features: ``(N, D)`` float, row-major cells.
        size: (rows, columns) of the grid, ``N`` cells in all.
        affinity: ``(N, N)``, >= 0, in the data type of the features.
    """

    features: Tensor
    size: tuple[int, int]
    affinity: SparseMatrix

    def __post_init__(self) -> None:
        """Check that features, grid and affinity have the same nodes, and the signs of the affinity."""
        check_rank("features", self.features, 2, "(N, D)")
        check_finite("features", self.features)
        check_within("affinity", self.affinity.values, 0, math.inf)
        nodes = self.size[0] * self.size[1]
        if len(self.features) != nodes or self.affinity.shape != (nodes, nodes):
            found = f"{len(self.features)} features and a {self.affinity.shape} affinity"
            raise ShapeError(f"graph: a grid of {self.size} has {nodes} nodes, got {found}")

    def save(self, path: Path) -> None:
        """Write as safetensors, in full precision."""
        pattern = self.affinity.pattern
        tensors = {"features": self.features, "row_starts": pattern.row_starts, "columns": pattern.columns}
        tensors = {name: t.contiguous() for name, t in {**tensors, "affinity": self.affinity.values}.items()}
        write_bytes(path, save(tensors, {"weakseg": json.dumps({"size": self.size})}))

    @classmethod
    def load(cls, path: Path) -> "PixelGraph":
        """Read what ``save`` wrote.

        Raises:
            StoreError: If the file is missing, truncated or of another kind.
        """
        with stored(path, "graph", "weakseg run") as (header, tensors):
            size = stored_size(header["size"])
            pattern = Pattern(tensors["row_starts"], tensors["columns"], math.prod(size))
            pattern.check()
            return cls(tensors["features"], size, SparseMatrix(pattern, tensors["affinity"]))


@contextmanager
def stored(path: Path, kind: str, command: str) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Give header and tensors of a file, and turn what is wrong with them into a ``StoreError``."""
    if not path.is_file():
        raise StoreError(f"{path}: no such {kind}; run '{command}' for this image first")
    try:
        with safe_open(path, "pt") as file:
            header = json_value(file.metadata()["weakseg"])
            yield header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except Exception as error:  # damaged files fail in every way, in three libraries
        raise StoreError(f"{path}: not a file of {kind} ({cut(error)}); delete it and run the stage again") from error


def stored_size(value: Any) -> tuple[int, int]:
    """Return (rows, columns) that a file states.

    Raises:
        ValueError: If they are no two integers of at least 1, or are more pixels than an image may have.
    """
    if not isinstance(value, list) or len(value) != 2 or not all(type(side) is int and side >= 1 for side in value):
        raise ValueError(f"a size is two integers of at least 1, got {cut(value)}")
    if math.prod(value) > MAX_PIXELS:
        raise ValueError(f"a size of {cut(value)} is more than {MAX_PIXELS:,} pixels")
    return value[0], value[1]


def _stored_ids(value: Any) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(number) is int and number <= UNDECIDED for number in value):
        raise ValueError(f"ids are a list of integers, got {cut(value)}")
    return tuple(value)


def _stored_stride(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_STRIDE:
        raise ValueError(f"a stride is an integer in 1..{MAX_STRIDE}, got {cut(value)}")
    return value


def _stored_maps(tensors: dict[str, Tensor], size: tuple[int, int]) -> Tensor:
    """Return maps as float32, of which no cell is smaller than a pixel."""
    maps = tensors["values"]
    if maps.ndim != 3 or not maps.is_floating_point() or maps.shape[1] > size[0] or maps.shape[2] > size[1]:
        raise ValueError(f"maps of {maps.dtype} {tuple(maps.shape)} do not fit an image of {size}")
    return maps.float()


@dataclass(frozen=True)
class LabelMap:
    """Labels of one image: 0 background, 1..K classes, 255 undecided.

    As ``Seeds`` the undecided pixels are many and meant; as ``Masks`` they are few or none.

    Attributes:
        labels: ``(H, W)`` uint8.
    """

    labels: NDArray[np.uint8]

    def __post_init__(self) -> None:
        """Check shape and type."""
        check_rank("labels", self.labels, 2, "(H, W)")
        if self.labels.dtype != np.uint8:
            raise ShapeError(f"labels: expected uint8, got {self.labels.dtype}")

    @property
    def coverage(self) -> float:
        """Fraction of pixels that are decided."""
        return float((self.labels != UNDECIDED).mean()) if self.labels.size else 0.0

    @property
    def label_ids(self) -> frozenset[int]:
        """The labels that occur, 255 left out."""
        return frozenset(np.unique(self.labels).tolist()) - {UNDECIDED}

    def save(self, path: Path, colours: NDArray[np.uint8] | None = None) -> None:
        """Write as indexed PNG.

        Args:
            path: The file.
            colours: ``(256, 3)`` colour of each label; ``None``: the VOC palette.

        Raises:
            StoreError: If the path's suffix says that it is something else.
        """
        if path.suffix.lower() != ".png":
            raise StoreError(f"{path}: masks are PNG files; call it {path.with_suffix('.png').name}")
        image = Image.fromarray(self.labels)
        image.putpalette((voc_palette() if colours is None else colours).tobytes())
        with atomic_path(path) as temporary:
            image.save(temporary, format="PNG")

    @classmethod
    def load(cls, path: Path) -> "LabelMap":
        """Read palette indices or grey values of a label PNG, never its colours.

        Raises:
            DataError: If the file is missing, unreadable, too large, a colour image, or has more than 8 bits.
        """
        path = in_any_form(path)
        if not path.is_file():
            raise DataError(f"{path}: no such label map; the step before has to make it first")
        with opened_image(path, str(path), formats=LOSSLESS, what="a label map") as image:
            if image.mode not in ("P", "L"):
                raise DataError(f"{path}: a label map must be an indexed or 8-bit grey PNG, got mode {image.mode}")
            return cls(np.array(image, np.uint8))


@cache
def voc_palette() -> NDArray[np.uint8]:
    """Return the ``(256, 3)`` VOC palette: the bits of an index, dealt to R, G, B from the top bit down."""
    index = np.arange(256)
    palette = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        for channel in range(3):
            palette[:, channel] |= (((index >> (3 * bit + channel)) & 1) << (7 - bit)).astype(np.uint8)
    return palette

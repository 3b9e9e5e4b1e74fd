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
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from weakseg.checks import check_finite, check_rank, check_same_size, check_within
from weakseg.errors import DataError, ShapeError, StoreError
from weakseg.files import atomic_path, write_bytes
from weakseg.image_file import LOSSLESS, opened_image
from weakseg.ops.pattern import Pattern
from weakseg.ops.sparse import SparseMatrix

UNDECIDED = 255


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
        with _stored(path, "activations", "weakseg activate") as (header, tensors):
            rows, columns = header["image_size"]
            return cls(tensors["values"].float(), tuple(header["class_ids"]), (rows, columns), header["stride"])


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
        with _stored(path, "scores", "weakseg run") as (header, tensors):
            rows, columns = header["image_size"]
            values, stride = tensors["values"].float(), header.get("stride")  # absent from older files
            reduced = tuple(header["reduced_size"]) if "reduced_size" in header else None
            return cls(values, tuple(header["label_ids"]), (rows, columns), stride, reduced)


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
        with _stored(path, "graph", "weakseg run") as (header, tensors):
            rows, columns = header["size"]
            pattern = Pattern(tensors["row_starts"], tensors["columns"], rows * columns)
            pattern.check()
            return cls(tensors["features"], (rows, columns), SparseMatrix(pattern, tensors["affinity"]))


@contextmanager
def _stored(path: Path, kind: str, command: str) -> Iterator[tuple[dict[str, Any], dict[str, Tensor]]]:
    """Give header and tensors of a file, and turn what is wrong with them into a ``StoreError``."""
    if not path.is_file():
        raise StoreError(f"{path}: no such {kind}; run '{command}' for this image first")
    try:
        with safe_open(path, "pt") as file:
            header = json.loads(file.metadata()["weakseg"])
            yield header, {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    except (OSError, SafetensorError, ShapeError, KeyError, TypeError, ValueError) as error:
        raise StoreError(f"{path}: not a file of {kind} ({error}); delete it and run the stage again") from error


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

    def save(self, path: Path) -> None:
        """Write as indexed PNG with the VOC palette.

        Raises:
            StoreError: If the path's suffix says that it is something else.
        """
        if path.suffix.lower() != ".png":
            raise StoreError(f"{path}: masks are PNG files; call it {path.with_suffix('.png').name}")
        image = Image.fromarray(self.labels)
        image.putpalette(voc_palette().tobytes())
        with atomic_path(path) as temporary:
            image.save(temporary, format="PNG")

    @classmethod
    def load(cls, path: Path) -> "LabelMap":
        """Read palette indices or grey values of a label PNG, never its colours.

        Raises:
            DataError: If the file is missing, unreadable, too large, a colour image, or has more than 8 bits.
        """
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

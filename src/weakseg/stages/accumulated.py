"""A store of running maxima: for each tagged class of each image, the largest activations while a network learned."""

import json
from collections.abc import Mapping, Sequence
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor

from weakseg.artifacts import Activations
from weakseg.checks import check_same_size, check_within
from weakseg.crew import Crew
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import StoreError, cut
from weakseg.files import atomic_path, json_value
from weakseg.ops.cam import grid_size, normalize_evidence
from weakseg.ops.resample import resize_maps
from weakseg.stages.map_index import MapIndex, MappedImage

ACCUMULATED_FILE = "accumulated.safetensors"  # beside the model of a training that accumulates
KIND = "accumulated"


class Origin(IntEnum):
    """Where a map comes from; of two shards the greater counts, as of their values."""

    NONE = 0
    TRAINED = 1
    """From the trained network, since the training never had one."""
    LAST = 2
    """From the last epoch, whatever the network said of the class."""
    ACCEPTED = 3
    """From the steps at which the network knew the class."""


class AccumulatedMaps:
    """Running maxima of activations on 8 bits, one map for each (image, class); a ``Kept`` of trainings.

    Maxima do not depend on the order of what is merged, nor on how often it is; shards merge to the same.

    Attributes:
        index: Which maps, and where they are.
        values: ``(cells,)`` uint8: all maps, one after the other; 255 is 1.
        origins: ``(pairs,)`` uint8 of ``Origin``.
    """

    def __init__(
        self, index: MapIndex, values: NDArray[np.uint8] | None = None, origins: NDArray[np.uint8] | None = None
    ) -> None:
        self.index = index
        self.values = np.zeros(index.cells[-1], np.uint8) if values is None else values
        self.origins = np.zeros(index.pairs[-1], np.uint8) if origins is None else origins

    def maps(self, image_id: str) -> NDArray[np.uint8]:
        """Return the ``(K_present, h, w)`` maps of an image, as they are stored."""
        row = self.index.place(image_id)
        begin, end = self.index.cells[row], self.index.cells[row + 1]
        return self.values[begin:end].reshape(-1, *self.index.images[row].grid)

    def origin(self, image_id: str, class_id: int) -> Origin:
        """Return where the map of a class of an image comes from."""
        row = self.index.place(image_id)
        return Origin(self.origins[self.index.pairs[row] + self.index.images[row].place(class_id)])

    def merge(self, image_id: str, class_id: int, values: NDArray[np.uint8], origin: Origin = Origin.ACCEPTED) -> None:
        """Take the maximum of what is stored for a class of an image, and of another map.

        Args:
            image_id: The image.
            class_id: One of its classes.
            values: ``(h, w)`` uint8 on the grid of the image, as ``to_bytes`` makes them.
            origin: Where the map comes from.

        Raises:
            StoreError: If the store holds no map for the pair.
            ShapeError: If the grid is another one.
        """
        row = self.index.place(image_id)
        image = self.index.images[row]
        place = image.place(class_id)
        if values.shape != image.grid:
            check_same_size(f"image {image_id!r}: a map", values.shape, "the stored one", image.grid)
        count, pair = values.size, self.index.pairs[row] + place
        begin = self.index.cells[row] + place * count
        stored = self.values[begin : begin + count]
        np.maximum(stored, values.ravel(), out=stored)
        if self.origins.item(pair) < origin:
            self.origins[pair] = origin

    def fill(self, image_id: str, class_id: int, values: NDArray[np.uint8], origin: Origin) -> bool:
        """Merge a map where there is none yet; return whether there was none. Arguments as of ``merge``."""
        if self.origin(image_id, class_id) != Origin.NONE:
            return False
        self.merge(image_id, class_id, values, origin)
        return True

    def merge_store(self, other: "AccumulatedMaps") -> None:
        """Take the maximum of all maps and of those of another process.

        Raises:
            StoreError: If the other store is of other classes, or of another list.
        """
        if other.index != self.index:
            raise StoreError("accumulated maps: two stores of different lists cannot be merged; use shards of one list")
        np.maximum(self.values, other.values, out=self.values)
        np.maximum(self.origins, other.origins, out=self.origins)

    def merge_crew(self, crew: Crew) -> None:
        """Take the maximum of all maps over the processes that train together, in each of them."""
        crew.max(torch.from_numpy(self.values))
        crew.max(torch.from_numpy(self.origins))

    def missing(self) -> dict[str, tuple[int, ...]]:
        """Return the images that lack maps, with the classes of these."""
        found: dict[str, tuple[int, ...]] = {}
        for image, begin in zip(self.index.images, self.index.pairs, strict=False):
            lacking = tuple(c for c, origin in zip(image.class_ids, self.origins[begin:], strict=False) if not origin)
            found |= {image.id: lacking} if lacking else {}
        return found

    def counts(self) -> dict[str, int]:
        """Return how many maps are of each origin, by its name in small letters."""
        found = np.bincount(self.origins, minlength=len(Origin)).tolist()
        return {origin.name.lower(): found[origin] for origin in Origin}

    def empty(self) -> int:
        """Return how many maps that are there are 0 everywhere."""
        found = 0
        for image, begin in zip(self.index.images, self.index.pairs, strict=False):
            there = self.origins[begin : begin + len(image.class_ids)] != Origin.NONE
            found += int((there & ~self.maps(image.id).any((1, 2))).sum())
        return found

    def activations(self, image_id: str, stride: int, *, by: str = "max") -> Activations:
        """Return what is stored of an image on a grid of ``stride`` pixels, each map normalised as ``by`` says."""
        image = self.index.images[self.index.place(image_id)]
        maps = torch.from_numpy(self.maps(image_id).astype(np.float32)) / 255
        values = normalize_evidence(resize_maps(maps, grid_size(image.image_size, stride)), by=by)  # type: ignore[arg-type]
        return Activations(values, image.class_ids, image.image_size, stride)

    def state_dict(self) -> dict[str, Any]:
        """Return all maps, and a digest of the list that they are of."""
        values, origins = torch.from_numpy(self.values), torch.from_numpy(self.origins)
        return {"index": self.index.digest, "values": values, "origins": origins}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what was kept.

        Raises:
            StoreError: If it is of other classes, or of another list.
        """
        if state["index"] != self.index.digest:
            raise StoreError("accumulated maps are of other classes, images or sizes")
        self.values[:], self.origins[:] = state["values"].numpy(), state["origins"].numpy()

    def save(self, path: Path) -> None:
        """Write it as safetensors, atomically."""
        images = self.index.images
        ids = [class_id for image in images for class_id in image.class_ids]
        tensors = {
            "values": torch.from_numpy(self.values),
            "origins": torch.from_numpy(self.origins),
            "sizes": torch.tensor([(*i.image_size, *i.grid) for i in images], dtype=torch.int32).reshape(-1, 4),
            "counts": torch.tensor([len(i.class_ids) for i in images], dtype=torch.int64),
            "class_ids": torch.tensor(ids, dtype=torch.uint8),
        }
        header = {"kind": KIND, "classes": self.index.classes.names, "images": [image.id for image in images]}
        with atomic_path(path) as temporary:
            save_file(tensors, temporary, {"weakseg": json.dumps(header)})

    @classmethod
    def open(
        cls, path: Path, classes: Classes | None = None, samples: Sequence[WeakSample] | None = None
    ) -> "AccumulatedMaps":
        """Return what ``save`` wrote; the maps stay on the disk until they are read, and changes do not reach it.

        Args:
            path: Of the file.
            classes: What it must be of; ``None``: anything.
            samples: Images that it must hold, with their tags; ``None``: any.

        Raises:
            StoreError: If the file is missing, truncated or of another kind, of other classes, or of another list.
        """
        if not path.is_file():
            raise StoreError(f"{path}: no accumulated maps; set classifier.accumulate and train the classifier")
        try:
            with safe_open(path, "pt") as file:
                header = json_value(file.metadata()["weakseg"])
                if header["kind"] != KIND:
                    raise ValueError(f"it is a file of {cut(header['kind'])}")
                found = _read(header, {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118
        except Exception as error:  # damaged files fail in every way
            raise StoreError(
                f"{path}: is no file of accumulated maps ({cut(error)}); delete it and train again"
            ) from error
        found.index.check(classes or found.index.classes, samples or (), str(path))
        return found


def to_bytes(maps: Tensor, grid: tuple[int, int]) -> NDArray[np.uint8]:
    """Return ``(K, *grid)`` uint8 of ``(K, h, w)`` float maps in [0, 1]: resized bilinearly, and rounded to 1 / 255.

    Raises:
        ShapeError: If a value is not in [0, 1], or not finite.
    """
    check_within("maps", maps, 0, 1)
    return (resize_maps(maps.detach().float(), grid) * 255).round().to("cpu", torch.uint8).numpy()


def _read(header: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> AccumulatedMaps:
    """Return the store of header and tensors; raises whatever fits what does not fit."""
    counts = tensors["counts"].tolist()
    ids = iter(tensors["class_ids"].tolist())
    images = [
        MappedImage(name, (rows, columns), (h, w), tuple(next(ids) for _ in range(count)))
        for name, (rows, columns, h, w), count in zip(header["images"], tensors["sizes"].tolist(), counts, strict=True)
    ]
    index = MapIndex.of(Classes(tuple(header["classes"])), images)
    values, origins = (tensors[name].numpy() for name in ("values", "origins"))
    if [image.id for image in index.images] != header["images"] or len(values) != index.cells[-1]:
        raise ValueError("its maps are not those of its list")
    if len(origins) != index.pairs[-1] or (len(origins) and origins.max() > max(Origin)):
        raise ValueError("its origins are not those of its list")
    return AccumulatedMaps(index, values, origins)

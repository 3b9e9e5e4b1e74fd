"""Which maps of which classes and images a store of accumulated maps holds, and where in it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise

from weakseg.data.classes import MAX_CLASSES, Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError, StoreError
from weakseg.pipeline.keys import hash_of


@dataclass(frozen=True)
class MappedImage:
    """What a store holds of an image.

    Attributes:
        id: Of the image.
        image_size: (rows, columns) of the photograph.
        grid: (rows, columns) of its maps, which cover the photograph exactly.
        class_ids: Its classes, in increasing order.
    """

    id: str
    image_size: tuple[int, int]
    grid: tuple[int, int]
    class_ids: tuple[int, ...]

    def __post_init__(self) -> None:
        """Refuse sizes and class ids that are none."""
        if min(*self.image_size, *self.grid) < 1:
            raise DataError(f"image {self.id!r}: sizes must be at least 1, got {self.image_size} and {self.grid}")
        ids = self.class_ids
        if list(ids) != sorted(set(ids)) or not all(1 <= class_id <= MAX_CLASSES for class_id in ids):
            raise DataError(f"image {self.id!r}: class ids must be sorted and in 1..{MAX_CLASSES}, got {ids}")

    @property
    def cells(self) -> int:
        """Cells of each of its maps."""
        return self.grid[0] * self.grid[1]

    def place(self, class_id: int) -> int:
        """Return which of its maps is that of a class.

        Raises:
            StoreError: If the class is none of its own.
        """
        if class_id not in self.class_ids:
            raise StoreError(f"image {self.id!r}: has maps of classes {self.class_ids}, not of {class_id}; train again")
        return self.class_ids.index(class_id)


@dataclass(frozen=True)
class MapIndex:
    """Which maps a store holds, and where.

    Attributes:
        classes: Their names.
        images: In the order of their ids.
    """

    classes: Classes
    images: tuple[MappedImage, ...]

    @classmethod
    def of(cls, classes: Classes, images: Iterable[MappedImage]) -> "MapIndex":
        """Return the index of images in any order.

        Raises:
            DataError: If an image is there twice, or has a class that is none of the classes.
        """
        ordered = tuple(sorted(images, key=lambda image: image.id))
        for before, image in pairwise(ordered):
            if before.id == image.id:
                raise DataError(f"image {image.id!r}: is listed twice; list it once")
        for image in ordered:
            if image.class_ids and image.class_ids[-1] > len(classes):
                raise DataError(f"image {image.id!r}: class {image.class_ids[-1]}, but there are {len(classes)}")
        return cls(classes, ordered)

    @cached_property
    def rows(self) -> Mapping[str, int]:
        """Place of each image by its id."""
        return {image.id: row for row, image in enumerate(self.images)}

    @cached_property
    def pairs(self) -> list[int]:
        """Number of the first (image, class) of each image; behind the last, how many there are."""
        return list(accumulate((len(image.class_ids) for image in self.images), initial=0))

    @cached_property
    def cells(self) -> list[int]:
        """Number of the first cell of each image; behind the last, how many there are."""
        return list(accumulate((len(image.class_ids) * image.cells for image in self.images), initial=0))

    @property
    def digest(self) -> str:
        """Digest of all of it."""
        return hash_of([self.classes.names, [tuple(vars(image).values()) for image in self.images]])

    def place(self, image_id: str) -> int:
        """Return the place of an image.

        Raises:
            StoreError: If it is none of the images.
        """
        try:
            return self.rows[image_id]
        except KeyError:
            raise StoreError(f"image {image_id!r}: is not in the list that was accumulated; train again") from None

    def check(self, classes: Classes, samples: Iterable[WeakSample], where: str) -> None:
        """Refuse an index that is of other classes, or lacks images, or has other tags of them.

        Raises:
            StoreError: Names ``where``, and the first class or image that differs.
        """
        if classes != self.classes:
            own, wanted = (", ".join(names) for names in (self.classes.names, classes.names))
            raise StoreError(f"{where}: is of the classes {own}, not {wanted}; train again")
        for sample in samples:
            row, tags = self.rows.get(sample.id), tuple(sorted(sample.tags.present))
            if row is None:
                raise StoreError(f"{where}: was accumulated on another list, without image {sample.id!r}; train again")
            if self.images[row].class_ids != tags:
                raise StoreError(
                    f"{where}: image {sample.id!r} was accumulated for classes {self.images[row].class_ids}, and its "
                    f"tags are {tags}; train again"
                )

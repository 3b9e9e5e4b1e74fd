"""Photographs that a label file names more than once."""

from collections.abc import Iterable
from dataclasses import replace

from weakseg.data.annotations import AnnotatedImage, Dropped
from weakseg.data.paths import image_id_of
from weakseg.errors import quoted


def without_repeats(images: Iterable[AnnotatedImage]) -> tuple[AnnotatedImage, ...]:
    """Return the first entry of each photograph; what later ones show is left out, and unknown on the first.

    Nobody can tell whether they are entries of one photograph, or of two of one name.
    """
    first: dict[str, AnnotatedImage] = {}
    for image in images:
        image_id = image_id_of(image.name)
        if (other := first.setdefault(image_id, image)) is not image:
            reason = f"image {quoted(image.name)} is already at {other.where}; keep one entry, or rename one photograph"
            there = Dropped(reason, image.labels, certain=False)
            first[image_id] = replace(other, dropped={**other.dropped, image.where: there})
    return tuple(first.values())

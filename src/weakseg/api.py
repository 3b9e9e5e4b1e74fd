"""Masks of photographs in one call, with no training of a classifier."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.errors import DataError
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.group import grouped, segment_together
from weakseg.photograph.marks import Lines, Named, marks_of_file, read_marks
from weakseg.photograph.photograph import Photograph, Segmentation


def segment(
    image: str | Path | NDArray[np.generic],
    tags: Sequence[str] = (),
    *,
    boxes: Named = (),
    points: Named = (),
    scribbles: Lines = (),
    options: SegmentOptions | None = None,
) -> Segmentation:
    """Return the mask of one photograph from tags, boxes, points or scribbles, with no training of a classifier.

    Where something is drawn, boxes decide, else scribbles, else points. Coordinates are pixels from the upper left
    corner, x to the right and y down, as most tools write them. ``Photograph`` keeps what further marks can use.

    Args:
        image: A file, or an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` of uint8, uint16, bool or float in [0, 1].
        tags: What the photograph shows, such as ``["tabby cat"]``, in the vocabulary of ImageNet; a general word such
            as ``"cat"`` works too. Without any tag, and with nothing drawn, all is background.
        boxes: ``(name, (left, top, right, bottom))`` of each object, tight; any names.
        points: ``(name, (x, y))``, one on each object; any names. ``"background"`` is one; the photograph's border is
            background where no object's point is near.
        scribbles: ``(name, [(x, y), ...])``, lines on objects and on the ``"background"``.
        options: Method, and settings of the stages.

    Raises:
        DataError: If the image cannot be used, a tag is repeated or no word of ImageNet, or a drawn label is malformed.
    """
    marks = read_marks(tags, boxes=boxes, points=points, scribbles=scribbles)
    return Photograph(image).segment(marks, options)


def segment_group(
    images: Sequence[str | Path | NDArray[np.generic]], tags: Sequence[str], *, options: SegmentOptions | None = None
) -> list[Segmentation]:
    """Return the mask of each of several photographs that show the same, and tell each other what it looks like.

    Nothing is trained: cells of the photographs exchange features with those that are alike. Groups have eight
    photographs at most; more are cut into several, in their order. Where a photograph does not seem to show a tag, the
    log says so.

    Args:
        images: Two or more, each as for ``segment``; sizes may differ.
        tags: What each of them shows, in the vocabulary of ImageNet.
        options: Method, and settings of the stages; by default thresholds of seeds are higher than for one photograph,
            0.55 and 0.45. Those of drawn labels are not used.

    Raises:
        DataError: If an image cannot be used, there is one alone, there is no tag, or one that ``segment`` refuses.
    """
    if isinstance(images, str | Path):
        raise DataError(f"segment_group: give a list of photographs, got {images!r} alone; segment takes one")
    found: list[Segmentation] = []
    for group in grouped(list(enumerate(images))):
        found += segment_together([_opened(image, index) for index, image in group], tags, options)
    return found


def segment_labelled(image: str | Path, labels: str | Path, *, options: SegmentOptions | None = None) -> Segmentation:
    """Return the mask of a photograph file from what a label file says of it.

    Args:
        image: The photograph's file, which the label file calls by its name.
        labels: A file of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup, weakseg, or CSV; or a folder of
            files with the photograph's name.
        options: Method, and settings of the stages.

    Raises:
        DataError: If one of the files cannot be used, or the label file says nothing of the photograph.
    """
    if not isinstance(image, str | Path):
        raise DataError(
            f"segment_labelled: the photograph's file is needed, for the label file calls it by its name, got "
            f"{type(image).__name__}; give arrays to segment, with their labels"
        )
    marks = marks_of_file(Path(image), Path(labels))
    return Photograph(image).segment(marks, options)


def _opened(image: str | Path | NDArray[np.generic], index: int) -> Photograph:
    """Return one of several photographs; errors say which."""
    try:
        return Photograph(image)
    except DataError as error:
        raise error if isinstance(image, str | Path) else DataError(f"images[{index}]: {error}") from error

"""Boxes on a large photograph: each is segmented in a view of its own, and the masks are put together."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.data.annotations import Box, Drawn
from weakseg.ops.blend import Tile
from weakseg.photograph.config import DrawnOptions
from weakseg.photograph.marks import Marks
from weakseg.photograph.segmentation import Segmentation
from weakseg.stages.reliability import Reliability

MOST = 0.5  # of a photograph that views may be
LEAST = 64  # pixels of a view


class View(NamedTuple):
    """A part of a photograph.

    Attributes:
        place: Its rows and columns.
        boxes: That lie in it, in pixels of the photograph.
    """

    place: Tile
    boxes: tuple[Box, ...]

    @property
    def labels(self) -> list[int]:
        """Labels of the boxes, in increasing order."""
        return sorted({box.class_id for box in self.boxes})

    def marks(self, names: tuple[str, ...]) -> Marks:
        """Return the boxes as they lie in the view, of those of the photograph's names that they have."""
        rows, columns = self.place
        moved = tuple(
            Box(
                self.labels.index(box.class_id) + 1,
                max(box.top - rows.start, 0),
                max(box.left - columns.start, 0),
                min(box.bottom, rows.stop) - rows.start,
                min(box.right, columns.stop) - columns.start,
            )
            for box in self.boxes
        )
        return Marks(tuple(names[label - 1] for label in self.labels), Drawn(moved))


def box_views(boxes: Sequence[Box], size: tuple[int, int], options: DrawnOptions) -> list[View]:
    """Return views around boxes that do not overlap; none where they would be more than half of the photograph.

    None either of a photograph that is small enough to be looked at as a whole.

    Args:
        boxes: Those without a pixel in the photograph are left out.
        size: (rows, columns) of the photograph.
        options: How wide views are, and of which photographs.
    """
    if not (boxes and options.surroundings and options.decode.tiles.covers(size)):
        return []
    views = [View(_around(place, size, options.surroundings), (box,)) for box in boxes if (place := box.pixels(size))]
    merged: list[View] = []
    for view in views:
        while touching := [other for other in merged if _overlap(view.place, other.place)]:
            merged = [other for other in merged if other not in touching]
            view = _together([*touching, view])
        merged.append(view)
    covered = sum(rows * columns for rows, columns in (view.place.size for view in merged))
    return merged if covered <= MOST * size[0] * size[1] else []


def segment_views(views: Sequence[View], bare: Segmentation, segment: Callable[[View], Segmentation]) -> Segmentation:
    """Return the mask of a photograph, background beside the views, with the least reliability of each name.

    Args:
        views: From ``box_views``.
        bare: The photograph and its names; a mask without any of them.
        segment: Segments a view from its ``marks``.
    """
    seeds, labels = bare.seeds.labels.copy(), bare.mask.copy()
    told, warnings = dict[str, Reliability](), list(bare.warnings)
    for view in views:
        found, of_whole = segment(view), np.arange(UNDECIDED + 1, dtype=np.uint8)
        of_whole[1 : len(view.labels) + 1] = view.labels
        seeds[view.place], labels[view.place] = of_whole[found.seeds.labels], of_whole[found.mask]
        warnings += found.warnings
        for name, one in found.reliabilities.items():
            told[name] = min(told.get(name, one), one, key=lambda each: each.value)
    shown = {name: told[name] for name in bare.tags if name in told}
    return replace(bare, seeds=LabelMap(seeds), labels=LabelMap(labels), warnings=(*warnings,), reliabilities=shown)


def _around(place: tuple[slice, slice], size: tuple[int, int], surroundings: float) -> Tile:
    spans = []
    for span, length in zip(place, size, strict=True):
        wide = span.stop - span.start
        beside = max(round(surroundings * wide), (LEAST - wide) // 2)
        spans.append(slice(max(0, span.start - beside), min(length, span.stop + beside)))
    return Tile(*spans)


def _overlap(one: Tile, other: Tile) -> bool:
    return all(a.start < b.stop and b.start < a.stop for a, b in zip(one, other, strict=True))


def _together(views: Sequence[View]) -> View:
    spans = (
        slice(min(span.start for span in axis), max(span.stop for span in axis))
        for axis in zip(*(view.place for view in views), strict=True)
    )
    return View(Tile(*spans), tuple(box for view in views for box in view.boxes))

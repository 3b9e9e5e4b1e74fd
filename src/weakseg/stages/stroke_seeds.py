"""From points and scribbles to seeds: the superpixels that they touch."""

import math

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, LabelMap
from weakseg.checks import check_rgb_uint8, check_same_size
from weakseg.data.annotations import Drawn
from weakseg.data.regions import mask_of_runs
from weakseg.graph.superpixel import slic_regions
from weakseg.ops.raster import raster_lines, raster_points
from weakseg.ops.resample import resize_image, scaled_size
from weakseg.settings.stroke_seeds import Conflict, StrokeSeedConfig

REFERENCE_PIXELS = 375 * 500  # of a photograph of VOC
NUM_LABELS = 256


def stroke_seeds(
    drawn: Drawn, image: NDArray[np.uint8], config: StrokeSeedConfig, *, regions: NDArray[np.int64] | None = None
) -> LabelMap:
    """Return seeds from points and scribbles: every superpixel that holds one label takes it.

    Points lie on top of scribbles. Points outside the image are left out; scribbles are moved to its edge there;
    ``weakseg.data.stray.stray_marks`` names both.

    Args:
        drawn: Boxes and regions are not looked at; without points and scribbles nothing is decided.
        image: ``(H, W, 3)`` uint8.
        config: Lines, superpixels and conflicts.
        regions: From ``superpixels`` of the same image and settings, where they are used again.

    Reference:
        [zhang2021a2gnn], seeds ``M_P`` and ``M_S``; [achanta2012slic]. Numbers are not published there.
    """
    check_rgb_uint8("image", image)
    annotated = raster_strokes(drawn, (image.shape[0], image.shape[1]), config)
    if not config.superpixels or (annotated == UNDECIDED).all():
        return LabelMap(annotated)
    regions = superpixels(image, config) if regions is None else regions
    return LabelMap(expand_labels(annotated, regions, conflict=config.conflict))


def raster_strokes(drawn: Drawn, size: tuple[int, int], config: StrokeSeedConfig) -> NDArray[np.uint8]:
    """Return the ``(H, W)`` label map of scribbles, painted strokes on them, and points on top; 255 elsewhere."""
    paths, stroke_ids = [stroke.path for stroke in drawn.scribbles], [stroke.class_id for stroke in drawn.scribbles]
    lines = raster_lines(paths, stroke_ids, size, width=config.width, contested=config.contested)
    for painted in drawn.strokes:
        check_same_size("stroke", painted.size, "image", size)
        lines[mask_of_runs(painted.runs, size)] = painted.class_id
    points = [(point.row, point.column) for point in drawn.points]
    clicks = raster_points(points, [point.class_id for point in drawn.points], size)
    return np.where(clicks == UNDECIDED, lines, clicks).astype(np.uint8)


def expand_labels(
    annotated: NDArray[np.uint8], regions: NDArray[np.int64], *, conflict: Conflict = "undecided"
) -> NDArray[np.uint8]:
    """Return a label map in which regions with one label are wholly of it; annotated pixels keep theirs.

    Args:
        annotated: ``(H, W)`` labels in {0..K, 255}.
        regions: ``(H, W)`` numbers from 0 up.
        conflict: What a region of several labels is: ``undecided``, or what the ``majority`` of its annotated pixels
            is; where several labels are equally many it is undecided.

    Returns:
        ``(H, W)`` uint8; 255 in regions without an annotated pixel.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_same_size("annotated", annotated.shape, "regions", regions.shape)
    decided = annotated != UNDECIDED
    keys = regions[decided] * NUM_LABELS + annotated[decided]
    pairs, counts = np.unique(keys, return_counts=True)  # of a region and a label in it, by region
    owner, label = pairs // NUM_LABELS, pairs % NUM_LABELS
    most = np.zeros(int(regions.max(initial=0)) + 1, np.int64)
    np.maximum.at(most, owner, counts)
    leads = counts == most[owner] if conflict == "majority" else np.ones(len(pairs), np.bool_)
    sole = leads & (np.bincount(owner[leads], minlength=len(most))[owner] == 1)
    of_region = np.full(len(most), UNDECIDED, np.uint8)
    of_region[owner[sole]] = label[sole]
    return np.where(decided, annotated, of_region[regions]).astype(np.uint8)


def merge_over(top: LabelMap, below: LabelMap) -> LabelMap:
    """Return ``top`` where it is decided, else ``below``: ``M_P`` over ``M'_I``, which supplies the background.

    Raises:
        ShapeError: If the sizes differ.
    """
    check_same_size("top", top.labels.shape, "below", below.labels.shape)
    return LabelMap(np.where(top.labels == UNDECIDED, below.labels, top.labels).astype(np.uint8))


def superpixels(image: NDArray[np.uint8], config: StrokeSeedConfig) -> NDArray[np.int64]:
    """Return ``(H, W)`` superpixels; their number follows the area of the photograph as it is worked on."""
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=config.max_side)
    count = max(1, round(config.superpixels * math.prod(working) / REFERENCE_PIXELS))
    small = torch.from_numpy(np.array(resize_image(image, working)))
    regions: NDArray[np.int64] = slic_regions(small, count, compactness=config.compactness).numpy()
    rows, columns = (np.arange(n) * m // n for n, m in zip(size, working, strict=True))
    return regions[np.ix_(rows, columns)]

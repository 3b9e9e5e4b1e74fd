"""Whether an exported Mask R-CNN finds the objects that the network finds that it was made of."""

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.deploy.agreement import ALIKE, LEAST, Agreement, Images
from weakseg.deploy.network import Given
from weakseg.deploy.pictures import SIZES, picture
from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.described import (
    BOXES,
    CELLS,
    IMAGES,
    LABELS,
    LEAST_SCORE,
    MASKS,
    MOST_OBJECTS,
    SCORES,
    onnx_module,
)
from weakseg.nn.exported.file import content_with, open_session
from weakseg.settings.instance_segment import InstancePredictConfig

UNSURE, FEW = 1e-6, 30  # score and number of objects that are compared
LEAST_OBJECTS = 0.9  # of them, in each picture: one that hardly overlaps enough may stay or go by rounding
ALIKE_PIXELS, ALIKE_SCORES = 0.1, 1e-3  # differences that count as none
CLOSE = 1e-6  # to a score, relative to it
UNDRAWN = "; no object is drawn in any of them, and masks are compared on their cells alone"


class Objects(NamedTuple):
    """Objects in an image, the surest first.

    Attributes:
        boxes: ``(N, 4)`` float32, left, top, right, bottom in pixels.
        class_ids: ``(N,)`` int64, from 1.
        scores: ``(N,)`` float32.
        cells: ``(N, 28, 28)`` float32, masks inside of the boxes.
        masks: ``(N, H, W)`` uint8.
    """

    boxes: NDArray[Any]
    class_ids: NDArray[Any]
    scores: NDArray[Any]
    cells: NDArray[Any]
    masks: NDArray[Any]

    def first(self, count: int) -> "Objects":
        """Return the surest ones."""
        return Objects(*(part[:count] for part in self))


Finder = Callable[[Images, float], Objects]  # of one image, FEW above a score at most


def onnx_finder(content: bytes, where: str) -> Finder:
    """Return what runs an ONNX file, whose least score is a constant."""
    model, names = onnx_module().ModelProto.FromString(content), [BOXES, LABELS, SCORES, CELLS, MASKS]

    @lru_cache(maxsize=1)
    def session(score: float) -> Any:
        changed = content_with(model, names, {LEAST_SCORE: score, MOST_OBJECTS: FEW})
        return open_session(changed, where, torch.get_num_threads())

    return lambda image, score: Objects(*session(score).run(names, {IMAGES: image[None]}))


def drawn(boxes: Tensor, class_ids: Tensor, scores: Tensor, cells: Tensor, image: Images) -> Objects:
    """Return objects of an image with their masks."""
    from torchvision.models.detection.roi_heads import paste_masks_in_image  # takes seconds to load

    masks = paste_masks_in_image(cells[:, None], boxes, (image.shape[0], image.shape[1]))[:, 0]
    found = (masks >= InstancePredictConfig().mask).to(torch.uint8)
    return Objects(*(part.numpy() for part in (boxes, class_ids, scores, cells, found)))


def check_objects(find: Finder, given: Given, *, what: str = "the exported file") -> Agreement:
    """Return how far a file and its network agree, on the classes of pixels.

    Classes, scores, boxes and cells of the objects are compared, too, and the file is run with one object that is left
    and with none.

    Raises:
        CheckpointError: If they do not agree on some picture, or there is no object in any of them.
    """
    wanted, where = _reference(given), f"{given.path}: {what}"
    places = [(SIZES[0], 1), *((size, 0) for size in SIZES)]
    shares, shown, few_tried = [], False, False
    for size, number in places:
        image = picture(size, number)
        mine, theirs = _found(find, image, UNSURE, where), wanted(image)
        share = _alike(mine, theirs)
        if share < LEAST_OBJECTS:
            raise CheckpointError(
                f"{where} is not the network: of the {len(theirs.scores)} surest objects of a picture of {size[1]} x "
                f"{size[0]} {100 * share:.1f} % are alike; nothing was written"
            )
        labels, others = surest_labels(mine), surest_labels(theirs)
        shares.append(float((labels == others).mean()))
        shown = shown or bool(others.any())
        if len(mine.scores) and not few_tried:
            _check_few(find, image, mine, where)
            few_tried = True
    agreement = Agreement(tuple(shares), tuple(size for size, _ in places), "" if shown else UNDRAWN)
    if not few_tried:
        raise CheckpointError(
            f"{where} finds nothing in any picture, as the network does, and so nothing tells whether it is the "
            "network; train it on, or on more objects; nothing was written"
        )
    if min(shares) < LEAST:
        raise CheckpointError(f"{where} is not the network: it {agreement.sentence}; nothing was written")
    return agreement


def surest_labels(found: Objects) -> NDArray[np.uint8]:
    """Return ``(H, W)``: at each pixel the class of the surest object there, the first of a list; 0 without one."""
    shown = found.masks.astype(bool)
    first = shown.argmax(0) if len(shown) else np.zeros(shown.shape[1:], np.int64)
    labels = np.append(found.class_ids, 0)[np.where(shown.any(0), first, len(shown))]
    return np.asarray(labels % 256, np.uint8)


def _reference(given: Given) -> Callable[[Images], Objects]:
    from weakseg.stages.instance_segment import detect, load_instance_segmenter

    model, _ = load_instance_segmenter(given.path)
    config = InstancePredictConfig(max_side=given.sides.seen, score=UNSURE, most=FEW)

    def find(image: Images) -> Objects:
        found = detect(model, image, config)
        return drawn(found.boxes, found.class_ids, found.scores, found.masks[:, 0], image)

    return find


def _found(find: Finder, image: Images, score: float, where: str) -> Objects:
    try:
        return find(image, score)
    except Exception as error:  # of onnxruntime and torch, which have many
        raise CheckpointError(
            f"{where} cannot be run on an image of {image.shape[1]} x {image.shape[0]} for objects of a score above "
            f"{score:g} ({cut(error)}); nothing was written; another backbone may do"
        ) from error


def _check_few(find: Finder, image: Images, mine: Objects, where: str) -> None:
    """Refuse a file that does not run with the surest object alone, or with none."""
    surest = float(mine.scores[0])
    for score, some in ((surest * (1 - CLOSE), True), (surest * (1 + CLOSE), False)):
        left = _found(find, image, score, where)
        count = len(left.scores)
        if (count > 0) != some or _alike(left, mine.first(count)) < 1:
            raise CheckpointError(
                f"{where} is not the network: it finds {count} objects of a score above {score:g} where the surest has "
                f"{surest:g}; nothing was written"
            )


def _alike(mine: Objects, theirs: Objects) -> float:
    """Return the share of objects of the one that the other has, too; the smaller one."""
    if not len(mine.scores) or not len(theirs.scores):
        return float(len(mine.scores) == len(theirs.scores))
    same = mine.class_ids[:, None] == theirs.class_ids
    same &= np.abs(mine.scores[:, None] - theirs.scores) <= ALIKE_SCORES
    same &= np.abs(mine.boxes[:, None] - theirs.boxes).max(2) <= ALIKE_PIXELS
    same &= np.abs(mine.cells[:, None] - theirs.cells).max((2, 3)) <= ALIKE
    return float(min(same.any(0).mean(), same.any(1).mean()))

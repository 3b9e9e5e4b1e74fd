"""Masks of one photograph from what is drawn on it: seeds, a graph of colours and ImageNet features, A2GNN."""

import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.annotations import Box, Drawn, Point, Position, Scribble
from weakseg.data.binding import bind_image
from weakseg.data.classes import BACKGROUND_NAMES, Classes
from weakseg.data.image import check_frame, image_size
from weakseg.data.readers.label_file import labels_of
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.upright import turn_upright
from weakseg.errors import DataError
from weakseg.methods.a2gnn.config import PRESETS, A2gnnConfig
from weakseg.methods.a2gnn.problem import build_problem, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.nn.backbones import embedded_backbone
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.ops.crf import PRESETS as CRF_PRESETS
from weakseg.stages.activate import ActivateConfig, activate_image
from weakseg.stages.box_seeds import BoxSeedConfig
from weakseg.stages.build_graph import FreeGraphConfig, free_graph
from weakseg.stages.decode import DecodeConfig, decode_image
from weakseg.stages.weak_seeds import WeakSeedConfig, weak_seeds

logger = logging.getLogger(__name__)

GRID_STRIDE = 8
QUICK_SEEDS = WeakSeedConfig(boxes=BoxSeedConfig(iterations=3), boxes_as="grabcut")
OF_BOX, OF_POINT = "(left, top, right, bottom)", "(x, y)"


def quick(kind: str) -> A2gnnConfig:
    """Return the training of a kind of label for one photograph while somebody waits: a small network, few steps.

    Seeds of boxes are whole regions, from which it learns in half the steps that strokes need.
    """
    config, steps = PRESETS[kind], 15 if kind == "boxes" else 30
    return replace(config, first_steps=steps, second_steps=steps, network=replace(config.network, hidden=32))


@dataclass(frozen=True)
class DrawnOptions:
    """How drawn labels become a mask.

    Attributes:
        seeds: How each kind of label becomes seeds.
        boxes_graph: The pixel graph where boxes are drawn; its stride is 8.
        strokes_graph: The same for scribbles, points and tags, of the finest level alone: over coarser ones labels run
            across edges where no other stroke is near. A smaller ``max_side`` would lose strokes.
        boxes: The photograph's network where boxes are drawn.
        strokes: The same for scribbles, points and tags.
        decode: The CRF on the scores.
    """

    seeds: WeakSeedConfig = field(default_factory=lambda: QUICK_SEEDS)
    boxes_graph: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=GRID_STRIDE, max_side=320))
    strokes_graph: FreeGraphConfig = field(default_factory=lambda: FreeGraphConfig(stride=GRID_STRIDE, levels=1))
    boxes: A2gnnConfig = field(default_factory=lambda: quick("boxes"))
    strokes: A2gnnConfig = field(default_factory=lambda: quick("scribbles"))
    decode: DecodeConfig = field(default_factory=lambda: DecodeConfig(CRF_PRESETS["a2gnn"], enlarged="logits"))


def marks_of_file(photograph: Path, path: Path) -> tuple[tuple[str, ...], Drawn]:
    """Return what a label file of any format says of a photograph, as ``read_marks``; what is left out is in the log.

    Raises:
        DataError: If the file cannot be used, has no such photograph, was made for another size, or leaves nothing.
    """
    found = labels_of(photograph, path)
    (image,), size = turn_upright([found.image], [photograph], path), image_size(photograph)
    if image.size is not None:
        check_frame(image.size, size, image.where)
    marks = tuple(shape for shape in image.shapes if shape.kind != "region")
    given = [mark.label for mark in marks] or sorted(image.tags)
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    marked = replace(image, shapes=marks, tags=frozenset(), size=size)
    bound = bind_image(marked, Classes(names or ("none",)))  # one at least
    dropped = {**found.dropped, **bound.dropped}
    if regions := len(image.shapes) - len(marks):
        dropped[image.where] = f"{regions} outlined or painted regions, which are masks already"
    for where, reason in dropped.items():
        logger.warning("left out: %s: %s", where, reason)
    if bound.drawn == Drawn() if marks else not names:
        raise DataError(
            f"{image.where}: no box, point, scribble or tag of {photograph.name!r}; label it, or say by tags, boxes, "
            "points or scribbles what it shows"
        )
    return names, bound.drawn


def read_marks(
    tags: Sequence[str],
    boxes: Sequence[tuple[str, Sequence[float]]],
    points: Sequence[tuple[str, Sequence[float]]],
    scribbles: Sequence[tuple[str, Sequence[Sequence[float]]]],
) -> tuple[tuple[str, ...], Drawn]:
    """Return the names of the labels, in the order of their first mention, and what is drawn, as (row, column).

    Raises:
        DataError: If a coordinate is missing or no finite number, or a box lies on the background or has no area.
    """
    given = [*tags, *(name for name, _ in (*boxes, *points, *scribbles))]
    names = tuple(dict.fromkeys(name for name in given if name not in BACKGROUND_NAMES))
    ids = {**dict.fromkeys(BACKGROUND_NAMES, 0), **{name: i for i, name in enumerate(names, start=1)}}
    found = Drawn(
        tuple(_box(name, ids[name], place) for name, place in boxes),
        tuple(Point(ids[name], *_position(f"point on {name!r}", place)) for name, place in points),
        tuple(
            Scribble(ids[name], tuple(_position(f"scribble on {name!r}", place) for place in line))
            for name, line in scribbles
        ),
    )
    if any(not scribble.path for scribble in found.scribbles):
        raise DataError("scribbles: one has no position; give at least one (x, y)")
    return names, found


def drawn_seeds(
    image: NDArray[np.uint8], names: tuple[str, ...], drawn: Drawn, config: WeakSeedConfig
) -> tuple[Activations, LabelMap]:
    """Return activations and seeds of a photograph on which something is drawn; activations where points need them.

    Raises:
        DataError: If points say nothing of the background, and a name is no word of ImageNet.
    """
    clicked = drawn.strongest == "points" and all(point.class_id for point in drawn.points)
    activations = _evidence(image, names) if clicked else None
    size = (image.shape[0], image.shape[1])
    nothing = Activations(torch.zeros(0, 1, 1), (), size, max(size))
    return activations or nothing, weak_seeds(drawn, image, activations, config)


def complete_by_a2gnn(
    image: NDArray[np.uint8], class_ids: tuple[int, ...], boxes: Sequence[Box], seeds: LabelMap, options: DrawnOptions
) -> LabelMap:
    """Return the mask that A2GNN makes of a photograph's seeds, worked on at the size that the graph is made for."""
    config, graph = options.strokes, options.strokes_graph
    if boxes:
        config, graph = options.boxes, options.boxes_graph
    sample = WeakSample("photograph", Path(), Tags(frozenset(class_ids)), Drawn(tuple(boxes)))
    sample, reduced, labels = reduce_labelled(sample, image, seeds, max_side=graph.max_side)
    nodes = free_graph(embedded_backbone(), reduced, graph)
    problem = build_problem(sample, reduced, nodes, labels, config, num_classes=len(class_ids))
    (solution,) = train_a2gnn([problem], config)
    size = (image.shape[0], image.shape[1])
    return decode_image(solution.scores.of_photograph(size), image, options.decode)


def _evidence(image: NDArray[np.uint8], names: tuple[str, ...]) -> Activations:
    """Return activations of names that are words of ImageNet: what none of them claims is background."""
    try:
        model = build_word_classifier(names)
    except DataError as error:
        raise DataError(
            f"points: none is on the background, and {error}; click on the background too, or take a word of ImageNet"
        ) from error
    return activate_image(model, image, tuple(range(1, len(names) + 1)), ActivateConfig())


def _box(name: str, class_id: int, place: Sequence[float]) -> Box:
    left, top, right, bottom = _numbers(f"box of {name!r}", place, OF_BOX)
    if not class_id:
        raise DataError("boxes: a box is drawn around an object; the background has none")
    if not (left < right and top < bottom):
        raise DataError(
            f"box of {name!r}: {tuple(place)} has no area; give {OF_BOX} with left < right and top < bottom"
        )
    return Box(class_id, top, left, bottom, right)


def _position(what: str, place: Sequence[float]) -> Position:
    x, y = _numbers(what, place, OF_POINT)
    return y, x


def _numbers(what: str, place: Sequence[float], wanted: str) -> list[float]:
    values = [float(value) for value in place]
    if len(values) != wanted.count(",") + 1 or not all(map(math.isfinite, values)):
        raise DataError(f"{what}: got {tuple(place)}; give {wanted} in pixels")
    return values

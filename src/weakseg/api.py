"""Masks of one photograph from tags, with no training of a classifier."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.api_drawn import DrawnOptions, complete_by_a2gnn, drawn_seeds, marks_of_file, read_marks
from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.data.image import as_rgb, load_rgb
from weakseg.errors import ConfigError, DataError
from weakseg.methods.wsgcn.complete import build_problem
from weakseg.methods.wsgcn.config import CompleteConfig, GcnConfig, PropagationConfig, SmoothnessConfig
from weakseg.methods.wsgcn.gcn import train_gcn
from weakseg.methods.wsgcn.recipe import wsgcn_masks
from weakseg.nn.backbones import embedded_backbone
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.ops.resample import grid_labels, resize_image, resize_labels, scaled_size
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.build_graph import free_graph
from weakseg.stages.decode import decode_image, keep_to_boxes
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import seed_image

Method = Literal["auto", "cam", "wsgcn", "a2gnn"]
Place = Sequence[float]
Marks = Sequence[tuple[str, Place]]
Lines = Sequence[tuple[str, Sequence[Place]]]


def free_completion() -> CompleteConfig:
    """Return how seeds are completed on a graph that was not learned: one step of propagation, colour counts."""
    gcn = GcnConfig(propagation=PropagationConfig("affinity"))
    return CompleteConfig(gcn=gcn, smoothness=SmoothnessConfig(color_denominator=0.02))


@dataclass(frozen=True)
class SegmentOptions:
    """Settings of the stages that ``segment`` goes through.

    Attributes:
        activations: Scales and size.
        seeds: Background and CRF.
        masks: For ``cam``: the CRF that decides every pixel.
        graph: For ``wsgcn``: the pixel graph.
        completion: For ``wsgcn``: the network of the image; its ``partial`` is not used, the seeds are.
        decode: For ``wsgcn``: the CRF on the completed scores.
        drawn: For boxes, points and scribbles: how they become seeds, and how these are completed.
    """

    activations: ActivateConfig = field(default_factory=ActivateConfig)
    seeds: SeedConfig = field(default_factory=SeedConfig)
    masks: RefineConfig = field(default_factory=RefineConfig)
    graph: FreeGraphConfig = field(default_factory=FreeGraphConfig)
    completion: CompleteConfig = field(default_factory=free_completion)
    decode: DecodeConfig = field(default_factory=wsgcn_masks)
    drawn: DrawnOptions = field(default_factory=DrawnOptions)


@dataclass(frozen=True)
class Segmentation:
    """A photograph's mask, and how it came about.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        tags: The tags, and names of what is drawn; ``tags[i]`` is label ``i + 1`` of the mask.
        activations: Class evidence; of no class where all is drawn.
        seeds: Confident labels, 255 = undecided.
        labels: The mask.
    """

    image: NDArray[np.uint8]
    tags: tuple[str, ...]
    activations: Activations
    seeds: LabelMap
    labels: LabelMap

    @property
    def mask(self) -> NDArray[np.uint8]:
        """``(H, W)`` uint8: 0 background, i + 1 the i-th tag."""
        return self.labels.labels

    def save(self, path: str | Path) -> None:
        """Write the mask as indexed PNG with the VOC palette."""
        self.labels.save(Path(path))


def segment(
    image: str | Path | NDArray[np.generic],
    tags: Sequence[str] = (),
    *,
    boxes: Marks = (),
    points: Marks = (),
    scribbles: Lines = (),
    labels: str | Path | None = None,
    method: Method = "auto",
    options: SegmentOptions | None = None,
) -> Segmentation:
    """Return the mask of one photograph from tags, boxes, points or scribbles, with no training of a classifier.

    Where something is drawn, boxes decide, else scribbles, else points. Coordinates are pixels from the upper left
    corner, x to the right and y down, as most tools write them.

    Args:
        image: A file, or an array ``(H, W)``, ``(H, W, 3)`` or ``(H, W, 4)`` of uint8, uint16, bool or float in [0, 1].
        tags: What the photograph shows, such as ``["tabby cat"]``, in the vocabulary of ImageNet; a general word such
            as ``"cat"`` works too. Without any tag, and with nothing drawn, all is background.
        boxes: ``(name, (left, top, right, bottom))`` of each object, tight; any names.
        points: ``(name, (x, y))``, one on each object; ``"background"`` is a name. Without a point on the background
            the names have to be words of ImageNet, whose activations tell it.
        scribbles: ``(name, [(x, y), ...])``, lines on objects and on the ``"background"``.
        labels: A label file that says all that instead: of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup,
            weakseg, or CSV; ``image`` is a file then, which the label file calls by its name.
        method: ``cam``: a dense CRF decides what the seeds leave open. ``wsgcn``: a small graph network, trained on the
            seeds of this photograph alone, does, on a graph of colours and ImageNet features. ``a2gnn``: another, which
            also knows that boxes are tight. ``auto``: ``a2gnn`` where something is drawn, else ``cam``.
        options: Settings of the stages.

    Raises:
        ConfigError: If the method does not exist, or ``labels`` are not given alone and for a file.
        DataError: If the image cannot be used, a tag is repeated or no word of ImageNet, or a drawn label is malformed.
    """
    options = options or SegmentOptions()
    if method not in get_args(Method):
        raise ConfigError(f"method: one of {get_args(Method)}, got {method!r}")
    if labels is not None:
        if isinstance(image, np.ndarray) or any((tags, boxes, points, scribbles)):
            raise ConfigError(
                f"labels: {labels} says what the file of a photograph shows; give that, and no tags, boxes, points or "
                "scribbles"
            )
        names, drawn = marks_of_file(Path(image), Path(labels))
    else:
        names, drawn = read_marks(tags, boxes, points, scribbles)
    pixels = load_rgb(Path(image)) if isinstance(image, str | Path) else as_rgb(image)
    if repeated := [tag for tag in tags if list(tags).count(tag) > 1]:
        raise DataError(f"tags: {repeated[0]!r} is given more than once; give it once")
    drawn, class_ids = drawn.only(drawn.strongest), tuple(range(1, len(names) + 1))
    if drawn.strongest == "tags":
        model = build_word_classifier(names) if names else None
        activations = activate_image(model, pixels, class_ids, options.activations)
        seeds = seed_image(activations, pixels, options.seeds)
    else:
        activations, seeds = drawn_seeds(pixels, names, drawn, options.drawn.seeds)
    if method == "auto":
        method = "cam" if drawn.strongest == "tags" else "a2gnn"
    if method == "cam" or not names:
        mask = refine_image(seeds, pixels, options.masks, with_background=options.seeds.background != "none")
    elif method == "wsgcn":
        mask = _complete_by_wsgcn(pixels, seeds, class_ids, options)
    else:
        mask = complete_by_a2gnn(pixels, class_ids, drawn.boxes, seeds, options.drawn)
    if drawn.boxes:
        mask = keep_to_boxes(mask, drawn.boxes)
    return Segmentation(pixels, names, activations, seeds, mask)


def _complete_by_wsgcn(
    image: NDArray[np.uint8], seeds: LabelMap, class_ids: tuple[int, ...], options: SegmentOptions
) -> LabelMap:
    """Return the mask that WSGCN's network of the image makes of its seeds."""
    size = (image.shape[0], image.shape[1])
    working = scaled_size(size, 1.0, max_side=options.graph.max_side)
    reduced, labels = resize_image(image, working), resize_labels(seeds.labels, working)
    graph = free_graph(embedded_backbone(), reduced, options.graph)
    partial = torch.from_numpy(grid_labels(labels, graph.size, options.graph.stride))
    problem = build_problem(partial, reduced, graph, (0, *class_ids), options.completion.smoothness)
    (solution,) = train_gcn([problem], options.completion.gcn)
    values = solution.probs.T.reshape(-1, *graph.size).clamp(0, 1)
    return decode_image(Scores(values, (0, *class_ids), size), image, options.decode)

"""What one image's network is trained on: nodes, edges, seeds, boxes, and which colours should share a label."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED, LabelMap, PixelGraph, Scores
from weakseg.checks import check_same_size, check_within
from weakseg.data.annotations import Box
from weakseg.data.sample import WeakSample
from weakseg.errors import ShapeError
from weakseg.graph.feature_affinity import color_position_weights
from weakseg.methods.a2gnn.config import A2gnnConfig, KernelConfig
from weakseg.nn.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from weakseg.ops.readout import GridReadout, Readout
from weakseg.ops.resample import image_tensor, resize_image, resize_labels, scaled_size
from weakseg.ops.sparse import SparseMatrix
from weakseg.ops.stencil import half_square, stencil_matrix
from weakseg.ops.tiles import grid_places


@dataclass(frozen=True, eq=False)
class ProblemSeeds:
    """Where labels are known.

    Attributes:
        labels: ``(P,)`` int64 index of a label; 0 is the background.
        rows: ``(P, N)``: how each seed reads values off the nodes.
        weights: ``(P,)`` > 0: what each counts in the mean over its kind.
        pixels: ``(P, 2)`` int64 (row, column), or ``None`` for labels of whole nodes.
    """

    labels: Tensor
    rows: SparseMatrix
    weights: Tensor
    pixels: Tensor | None = None


@dataclass(frozen=True, eq=False)
class A2gnnProblem:
    """One image.

    Attributes:
        image_id: Its id; with the seed of the run it decides initial weights and dropout.
        features: ``(N, D)`` float of the nodes.
        affinity: ``(N, N)`` symmetric, >= 0, every node its own neighbour.
        readout: How pixels look at nodes.
        label_ids: The labels that the network knows, in increasing order, 0 first.
        seeds: Where labels are known.
        boxes: Tight boxes of objects.
        kernel: ``(N, N)`` symmetric, >= 0, zero diagonal: how strongly two nodes should have equal labels.
        places: ``(N,)`` places of the nodes in tiles, see ``weakseg.ops.tiles``; ``None`` for their order.
        fallback: Scores of an image without seeds and boxes; ``None`` for background.
        remarks: What is wrong with the labels.
    """

    image_id: str
    features: Tensor
    affinity: SparseMatrix
    readout: Readout
    label_ids: tuple[int, ...]
    seeds: ProblemSeeds
    boxes: tuple[Box, ...] = ()
    kernel: SparseMatrix | None = None
    places: Tensor | None = None
    fallback: Scores | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse parts of other nodes and labels that do not exist."""
        nodes, where = len(self.features), f"{self.image_id}: "
        check_same_size(where + "affinity", self.affinity.shape, "nodes", (nodes, nodes))
        check_same_size(where + "readout", (self.readout.num_nodes,), "nodes", (nodes,))
        check_within(where + "affinity", self.affinity.values, 0, float("inf"))
        if self.seeds.rows.shape != (len(self.seeds.labels), nodes):
            raise ShapeError(f"{where}expected one row of {nodes} nodes a seed, got {self.seeds.rows.shape}")
        if list(self.label_ids) != sorted(set(self.label_ids)) or self.label_ids[:1] != (0,):
            raise ShapeError(f"{where}label ids in increasing order, 0 first, got {self.label_ids}")
        if len(self.seeds.labels) and int(self.seeds.labels.max()) >= len(self.label_ids):
            raise ShapeError(f"{where}a seed has label {int(self.seeds.labels.max())} of {len(self.label_ids)}")

    @cached_property
    def usable_boxes(self) -> list[tuple[int, slice, slice]]:
        """Index of the label, rows and columns of the boxes that have pixels and a known class."""
        placed = [(box, box.pixels(self.readout.image_size)) for box in self.boxes if box.class_id in self.label_ids]
        return [(self.label_ids.index(box.class_id), *pixels) for box, pixels in placed if pixels]

    @property
    def is_trainable(self) -> bool:
        """Whether there is anything to learn from."""
        return len(self.seeds.labels) > 0 or len(self.usable_boxes) > 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader of the result should know, one line each."""
        lines = list(self.remarks)
        seeded = set(torch.unique(self.seeds.labels).tolist())
        boxed = {label for label, _, _ in self.usable_boxes}
        if not self.is_trainable:
            lines.append("no seeds and no boxes: nothing was trained")
        elif 0 not in seeded:
            lines.append("no seed of the background: its term was left out")
        if missing := [self.label_ids[label] for label in range(1, len(self.label_ids)) if label not in seeded | boxed]:
            lines.append(f"classes {missing} have no seed and no box: they cannot appear")
        if only := [self.label_ids[label] for label in sorted(boxed - seeded)]:
            lines.append(f"classes {only} have boxes but no seed: the points of their boxes alone speak for them")
        if skipped := len(self.boxes) - len(self.usable_boxes):
            lines.append(f"{skipped} of {len(self.boxes)} boxes lie outside of the image or have an unknown class")
        stride = self.readout.stride or 1
        sides = [min(rows.stop - rows.start, columns.stop - columns.start) for _, rows, columns in self.usable_boxes]
        if tiny := sum(side < stride for side in sides):
            lines.append(f"{tiny} boxes are narrower than a node ({stride} px): enlarge the image, or a crop of it")
        return tuple(f"{self.image_id}: {line}" for line in lines)


def reduce_labelled(
    sample: WeakSample, image: NDArray[np.uint8], seeds: LabelMap, *, max_side: int
) -> tuple[WeakSample, NDArray[np.uint8], LabelMap]:
    """Return a photograph, its boxes and its seeds at a long side of ``max_side``; as they are where it is no longer.

    Nothing else that is drawn is scaled: it has become seeds.

    Args:
        sample: For its id and boxes.
        image: ``(H, W, 3)`` uint8.
        seeds: ``(H, W)`` partial labels.
        max_side: In pixels.

    Raises:
        ShapeError: If seeds and image differ in size.
    """
    size = (image.shape[0], image.shape[1])
    check_same_size(f"{sample.id}: seeds", seeds.labels.shape, "image", size)
    working = scaled_size(size, 1.0, max_side=max_side)
    if working == size:
        return sample, image, seeds
    boxes = tuple(box.scaled(working[0] / size[0], working[1] / size[1]) for box in sample.drawn.boxes)
    sample = replace(sample, drawn=replace(sample.drawn, boxes=boxes))
    return sample, resize_image(image, working), LabelMap(resize_labels(seeds.labels, working))


@dataclass(frozen=True, eq=False)
class ImageCells:
    """What of a problem depends on the image alone: cells of 8 x 8 pixels.

    Attributes:
        graph: Of ``ceil(H / 8) x ceil(W / 8)`` cells.
        readout: How pixels look at cells.
        kernel: Which cells' colours should share a label; ``None`` where no loss asks for it.
    """

    graph: PixelGraph
    readout: GridReadout
    kernel: SparseMatrix | None


def image_cells(image: NDArray[np.uint8], graph: PixelGraph, config: A2gnnConfig) -> ImageCells:
    """Return the cells of an ``(H, W, 3)`` uint8 image with their graph, and the kernel of the CRF loss.

    Raises:
        ShapeError: If sizes disagree.
    """
    readout = GridReadout((image.shape[0], image.shape[1]))
    check_same_size("graph", graph.size, "image in cells", readout.size)
    kernel = None
    if config.crf_weight:
        kernel = crf_kernel(normalized_colors(image, graph.features.dtype), readout, config.kernel)
    return ImageCells(graph, readout, kernel)


def build_cell_problem(
    sample: WeakSample, cells: ImageCells, seeds: LabelMap, config: A2gnnConfig, *, num_classes: int
) -> A2gnnProblem:
    """Return what an image's network is trained on, nodes being cells of 8 x 8 pixels.

    Args:
        sample: For its id, tags and boxes.
        cells: Of the image.
        seeds: ``(H, W)`` partial labels.
        config: Which labels the network knows.
        num_classes: K of the data set.

    Raises:
        ShapeError: If sizes disagree.
    """
    graph, label_ids = cells.graph, known_labels(sample, config, num_classes)
    return A2gnnProblem(
        sample.id,
        graph.features,
        graph.affinity,
        cells.readout,
        label_ids,
        pixel_seeds(seeds, label_ids, cells.readout, graph.features.dtype),
        sample.drawn.boxes,
        cells.kernel,
        grid_places(graph.size),
        remarks=foreign_labels(seeds, label_ids),
    )


def known_labels(sample: WeakSample, config: A2gnnConfig, num_classes: int) -> tuple[int, ...]:
    """Return the labels of an image's network: all, or the background and what may be in the image."""
    possible = sample.tags.present | sample.tags.unknown | sample.drawn.class_ids
    classes = possible if config.restrict_to_tags and possible else range(1, num_classes + 1)
    return (0, *sorted(classes))


def foreign_labels(seeds: LabelMap, label_ids: tuple[int, ...]) -> tuple[str, ...]:
    """Return the remark on seeds of labels that the network does not know, if there are any."""
    foreign = sorted(seeds.label_ids - set(label_ids))
    return (f"seeds of {foreign} were ignored: not among the image's classes",) if foreign else ()


def pixel_seeds(
    labels: LabelMap, label_ids: tuple[int, ...], readout: Readout, dtype: torch.dtype = torch.float32
) -> ProblemSeeds:
    """Return the seeds of a map of labels: every pixel whose label the network knows."""
    check_same_size("seeds", labels.labels.shape, "image", readout.image_size)
    known = torch.from_numpy(label_indices(labels.labels, label_ids))
    pixels = (known != UNDECIDED).nonzero()
    rows = readout.at(pixels[:, 0], pixels[:, 1], dtype)
    return ProblemSeeds(known[pixels[:, 0], pixels[:, 1]], rows, torch.ones(len(pixels), dtype=dtype), pixels)


def label_indices(labels: NDArray[np.uint8], label_ids: tuple[int, ...]) -> NDArray[np.int64]:
    """Return each label's index among the ids, 255 for all others."""
    index_of = np.full(256, UNDECIDED)
    index_of[list(label_ids)] = np.arange(len(label_ids))
    return index_of[labels]


def normalized_colors(image: NDArray[np.uint8], dtype: torch.dtype = torch.float32) -> Tensor:
    """Return ``(3, H, W)`` colours less the ImageNet mean, by its deviation."""
    mean, deviation = (torch.tensor(values, dtype=dtype)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    return (image_tensor(image).to(dtype) / 255 - mean) / deviation


def crf_kernel(colors: Tensor, readout: GridReadout, config: KernelConfig) -> SparseMatrix:
    """Return ``k_ij = exp(-|i - j|^2 / 2 s_p^2 - |v_i - v_j|^2 / 2 s_c^2)`` over a square window, 0 for i = j.

    Args:
        colors: ``(3, H, W)`` normalised colours; cells that the border cuts are filled up with 0, the mean colour.
        readout: The grid.
        config: Window, deviations and sampling.

    Returns:
        ``(N, N)``.

    Reference:
        [zhang2021a2gnn], equation 13, squared; [obukhov2019gatedcrf].
    """
    check_same_size("colors", colors.shape[1:], "image", readout.image_size)
    padding = [cells * readout.stride - side for cells, side in zip(readout.size, readout.image_size, strict=True)]
    padded = F.pad(colors, (0, padding[1], 0, padding[0]))[None]
    if config.sampling == "mean":
        cells = F.avg_pool2d(padded, readout.stride)[0]
    else:
        cells = F.interpolate(padded, readout.size, mode="bilinear", align_corners=False)[0]
    offsets = half_square(config.radius_cells)
    weights = color_position_weights(
        cells,
        offsets,
        color_denominator=2 * config.sigma_rgb**2,
        position_denominator=2 * config.sigma_cells**2,
    )
    return stencil_matrix(weights, offsets)

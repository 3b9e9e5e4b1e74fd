"""A photograph that is segmented from marks, again and again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, cast

import numpy as np
import torch
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap, PixelGraph
from weakseg.data.annotations import Drawn
from weakseg.data.image import as_rgb, load_rgb
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.methods.a2gnn.problem import build_cell_problem, image_cells, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.complete import GcnTask, build_gcn_problem, complete_by_gcn
from weakseg.nn.backbones import embedded_backbone
from weakseg.nn.vocabulary import build_word_classifier
from weakseg.ops.crf import DenseCrf
from weakseg.ops.resample import grid_labels, resize_image, resize_labels, scaled_size
from weakseg.photograph.config import DrawnOptions, SegmentOptions
from weakseg.photograph.marks import Marks, check_marks
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.graph import FreeGraphConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.build_graph import free_graph
from weakseg.stages.decode import decode_image, decoding_crf, keep_to_boxes
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import seed_image
from weakseg.stages.weak_seeds import SeedParts, weak_seeds

Made = TypeVar("Made")


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


class Photograph:
    """A photograph; graphs, kernels and activations are computed when they are first needed, and kept.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        name: Of its file; empty for an array.
    """

    def __init__(self, image: str | Path | NDArray[np.generic]) -> None:
        self.image = load_rgb(Path(image)) if isinstance(image, str | Path) else as_rgb(image).copy()
        self.name = str(image) if isinstance(image, str | Path) else ""
        self._kept: dict[str, object] = {}

    @property
    def size(self) -> tuple[int, int]:
        """(rows, columns)."""
        return self.image.shape[0], self.image.shape[1]

    def segment(self, marks: Marks, options: SegmentOptions | None = None) -> Segmentation:
        """Return the mask that marks ask for; of drawn labels boxes decide, else scribbles, else points.

        Raises:
            DataError: If a tag is no word of ImageNet, or a label lies outside of the photograph; where points decide
                superpixels alone, if none is on the background and a name is no such word.
        """
        options = options or SegmentOptions()
        check_marks(marks, self.size)
        drawn = marks.drawn.only(marks.drawn.strongest)
        if drawn.strongest == "tags":
            return self.segment_shown(marks.names, self.activations(marks.names, options.activations), options)
        activations, seeds = self._drawn_seeds(marks.names, drawn, options)
        by = options.method if options.method != "auto" else "a2gnn"
        mask = self._completed(Marks(marks.names, drawn), seeds, replace(options, method=by))
        mask = keep_to_boxes(mask, drawn.boxes) if drawn.boxes else mask
        return Segmentation(self.image, marks.names, activations, seeds, mask)

    def segment_shown(self, names: tuple[str, ...], activations: Activations, options: SegmentOptions) -> Segmentation:
        """Return the mask of what the photograph shows, by activations of these names, wherever they come from."""
        seeds = seed_image(activations, self.image, options.seeds)
        by = options.method if options.method != "auto" else "cam"
        mask = self._completed(Marks(names, Drawn()), seeds, replace(options, method=by))
        return Segmentation(self.image, names, activations, seeds, mask)

    def activations(self, names: tuple[str, ...], config: ActivateConfig) -> Activations:
        """Return the activations of words of ImageNet, label ``i + 1`` being the i-th."""

        def make() -> Activations:
            model = build_word_classifier(names) if names else None
            return activate_image(model, self.image, tuple(range(1, len(names) + 1)), config)

        return self._once(("activations", names, config), make)

    def graph(self, config: FreeGraphConfig) -> PixelGraph:
        """Return the graph of the photograph, reduced to ``config.max_side``, with no training."""
        return self._once(("graph", config), lambda: free_graph(embedded_backbone(), self.reduced(config), config))

    def reduced(self, config: FreeGraphConfig) -> NDArray[np.uint8]:
        """Return the pixels that a graph is made of."""
        return resize_image(self.image, scaled_size(self.size, 1.0, max_side=config.max_side))

    def _once(self, key: tuple[object, ...], make: Callable[[], Made]) -> Made:
        """Return what was made under a key of names and settings, made now or before."""
        name = repr(key)
        if name not in self._kept:
            self._kept[name] = make()
        return cast(Made, self._kept[name])

    def _crf(self, config: DecodeConfig) -> DenseCrf | None:
        return self._once(("crf", config), lambda: decoding_crf(self.image, config)) if config.crf.iterations else None

    def _drawn_seeds(
        self, names: tuple[str, ...], drawn: Drawn, options: SegmentOptions
    ) -> tuple[Activations, LabelMap]:
        """Return activations and seeds of what is drawn; activations where points need them."""
        config = options.drawn.seeds
        clicked = drawn.strongest == "points" and all(point.class_id for point in drawn.points)
        needed = clicked and config.strokes_as == "superpixels"
        activations = self._evidence(names, options.activations) if needed else None
        parts = self._once(("seeds", config), SeedParts)
        nothing = Activations(torch.zeros(0, 1, 1), (), self.size, max(self.size))
        return activations or nothing, weak_seeds(drawn, self.image, activations, config, parts=parts)

    def _evidence(self, names: tuple[str, ...], config: ActivateConfig) -> Activations:
        """Return activations of names that are words of ImageNet: what none of them claims is background."""
        try:
            return self.activations(names, config)
        except DataError as error:
            raise DataError(
                f"points: none is on the background, and {error}; click on the background too, or take a word of "
                "ImageNet"
            ) from error

    def _completed(self, marks: Marks, seeds: LabelMap, options: SegmentOptions) -> LabelMap:
        """Return the mask that a method makes of seeds."""
        if options.method == "cam" or not marks.names:
            background = options.seeds.background != "none"
            return refine_image(seeds, self.image, options.masks, with_background=background)
        if options.method == "wsgcn":
            return self._by_wsgcn(marks, seeds, options)
        return self._by_a2gnn(marks, seeds, options.drawn)

    def _by_wsgcn(self, marks: Marks, seeds: LabelMap, options: SegmentOptions) -> LabelMap:
        """Return the mask that WSGCN's network of the photograph makes of its seeds."""
        image, graph, label_ids = self.reduced(options.graph), self.graph(options.graph), (0, *marks.label_ids)
        labels = resize_labels(seeds.labels, (image.shape[0], image.shape[1]))
        partial = torch.from_numpy(grid_labels(labels, graph.size, options.graph.stride))
        problem = build_gcn_problem(partial, image, graph, label_ids, options.completion.smoothness)
        (scores,) = complete_by_gcn([GcnTask(problem, label_ids, self.size)], options.completion)
        return decode_image(scores, self.image, options.decode, crf=self._crf(options.decode))

    def _by_a2gnn(self, marks: Marks, seeds: LabelMap, options: DrawnOptions) -> LabelMap:
        """Return the mask that A2GNN makes of seeds, worked on at the size that the graph is made for."""
        config, graph = options.completion, options.graph
        sample = WeakSample("photograph", Path(), Tags(frozenset(marks.label_ids)), Drawn(marks.drawn.boxes))
        sample, image, labels = reduce_labelled(sample, self.image, seeds, max_side=graph.max_side)
        cells = self._once(("cells", graph, config), lambda: image_cells(image, self.graph(graph), config))
        problem = build_cell_problem(sample, cells, labels, config, num_classes=len(marks.names))
        (solution,) = train_a2gnn([problem], config)
        scores = solution.scores.of_photograph(self.size)
        return decode_image(scores, self.image, options.decode, crf=self._crf(options.decode))

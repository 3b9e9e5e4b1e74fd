"""A photograph that is segmented from marks, again and again."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weakseg.artifacts import UNDECIDED, Activations, LabelMap, Scores
from weakseg.data.annotations import Drawn
from weakseg.data.knowledge.imagenet_words import word_doubts
from weakseg.data.regions import is_whole
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.methods.a2gnn.problem import build_cell_problem, image_cells, reduce_labelled
from weakseg.methods.a2gnn.train import train_a2gnn
from weakseg.methods.wsgcn.complete import GcnTask, build_gcn_problem, complete_by_gcn
from weakseg.ops.resample import grid_labels, resize_labels
from weakseg.photograph.computed import Computed
from weakseg.photograph.config import QUICK_SEEDS, DrawnOptions, SegmentOptions, method_for
from weakseg.photograph.given import Given, Named, read_given, read_tags
from weakseg.photograph.marks import Marks, check_marks, merged_marks
from weakseg.photograph.segmentation import Segmentation
from weakseg.photograph.views import View, box_views, segment_views
from weakseg.stages.click_odds import confident_seeds
from weakseg.stages.corrections import corrected
from weakseg.stages.decode import decoded_scores, keep_to_boxes
from weakseg.stages.mask_cues import Looked, mask_cues
from weakseg.stages.refine import mask_of, refined_scores
from weakseg.stages.reliability import OUTLINED, Reliability, reliability_of
from weakseg.stages.seed import seed_image
from weakseg.stages.stroke_seeds import merge_over, raster_strokes
from weakseg.stages.weak_seeds import paint_regions, weak_seeds

logger = logging.getLogger(__name__)

Draft = Callable[[Segmentation], None]


@dataclass(frozen=True)
class Completed:
    """A mask, the scores that it is the best of, those before a CRF, where there are some, and whether of clicks."""

    mask: LabelMap
    decided: Scores | None
    plain: Scores | None
    clicked: bool = False


class Photograph(Computed):
    """A photograph; graphs, kernels and activations are computed when they are first needed, and kept.

    Attributes:
        image: ``(H, W, 3)`` uint8, upright RGB.
        name: Of its file, or what it is called in warnings; may be empty.
    """

    def __init__(self, image: Given, *, name: str = "") -> None:
        super().__init__(read_given(image), name or (str(image) if isinstance(image, str | Path) else ""))
        self._said: list[dict[str, Any]] = []

    def mark(
        self, tags: str | Sequence[str] = (), *, boxes: Named = (), points: Named = (), scribbles: Named = ()
    ) -> "Photograph":
        """Add marks to those of before, and return the photograph; arguments as of ``weakseg.read_marks``.

        Raises:
            DataError: If a mark is malformed, or a tag is repeated; none of the call's is added then.
        """
        drawn = {"boxes": boxes, "points": points, "scribbles": scribbles}  # copied: the caller's lists may change
        said = [*self._said, {"tags": read_tags(tags), **{kind: list(given) for kind, given in drawn.items()}}]
        merged_marks(said)
        self._said = said
        return self

    def undo(self) -> "Photograph":
        """Take the marks of the last ``mark`` back, and return the photograph.

        Raises:
            DataError: If there is none.
        """
        if not self._said:
            raise DataError("photograph: nothing is marked that could be undone")
        self._said = self._said[:-1]
        return self

    @property
    def marks(self) -> Marks:
        """What has been marked so far."""
        return merged_marks(self._said)

    def prepare(self, options: SegmentOptions | None = None) -> "Photograph":
        """Compute what the first point, stroke or box will need, and return the photograph."""
        drawn = (options or SegmentOptions()).drawn
        self.cells(drawn.clicks)
        self.crf(drawn.clicks_decode)
        self.graph(drawn.graph)
        self.crf(drawn.decode)
        self.prepare_seeds(drawn.seeds)
        return self

    def segment(
        self, marks: Marks | None = None, options: SegmentOptions | None = None, *, draft: Draft | None = None
    ) -> Segmentation:
        """Return the mask that marks ask for: boxes make it, else scribbles and points together.

        Scribbles and points beside boxes correct the mask that these make, see ``stages/corrections.py``. Outlined and
        painted regions are in the mask as they are; what is open beside them is completed from the others.

        Args:
            marks: From ``weakseg.read_marks``; ``None``: those of ``mark``.
            options: Method, and settings of the stages.
            draft: Called with the mask of the seeds, before a network of the photograph is trained on these; not for
                boxes that are looked at in views; nothing is kept of a call that it ends by an exception.

        Raises:
            DataError: If nothing is marked, a tag is no word of ImageNet, or a label lies outside of the photograph;
                where points decide superpixels alone, if none is on the background and a name is no such word.
        """
        marks, options = self.marks if marks is None else marks, options or SegmentOptions()
        doubts = check_marks(marks, self.size)
        drawn, regions = marks.seeding(proposes=options.drawn.seeds.boxes.proposes), marks.regions
        if drawn == Drawn() and not regions:
            doubts += word_doubts(marks.names)
            self._warn(doubts)
            activations = self.activations(marks.names, options.activations)
            return self.segment_shown(marks.names, activations, options, doubts=doubts)
        self._warn(doubts)
        if drawn == Drawn():
            outlined = paint_regions(regions, self.size)
            return self._result(marks, self._no_activations(), outlined, Completed(outlined, None, None), doubts)
        if views := [] if regions else box_views(drawn.boxes, self.size, options.drawn):
            return self._from_near(views, marks, options, doubts)
        by = method_for(options.method, drawn)
        if by == "clicks" != options.method and options.drawn.seeds != QUICK_SEEDS:
            doubts.append("drawn.seeds are not read where points decide; method a2gnn reads them")
            self._warn(doubts[-1:])
        options = replace(options, method=by)

        def complete() -> tuple[Activations, LabelMap, Completed]:
            activations, seeds = self._drawn_seeds(marks.names, drawn, options)
            seeds = paint_regions(regions, self.size, on=seeds)
            if draft is not None and by == "a2gnn":
                mask = LabelMap(np.where(seeds.labels == UNDECIDED, 0, seeds.labels).astype(np.uint8))
                mask = paint_regions(regions, self.size, on=self._corrected(mask, marks, options.drawn))
                draft(self._bare(marks.names, seeds, mask, doubts))
            return activations, seeds, self._completed(Marks(marks.names, drawn), seeds, options)

        key = (marks.names, drawn, regions, options)
        activations, seeds, made = self.latest("completed", key, complete)
        told = [] if by == "clicks" else self.proposer_doubts(options.drawn.seeds)
        self._warn(told)
        doubts += told
        mask = keep_to_boxes(made.mask, drawn.boxes) if drawn.boxes else made.mask
        if by == "clicks":
            mask = merge_over(LabelMap(raster_strokes(drawn, self.size, options.drawn.seeds.strokes)), mask)
        mask = self._corrected(mask, marks, options.drawn)
        made = replace(made, mask=paint_regions(regions, self.size, on=mask))
        return self._result(marks, activations, seeds, made, doubts)

    def _from_near(
        self, views: Sequence[View], marks: Marks, options: SegmentOptions, doubts: Sequence[str]
    ) -> Segmentation:
        """Return the mask of boxes on a large photograph, which are looked at in parts of it."""

        def segment(view: View) -> Segmentation:
            near = self.once(("view", view.place), lambda: Photograph(self.image[view.place], name=self.name))
            return near.segment(view.marks(marks.names), options)

        self._warn([f"boxes are looked at in {len(views)} parts of it (drawn.surroundings 0: in the whole)"])
        nothing = LabelMap(np.zeros(self.size, np.uint8))
        found = segment_views(views, self._bare(marks.names, nothing, nothing, doubts), segment)
        return replace(found, labels=self._corrected(found.labels, marks, options.drawn))

    def _corrected(self, mask: LabelMap, marks: Marks, options: DrawnOptions) -> LabelMap:
        """Return the mask of boxes as strokes and clicks correct it; these make classes without a box first."""
        alone = {one.class_id for kind in (marks.corrections.points, marks.corrections.scribbles) for one in kind}
        alone -= {0, *(box.class_id for box in marks.drawn.boxes)}
        if alone:
            decode = options.clicks_decode
            scores = self.clicked(marks.corrections, options.clicks)
            decided = decoded_scores(scores, self.image, decode, crf=self.crf(decode))
            found = mask_of(decided, self.image, decode.crf, decode.tiles).labels
            mask = LabelMap(
                np.where(np.isin(found, list(alone)) & (mask.labels == 0), found, mask.labels).astype(np.uint8)
            )
        return corrected(mask, self.image, marks.corrections, options.corrections)

    def segment_shown(
        self, names: tuple[str, ...], activations: Activations, options: SegmentOptions, *, doubts: Sequence[str] = ()
    ) -> Segmentation:
        """Return the mask of what the photograph shows, by activations of these names, wherever they come from.

        Args:
            names: Its tags.
            activations: Of the names.
            options: Method, and settings of the stages.
            doubts: What was said of marks and words.
        """
        seeds = seed_image(activations, self.image, options.seeds)
        options = replace(options, method=method_for(options.method, Drawn()))
        made = self._completed(Marks(names, Drawn()), seeds, options)
        return self._result(Marks(names, Drawn()), activations, seeds, made, doubts)

    def _result(
        self, marks: Marks, activations: Activations, seeds: LabelMap, made: Completed, doubts: Sequence[str]
    ) -> Segmentation:
        """Return what has been made, with how far it is to be trusted."""
        looked = Looked(self.image, made.mask, seeds, made.plain)
        found = {
            name: self._reliability(label, marks, looked, clicked=made.clicked)
            for label, name in zip(marks.label_ids, marks.names, strict=True)
            if marks.drawn == Drawn() or label in marks.decided
        }
        told = [doubt for name, one in found.items() if (doubt := one.doubt(name))]
        self._warn(told)
        warnings, mask = (*doubts, *told), LabelMap(made.mask.labels.copy())  # the caller may paint on it
        return Segmentation(self.image, marks.names, activations, seeds, mask, made.decided, warnings, self.name, found)

    def _reliability(self, label: int, marks: Marks, looked: Looked, *, clicked: bool) -> Reliability:
        """Return how far the mask of a label is to be trusted; what a person has outlined is."""
        cues = mask_cues(label, looked)
        if marks.drawn == Drawn():
            return reliability_of("tags", {**cues, "peak": self.peaks(marks.names)[marks.names[label - 1]]})
        source = marks.kind_of(label)
        return (
            OUTLINED
            if source == "tags" or is_whole(marks.drawn)
            else reliability_of("clicks" if clicked else source, cues)
        )

    def _warn(self, doubts: Sequence[str]) -> None:
        for doubt in doubts:
            logger.warning("%s%s", f"{self.name}: " if self.name else "", doubt)

    def _drawn_seeds(
        self, names: tuple[str, ...], drawn: Drawn, options: SegmentOptions
    ) -> tuple[Activations, LabelMap]:
        """Return activations and seeds of what is drawn; activations where points need them."""
        config = options.drawn.seeds
        if options.method == "clicks":
            return self._no_activations(), confident_seeds(self.clicked(drawn, options.drawn.clicks))
        clicked = drawn.strongest == "points" and all(point.class_id for point in drawn.points)
        needed = clicked and config.strokes_as != "walk"
        activations = self.evidence(names, options.activations) if needed else None
        parts = self.seed_parts(config)
        return activations or self._no_activations(), weak_seeds(drawn, self.image, activations, config, parts=parts)

    def _bare(self, names: tuple[str, ...], seeds: LabelMap, mask: LabelMap, doubts: Sequence[str]) -> Segmentation:
        """Return a mask of which no more is known than its seeds."""
        none = self._no_activations()
        return Segmentation(self.image, names, none, seeds, mask, warnings=tuple(doubts), name=self.name)

    def _no_activations(self) -> Activations:
        return Activations(torch.zeros(0, 1, 1), (), self.size, max(self.size))

    def _completed(self, marks: Marks, seeds: LabelMap, options: SegmentOptions) -> Completed:
        """Return the mask that a method makes of seeds, and what it is made of."""
        plain = None
        if options.method == "cam":
            background = options.seeds.background != "none"
            decided = refined_scores(seeds, self.image, options.masks, with_background=background)
        else:
            if options.method == "clicks":
                plain, decode = self.clicked(marks.drawn, options.drawn.clicks), options.drawn.clicks_decode
            elif options.method == "wsgcn":
                plain, decode = self._by_wsgcn(marks, seeds, options), options.decode
            else:
                plain, decode = self._by_a2gnn(marks, seeds, options.drawn), options.drawn.decode
            decided = decoded_scores(plain, self.image, decode, crf=self.crf(decode))
            mask = mask_of(decided, self.image, decode.crf, decode.tiles)
            return Completed(mask, decided, plain, clicked=options.method == "clicks")
        found = None if decided is None else mask_of(decided, self.image, options.masks.crf, options.masks.tiles)
        return Completed(found or seeds, decided, None)

    def _by_wsgcn(self, marks: Marks, seeds: LabelMap, options: SegmentOptions) -> Scores:
        """Return the scores that WSGCN's network of the photograph makes of its seeds."""
        image, graph, label_ids = self.reduced(options.graph), self.graph(options.graph), (0, *marks.label_ids)
        labels = resize_labels(seeds.labels, (image.shape[0], image.shape[1]))
        partial = torch.from_numpy(grid_labels(labels, graph.size, options.graph.stride))
        problem = build_gcn_problem(partial, image, graph, label_ids, options.completion.smoothness)
        (scores,) = complete_by_gcn([GcnTask(problem, label_ids, self.size)], options.completion)
        return scores

    def _by_a2gnn(self, marks: Marks, seeds: LabelMap, options: DrawnOptions) -> Scores:
        """Return the scores that A2GNN makes of seeds, worked on at the size that the graph is made for."""
        config, graph = options.completion, options.graph
        sample = WeakSample("photograph", Path(), Tags(frozenset(marks.label_ids)), Drawn(marks.drawn.boxes))
        sample, image, labels = reduce_labelled(sample, self.image, seeds, max_side=graph.max_side)
        cells = self.once(("cells", graph, config), lambda: image_cells(image, self.graph(graph), config))
        problem = build_cell_problem(sample, cells, labels, config, num_classes=len(marks.names))
        (solution,) = train_a2gnn([problem], config)
        return solution.scores.of_photograph(self.size)

"""From whatever a photograph is labelled with to seeds: regions, boxes, scribbles, points, or activations of tags."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import UNDECIDED, Activations, LabelMap, PixelGraph
from weakseg.checks import check_same_size
from weakseg.data.annotations import NOTHING_DRAWN, Drawn, Region
from weakseg.data.regions import deciding, mask_of_runs, outlines_of
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.feature_maps import FeatureMaps
from weakseg.settings.weak_seeds import Use, WeakSeedConfig
from weakseg.stages.box_seeds import BoxSeeds, box_seeds, check_seeds, fill_boxes, fuse_seeds, look_of
from weakseg.stages.proposers.kept import Answers
from weakseg.stages.proposers.look import Look
from weakseg.stages.proposers.prompt import MarkPlaces, Prompt, box_prompts, mark_prompts, places_of
from weakseg.stages.proposers.strokes import ProposedStrokes, proposed_strokes
from weakseg.stages.saliency_seeds import FusionEffects, saliency_seeds
from weakseg.stages.seed import seed_image
from weakseg.stages.stroke_seeds import merge_over, raster_strokes, stroke_seeds, superpixels
from weakseg.stages.stroke_walk import walk_graph_of, walk_seeds
from weakseg.stages.tag_seeds import tag_seeds


def counted(sample: WeakSample, use: Use) -> WeakSample:
    """Return a sample with those of its labels that count."""
    if use == "strongest" or sample.drawn == NOTHING_DRAWN:
        return sample
    return replace(sample, drawn=sample.drawn.only(use))


@dataclass
class SeedParts:
    """What seeds of one photograph were made of, kept for its next marks.

    Attributes:
        regions: Superpixels of strokes.
        graph: That strokes walk on.
        cuts: What was proposed in boxes.
        look: The photograph as a proposer sees it.
        proposed: What was proposed for points and scribbles.
        answers: What a network has answered last; empty where none was asked.
        saliency: ``(H, W)`` map of the photograph in [0, 1]; given, where tags are read off one.
        features: File of the features of the graph that strokes walk on; given, where a run keeps them.
        fusion: What the rules have done by which activations and that map became seeds.
    """

    regions: NDArray[np.int64] | None = None
    graph: PixelGraph | None = None
    cuts: BoxSeeds | None = None
    look: Look | None = None
    proposed: ProposedStrokes | None = None
    answers: Answers = field(default_factory=dict)
    saliency: NDArray[np.float32] | None = None
    features: Path | None = None
    fusion: FusionEffects | None = None

    def looked(self, image: NDArray[np.uint8], config: WeakSeedConfig, device: str) -> Look:
        """Return the photograph as the proposer of the settings sees it."""
        self.look = self.look or look_of(image, config.boxes, device=device)
        return self.look

    def known_features(self) -> FeatureMaps | None:
        """Return the features that are kept; ``None`` where none are."""
        return FeatureMaps.load(self.features) if self.features else None


def weak_seeds(
    drawn: Drawn,
    image: NDArray[np.uint8],
    activations: Activations | None,
    config: WeakSeedConfig,
    *,
    device: str = "cpu",
    parts: SeedParts | None = None,
) -> LabelMap:
    """Return seeds from the strongest kind of label that a photograph has, and from regions, which lie over them.

    Where nothing else is drawn what no region covers is background; or, where not all is outlined, what activations
    say, and undecided without.

    Args:
        drawn: What was drawn on it; boxes win over scribbles, these over points.
        image: ``(H, W, 3)`` uint8.
        activations: Of its tags; ``None`` where there are none, which images with nothing drawn cannot do without.
        config: How each kind is used.
        device: Where the CRF of activations runs, and a proposer that is a network.
        parts: What calls for the same image and settings share; filled here, but for ``saliency`` and ``features``.

    Raises:
        DataError: If there is neither a drawn label nor activations, or no saliency map where tags are read off one.

    Reference:
        [zhang2021a2gnn], seeds of its four settings.
    """
    kind, parts, size = deciding(drawn), parts or SeedParts(), (image.shape[0], image.shape[1])
    parts.answers = {}
    if drawn.regions:
        if kind == "regions" or (kind == "tags" and activations is None):
            return paint_regions(drawn.regions, size)
        rest = weak_seeds(drawn.open, image, activations, config, device=device, parts=parts)
        return paint_regions(outlines_of(drawn), size, on=rest)
    if kind == "tags":
        if activations is None:
            raise DataError("nothing is drawn on it, and it has no activations; draw something, or train a classifier")
        return _from_tags(activations, image, config, parts, device)
    if kind == "boxes":
        if config.boxes_as == "filled":
            return fill_boxes(drawn.boxes, size)
        look = parts.looked(image, config, device)
        parts.cuts = box_seeds(drawn.boxes, image, config.boxes, known=parts.cuts, marks=drawn, look=look)
        if config.boxes.proposes:
            parts.answers = parts.cuts.found
        return _from_boxes(parts.cuts, image, activations, config, device)
    if config.strokes_as == "walk":
        parts.graph = parts.graph or walk_graph_of(image, config.walk, maps=parts.known_features())
        return walk_seeds(drawn, image, config.strokes, config.walk, graph=parts.graph)
    if parts.regions is None and config.strokes.superpixels:
        parts.regions = superpixels(image, config.strokes)
    if config.strokes_as == "proposer":
        seeds = _from_proposed(drawn, image, config, parts, device)
    else:
        seeds = stroke_seeds(drawn, image, config.strokes, regions=parts.regions)
    if activations is None or not config.reads_activations(kind):
        return seeds
    return merge_over(seeds, _from_tags(activations, image, config, parts, device))


def seed_prompts(drawn: Drawn, size: tuple[int, int], config: WeakSeedConfig) -> tuple[list[Prompt], MarkPlaces]:
    """Return what ``weak_seeds`` asks a network for, each once, and the pixels of marks; or nothing.

    Args:
        drawn: What was drawn on a photograph.
        size: (rows, columns) of the photograph.
        config: How each kind is used.
    """
    kind = deciding(drawn)
    if config.boxes.proposes and kind == "boxes" and config.boxes_as != "filled":
        places = places_of(drawn, size)
        return list(dict.fromkeys(box_prompts(drawn.boxes, places, size))), places
    if config.strokes_as == "proposer" and kind in ("points", "scribbles"):
        places = places_of(drawn, size)
        return list(mark_prompts(places)), places
    return [], {}


def keep_outlines(mask: LabelMap, drawn: Drawn) -> LabelMap:
    """Return a mask in which regions are as they were drawn, and what they say nothing of is as it was.

    Where they say all, the rest is background.
    """
    if not drawn.regions:
        return mask
    size = (mask.labels.shape[0], mask.labels.shape[1])
    drawn_over = paint_regions(outlines_of(drawn), size, on=None if deciding(drawn) == "regions" else mask).labels
    return LabelMap(np.where(drawn_over == UNDECIDED, mask.labels, drawn_over).astype(np.uint8))


def paint_regions(regions: tuple[Region, ...], size: tuple[int, int], *, on: LabelMap | None = None) -> LabelMap:
    """Return the mask that regions make, later ones on top.

    Args:
        regions: Outlined or painted.
        size: (rows, columns) of the photograph.
        on: What they are painted on; ``None``: what none covers is background.
    """
    if on is not None and not regions:
        return on
    labels = np.zeros(size, np.uint8) if on is None else on.labels.copy()
    for region in regions:
        check_same_size("region", region.size, "image", size)
        labels[mask_of_runs(region.runs, size)] = region.class_id
    return LabelMap(labels)


def _from_tags(
    activations: Activations, image: NDArray[np.uint8], config: WeakSeedConfig, parts: SeedParts, device: str
) -> LabelMap:
    if config.reads_saliency:
        if parts.saliency is None:
            raise DataError("seeds.thresholds.background: 'saliency' needs a map, which there is none of here")
        found = saliency_seeds(activations, parts.saliency, config.thresholds)
        parts.fusion = found.effects
        return found.labels
    if config.tags_as == "thresholds":
        return seed_image(activations, image, config.thresholds, device=device)
    return tag_seeds(activations, image, config.tags, device=device).confident


def _from_proposed(
    drawn: Drawn, image: NDArray[np.uint8], config: WeakSeedConfig, parts: SeedParts, device: str
) -> LabelMap:
    """Return strokes on masks that were proposed for them, on the superpixels of those that have none."""
    parts.proposed = proposed_strokes(drawn, parts.looked(image, config, device), known=parts.proposed)
    parts.answers = parts.proposed.found
    below = stroke_seeds(parts.proposed.left(drawn), image, config.strokes, regions=parts.regions)
    strokes = raster_strokes(drawn, (image.shape[0], image.shape[1]), config.strokes)
    return merge_over(LabelMap(strokes), merge_over(parts.proposed.labels, below))


def _from_boxes(
    seeds: BoxSeeds, image: NDArray[np.uint8], activations: Activations | None, config: WeakSeedConfig, device: str
) -> LabelMap:
    if config.boxes_as == "grabcut":
        return seeds.complete()
    if config.boxes_as == "segments":
        return seeds.labels
    said = None if activations is None else tag_seeds(activations, image, config.tags, device=device)
    if config.boxes_as == "checked":
        return check_seeds(seeds, None if said is None else said.trimap)
    if said is None:
        return seeds.labels
    return fuse_seeds(seeds, said.trimap, confident=said.confident if config.boxes_as == "agreed" else None)

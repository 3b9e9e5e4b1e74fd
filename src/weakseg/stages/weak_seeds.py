"""From whatever a photograph is labelled with to seeds: regions, boxes, scribbles, points, or activations of tags."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import Activations, LabelMap
from weakseg.checks import check_same_size
from weakseg.data.annotations import Drawn, Region
from weakseg.data.regions import mask_of_runs
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.stages.box_seeds import BoxSeedConfig, box_seeds, check_seeds, fill_boxes, fuse_seeds
from weakseg.stages.seed import SeedConfig, seed_image
from weakseg.stages.stroke_seeds import StrokeSeedConfig, merge_over, stroke_seeds
from weakseg.stages.tag_seeds import TagSeedConfig, tag_seeds

BoxUse = Literal["agreed", "fused", "segments", "checked", "grabcut", "filled"]
TagUse = Literal["confident", "thresholds"]
Use = Literal["strongest", "regions", "boxes", "scribbles", "points", "tags"]


@dataclass(frozen=True)
class WeakSeedConfig:
    """How each kind of label becomes seeds.

    Attributes:
        boxes: GrabCut.
        strokes: Superpixels of points and scribbles.
        tags: Trimap and confident part of activations.
        thresholds: How ``tags_as`` ``thresholds`` reads activations.
        boxes_as: ``agreed`` with confident activations (``M_g``), ``fused`` with their trimap (``M_F``), the
            ``segments`` of GrabCut, undecided where a box has none (``M_B``), the whole mask of GrabCut ``checked``
            against the trimap, the same unchecked (``grabcut``), or the boxes ``filled``. Without activations the
            first two are ``segments``, and nothing contradicts what is ``checked``.
        tags_as: What activations say of tags, and below points and scribbles: their ``confident`` part (``M'_I``, as
            published), or the seeds of two ``thresholds``, which decide more pixels.
        points_over_tags: Activations say what no point says, as points say nothing of the background.
        scribbles_over_tags: The same for scribbles.
        use: Which labels count: the ``strongest`` of each image, or one kind alone, as if no other were there.
    """

    boxes: BoxSeedConfig = field(default_factory=BoxSeedConfig)
    strokes: StrokeSeedConfig = field(default_factory=StrokeSeedConfig)
    tags: TagSeedConfig = field(default_factory=TagSeedConfig)
    thresholds: SeedConfig = field(default_factory=SeedConfig)
    boxes_as: BoxUse = "agreed"
    tags_as: TagUse = "confident"
    points_over_tags: bool = True
    scribbles_over_tags: bool = False
    use: Use = "strongest"

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        if self.boxes_as not in get_args(BoxUse):
            raise ConfigError(f"seeds.boxes_as: one of {get_args(BoxUse)}, got {self.boxes_as!r}")
        if self.tags_as not in get_args(TagUse):
            raise ConfigError(f"seeds.tags_as: one of {get_args(TagUse)}, got {self.tags_as!r}")
        if self.thresholds.background == "class":
            raise ConfigError("seeds.thresholds.background: drawn labels have a background of their own, not a class")
        if self.use not in get_args(Use):
            raise ConfigError(f"seeds.use: one of {get_args(Use)}, got {self.use!r}")

    def of(self, sample: WeakSample) -> WeakSample:
        """Return a sample with those of its labels that count."""
        return sample if self.use == "strongest" else replace(sample, drawn=sample.drawn.only(self.use))


def weak_seeds(
    drawn: Drawn,
    image: NDArray[np.uint8],
    activations: Activations | None,
    config: WeakSeedConfig,
    *,
    device: str = "cpu",
) -> LabelMap:
    """Return seeds from the strongest kind of label that a photograph has.

    Args:
        drawn: What was drawn on it; regions win over boxes, these over scribbles, these over points.
        image: ``(H, W, 3)`` uint8.
        activations: Of its tags; ``None`` where there are none, which images with nothing drawn cannot do without.
        config: How each kind is used.
        device: Where the CRF of activations runs.

    Raises:
        DataError: If there is neither a drawn label nor activations.

    Reference:
        [zhang2021a2gnn], seeds of its four settings.
    """
    kind = drawn.strongest
    if kind == "regions":
        return paint_regions(drawn.regions, (image.shape[0], image.shape[1]))
    if kind == "boxes":
        return _from_boxes(drawn, image, activations, config, device)
    if kind == "tags":
        if activations is None:
            raise DataError("nothing is drawn on it, and it has no activations; draw something, or train a classifier")
        return _from_tags(activations, image, config, device)
    seeds = stroke_seeds(drawn, image, config.strokes)
    below = config.points_over_tags if kind == "points" else config.scribbles_over_tags
    if not below or activations is None:
        return seeds
    return merge_over(seeds, _from_tags(activations, image, config, device))


def paint_regions(regions: tuple[Region, ...], size: tuple[int, int]) -> LabelMap:
    """Return the mask that regions make, later ones on top; what none covers is background."""
    labels = np.zeros(size, np.uint8)
    for region in regions:
        check_same_size("region", region.size, "image", size)
        labels[mask_of_runs(region.runs, size)] = region.class_id
    return LabelMap(labels)


def _from_tags(activations: Activations, image: NDArray[np.uint8], config: WeakSeedConfig, device: str) -> LabelMap:
    if config.tags_as == "thresholds":
        return seed_image(activations, image, config.thresholds, device=device)
    return tag_seeds(activations, image, config.tags, device=device).confident


def _from_boxes(
    drawn: Drawn, image: NDArray[np.uint8], activations: Activations | None, config: WeakSeedConfig, device: str
) -> LabelMap:
    if config.boxes_as == "filled":
        return fill_boxes(drawn.boxes, (image.shape[0], image.shape[1]))
    seeds = box_seeds(drawn.boxes, image, config.boxes)
    if config.boxes_as == "grabcut":
        return seeds.complete()
    said = None if activations is None else tag_seeds(activations, image, config.tags, device=device)
    if config.boxes_as == "checked":
        return check_seeds(seeds, None if said is None else said.trimap)
    if config.boxes_as == "segments" or said is None:
        return seeds.labels
    return fuse_seeds(seeds, said.trimap, confident=said.confident if config.boxes_as == "agreed" else None)

"""Seeds of whatever a photograph is labelled with."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.box_seeds import BoxSeedConfig
from weakseg.settings.rules import check_settings
from weakseg.settings.seed import SeedConfig
from weakseg.settings.stroke_seeds import StrokeSeedConfig
from weakseg.settings.stroke_walk import StrokeWalkConfig
from weakseg.settings.tag_seeds import TagSeedConfig

BoxUse = Literal["agreed", "fused", "segments", "checked", "grabcut", "filled"]
StrokeUse = Literal["superpixels", "walk", "proposer"]
TagUse = Literal["confident", "thresholds"]
Use = Literal["strongest", "regions", "boxes", "scribbles", "points", "tags"]


@dataclass(frozen=True)
class WeakSeedConfig:
    """How each kind of label becomes seeds.

    Attributes:
        boxes: GrabCut, or another proposer.
        strokes: Lines and superpixels of points and scribbles.
        walk: How strokes are followed with ``strokes_as`` ``walk``.
        tags: Trimap and confident part of activations.
        thresholds: How ``tags_as`` ``thresholds`` reads activations, or with background ``saliency`` joins them with a
            map of each image.
        boxes_as: ``agreed`` with confident activations (``M_g``), ``fused`` with their trimap (``M_F``), the
            ``segments`` of GrabCut, undecided where a box has none (``M_B``), the whole mask of GrabCut ``checked``
            against the trimap, the same unchecked (``grabcut``), or the boxes ``filled``; with another
            ``boxes.proposer`` its masks take the place of GrabCut's. Without activations the first two are
            ``segments``, and nothing contradicts what is ``checked``.
        strokes_as: Points and scribbles decide their ``superpixels``, as published; or all that a random ``walk`` and
            their colours reach, the photograph's border being background, whatever activations say: a walk decides
            every pixel. ``proposer``: each that is on an object decides the mask that ``boxes.proposer`` has for it,
            where there is one.
        tags_as: What activations say of tags, and below points and scribbles: their ``confident`` part (``M'_I``, as
            published), or the seeds of two ``thresholds``, which decide more pixels.
        points_over_tags: Without a ``walk`` activations say what no point says, as points say nothing of the
            background.
        scribbles_over_tags: The same for scribbles.
        use: Which labels count: the ``strongest`` of each image, or one kind alone, as if no other were there.
    """

    boxes: BoxSeedConfig = field(default_factory=BoxSeedConfig)
    strokes: StrokeSeedConfig = field(default_factory=StrokeSeedConfig)
    walk: StrokeWalkConfig = field(default_factory=StrokeWalkConfig)
    tags: TagSeedConfig = field(default_factory=TagSeedConfig)
    thresholds: SeedConfig = field(default_factory=SeedConfig)
    boxes_as: BoxUse = "agreed"
    strokes_as: StrokeUse = "superpixels"
    tags_as: TagUse = "confident"
    points_over_tags: bool = True
    scribbles_over_tags: bool = False
    use: Use = "strongest"

    def __post_init__(self) -> None:
        """Refuse what does not exist."""
        check_settings("seeds", self, boxes_as=get_args(BoxUse), tags_as=get_args(TagUse), use=get_args(Use))
        check_settings("seeds", self, strokes_as=get_args(StrokeUse))
        if "auto" in (self.thresholds.strict, self.thresholds.lenient) or self.thresholds.check_crf:
            raise ConfigError(
                "seeds.thresholds: 'auto' and check_crf are of methods that start from tags alone; give numbers, and "
                "leave check_crf out"
            )
        if self.thresholds.background == "class":
            raise ConfigError("seeds.thresholds.background: drawn labels have a background of their own, not a class")
        if self.thresholds.background == "saliency" and self.tags_as != "thresholds":
            raise ConfigError(
                f"seeds.thresholds.background: 'saliency' has no effect with seeds.tags_as {self.tags_as!r}; set that "
                "to thresholds, or leave it out"
            )
        if self.strokes_as != "walk" and self.walk != StrokeWalkConfig():
            raise ConfigError(
                f"seeds.walk: belongs to seeds.strokes_as 'walk', and it is {self.strokes_as!r}; leave it out"
            )
        self._check_proposer()
        if self.strokes_as == "walk" and self.scribbles_over_tags:
            raise ConfigError(
                "seeds.scribbles_over_tags: a walk decides every pixel, and leaves nothing to activations; set it to "
                "false, or seeds.strokes_as to superpixels"
            )

    def _check_proposer(self) -> None:
        """Refuse a proposer that nobody asks, or that cannot answer."""
        by_strokes = self.strokes_as == "proposer"
        if by_strokes and not self.boxes.proposes:
            raise ConfigError(
                f"seeds.strokes_as: {self.boxes.proposer!r} takes boxes alone; name another seeds.boxes.proposer"
            )
        if self.boxes.proposes and self.boxes_as == "filled" and not by_strokes:
            raise ConfigError(
                f"seeds.boxes.proposer: {self.boxes.proposer!r} has no effect with seeds.boxes_as 'filled'; leave one "
                "of them out"
            )

    @property
    def reads_saliency(self) -> bool:
        """Whether what tags say is read off saliency maps, too."""
        return self.tags_as == "thresholds" and self.thresholds.background == "saliency"

    def reads_saliency_for(self, kind: str) -> bool:
        """Return whether saliency maps count where the strongest label is of a kind: boxes are not checked by them."""
        return self.reads_saliency and kind != "boxes" and self.reads_activations(kind)

    def reads_activations(self, kind: str) -> bool:
        """Return whether activations count where a kind decides, a ``LabelKind``."""
        if kind == "boxes":
            return self.boxes_as in ("agreed", "fused", "checked")
        if kind in ("points", "scribbles"):
            below = self.points_over_tags if kind == "points" else self.scribbles_over_tags
            return below and self.strokes_as != "walk"
        return kind == "tags"

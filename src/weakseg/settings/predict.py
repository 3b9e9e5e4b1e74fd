"""How a segmenter is applied."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.crf import PUBLISHED, CrfParams
from weakseg.settings.rules import check_settings
from weakseg.settings.tiles import TileConfig

Fusion = Literal["mean_probabilities", "max_probabilities", "mean_logits", "max_logits"]
Enlarged = Literal["logits", "probabilities"]
Interpolation = Literal["bilinear", "bicubic"]
TilesFor = Literal["outlines", "labels"]
CrfPreset = Literal["own", "deeplab_v2", "dsrg", "oaa"]


@dataclass(frozen=True)
class PredictConfig:
    """How the segmenter is applied.

    Attributes:
        scales: Factors on the image size.
        flip: Look at the mirror image, too.
        fusion: How maps of all scales and mirror images become one: the mean or the maximum of probabilities or of
            logits. Probabilities are the softmax of fused logits, the mean of probabilities, or their maximum, divided
            by the sum over labels.
        enlarged: What is interpolated from cells to pixels: ``logits``, or ``probabilities``, for fusions of these.
        interpolation: ``bilinear``, or ``bicubic``, whose probabilities are cut at 0 and add up to one again.
        window: Side of square windows that cover each scaled image, in pixels; values are averaged where they overlap,
            and smaller images padded; 0: the whole image at once.
        window_stride: From one window to the next, as a share of its side.
        crf: Dense CRF on the probabilities.
        crf_preset: Its parameters as published: ``deeplab_v2``, ``dsrg`` or ``oaa``; ``own``: those of ``crf_params``.
        crf_params: For ``own``; the defaults are those of DeepLab-v2.
        max_side: Larger images are first reduced to this long side; ``scales`` apply to the reduced size.
        mask_side: Long side at most of the probabilities and of the CRF; larger masks are enlarged from it.
        tiles: How much larger images are worked on in tiles, too.
        tiles_for: ``outlines``: the whole, reduced, decides what is where, and outlines are those of enlarged
            probabilities, or of a CRF on a tile's own pixels. ``labels``: the segmenter looks at each tile, too, for
            segmenters that were trained on things as large as they are in tiles.
    """

    scales: tuple[float, ...] = (0.75, 1.0, 1.25)
    flip: bool = True
    fusion: Fusion = "mean_probabilities"
    enlarged: Enlarged = "logits"
    interpolation: Interpolation = "bilinear"
    window: int = 0
    window_stride: float = 2 / 3
    crf: bool = False
    crf_preset: CrfPreset = "own"
    crf_params: CrfParams = field(default_factory=lambda: PUBLISHED["deeplab_v2"])
    max_side: int = 512
    mask_side: int = 1024
    tiles: TileConfig = field(default_factory=TileConfig)
    tiles_for: TilesFor = "outlines"

    def __post_init__(self) -> None:
        """Refuse empty or non-positive values, words that do not exist, and settings that would do nothing."""
        check_settings("predictions", self, scales="> 0", max_side=">= 32", mask_side=">= 32", window=">= 0")
        check_settings("predictions", self, window_stride="in (0, 1]", fusion=get_args(Fusion))
        check_settings("predictions", self, enlarged=get_args(Enlarged), interpolation=get_args(Interpolation))
        check_settings("predictions", self, crf_preset=get_args(CrfPreset), tiles_for=get_args(TilesFor))
        if self.enlarged == "probabilities" and self.fusion.endswith("logits"):
            raise ConfigError(
                f"predictions.enlarged: 'probabilities' belong to a fusion of them, and fusion is {self.fusion!r}"
            )
        if self.crf_preset != "own" and self.crf_params != PUBLISHED["deeplab_v2"]:
            raise ConfigError(f"predictions.crf_params: belong to crf_preset 'own', and it is {self.crf_preset!r}")

    @property
    def crf_settings(self) -> CrfParams:
        """The parameters of the CRF."""
        return self.crf_params if self.crf_preset == "own" else PUBLISHED[self.crf_preset]

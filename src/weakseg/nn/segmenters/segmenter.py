"""A segmenter: a backbone and a head, logits at the backbone's stride."""

from collections.abc import Collection, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.backbones import Backbone
from weakseg.nn.graphs.reasoning import Reasoning
from weakseg.nn.output import Layout, Output, check_further
from weakseg.ops.resample import Cells


class Segmenter(nn.Module):
    """Backbone and head: images to logits of background and K classes.

    Attributes:
        gives: Further outputs of ``forward``.
        corners_aligned: Whether corner cells of the logits lie on corner pixels of the image, or cells cover it.

    Args:
        backbone: Images to features.
        head: Features ``(B, C, h, w)`` to logits ``(B, K + 1, h, w)``. One with ``takes_levels`` gets the levels of the
            backbone, too; one with ``auxiliary`` has a second head on the level before the last.
        scales: Factors at which images are seen once more; the largest logits count.
        corners_aligned: See above.
        reasoning: What classes add to features.
        level: After which level of the backbone, 1 the finest; 0: before the last layer of a head that is a
            sequence, or one layer.

    Raises:
        ConfigError: If the backbone has no such level, or none that a layer can follow.

    Reference:
        ``scales``: [chen2018deeplabv2], section 4.1 (MSC).
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        scales: Sequence[float] = (),
        *,
        corners_aligned: bool = False,
        reasoning: Reasoning | None = None,
        level: int = 0,
    ) -> None:
        super().__init__()
        self.backbone, self.head, self.scales = backbone, head, tuple(scales)
        self.reasoning, self.level = reasoning, level
        if reasoning is not None and level:
            backbone.stage_of(level).register_forward_hook(self._reason)
        auxiliary = ("auxiliary",) if hasattr(head, "auxiliary") else ()
        self.gives: tuple[str, ...] = ("levels", *auxiliary, *(("scales",) if self.scales else ()))
        self.corners_aligned = corners_aligned

    def forward(self, images: Tensor, *, further: Collection[str] = (), are_features: bool = False) -> Output:
        """Return ``(B, K + 1, h, w)`` logits of images, and what else is asked for.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255; or ``(B, C, h, w)`` features that the backbone made of them.
            further: ``levels``: the feature maps of all stages of the backbone; ``auxiliary``: logits of the auxiliary
                head; ``scales``: logits of the image as it is and of its reduced copies, each at its own size.
            are_features: Whether ``images`` are features; there is nothing further of them.

        Raises:
            ConfigError: If the network does not give what is asked for.
        """
        check_further(self, further, () if are_features else self.gives)
        with self.reasoning.one_step() if self.reasoning is not None else nullcontext():
            return Output(self._scored(images), {}) if are_features else self._seen(images, further)

    def _seen(self, images: Tensor, further: Collection[str]) -> Output:
        logits, levels = self._logits(images, with_levels="levels" in further or "auxiliary" in further)
        found: dict[str, Any] = {"levels": levels} if "levels" in further else {}
        if "auxiliary" in further:
            found["auxiliary"] = self.head.auxiliary(levels[-2])  # type: ignore[operator]
        if self.scales:
            maps = [logits, *(self._logits(reduced(images, scale))[0] for scale in self.scales)]
            logits = largest(maps)
            found |= {"scales": maps} if "scales" in further else {}
        return Output(logits, found)

    def _logits(self, images: Tensor, *, with_levels: bool = False) -> tuple[Tensor, list[Tensor]]:
        """Return logits at one scale, and the levels where they are wanted or needed."""
        if getattr(self.head, "takes_levels", False):
            features, levels = self.backbone.features_and_levels(images)
            return self.head(features, levels), levels
        features, levels = self.backbone.features_and_levels(images) if with_levels else (self.backbone(images), [])
        return self._scored(features), levels

    def _scored(self, features: Tensor) -> Tensor:
        """Return the logits of features; what classes add comes before the last layer."""
        if self.reasoning is None or self.level:
            return self.head(features)  # type: ignore[no-any-return]
        *layers, last = list(self.head.children()) or [self.head]
        for layer in layers:
            features = layer(features)
        return last(self.reasoning(features))  # type: ignore[no-any-return]

    def _reason(self, _stage: nn.Module, _inputs: Any, features: Tensor) -> Tensor:
        """Return the features of a level of the backbone with what classes add: a hook behind it."""
        return self.reasoning(features)  # type: ignore[misc, no-any-return]

    @property
    def rate_factors(self) -> dict[str, float]:
        """Parts that learn at another rate than the head, as multiples of it."""
        own: dict[str, float] = getattr(self.head, "rate_factors", {})
        parts = {f"head.{part}": factor for part, factor in own.items()}
        return parts if self.reasoning is None else {**parts, "reasoning.": self.reasoning.lr_factor}

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.backbone.mean.device

    @property
    def layout(self) -> Layout:
        """How it sees images."""
        return Layout(self.corners_aligned, self.backbone.stride, 255.0 * self.backbone.mean)

    @property
    def cells(self) -> Cells:
        """Where the cells of the logits lie."""
        return self.backbone.cells()


def reduced(images: Tensor, scale: float) -> Tensor:
    """Return ``(B, 3, H, W)`` images at a scale, bilinear, sides rounded down: 321 pixels give 240 at 0.75."""
    size: Any = [torch.sym_max(1, torch.sym_int(scale * side)) for side in images.shape[2:]]  # of exporters' sizes, too
    return F.interpolate(images, size, mode="bilinear", align_corners=False)


def largest(maps: Sequence[Tensor]) -> Tensor:
    """Return the elementwise maximum of ``(B, L, h, w)`` maps at the size of the first, others enlarged bilinearly."""
    top, *others = maps
    for other in others:
        top = torch.maximum(top, F.interpolate(other, top.shape[2:], mode="bilinear", align_corners=False))
    return top

"""The tag classifier of SEAM: evidence that is refined by correlations of pixels."""

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone
from weakseg.nn.classifier import TagClassifier
from weakseg.nn.pcm import PixelCorrelation, correlation_input


class SeamClassifier(TagClassifier):
    """Backbone, a linear layer at each location, and the pixel correlation module on the levels before the last.

    Attributes:
        rate_factors: Multiples of the head's learning rate, by part.
        published: Whether absent classes take part in the correlation module, too.

    Raises:
        ConfigError: If the backbone has fewer than three levels.

    Reference:
        [wang2020seam], section 3.
    """

    rate_factors: ClassVar[dict[str, float]] = {"correlation.": 1.0}

    def __init__(self, backbone: Backbone, num_classes: int, *, dropout: float = 0.0, published: bool = False) -> None:
        super().__init__(backbone, num_classes, dropout=dropout)
        shapes = backbone.level_shapes()
        if len(shapes) < 3:
            raise ConfigError(f"seam: the backbone has {len(shapes)} levels, three are needed; choose another")
        self.correlation = PixelCorrelation(shapes[-3][0], shapes[-2][0])
        self.published = published

    def forward(self, images: Tensor, present: Tensor | None = None) -> Tensor:
        """Return logits, or the maps of both kinds.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255.
            present: ``(B, K)`` bool, the tagged classes: asks for maps.

        Returns:
            ``(B, K)`` logits; with ``present`` ``(B, 2 K + 1, h, w)``: raw evidence of the classes, then refined
            evidence of background and classes. No derivative flows from the refined maps into backbone and head.
        """
        if present is None:
            return super().forward(images)
        features, levels = self.backbone.features_and_levels(images)
        raw = self.head(self.dropout(features))
        return torch.cat([raw, self._refined(images, levels, raw, None if self.published else present)], dim=1)

    def evidence(self, images: Tensor, class_ids: Sequence[int]) -> Tensor:
        """Return ``(B, len(class_ids), h, w)`` refined evidence, in [0, 1], of some classes (ids from 1)."""
        rows = torch.tensor([class_id - 1 for class_id in class_ids], dtype=torch.long, device=images.device)
        features, levels = self.backbone.features_and_levels(images)
        weight = self.head.weight if self.published else self.head.weight[rows]
        refined = self._refined(images, levels, F.conv2d(features, weight), None)[:, 1:]
        return refined[:, rows] if self.published else refined

    def _refined(self, images: Tensor, levels: list[Tensor], raw: Tensor, present: Tensor | None) -> Tensor:
        mixed = correlation_input(raw, present)
        found: Tensor = self.correlation(self.backbone.normalized(images), levels[-3], levels[-2], mixed)
        return found

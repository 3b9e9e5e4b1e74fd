"""The tag classifier of SEAM: evidence that is refined by correlations of pixels."""

from collections.abc import Collection, Sequence
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.classifiers.pcm import PixelCorrelation, correlation_input
from weakseg.nn.classifiers.tag import TagClassifier
from weakseg.nn.models import ModelFile, class_count
from weakseg.nn.output import Output, check_further


class SeamClassifier(TagClassifier):
    """Backbone, a linear layer at each location, and the pixel correlation module on the levels before the last.

    Attributes:
        gives: Further outputs of ``forward``.
        published: Whether absent classes take part in the correlation module, too.

    Raises:
        ConfigError: If the backbone has fewer than three levels.

    Reference:
        [wang2020seam], section 3.
    """

    gives: ClassVar[tuple[str, ...]] = ("levels", "raw", "refined")

    def __init__(self, backbone: Backbone, num_classes: int, *, dropout: float = 0.0, published: bool = False) -> None:
        super().__init__(backbone, num_classes, dropout=dropout)
        shapes = backbone.level_shapes()
        if len(shapes) < 3:
            raise ConfigError(f"seam: the backbone has {len(shapes)} levels, three are needed; choose another")
        self.correlation = PixelCorrelation(shapes[-3][0], shapes[-2][0])
        self.published = published

    @property
    def rate_factors(self) -> dict[str, float]:
        """Multiples of the head's learning rate, by part."""
        return {"correlation.": 1.0}

    def forward(
        self,
        images: Tensor,
        *,
        further: Collection[str] = (),
        are_features: bool = False,
        present: Tensor | None = None,
    ) -> Output:
        """Return ``(B, K)`` logits of images, and what else is asked for.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255.
            further: ``raw``: ``(B, K, h, w)`` evidence of the classes, whose mean the logits then are; ``refined``:
                ``(B, K + 1, h, w)``, that of background and classes in [0, 1], from which no derivative flows into
                backbone and head; ``levels``: the feature maps of all stages of the backbone.
            are_features: As of ``TagClassifier``, where nothing further is asked for.
            present: ``(B, K)`` bool, the tagged classes, which ``refined`` is made of.

        Raises:
            ConfigError: If the network does not give what is asked for, or classes are needed and not given.
        """
        check_further(self, further, self.gives)
        if not set(further) & {"raw", "refined"}:
            return super().forward(images, further=further, are_features=are_features)
        if are_features:
            raise ConfigError("SeamClassifier: 'raw' and 'refined' are made of images, and features are given")
        features, levels = self.backbone.features_and_levels(images)
        raw = self.head(self.dropout(features))
        found = {"levels": levels, "raw": raw}
        if "refined" in further:
            if present is None:
                raise ConfigError("SeamClassifier: 'refined' needs present, the tagged classes of each image")
            found["refined"] = self._refined(images, levels, raw, None if self.published else present)
        return Output(raw.mean((2, 3)), {name: found[name] for name in further})

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


def read_seam_classifier(file: ModelFile) -> SeamClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone = read_backbone(file, file.header["backbone"])
    return SeamClassifier(backbone, class_count(file.header), published=bool(file.header["published"]))

"""A segmenter: a backbone and a head, logits at the backbone's stride."""

from collections.abc import Collection
from typing import ClassVar

import torch
from torch import Tensor, nn

from weakseg.nn.backbones import Backbone
from weakseg.nn.output import Output, check_further
from weakseg.ops.resample import Cells


class Segmenter(nn.Module):
    """Backbone and head: images to logits of background and K classes.

    Attributes:
        gives: Further outputs of ``forward``.

    Args:
        backbone: Images to features.
        head: Features ``(B, C, h, w)`` to logits ``(B, K + 1, h, w)``.
    """

    gives: ClassVar[tuple[str, ...]] = ("levels",)

    def __init__(self, backbone: Backbone, head: nn.Module) -> None:
        super().__init__()
        self.backbone, self.head = backbone, head

    def forward(self, images: Tensor, *, further: Collection[str] = ()) -> Output:
        """Return ``(B, K + 1, h, w)`` logits of images, and what else is asked for.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255.
            further: ``levels``: the feature maps of all stages of the backbone.

        Raises:
            ConfigError: If the network does not give what is asked for.
        """
        check_further(self, further, self.gives)
        if not further:
            return Output(self.head(self.backbone(images)), {})
        features, levels = self.backbone.features_and_levels(images)
        return Output(self.head(features), {"levels": levels})

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.backbone.mean.device

    @property
    def cells(self) -> Cells:
        """Where the cells of the logits lie."""
        return self.backbone.cells()

"""The tag classifier whose linear layer, applied at each location, gives class activation maps."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from weakseg.nn.backbones import Backbone, build_backbone, embedded_state
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import EMBEDDED, BackboneConfig


class TagClassifier(nn.Module):
    """Backbone, global average pooling and one linear layer without bias.

    Reference:
        [zhou2016cam], section 2.
    """

    def __init__(self, backbone: Backbone, num_classes: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.backbone = backbone
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(backbone.channels, num_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.head.weight)

    def forward(self, images: Tensor) -> Tensor:
        """Return ``(B, K)`` logits of ``(B, 3, H, W)`` images on the scale 0..255."""
        features = self.dropout(self.backbone(images))
        logits: Tensor = self.head(features.mean((2, 3), keepdim=True))
        return logits[..., 0, 0]

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.head.weight.device

    @property
    def cells(self) -> Cells:
        """Where the cells of the evidence lie."""
        return self.backbone.cells()

    def evidence(self, images: Tensor, class_ids: Sequence[int]) -> Tensor:
        """Return ``(B, len(class_ids), h, w)`` class evidence, ``relu(w_c . f)``, of some classes (ids from 1)."""
        rows = torch.tensor([class_id - 1 for class_id in class_ids], dtype=torch.long, device=images.device)
        return nn.functional.conv2d(self.backbone(images), self.head.weight[rows]).relu()


def build_imagenet_classifier(*, output_stride: int = 16) -> TagClassifier:
    """Return the embedded ImageNet classifier, with its own class weights, for activations without training."""
    backbone = build_backbone(BackboneConfig(EMBEDDED, output_stride, "embedded"))
    weight = list(embedded_state().values())[-2]
    model = TagClassifier(backbone, len(weight))
    model.head.weight.data.copy_(weight[:, :, None, None])
    return model.eval()

"""The tag classifier whose linear layer, applied at each location, gives class activation maps."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from weakseg.nn.backbones import Backbone, build_backbone, embedded_state, read_backbone
from weakseg.nn.models import ModelFile, class_count
from weakseg.nn.output import Output, check_further
from weakseg.ops.resample import Cells
from weakseg.settings.backbone import EMBEDDED, BackboneConfig

MAX_CONVOLUTIONS = 8


class TagClassifier(nn.Module):
    """Backbone, 3 x 3 convolutions if wanted, global average pooling and one linear layer without bias.

    Attributes:
        gives: Further outputs of ``forward``.

    Reference:
        [zhou2016cam], section 2; convolutions as in [jiang2019oaa], whose linear layer has a bias.
    """

    gives: ClassVar[tuple[str, ...]] = ("levels", "scores")

    def __init__(self, backbone: Backbone, num_classes: int, *, dropout: float = 0.0, convolutions: int = 0) -> None:
        super().__init__()
        self.backbone = backbone
        layers = [nn.Conv2d(backbone.channels, backbone.channels, 3, padding=1) for _ in range(convolutions)]
        for layer in layers:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
        self.convolutions = nn.Sequential(*(part for layer in layers for part in (layer, nn.ReLU())))
        self.dropout = nn.Dropout2d(dropout)
        self.head = nn.Conv2d(backbone.channels, num_classes, 1, bias=False)
        nn.init.xavier_uniform_(self.head.weight)

    @property
    def rate_factors(self) -> dict[str, float]:
        """Multiples of the head's learning rate, by part."""
        return {"convolutions.": 1.0} if len(self.convolutions) else {}

    def forward(self, images: Tensor, *, further: Collection[str] = (), are_features: bool = False) -> Output:
        """Return ``(B, K)`` logits of images, and what else is asked for.

        Args:
            images: ``(B, 3, H, W)`` on the scale 0..255.
            further: ``levels``: the feature maps of all stages of the backbone; ``scores``: ``(B, K, h, w)``, the
                linear layer at each location, without dropout.
            are_features: Whether ``images`` are features, ``(B, C, h, w)``, which have no ``levels``.

        Raises:
            ConfigError: If the network does not give what is asked for.
        """
        check_further(self, further, self.gives)
        found: dict[str, Any] = {}
        if "levels" in further:
            features, found["levels"] = self.backbone.features_and_levels(images)
        else:
            features = images if are_features else self.backbone(images)
        features = self.convolutions(features)
        return Output(self.pooled_logits(features), {**found, **self.seen(features, further)})

    def seen(self, features: Tensor, further: Collection[str]) -> dict[str, Tensor]:
        """Return what is asked for of ``(B, C, h, w)`` features beside their logits."""
        return {"scores": self.head(features)} if "scores" in further else {}

    def pooled_logits(self, features: Tensor) -> Tensor:
        """Return ``(B, K)`` logits of ``(B, C, h, w)`` features."""
        logits: Tensor = self.head(self.dropout(features).mean((2, 3), keepdim=True))
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
        return nn.functional.conv2d(self.convolutions(self.backbone(images)), self.exported()[rows]).relu()

    def exported(self) -> Tensor:
        """Return ``(K, C, 1, 1)`` weights of the evidence."""
        return self.head.weight


def build_imagenet_classifier(*, output_stride: int = 16) -> TagClassifier:
    """Return the embedded ImageNet classifier, with its own class weights, for activations without training."""
    backbone = build_backbone(BackboneConfig(EMBEDDED, output_stride, "embedded"))
    weight = list(embedded_state().values())[-2]
    model = TagClassifier(backbone, len(weight))
    model.head.weight.data.copy_(weight[:, :, None, None])
    return model.eval()


def read_classifier(file: ModelFile) -> TagClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone = read_backbone(file, file.header["backbone"])
    return TagClassifier(backbone, class_count(file.header), convolutions=read_convolutions(file.header))


def read_convolutions(header: Mapping[str, Any]) -> int:
    """Return how many convolutions the header of a file says that there are.

    Raises:
        ValueError: If it is no such number.
    """
    count = header.get("convolutions", 0)
    if type(count) is not int or not 0 <= count <= MAX_CONVOLUTIONS:
        raise ValueError(f"{count!r} is no number of convolutions")
    return count

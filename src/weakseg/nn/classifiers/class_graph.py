"""A tag classifier beside which a graph of classes makes a second set of classifiers."""

from collections.abc import Collection
from typing import ClassVar

from torch import Tensor, nn

from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.classifiers.tag import TagClassifier, read_convolutions
from weakseg.nn.graphs.class_gcn import ClassGcn, ClassNodes
from weakseg.nn.models import ModelFile
from weakseg.settings.class_head import ClassHeadConfig

CLASS_GCN = "class_gcn"


class ClassGraphClassifier(TagClassifier):
    """The tag classifier, and ``z' = f G^T`` of its pooled features: G of a class network with two layers.

    Logits and evidence are those of the tag classifier; what the class network learns reaches them through the
    features alone. Where both are summed they are those of ``W + G``.

    Attributes:
        gives: Further outputs of ``forward``.
        summed: Whether they are.
        lr_factor: Learning rate of the class network, as a multiple of the head's.

    Args:
        backbone: Images to features.
        nodes: Vectors and adjacency of the classes.
        config: Widths and activations of the class network, and how both are combined.
        dropout: As of ``TagClassifier``; z' has none.
        convolutions: As there.

    Reference:
        [zhang2023grm], knowledge graph inference for classification; pooling and activations as in its code.
    """

    gives: ClassVar[tuple[str, ...]] = ("levels", "scores", "class_logits")

    def __init__(
        self,
        backbone: Backbone,
        nodes: ClassNodes,
        config: ClassHeadConfig,
        *,
        dropout: float = 0.0,
        convolutions: int = 0,
    ) -> None:
        super().__init__(backbone, len(nodes.vectors), dropout=dropout, convolutions=convolutions)
        widths = (config.hidden, backbone.channels)
        self.class_gcn = ClassGcn(*nodes, widths, last_activation=config.last_activation)
        self.lr_factor, self.summed = config.lr_factor, config.combine == "sum"

    @property
    def rate_factors(self) -> dict[str, float]:
        """Multiples of the head's learning rate, by part."""
        return {**super().rate_factors, f"{CLASS_GCN}.": self.lr_factor}

    def pooled_logits(self, features: Tensor) -> Tensor:
        """Return ``(B, K)`` logits of ``(B, C, h, w)`` features."""
        logits = super().pooled_logits(features)
        return logits + self.class_logits(features) if self.summed else logits

    def class_logits(self, features: Tensor) -> Tensor:
        """Return z', ``(B, K)``, of ``(B, C, h, w)`` features."""
        return features.mean((2, 3)) @ self.class_gcn().T  # type: ignore[no-any-return]

    def exported(self) -> Tensor:
        """Return ``(K, C, 1, 1)`` weights of the evidence."""
        return self.head.weight + self.class_gcn()[..., None, None] if self.summed else self.head.weight

    def seen(self, features: Tensor, further: Collection[str]) -> dict[str, Tensor]:
        """Return what is asked for of ``(B, C, h, w)`` features; ``class_logits``: ``(B, K)``, z'."""
        found = super().seen(features, further)
        if "class_logits" in further:
            found["class_logits"] = self.class_logits(features)
        if self.summed and "scores" in further:
            found["scores"] = nn.functional.conv2d(features, self.exported())
        return found


def read_class_graph_classifier(file: ModelFile) -> ClassGraphClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone, convolutions = read_backbone(file, file.header["backbone"]), read_convolutions(file.header)
    head = file.header["class_head"]
    config = ClassHeadConfig(
        weight=1.0,
        combine=head.get("combine", "beside"),
        hidden=int(head["hidden"]),
        last_activation=bool(head["last_activation"]),
    )

    def network() -> ClassGcn:
        return ClassGcn(*ClassNodes.as_in(file, CLASS_GCN), (config.hidden, backbone.channels))

    file.check_part(CLASS_GCN, network)
    return ClassGraphClassifier(backbone, ClassNodes.as_in(file, CLASS_GCN), config, convolutions=convolutions)

"""ML-GCN's classifier: a network on a graph of classes makes the linear layer, which sees largest values."""

from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.classifiers.tag import TagClassifier, read_convolutions
from weakseg.nn.graphs.class_gcn import ClassGcn, ClassNodes
from weakseg.nn.models import ModelFile

CLASS_GCN = "head.gcn"


class ClassVectorHead(nn.Module):
    """A linear layer without bias at each cell, whose weights are the vectors that a class network makes."""

    def __init__(self, gcn: ClassGcn) -> None:
        super().__init__()
        self.gcn = gcn

    @property
    def weight(self) -> Tensor:
        """``(K, C, 1, 1)``."""
        vectors: Tensor = self.gcn()
        return vectors[:, :, None, None]

    def forward(self, features: Tensor) -> Tensor:
        """Return ``(B, K, h, w)`` scores of ``(B, C, h, w)`` features."""
        return F.conv2d(features, self.weight)


class MlgcnClassifier(TagClassifier):
    """Backbone, global max pooling, and ``z = G f``, G of a class network with two layers, a leaky ReLU between them.

    Evidence is ``relu(g_c . f)`` at each cell: what the classifier would say of an image of such cells alone.

    Args:
        backbone: Images to features.
        nodes: Vectors and adjacency of the classes.
        hidden: Channels between the layers of the class network.
        dropout: As of ``TagClassifier``.
        convolutions: As there.

    Reference:
        [chen2019mlgcn], section 3.
    """

    def __init__(
        self, backbone: Backbone, nodes: ClassNodes, hidden: int, *, dropout: float = 0.0, convolutions: int = 0
    ) -> None:
        super().__init__(backbone, len(nodes.vectors), dropout=dropout, convolutions=convolutions)
        gcn = ClassGcn(*nodes, (hidden, backbone.channels), last_activation=False)
        self.head = ClassVectorHead(gcn)  # type: ignore[assignment]

    def pooled_logits(self, features: Tensor) -> Tensor:
        """Return ``(B, K)`` logits of ``(B, C, h, w)`` features."""
        logits: Tensor = self.head(self.dropout(features).amax((2, 3), keepdim=True))
        return logits[..., 0, 0]


def read_mlgcn_classifier(file: ModelFile) -> MlgcnClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone, convolutions = read_backbone(file, file.header["backbone"]), read_convolutions(file.header)
    hidden = int(file.header["hidden"])

    def network() -> ClassGcn:
        return ClassGcn(*ClassNodes.as_in(file, CLASS_GCN), (hidden, backbone.channels), last_activation=False)

    file.check_part(CLASS_GCN, network)
    return MlgcnClassifier(backbone, ClassNodes.as_in(file, CLASS_GCN), hidden, convolutions=convolutions)

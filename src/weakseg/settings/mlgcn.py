"""ML-GCN: the tag classifier whose linear layer a network on a graph of classes makes."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class MlgcnConfig(ClassifierConfig):
    """ML-GCN's classifier and its training.

    Attributes:
        backbone: The feature extractor.
        convolutions: 3 x 3 convolutions with ReLU behind the backbone, which learn as fast as the class network.
        dropout: Of whole feature channels before the largest value of each is taken.
        frozen: Train the class network, and convolutions, alone.
        augment: Variation of the training images.
        fit: Optimisation; the head is the class network.
        warn_below: Validation mAP (percent) under which activations are not to be trusted.
        accumulate: Of the plain classifier alone.
        accumulation: Of the plain classifier alone.
        attention_drop: Of the plain classifier alone.
        class_graph: Of the plain classifier alone.
        graph: The graph of classes; the paper's is how often training images show two of them together.
        hidden: Channels between the two layers of the class network; the last has those of the features.
    """

    frozen: bool = False
    graph: ClassGraphConfig = field(default_factory=lambda: ClassGraphConfig(adjacency="mlgcn"))
    hidden: int = 1024

    def __post_init__(self) -> None:
        """Refuse what a classifier refuses, accumulation, and a second set of classifiers."""
        super().__post_init__()
        check_settings("classifier", self, hidden=">= 1")
        self.class_graph.refuse("ML-GCN's own classifiers are made by a graph, see classifier.graph")
        if self.accumulate:
            raise ConfigError(
                "classifier.accumulate: belongs to the plain classifier; leave it out, or use another method"
            )

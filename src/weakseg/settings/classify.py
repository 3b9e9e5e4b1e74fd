"""The tag classifier and its training."""

from dataclasses import dataclass, field

from weakseg.errors import ConfigError
from weakseg.settings.accumulate import AccumulationConfig, AttentionDropConfig
from weakseg.settings.augment import AugmentConfig, check_whole
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class ClassifierConfig:
    """The tag classifier and its training.

    Attributes:
        backbone: The feature extractor.
        convolutions: 3 x 3 convolutions with ReLU between backbone and linear layer, which learn as fast as that.
        dropout: Of whole feature channels before the linear layer.
        frozen: Train the linear layer, and convolutions, alone. With few photographs a backbone that learns finds each
            class in its usual surroundings (the road under the car) sooner than in its shape.
        augment: Variation of the training images.
        fit: Optimisation.
        warn_below: Validation mAP (percent) under which activations are not to be trusted.
        accumulate: The activations of the training images are the largest of all that the classifier had of them while
            it learned, in place of those of the trained one. Every variant must show the whole image.
        accumulation: Which of them are accumulated.
        attention_drop: What of an image is hidden from the classifier because it was found already.
        class_graph: A second set of classifiers, which a graph of classes makes, in training.
    """

    backbone: BackboneConfig = field(default_factory=BackboneConfig)
    convolutions: int = 0
    dropout: float = 0.0
    frozen: bool = False
    augment: AugmentConfig = field(default_factory=AugmentConfig)
    fit: FitConfig = field(default_factory=lambda: FitConfig(epochs=6, batch_size=16, lr=0.01))
    warn_below: float = 60.0
    accumulate: bool = False
    accumulation: AccumulationConfig = field(default_factory=AccumulationConfig)
    attention_drop: AttentionDropConfig = field(default_factory=AttentionDropConfig)
    class_graph: ClassHeadConfig = field(default_factory=ClassHeadConfig)

    def __post_init__(self) -> None:
        """Refuse shares that are none, and accumulation that cannot work or is not asked for."""
        check_settings("classifier", self, dropout="in [0, 1)", convolutions="in [0, 8]")
        if self.frozen and not self.convolutions and self.class_graph.combine == "beside":
            self.class_graph.refuse(
                "beside those of tags its classifiers act through features alone, which are fixed with a frozen "
                "backbone; set classifier.class_graph.combine to 'sum', or let the backbone learn"
            )
        if not self.accumulate:
            for name, default in (("accumulation", AccumulationConfig()), ("attention_drop", AttentionDropConfig())):
                if getattr(self, name) != default:
                    raise ConfigError(f"classifier.{name}: has no effect without classifier.accumulate; set it to true")
            return
        self.class_graph.refuse("accumulated activations are those of the plain classifier")
        check_whole("classifier", self.augment)
        if not self.fit.iterations and self.fit.epochs <= self.accumulation.skip_epochs:
            raise ConfigError(
                f"classifier.accumulation.skip_epochs: {self.accumulation.skip_epochs} of {self.fit.epochs} epochs "
                "leave none in which anything is accumulated; train longer or skip less"
            )

"""The tag classifier and its training."""

from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal, Self

from weakseg.errors import ConfigError
from weakseg.settings.accumulate import AccumulationConfig, AttentionDropConfig
from weakseg.settings.augment import AugmentConfig, check_whole
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.class_head import ClassHeadConfig
from weakseg.settings.fit import FitConfig
from weakseg.settings.rules import check_settings

FEW = 1000  # training images, under which the backbone does not learn unless it is told to
KEPT_VARIANTS = 8
HEAD_FIT = FitConfig(epochs=8, batch_size=16, optimizer="adamw", lr=0.001, min_iterations=200)  # of the head alone
BESIDE_RATE = frozenset(
    {"epochs", "iterations", "min_iterations", "batch_size", "drop_last", "accumulate", "precision", "loader_workers"}
)  # settings of fit that say nothing of how fast what learns
OF_BACKBONE = frozenset({"frozen_levels", "norm_statistics", "norm_affine"})


@dataclass(frozen=True)
class ClassifierConfig:
    """The tag classifier and its training.

    Attributes:
        backbone: The feature extractor.
        convolutions: 3 x 3 convolutions with ReLU between backbone and linear layer, which learn as fast as that.
        dropout: Of whole feature channels before the linear layer.
        frozen: Train the linear layer, and convolutions, alone. With few photographs a backbone that learns finds each
            class in its usual surroundings (the road under the car) sooner than in its shape. ``auto``: with fewer than
            1,000 training images, by ``for_images``, which says what else it sets.
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
    frozen: bool | Literal["auto"] = "auto"
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
        if self.frozen is True and self._beside_alone:
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

    @property
    def _beside_alone(self) -> bool:
        """Whether classifiers of a class graph act through features, which a frozen backbone does not change."""
        return bool(self.class_graph.weight) and self.class_graph.combine == "beside" and not self.convolutions

    @property
    def _has_to_learn(self) -> str:
        """Why the backbone has to learn whatever the number of images; empty: it has not."""
        if self.accumulate:
            return "activations are accumulated"
        if self.backbone.weights == "none":
            return "it starts at random"
        if self._changed & OF_BACKBONE:
            return f"classifier.fit sets {', '.join(sorted(self._changed & OF_BACKBONE))}"
        return "the class graph acts through it" if self._beside_alone else ""

    @property
    def _changed(self) -> frozenset[str]:
        """Settings of ``fit`` that are not those of the default."""
        plain = type(self)().fit
        return frozenset(one.name for one in fields(plain) if getattr(self.fit, one.name) != getattr(plain, one.name))

    def for_images(self, count: int) -> Self:
        """Return these settings with ``frozen`` decided for so many training images.

        ``auto`` is true for fewer than 1,000, unless the backbone has to learn: where activations are accumulated, it
        starts at random, ``fit`` sets what concerns it alone, or a class graph acts through it. The linear layer then
        learns by AdamW at 0.001 (the head ten times that), for 8 epochs, which are repeated to 200 updates, unless
        ``fit`` has other values than the default's: those of length, batches and precision join these, with any
        other ``fit`` is taken as it is. Of each image 8 variants are drawn, whose features are kept, where nothing
        but the linear layer learns.
        """
        if self.frozen != "auto":
            return self
        if count >= FEW or self._has_to_learn:
            return replace(self, frozen=False)
        augment, fit = self.augment, self.fit
        if not augment.variants and not self.convolutions:
            augment = replace(augment, variants=KEPT_VARIANTS)
        if self._changed <= BESIDE_RATE:
            own: dict[str, Any] = {name: getattr(fit, name) for name in self._changed}
            least = {} if not fit.iterations else {"min_iterations": 0}
            fit = replace(HEAD_FIT, **{**least, **own})
        return replace(self, frozen=True, fit=fit, augment=augment)

    def told(self, count: int) -> str:
        """Return what ``for_images`` decides, in words; empty where nothing was left to it."""
        if self.frozen != "auto":
            return ""
        found = self.for_images(count)
        fit, variants = found.fit, found.augment.variants
        if not found.frozen:
            why = self._has_to_learn or f"there are {count:,} training images"
            return f"classifier.frozen (auto): the backbone learns, for {why}"
        length = f"{fit.iterations} updates" if fit.iterations else f"{fit.epochs} epochs"
        length += f", or more to {fit.min_iterations} updates," if fit.min_iterations else ""
        seen = f"{variants} variants of each" if variants else "a new variant of each in every epoch"
        return (
            f"classifier.frozen (auto): with {count:,} training images the backbone stays as it is; the linear layer "
            f"learns by {fit.optimizer} at {fit.lr * fit.head_lr_factor:g} for {length} from {seen}. With "
            "classifier.frozen set, classifier.fit and classifier.augment are as they are set"
        )

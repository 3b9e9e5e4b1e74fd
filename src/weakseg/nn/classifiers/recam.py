"""ReCAM's classifier: a second linear layer learns, by softmax, what each class looks like where it is active."""

from collections.abc import Collection
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.classifiers.tag import TagClassifier, read_convolutions
from weakseg.nn.models import ModelFile, class_count
from weakseg.nn.output import Output, check_further
from weakseg.ops.cam import class_features, normalize_evidence
from weakseg.settings.recam import RecamWeights

REACTIVATION = "reactivation."


class RecamClassifier(TagClassifier):
    """The tag classifier, and a second linear layer without bias for features seen through activations.

    Attributes:
        gives: Further outputs of ``forward``.
        lr_factor: Learning rate of the second layer, as a multiple of the head's.
        detach_mask: Whether no gradient flows through these activations.
        weights: Of the evidence, see ``RecamActivationsConfig``; may be set at any time.

    Reference:
        [chen2022recam], and its code.
    """

    gives: ClassVar[tuple[str, ...]] = ("levels", "scores", "reactivated")

    def __init__(
        self,
        backbone: Backbone,
        num_classes: int,
        *,
        convolutions: int = 0,
        lr_factor: float = 10.0,
        detach_mask: bool = False,
    ) -> None:
        super().__init__(backbone, num_classes, convolutions=convolutions)
        self.reactivation = nn.Conv2d(backbone.channels, num_classes, 1, bias=False)
        self.lr_factor, self.detach_mask = lr_factor, detach_mask
        self.weights: RecamWeights = "product"

    @property
    def rate_factors(self) -> dict[str, float]:
        """Multiples of the head's learning rate, by part."""
        return {**super().rate_factors, REACTIVATION: self.lr_factor}

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
            further: ``levels`` and ``scores`` as of ``TagClassifier``; ``reactivated``: ``(R, K)``, what the second
                layer says of the feature of each present class, in the order of ``present.nonzero()``.
            are_features: As of ``TagClassifier``, where nothing further is asked for.
            present: ``(B, K)`` bool, the tagged classes, for ``reactivated``.

        Raises:
            ConfigError: If the network does not give what is asked for, or classes are needed and not given.
        """
        check_further(self, further, self.gives)
        if "reactivated" not in further:
            return super().forward(images, further=further, are_features=are_features)
        if present is None:
            raise ConfigError("RecamClassifier: 'reactivated' needs present, the tagged classes of each image")
        if are_features:
            raise ConfigError("RecamClassifier: 'reactivated' is made of images, and features are given")
        features, levels = self.backbone.features_and_levels(images)
        features = self.convolutions(features)
        scores = self.head(features)
        rows = present_features(features, scores.float(), present, detach_mask=self.detach_mask)
        said = F.linear(rows, self.reactivation.weight[:, :, 0, 0])
        found = {"levels": levels, "scores": scores, "reactivated": said}
        return Output(self.pooled_logits(features), {name: found[name] for name in further})

    def exported(self) -> Tensor:
        """Return ``(K, C, 1, 1)`` weights of the evidence, ``relu(w'_c . f)``."""
        if self.weights == "product":
            return self.head.weight * self.reactivation.weight
        return self.head.weight if self.weights == "cls" else self.reactivation.weight


def present_features(features: Tensor, scores: Tensor, present: Tensor, *, detach_mask: bool = False) -> Tensor:
    """Return ``(R, C)`` features of the present classes, each seen through ``relu(s_c) / (max relu(s_c) + 1e-5)``.

    Args:
        features: ``(B, C, h, w)`` float.
        scores: ``(B, K, h, w)`` float: s, scores of the classes at each cell.
        present: ``(B, K)`` bool.
        detach_mask: Whether no gradient flows through scores.

    Returns:
        Rows in the order of ``present.nonzero()``; a class without a positive score has a row of zeros.

    Reference:
        [chen2022recam], its code.
    """
    most = int(present.sum(1).max()) if len(present) else 0
    ids = present.byte().argsort(dim=1, descending=True, stable=True)[:, :most]  # (B, P): present ones first
    maps = scores.gather(1, ids[:, :, None, None].expand(-1, -1, *scores.shape[2:])).relu()
    masks = normalize_evidence(maps.flatten(0, 1)).view_as(maps)
    seen = class_features(masks.detach() if detach_mask else masks, features)
    return seen[present.gather(1, ids)]


def read_recam_classifier(file: ModelFile) -> RecamClassifier:
    """Return the classifier that a file's header describes, without its weights."""
    backbone = read_backbone(file, file.header["backbone"])
    return RecamClassifier(backbone, class_count(file.header), convolutions=read_convolutions(file.header))

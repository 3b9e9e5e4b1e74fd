"""What a segmenter reasons about classes."""

from dataclasses import dataclass, field
from typing import Literal, get_args

from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.rules import SettingError, check_settings

ReasoningKind = Literal["none", "official", "recommended"]
Normalize = Literal["classes", "pixels"]


@dataclass(frozen=True)
class ReasoningConfig:
    """A layer that adds to each feature cell what a graph of classes tells it.

    Attributes:
        kind: ``none``; ``recommended`` (each cell attends to the classes); ``official`` (as published, which adds the
            same vector of all classes everywhere: it cannot tell them apart).
        level: After which level of the backbone, 1 the finest; 0: in the head, before its last layer.
        class_graph: Classes, their word vectors and relations.
        widths: Channels of the layers of the network on that graph. With ``official`` the last is that of the features.
        dropout: Between these layers, in training.
        keys: Of ``recommended``: channels in which cells and classes are compared.
        normalize: Of ``recommended``: the weights of a cell sum to one over ``classes``; or those of a class over
            ``pixels``, as in the paper.
        lr_factor: Learning rate of the layer, as a multiple of the head's.
    """

    kind: ReasoningKind = "none"
    level: int = 0
    class_graph: ClassGraphConfig = field(default_factory=ClassGraphConfig)
    widths: tuple[int, ...] = (256, 256)
    dropout: float = 0.3
    keys: int = 64
    normalize: Normalize = "classes"
    lr_factor: float = 0.4

    def __post_init__(self) -> None:
        """Refuse words that do not exist, numbers out of range, and settings without effect."""
        check_settings("model.reasoning", self, kind=get_args(ReasoningKind), normalize=get_args(Normalize))
        check_settings("model.reasoning", self, level=">= 0", widths=">= 1", keys=">= 1", lr_factor="> 0")
        check_settings("model.reasoning", self, dropout="in [0, 1)")
        unread = {"recommended": (), "official": ("keys", "normalize")}.get(self.kind, tuple(vars(self))[1:])
        for name in unread:
            if getattr(self, name) != (ClassGraphConfig() if name == "class_graph" else getattr(type(self), name)):
                wanted = f"has no effect with kind {self.kind!r}; leave it out, or set kind to 'recommended'"
                raise SettingError("model.reasoning", name, getattr(self, name), wanted)

"""A second set of classifiers beside a tag classifier, which a graph of classes makes."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.settings.rules import SettingError, check_settings

Combine = Literal["beside", "sum"]


@dataclass(frozen=True)
class ClassHeadConfig(ClassGraphConfig):
    """The graph of classes beside a tag classifier, and how much its classifiers count.

    Attributes:
        weight: Of the focal loss of its classifiers, lambda; 0: there is no such head. The paper's is 1e-4.
        combine: ``beside``: its classifiers have their own loss alone, and reach activations through the features, as
            published; ``sum``: they are added to those of tags, in training and in activations.
        gamma: Of the focal loss: well classified tags count less the larger it is; 0: the loss is that of tags.
        hidden: Channels between the two layers of the network on the graph; the last has those of the features.
        last_activation: Whether a leaky ReLU follows the last layer, too, as in the published code.
        lr_factor: Learning rate of that network, as a multiple of the head's.
    """

    weight: float = 0.0
    combine: Combine = "beside"
    gamma: float = 2.0
    hidden: int = 1024
    last_activation: bool = True
    lr_factor: float = 0.01

    def __post_init__(self) -> None:
        """Refuse numbers out of range, and settings of a head that there is not."""
        super().__post_init__()
        check_settings("classifier.class_graph", self, weight=">= 0", gamma=">= 0", hidden=">= 1", lr_factor="> 0")
        check_settings("classifier.class_graph", self, combine=get_args(Combine))
        for field in fields(self):
            if not self.weight and getattr(self, field.name) != field.default:
                wanted = "has no effect without classifier.class_graph.weight; set that, or leave it out"
                raise SettingError("classifier.class_graph", field.name, getattr(self, field.name), wanted)

    def refuse(self, reason: str) -> None:
        """Raise ``ConfigError`` with the reason if there is such a head."""
        if self.weight:
            raise ConfigError(f"classifier.class_graph.weight: {reason}; got {self.weight}, leave it at 0")

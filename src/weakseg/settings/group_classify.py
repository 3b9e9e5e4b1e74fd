"""The classifier that looks at groups of images, its training, and its activations."""

from dataclasses import dataclass, field, replace
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.activate import ActivationsConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.settings.fit import FitConfig, ScheduleConfig
from weakseg.settings.group import ImageGraphConfig
from weakseg.settings.rules import check_settings

States = Literal["features", "scores"]
Draw = Literal["shared", "random"]
Untagged = Literal["kept", "left_out"]
GroupOutput = Literal["average", "graph", "intermediate"]


@dataclass(frozen=True)
class GroupHeadConfig:
    """What follows the features: a head of its own, and the graph of images with another.

    Attributes:
        channels: Features are reduced to so many by a linear layer with ReLU; 0: they are not.
        states: What an image tells the others: ``features``, of which the second head reads class scores after the
            graph; or the class ``scores`` of the first head themselves, as in the published code.
        graph: The graph of images.
    """

    channels: int = 0
    states: States = "features"
    graph: ImageGraphConfig = field(default_factory=ImageGraphConfig)

    def __post_init__(self) -> None:
        """Refuse negative numbers, and words that do not exist."""
        check_settings("classifier.head", self, channels=">= 0", states=get_args(States))


@dataclass(frozen=True)
class GroupDrawConfig:
    """How the company of an image is drawn, anew in each epoch.

    Attributes:
        size: Images of a group, K; 1: no other image.
        pool_size: Images, first in shared classes, that partners are drawn from; 0: four times as many as partners.
        draw: ``shared``: those that share most classes; ``random``: any tagged images, as a control. There images that
            share no class are joined, too.
        untagged: Images without a tag, which tell what no class looks like, are ``kept``, beside others of their kind
            with which they exchange nothing; or ``left_out``.
    """

    size: int = 4
    pool_size: int = 0
    draw: Draw = "shared"
    untagged: Untagged = "kept"

    def __post_init__(self) -> None:
        """Refuse groups of nobody, and a pool that nothing is drawn from."""
        check_settings("classifier.groups", self, size=">= 1", pool_size=">= 0", draw=get_args(Draw))
        check_settings("classifier.groups", self, untagged=get_args(Untagged))
        if self.size == 1 and (self.draw == "random" or self.pool_size):
            raise ConfigError("classifier.groups.size: with 1 nobody is drawn; leave draw and pool_size out")
        if self.pool_size and (self.draw == "random" or self.pool_size < self.size - 1):
            raise ConfigError(
                f"classifier.groups.pool_size: {self.pool_size} with size {self.size} and draw {self.draw!r}: a pool "
                "holds at least all partners, and random partners have none; leave it at 0"
            )


@dataclass(frozen=True)
class GroupClassifierConfig(ClassifierConfig):
    """The classifier of groups and its training.

    Attributes:
        frozen: Train all but the backbone, whose features of an image are computed once an epoch.
        convolutions: 3 x 3 convolutions with ReLU behind the backbone; the paper's are three.
        head: What follows.
        groups: How groups are drawn.
        intermediate_weight: Of the loss of the head before the graph, beside that of the one after it.
        fit: Optimisation; an example is a group.
    """

    convolutions: int = 3
    frozen: bool = False
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(long_side=None, warp=True, flip=False, jitter=0.3, hue=0.1)
    )
    fit: FitConfig = field(
        default_factory=lambda: FitConfig(
            epochs=15,
            batch_size=1,
            lr=0.001,
            bias_lr_factor=2.0,
            nesterov=True,
            weight_decay=5e-4,
            decay_biases=True,
            schedule=ScheduleConfig("step", at=(5.0, 10.0)),
        )
    )
    head: GroupHeadConfig = field(default_factory=GroupHeadConfig)
    groups: GroupDrawConfig = field(default_factory=GroupDrawConfig)
    intermediate_weight: float = 0.4

    def __post_init__(self) -> None:
        """Refuse a negative weight, and what a plain classifier has and this one does not."""
        super().__post_init__()
        check_settings("classifier", self, intermediate_weight=">= 0")
        if not self.intermediate_weight and self.head.states == "features":
            raise ConfigError(
                "classifier.intermediate_weight: without it the head before the graph learns nothing; set > 0"
            )
        if self.dropout:
            raise ConfigError("classifier.dropout: that of groups has none; see classifier.head.graph.dropout")
        self._check_graph()
        self.class_graph.refuse("belongs to the plain classifier, and that of groups has none")
        if self.attention_drop.probability:
            raise ConfigError("classifier.attention_drop: hides nothing from groups; leave it out")
        if self.frozen and self.fit.loader_workers:
            raise ConfigError(
                "classifier.fit.loader_workers: features of a frozen backbone are computed once an epoch, by one "
                f"process; got {self.fit.loader_workers}, set 0"
            )

    def _check_graph(self) -> None:
        """Refuse a graph that has no room for the messages of a group, or learns to compare what nobody sends."""
        graph, size = self.head.graph, self.groups.size
        if graph.senders and graph.senders < size - 1:
            raise ConfigError(
                f"classifier.head.graph.senders: {graph.senders} messages side by side, but groups have {size} images; "
                f"set it to {size - 1}, or classifier.groups.size to {graph.senders + 1}"
            )
        if size == 1 and graph.messages == "attention" and graph.affinity != "cosine":
            raise ConfigError(
                "classifier.groups.size: with 1 nobody sends, and what compares cells would not learn; set "
                "classifier.head.graph.messages to none"
            )


@dataclass(frozen=True)
class GroupActivateConfig(ActivationsConfig):
    """How activations of groups are computed.

    Attributes:
        output: The ``average`` of both heads, or one of them: that after the ``graph``, or the ``intermediate`` one.
        size: Images of a group; 0: as many as the classifier has learned from.
        draw: How they are drawn, as in ``classifier.groups``; empty: as the classifier has learned.
    """

    output: GroupOutput = "average"
    size: int = 0
    draw: Literal["", "shared", "random"] = ""

    def __post_init__(self) -> None:
        """Refuse words that do not exist."""
        super().__post_init__()
        check_settings("activations", self, output=get_args(GroupOutput), size=">= 0", draw=("", *get_args(Draw)))
        if self.size == 1 and self.draw:
            raise ConfigError("activations.draw: with size 1 nobody is drawn; leave one of them out")
        if self.from_folder:
            raise ConfigError(
                "activations.from_folder: method 'group' is for activations of its own; use method 'cam', which starts "
                "from any"
            )

    def groups(self, trained: GroupDrawConfig) -> GroupDrawConfig:
        """Return the groups that images are looked at in, given those that the classifier has learned from."""
        return replace(trained, pool_size=0, size=self.size or trained.size, draw=self.draw or trained.draw)

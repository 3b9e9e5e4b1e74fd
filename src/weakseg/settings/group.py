"""The graph of images that share classes."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings, spoken

Aggregate = Literal["sum", "mean", "concatenate"]
Messages = Literal["attention", "mean", "none"]
Affinity = Literal["low_rank", "full", "cosine"]
Update = Literal["gru", "mean"]
Reverse = Literal["recomputed", "transposed"]
Timing = Literal["synchronous", "previous"]
DropMask = Literal["binary", "times_mean"]
DropOutput = Literal["average", "product"]
SECTION = "graph"
SHARPNESS = 30.0


@dataclass(frozen=True)
class ImageGraphConfig:
    """Messages between the images of a group, and what they change; the defaults are the paper's.

    Attributes:
        rounds: How often messages are sent.
        reduction: Of ``low_rank``: states are projected to this share of their channels before they are compared.
        aggregate: How the messages of several senders are joined: ``sum``, ``mean``, or ``concatenate``, by a
            convolution of messages side by side, as many as ``senders``.
        senders: Of ``concatenate``: the most messages that an image gets; 0: any number, in sums and means.
        update: A state is updated by a convolutional ``gru``; or it is the ``mean`` of itself and of the mean message,
            which nothing is learned for. Images that get no message keep their state then.
        gru_kernel: Side of the convolutions of ``gru``, in cells; odd.
        self_edge: Whether each image attends to itself, too.
        gate: Whether each message is weighted at each cell by a learned gate.
        projection_bias: Whether the projection of receivers has a bias; in that of senders it would cancel out.
        dropout: Whether graph dropout is at work while training.
        drop_probability: Of graph dropout: how often cells that stand out are dropped; else all are weighted by how
            much they stand out.
        drop_threshold: Cells whose mean over channels reaches this share of the greatest mean are dropped.
        messages: ``attention``; or, as controls, the ``mean`` of the sender's cells at each cell, or ``none``.
        affinity: How cells are compared: by two projections (``low_rank``), by one matrix W (``full``, equation 4), or
            by the ``cosine`` of their states, which nothing is learned for.
        sharpness: Of ``cosine``: factor before the softmax.
        pool: Senders tell the means of squares of so many cells a side: for 2 a quarter as many are compared.
        reverse: The scores of an edge's other direction: ``recomputed``, or ``transposed`` from those where the image
            that stands first receives, so that the order of a group counts.
        timing: States are updated by the messages that they have just sent (``synchronous``), or by those of the round
            before (``previous``, equation 8), in the first round by none.
        drop_mask: ``binary``, or ``times_mean``: times the mean over channels (equation 10).
        drop_output: The ``average`` of state and weighted state, or their ``product`` alone (equation 11).

    Reference:
        [li2021groupwsss]; ``official`` as in its code.
    """

    rounds: int = 3
    reduction: int = 4
    aggregate: Aggregate = "sum"
    senders: int = 0
    update: Update = "gru"
    gru_kernel: int = 3
    self_edge: bool = True
    gate: bool = False
    projection_bias: bool = False
    dropout: bool = True
    drop_probability: float = 0.2
    drop_threshold: float = 0.7
    messages: Messages = "attention"
    affinity: Affinity = "low_rank"
    sharpness: float = SHARPNESS
    pool: int = 1
    reverse: Reverse = "recomputed"
    timing: Timing = "synchronous"
    drop_mask: DropMask = "binary"
    drop_output: DropOutput = "average"

    def __post_init__(self) -> None:
        """Refuse values out of range, words that do not exist, and settings that would change nothing."""
        check_settings(SECTION, self, rounds=">= 1", reduction=">= 1", senders=">= 0", gru_kernel=">= 1")
        check_settings(SECTION, self, drop_probability="in [0, 1]", drop_threshold="in [0, 1]")
        check_settings(SECTION, self, aggregate=get_args(Aggregate), messages=get_args(Messages))
        check_settings(SECTION, self, affinity=get_args(Affinity), reverse=get_args(Reverse), timing=get_args(Timing))
        check_settings(SECTION, self, update=get_args(Update), sharpness="> 0", pool=">= 1")
        check_settings(SECTION, self, drop_mask=get_args(DropMask), drop_output=get_args(DropOutput))
        if self.gru_kernel % 2 == 0:
            raise ConfigError(f"{SECTION}.gru_kernel: need an odd number, got {self.gru_kernel}")
        if (self.aggregate == "concatenate") != (self.senders > 0):
            raise ConfigError(
                f"{SECTION}: aggregate 'concatenate' and a number of senders go together, "
                f"got {self.aggregate!r} and {self.senders}"
            )
        if self.pool > 1 and self.reverse == "transposed":
            raise ConfigError(
                f"{SECTION}.pool: reverse 'transposed' takes the scores of one direction for both, and needs single "
                f"cells on both sides, got {self.pool}; set pool to 1"
            )
        if self.timing == "previous" and self.rounds < 2:
            raise ConfigError(f"{SECTION}.rounds: with timing 'previous' the first round gets no message; need >= 2")
        if self.messages == "none" and not self.self_edge:
            raise ConfigError(f"{SECTION}: without messages and self_edge there is nothing to update states by")
        self._refuse_idle()

    def _refuse_idle(self) -> None:
        if self.messages == "none":
            self._need_defaults("messages 'none'", "aggregate", "gate", "timing")
        if self.messages != "attention":
            names = ("affinity", "sharpness", "pool", "reverse", "projection_bias", "reduction")
            self._need_defaults(f"messages {self.messages!r}", *names)
        if self.affinity != "low_rank":
            self._need_defaults(f"affinity {self.affinity!r}", "projection_bias", "reduction")
        if self.affinity == "cosine":
            self._need_defaults("affinity 'cosine', which is symmetric,", "reverse")
        else:
            self._need_defaults(f"affinity {self.affinity!r}", "sharpness")
        if self.update == "mean":
            self._need_defaults("update 'mean'", "gru_kernel", "timing")
            if self.aggregate != "mean" or self.self_edge:
                raise ConfigError(
                    f"{SECTION}.update: 'mean' averages a state and the mean message of other images; it needs "
                    "aggregate 'mean' and self_edge false"
                )
        if not self.dropout:
            self._need_defaults("dropout false", "drop_probability", "drop_threshold", "drop_mask", "drop_output")

    def _need_defaults(self, reason: str, *names: str) -> None:
        defaults = {field.name: field.default for field in fields(self)}
        for name in names:
            if getattr(self, name) != defaults[name]:
                raise ConfigError(
                    f"{SECTION}.{name}: {getattr(self, name)!r} changes nothing with {reason}; "
                    f"leave it at {defaults[name]!r}"
                )


def official() -> ImageGraphConfig:
    """Return the graph of the published code, whose states are class scores of three images."""
    return ImageGraphConfig(
        reduction=2, aggregate="concatenate", senders=2, gru_kernel=1, self_edge=False, gate=True, projection_bias=True
    )


def light() -> ImageGraphConfig:
    """Return a graph for CPUs: the paper's with updates of single cells, for states of 128 channels."""
    return ImageGraphConfig(gru_kernel=1)


def parameter_free() -> ImageGraphConfig:
    """Return a graph that has nothing to learn, for backbones that do not learn either."""
    return ImageGraphConfig(rounds=1, aggregate="mean", update="mean", self_edge=False, affinity="cosine")


PRESETS: dict[str, Callable[[], ImageGraphConfig]] = {
    "paper": ImageGraphConfig,
    "official": official,
    "light": light,
    "parameter_free": parameter_free,
}


def preset(name: str) -> ImageGraphConfig:
    """Return the graph of a preset.

    Raises:
        ConfigError: If there is none of this name.
    """
    if name not in PRESETS:
        raise ConfigError(f"{SECTION}: preset {name!r} does not exist; choose {spoken(tuple(PRESETS))}")
    return PRESETS[name]()

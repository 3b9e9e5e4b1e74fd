"""How long a training takes, and which share of the learning rate each of its updates has."""

from dataclasses import dataclass, replace

import torch

from weakseg.errors import ConfigError
from weakseg.settings.fit import FitConfig, ScheduleConfig

TOLERANCE = 1e-9  # of times that are sums of fractions


@dataclass(frozen=True)
class Course:
    """The steps, updates and epochs of a training; an update is made of ``accumulate`` steps, or of those left.

    Processes that train together share each batch, so that the course is the same for any number of them.

    Attributes:
        steps: An epoch.
        accumulate: Steps an update.
        iterations: Updates altogether; 0: those of ``epochs``.
        epochs: Passes, unless updates are given.
    """

    steps: int
    accumulate: int
    iterations: int
    epochs: int

    @property
    def updates(self) -> int:
        """Updates an epoch."""
        return -(-self.steps // self.accumulate)

    @property
    def num_epochs(self) -> int:
        """Epochs altogether; the last may be cut short."""
        return -(-self.iterations // self.updates) if self.iterations else self.epochs

    @property
    def num_updates(self) -> int:
        """Updates altogether."""
        return self.iterations or self.epochs * self.updates

    def steps_of(self, epoch: int) -> int:
        """Return how many steps an epoch has."""
        if not self.iterations:
            return self.steps
        return min(self.steps, (self.iterations - epoch * self.updates) * self.accumulate)

    def update_of(self, epoch: int, step: int) -> int:
        """Return the number of the update, from 0, that a step of an epoch belongs to."""
        return epoch * self.updates + step // self.accumulate

    def steps_before(self, update: int) -> int:
        """Return how many steps came before the first of an update."""
        epoch, rest = divmod(update, self.updates)
        return epoch * self.steps + rest * self.accumulate


def plan_course(config: FitConfig, count: int) -> Course:
    """Return the course of a training on ``count`` examples.

    Raises:
        ConfigError: If there is no batch.
    """
    batches = count // config.batch_size if config.drop_last else -(-count // config.batch_size)
    if not batches:
        raise ConfigError(
            f"fit.batch_size: {count} examples fill no batch of {config.batch_size}; add images, or lower it"
        )
    course = Course(batches, config.accumulate, config.iterations, config.epochs)
    return replace(course, epochs=max(course.epochs, -(-config.min_iterations // course.updates)))


def rate_share(schedule: ScheduleConfig, course: Course, update: int) -> float:
    """Return the share of its rate that a group learns with in an update, in (0, 1].

    Args:
        schedule: The schedule.
        course: Of the training.
        update: From 0.

    Reference:
        ``poly`` and ``hold``: [chen2018deeplabv2], section 4 and its re-implementations, which hold the rate for ten
        iterations.
    """
    update -= update % schedule.hold
    passed = course.steps_before(update)
    if schedule.kind == "constant":
        return 1.0
    if schedule.kind == "poly":
        return float((1 - passed / course.steps_before(course.num_updates)) ** schedule.power)
    now = (update if schedule.unit == "iterations" else passed / course.steps) + TOLERANCE
    times = now // schedule.every if schedule.every else sum(now >= time for time in schedule.at)
    return float(schedule.factor**times)


def set_rates(optimizer: torch.optim.Optimizer, lr: float, share: float) -> None:
    """Set each group's learning rate to ``lr * factor * share``."""
    for group in optimizer.param_groups:
        group["lr"] = lr * group["factor"] * share

"""From a description of a network and its training to the file of the trained network."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch
from torch import nn

from weakseg.crew import ALONE, Crew, crew
from weakseg.nn.weights import MODEL_FILE, save_model
from weakseg.rng import numpy_generator_for
from weakseg.settings.fit import FitConfig
from weakseg.training.batches import Collate, EpochData
from weakseg.training.loop import Fit, FitPlace, Loss, Records

Network = TypeVar("Network", bound=nn.Module)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Training(Generic[Network]):
    """A network and how it is trained.

    Attributes:
        title: Of the training, in progress and in the keys of its randomness.
        build: Returns the network with its initial weights, which it draws from torch's global generator.
        data: The examples.
        loss: From network and batch to a scalar.
        fit: Optimisation.
        header: What the file says: ``kind``, and what is needed to build the network.
        collate: Joins examples to a batch; ``None``: all are stacked.
        complete: Does what is left after the last epoch, with network and records; returns what else the file says.
        alone: Why one process trains although there are several, as the end of a sentence; empty: all do.
    """

    title: str
    build: Callable[[], Network]
    data: EpochData
    loss: Loss
    fit: FitConfig
    header: Mapping[str, Any]
    collate: Collate | None = None
    complete: Callable[[Network, Records], Mapping[str, Any]] | None = None
    alone: str = ""


def train_model(training: Training[Network], place: FitPlace, *, learn: Callable[[Fit], Records] = Fit.run) -> Records:
    """Build a network, train it and write ``model.safetensors`` into the place's folder; return one record an epoch.

    Of several processes of a command all train, and the first alone writes and returns.

    Args:
        training: The network and how it is trained.
        place: Folder, seed and device.
        learn: Goes through the fit; a function of one's own may use its ``moments``.

    Raises:
        CheckpointError: If the folder holds the state of other settings, or of another model.
        ConfigError: If a parameter would not learn, or the loss is no longer finite.
        TakenPartError: In a process that follows, once it has taken part.
    """
    together = _together(training)
    if together.follows:
        together.tell()  # waits until the first has what the network starts from
    torch.manual_seed(numpy_generator_for(place.seed, "", f"{training.title}/init").integers(2**62))
    model = training.build()
    if together.leads:
        together.tell()
    fit = Fit(model, training.data, training.loss, training.fit, place, training.title, training.collate, together)
    records = learn(fit)
    together.leave()
    further = training.complete(model, records) if training.complete else {}
    save_model(place.folder / MODEL_FILE, model, {**training.header, **further})
    return records


def _together(training: Training[Any]) -> Crew:
    """Return the processes that train, and say so; those that have no part in it leave."""
    everyone = crew()
    if everyone.size == 1:
        return ALONE
    if training.alone:
        everyone.leave()
        logger.info("%s: trained by one of %d processes, for %s", training.title, everyone.size, training.alone)
        return ALONE
    size = training.fit.batch_size
    logger.info("%s: %d processes share batches of %d", training.title, everyone.size, size)
    if size < everyone.size:
        logger.warning("%s: %d of them have nothing to do; raise fit.batch_size", training.title, everyone.size - size)
    return everyone

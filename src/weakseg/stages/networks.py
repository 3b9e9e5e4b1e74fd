"""What the stages that train a network on a backbone share: where it starts, its training, its file, its seeds."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import nn

from weakseg.artifacts import LabelMap
from weakseg.checks import check_same_size
from weakseg.data.sample import WeakSample
from weakseg.nn.backbones import Backbone, read_backbone
from weakseg.nn.models import ModelFile, load_model
from weakseg.settings.networks import StartedConfig
from weakseg.stages.classify import start_backbone, start_config
from weakseg.training.batches import EpochData
from weakseg.training.loop import Loss
from weakseg.training.train import Training

Network = TypeVar("Network", bound=nn.Module)


def by_id(samples: Sequence[WeakSample]) -> list[WeakSample]:
    """Return samples in the order of their ids: batches must not depend on the order of a list."""
    return sorted(samples, key=lambda sample: sample.id)


def started_training(
    kind: str,
    build: Callable[[Backbone], Network],
    data: EpochData,
    loss: Loss,
    config: StartedConfig,
    classifier: Path | None = None,
) -> Training[Network]:
    """Return the training of a network on a started backbone.

    Args:
        kind: What the network is called in its file, in progress and in the keys of its randomness.
        build: From a backbone to the network.
        data: The examples.
        loss: From network and batch to a scalar.
        config: Start and optimisation.
        classifier: Model file, for ``config.start`` ``classifier``.

    Raises:
        ConfigError: If a classifier is asked for and none is given.
    """
    backbone = start_config(config.start, config.backbone, classifier)

    def start() -> Network:
        return build(start_backbone(config.start, config.backbone, classifier))

    return Training(kind, start, data, loss, config.fit, {"kind": kind, "backbone": asdict(backbone)})


def load_network(
    path: Path, kind: str, build: Callable[[Backbone, dict[str, Any]], Network]
) -> tuple[Network, dict[str, Any]]:
    """Return a trained network in evaluation mode, and the header of its file.

    Args:
        path: Written by a ``started_training``.
        kind: As there.
        build: From backbone and header to the network.

    Raises:
        CheckpointError: If the file is missing, truncated, of another kind, or its header does not say enough.
    """

    def read(file: ModelFile) -> Network:
        backbone = read_backbone(file, file.header["backbone"])
        return build(backbone, file.header)

    return load_model(path, {kind: read})


def load_seeded(sample: WeakSample, seeds: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image and its seeds, ``(H, W, 3)`` and ``(H, W)`` uint8.

    Raises:
        ShapeError: If their sizes differ.
    """
    image, labels = sample.load_image(), LabelMap.load(seeds / f"{sample.id}.png").labels
    check_same_size(f"seeds of {sample.id!r}", labels.shape, "image", image.shape[:2])
    return image, labels

"""What the stages that train a network on a backbone share: where it starts, the fit, its file, its seeds."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from weakseg.artifacts import LabelMap
from weakseg.checks import check_same_size
from weakseg.data.sample import WeakSample
from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.backbones import Backbone, build_backbone
from weakseg.nn.weights import load_into, load_weights, read_header
from weakseg.rng import numpy_generator_for
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.networks import StartedConfig
from weakseg.stages.classify import start_backbone
from weakseg.training.examples import EpochData
from weakseg.training.loop import Fit, FitPlace, Loss

Network = TypeVar("Network", bound=nn.Module)


def by_id(samples: Sequence[WeakSample]) -> list[WeakSample]:
    """Return samples in the order of their ids: batches must not depend on the order of a list."""
    return sorted(samples, key=lambda sample: sample.id)


def fit_network(
    kind: str,
    build: Callable[[Backbone], Network],
    data: EpochData,
    loss: Loss,
    config: StartedConfig,
    place: FitPlace,
    classifier: Path | None = None,
) -> tuple[Network, dict[str, Any], list[dict[str, Any]]]:
    """Build a network and train it; return it with the header of its file and one record an epoch.

    Args:
        kind: What the network is called in its file, in progress and in the keys of its randomness.
        build: From a backbone to the network.
        data: The examples.
        loss: From network and batch to a scalar.
        config: Start and optimisation.
        place: Folder, seed and device.
        classifier: Model file, for ``config.start`` ``classifier``.
    """
    torch.manual_seed(numpy_generator_for(place.seed, "", f"{kind}/init").integers(2**62))
    backbone, backbone_config = start_backbone(config.start, config.backbone, classifier)
    model = build(backbone)
    records = Fit(model, data, loss, config.fit, place, kind).run()
    return model, {"kind": kind, "backbone": asdict(backbone_config)}, records


def load_network(
    path: Path, kind: str, build: Callable[[Backbone, dict[str, Any]], Network]
) -> tuple[Network, dict[str, Any]]:
    """Return a trained network in evaluation mode, and the header of its file.

    Args:
        path: Written by ``save_model`` with the header of ``fit_network``.
        kind: As there.
        build: From backbone and header to the network.

    Raises:
        CheckpointError: If the file is missing, truncated, of another kind, or its header does not say enough.
    """
    header = read_header(path, kind=kind)
    try:
        model = build(build_backbone(BackboneConfig(**header["backbone"]), pretrained=False), header)
    except (KeyError, TypeError, ValueError, ConfigError) as error:
        what = f"{'an' if kind[0] in 'aeiou' else 'a'} {kind} network"
        raise CheckpointError(f"{path}: the header does not describe {what} ({error})") from error
    load_into(model, load_weights(path), str(path))
    return model.eval(), header


def load_seeded(sample: WeakSample, seeds: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Return an image and its seeds, ``(H, W, 3)`` and ``(H, W)`` uint8.

    Raises:
        ShapeError: If their sizes differ.
    """
    image, labels = sample.load_image(), LabelMap.load(seeds / f"{sample.id}.png").labels
    check_same_size(f"seeds of {sample.id!r}", labels.shape, "image", image.shape[:2])
    return image, labels

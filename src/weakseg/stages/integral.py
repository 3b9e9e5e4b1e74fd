"""Train the integral-attention network: a classifier whose scores at each cell learn what was accumulated there."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.nn.classifiers import TagClassifier
from weakseg.nn.losses import integral_loss
from weakseg.ops.resample import Cells
from weakseg.settings.integral import IntegralConfig
from weakseg.stages.accumulated import AccumulatedMaps
from weakseg.stages.classify import TagData, classifier_header, start_backbone, start_config
from weakseg.stages.networks import by_id
from weakseg.stages.placed import PlacedData
from weakseg.training.loop import FitPlace, Records
from weakseg.training.placement import Placement
from weakseg.training.train import Training, train_model


@dataclass(frozen=True)
class IntegralLoss:
    """The hybrid loss of a batch for what was accumulated of its images.

    Attributes:
        store: What was accumulated.
        ids: Of the images, by index.
        threshold: As of ``integral_loss``.
    """

    store: AccumulatedMaps
    ids: Sequence[str]
    threshold: float

    def __call__(self, module: nn.Module, batch: list[Tensor]) -> Tensor:
        """Return the loss of a batch of ``PlacedData``."""
        images, tags, places, indices = batch
        scores = module(images, further=("scores",)).further["scores"].float()
        size, cells = (scores.shape[2], scores.shape[3]), _unwrapped(module).cells
        targets = [
            self.targets(self.ids[index], row, Placement(*place), size, cells)
            for index, row, place in zip(indices.tolist(), tags.cpu(), places.tolist(), strict=True)
        ]
        return integral_loss(scores, torch.stack(targets).to(scores.device), self.threshold)

    def targets(self, image_id: str, tags: Tensor, place: Placement, size: tuple[int, int], cells: Cells) -> Tensor:
        """Return ``(K, *size)`` targets in [0, 1]: of present classes what was accumulated, of absent ones 0.

        NaN are classes that are unknown, and cells that look at what lies beside the image.
        """
        targets = torch.where(tags.isnan(), torch.nan, 0.0)[:, None, None].expand(-1, *size).clone()
        maps = torch.from_numpy(self.store.maps(image_id).astype(np.float32)) / 255
        targets[tags == 1] = place.at_cells(maps, size, cells)
        beside = place.at_cells(torch.zeros(1, 1, 1), size, cells).isnan()
        return targets.masked_fill(beside, torch.nan)


def _unwrapped(module: nn.Module) -> TagClassifier:
    """Return the network in what accelerate makes of it where several processes train it."""
    return getattr(module, "module", module)  # type: ignore[arg-type]


def train_integral(
    samples: Sequence[WeakSample],
    store: AccumulatedMaps,
    classes: Classes,
    *,
    config: IntegralConfig,
    place: FitPlace,
    classifier: Path | None = None,
) -> Records:
    """Train on accumulated activations and write ``model.safetensors``, the file of a classifier; return the records.

    Args:
        samples: Images that the store has maps of.
        store: What was accumulated.
        classes: Their classes.
        config: The network and its training.
        place: Folder, seed and device.
        classifier: Model file, for ``config.start`` ``classifier``.

    Reference:
        [jiang2019oaa], integral attention model; the images of a batch count alike, whatever its size.
    """
    tags = TagData(by_id(samples), len(classes), config.augment, place.seed)
    header = classifier_header(classes, start_config(config.start, config.backbone, classifier), config.convolutions)

    def build() -> TagClassifier:
        backbone = start_backbone(config.start, config.backbone, classifier)
        return TagClassifier(backbone, len(classes), convolutions=config.convolutions)

    loss = IntegralLoss(store, [sample.id for sample in tags.samples], config.threshold)
    return train_model(Training("integral", build, PlacedData(tags), loss, config.fit, header), place)

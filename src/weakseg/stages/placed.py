"""Examples of a classifier that know where their images lie, and a loss that hides parts of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from weakseg.nn.losses import tag_loss
from weakseg.rng import numpy_generator_for
from weakseg.settings.accumulate import AttentionDropConfig
from weakseg.stages.accumulated import AccumulatedMaps
from weakseg.stages.classify import TagData
from weakseg.training.placement import Placement


class Seen(NamedTuple):
    """What a step has seen of images, for those who accumulate activations.

    Attributes:
        logits: ``(B, K)``.
        scores: ``(B, K, h, w)`` of their cells.
        targets: ``(B, K)`` tags.
        places: ``(B, 6)`` int64 of their ``Placement``.
        indices: ``(B,)`` of the images.
    """

    logits: Tensor
    scores: Tensor
    targets: Tensor
    places: Tensor
    indices: Tensor


@dataclass(frozen=True)
class PlacedData:
    """Augmented images with tag targets, and where each lies.

    Attributes:
        tags: The examples.
        hidden: Share of them of which something is hidden.
    """

    tags: TagData
    hidden: float = 0.0

    def __len__(self) -> int:
        return len(self.tags)

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return image and targets as of tags, ``(6,)`` int64 of its ``Placement``, and the index."""
        image, targets, view = self.tags.seen(index, epoch)
        rng = numpy_generator_for(self.tags.seed, self.tags.samples[index].id, f"classifier/hidden/{epoch}")
        place = Placement.of(view, hidden=bool(rng.random() < self.hidden))
        return image, targets, torch.tensor(place, dtype=torch.int64), torch.tensor(index)


@dataclass(frozen=True)
class PlacedLoss:
    """The loss of a batch for its tags, where what is known of its images may be hidden from the network.

    Attributes:
        store: What is known.
        ids: Of the images, by index.
        drop: What is hidden of an image.
        color: ``(1, 3, 1, 1)`` on 0..255, what is seen in its place: the mean colour of the weights.
    """

    store: AccumulatedMaps
    ids: Sequence[str]
    drop: AttentionDropConfig
    color: Tensor

    def __call__(self, module: nn.Module, batch: list[Tensor]) -> tuple[Tensor, Seen]:
        """Return the loss, and what was seen, without derivatives."""
        images, targets, places, indices = batch
        if self.drop.probability:
            hidden = self.hidden(places, indices, images.shape[-1]).to(images.device)
            images = torch.where(hidden[:, None], self.color.to(images.device), images)
        found = module(images, further=("scores",))
        seen = Seen(found.logits.detach(), found.further["scores"].detach(), targets, places, indices)
        return tag_loss(found.logits, targets), seen

    def hidden(self, places: Tensor, indices: Tensor, side: int) -> Tensor:
        """Return ``(B, side, side)`` bool: where an accumulated activation of a class of the image is too large.

        Reference:
            [jiang2021oaa], attention drop layer; here each image of a batch is looked at by itself.
        """
        masks = []
        for place, index in zip(places.tolist(), indices.tolist(), strict=True):
            placement, maps = Placement(*place), self.store.maps(self.ids[index])
            mask = torch.zeros(side, side, dtype=torch.bool)
            if placement.hidden and len(maps):
                known = placement.done(torch.from_numpy(maps.astype(np.float32)) / 255, side)
                mask = known.amax(0) > self.drop.threshold
            masks.append(mask)
        return torch.stack(masks)

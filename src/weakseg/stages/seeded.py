"""Train a segmenter on seeds, and on the labels that grow from them at every step by what it has learned so far."""

import functools
import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakseg.artifacts import LabelMap
from weakseg.crew import Crew, crew
from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.nn.losses import boundary_loss, seeding_loss
from weakseg.nn.segmenters import HEADS, check_training, trained_on
from weakseg.ops.resample import image_tensor, resize_image, resize_labels
from weakseg.settings.grow import GrowthConfig, SeededConfig, check_boundary
from weakseg.stages.grow import Grower, Grown, GrowthCounts, Outputs, segmenter_outputs
from weakseg.stages.mask_counts import count_masks, load_mask
from weakseg.stages.segment import MaskData, segmenter_start
from weakseg.training.augment import plain_size
from weakseg.training.loop import EpochDone, Fit, FitPlace, Records, StepDone, drained
from weakseg.training.schedules import plan_course
from weakseg.training.train import Training, train_model

GROWTH_FOLDER = "growth"
SHOWN = 6  # images whose labels are kept as they grow

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class SeedData:
    """Augmented images with seeds, and what their tags say.

    Attributes:
        masks: Images and seeds.
    """

    masks: MaskData

    def __len__(self) -> int:
        return len(self.masks)

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return image and seeds as of masks, ``(K,)`` tags (1 present, 0 absent, NaN unknown), and the index."""
        tags = self.masks.samples[index].tags.targets(self.masks.num_classes)
        return *self.masks.load(index, epoch), torch.from_numpy(tags), torch.tensor(index)


@dataclass(frozen=True)
class SeededLoss:
    """The loss of a batch of images and seeds, with labels that grow by what the network says of these images.

    Attributes:
        grower: How labels grow.
        samples: The images, by index.
        lr: Named where outputs are not finite.
    """

    grower: Grower
    samples: Sequence[WeakSample]
    lr: float

    def __call__(self, module: nn.Module, batch: list[Tensor]) -> tuple[Tensor, GrowthCounts]:
        """Return the loss, and what was grown.

        Args:
            module: A ``Segmenter``, or what accelerate made of it.
            batch: As ``SeedData`` gives them, stacked.

        Raises:
            ConfigError: If the network's outputs are not finite.
        """
        images, labels, tags, indices = batch
        found = segmenter_outputs(module, images, self.grower.growth)
        self._check(found.probs, indices)
        grown = self.grower.batch(images, labels, tags, found)
        device, weight = found.probs.device, self.grower.boundary.weight
        loss = seeding_loss(found.probs, torch.stack([one.labels for one in grown]).to(device))
        if weight:
            refined = torch.stack([one.refined for one in grown if one.refined is not None]).to(device)
            loss = loss + weight * boundary_loss(found.probs, refined)
        return loss, sum((one.counts for one in grown), GrowthCounts())

    def _check(self, probs: Tensor, indices: Tensor) -> None:
        finite = probs.isfinite().flatten(1).all(1)
        if not finite.all():
            names = [self.samples[i].id for i in indices[~finite].tolist()]
            raise ConfigError(
                f"segmenter: the network's outputs are not finite for {', '.join(map(repr, names[:SHOWN]))}, "
                f"{len(names)} of {len(finite)} images of a batch; lower fit.lr, which is {self.lr}"
            )


@dataclass
class GrowthPictures:
    """Labels of a few images as they grow: the seeds, and what the first, the middle and the last epoch make of them.

    Attributes:
        samples: The images.
        seeds: Folder of their seeds.
        num_classes: K.
        config: How the network sees them.
        grower: How labels grow.
        kept: ``(h, w)`` uint8 labels by image and epoch, from 1; 0: the seeds.
    """

    samples: Sequence[WeakSample]
    seeds: Path
    num_classes: int
    config: SeededConfig
    grower: Grower
    kept: dict[str, dict[int, Tensor]] = field(default_factory=dict)

    def look(self, model: nn.Module, epoch: int) -> None:
        """Keep what grows with the network as it is after so many epochs."""
        for sample in self.samples:
            labels = load_mask(self.seeds, sample.id, self.num_classes)
            grown = grow_image(model, sample, labels, self.config, self.grower)
            found = self.kept.setdefault(sample.id, {0: grown.seeds.to(torch.uint8)})
            found[epoch] = grown.labels.to(torch.uint8)

    def save(self, folder: Path) -> None:
        """Write a label map for each image and epoch: ``IMAGE_ID/003.png``."""
        for image_id, found in self.kept.items():
            for epoch, labels in found.items():
                LabelMap(np.asarray(labels)).save(folder / image_id / f"{epoch:03}.png")

    def state_dict(self) -> dict[str, Any]:
        """Return what is kept."""
        return {"kept": self.kept}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Take what was kept."""
        self.kept = dict(state["kept"])


def check_seeded(config: SeededConfig, growth: GrowthConfig) -> None:
    """Refuse a training on seeds that the network cannot go through, or whose settings contradict each other.

    Raises:
        ConfigError: As ``check_training`` and ``check_boundary``; or if the network has losses beside that of its
            logits, which the labels of cells do not serve.
    """
    check_training(config)
    check_boundary(config.boundary, growth)
    if others := trained_on(config.model):
        raise ConfigError(
            f"model: labels grow at the cells of the logits alone, and the network has losses on {', '.join(others)}; "
            "take another head, and leave out multi_scale"
        )


def train_seeded(
    samples: Sequence[WeakSample],
    seeds: Path,
    classes: Classes,
    *,
    config: SeededConfig,
    growth: GrowthConfig,
    place: FitPlace,
) -> Records:
    """Train on the seeds in ``seeds`` and write ``model.safetensors`` into the place's folder; return the records.

    The records of each epoch hold what was grown, under ``growth``; ``growth/`` in the folder shows it.

    Reference:
        [feng2021dgcn]; [huang2018dsrg].
    """
    check_seeded(config, growth)
    check_training(config, len(samples))
    samples = sorted(samples, key=lambda sample: sample.id)  # batches must not depend on the order of the list
    counts = crew().made_once(lambda: count_masks(samples, seeds, classes))
    counts.tell("seeds")
    build, header = segmenter_start(config, classes, samples, seed=place.seed)
    header = {**header, "seeds": counts.as_json(), "growth": asdict(growth.completed)}
    corners = HEADS[config.model.head].corners_aligned
    grower = Grower(growth, config.boundary, corners, torch.get_num_threads())
    data = SeedData(MaskData(samples, seeds, len(classes), config.augment, place.seed))
    loss = SeededLoss(grower, samples, config.fit.lr)
    shown = [sample for sample in samples if sample.tags.present] or samples
    shown = shown[:: max(1, len(shown) // SHOWN)][:SHOWN]
    pictures = GrowthPictures(shown, seeds, len(classes), config, grower)
    training = Training("segmenter", build, data, loss, config.fit, header)
    records = train_model(training, place, learn=functools.partial(_learn, pictures=pictures))
    pictures.save(place.folder / GROWTH_FOLDER)
    return records


@dataclass
class _Watch:
    """Notes what grows in each epoch of a training."""

    pictures: GrowthPictures
    model: nn.Module
    epochs: int
    crew: Crew
    total: GrowthCounts = field(default_factory=GrowthCounts)

    def see(self, moment: StepDone | EpochDone) -> None:
        """Count a step; at the end of an epoch note it all, and now and then look at images."""
        if isinstance(moment, StepDone):
            self.total = self.total + moment.extra
            return
        total, self.total = _of_all(self.total, self.crew), GrowthCounts()
        if self.crew.follows:
            return
        moment.records[-1]["growth"] = asdict(total)
        _tell(moment.epoch, total)
        done = moment.epoch + 1
        if done in (1, -(-self.epochs // 2), self.epochs):
            self.pictures.look(self.model, done)


def _learn(fit: Fit, *, pictures: GrowthPictures) -> Records:
    """Train to the last epoch, and note in each record what was grown."""
    watch = _Watch(pictures, fit.model, plan_course(fit.config, len(fit.data)).num_epochs, fit.crew)
    return drained(fit.moments(pictures), watch.see)


def _of_all(counts: GrowthCounts, crew: Crew) -> GrowthCounts:
    """Return the counts of all processes together."""
    found = crew.sum(torch.tensor(list(asdict(counts).values())))
    return GrowthCounts(*found.tolist())


def _tell(epoch: int, total: GrowthCounts) -> None:
    """Log how much grew; and once what cannot."""
    seeded, labelled = (100 * count / max(total.cells, 1) for count in (total.seeded, total.labelled))
    logger.info("epoch %d: of the cells %.1f %% are seeds, %.1f %% labelled", epoch + 1, seeded, labelled)
    if epoch:
        return
    if total.without_seed:
        logger.warning(
            "of %d classes of the images %d have no seed there from which labels could grow; %d of them had one, in "
            "cells that hold more of others",
            total.present,
            total.without_seed,
            total.lost,
        )
    if total.without_background:
        logger.warning("%d images have no background seed", total.without_background)
    if total.absent:
        logger.warning("%d seeded pixels are of classes that their image does not show; dropped", total.absent)


def grow_image(
    model: nn.Module, sample: WeakSample, labels: NDArray[np.uint8], config: SeededConfig, grower: Grower
) -> Grown:
    """Return what grows from the seeds of a whole image with a network as it is; see ``see_image``."""
    return grower.batch(*see_image(model, sample, labels, config, grower.growth))[0]


@torch.no_grad()
def see_image(
    model: nn.Module, sample: WeakSample, labels: NDArray[np.uint8], config: SeededConfig, growth: GrowthConfig
) -> tuple[Tensor, Tensor, Tensor, Outputs]:
    """Return a whole image as a batch of one, with its seeds, its tags, and what a network says of it.

    Args:
        model: The network; it is left in evaluation mode.
        sample: The image.
        labels: ``(H, W)`` uint8 seeds in {0..K, 255}.
        config: How training images are scaled; the image is seen in the middle of that range.
        growth: Tells whether the network's features are wanted.
    """
    image = sample.load_image()
    seen = plain_size((image.shape[0], image.shape[1]), config.augment)
    pixels = image_tensor(resize_image(image, seen))[None].to(next(model.parameters()).device)
    maps = torch.from_numpy(resize_labels(labels, seen).astype(np.int64))[None]
    found = segmenter_outputs(model.eval(), pixels, growth)
    tags = torch.from_numpy(sample.tags.targets(found.probs.shape[1] - 1))[None]
    return pixels, maps, tags, found

"""Train the tag classifier, and keep the largest activations of each training image that it has meanwhile."""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weakseg.crew import Crew
from weakseg.data.classes import Classes
from weakseg.data.image import image_size
from weakseg.data.sample import WeakSample
from weakseg.errors import ConfigError
from weakseg.nn.classifiers import TagClassifier
from weakseg.ops.cam import grid_size, normalize_evidence
from weakseg.ops.gates import probability_gate, rank_gate
from weakseg.ops.resample import Cells, image_tensor, resize_image
from weakseg.settings.accumulate import AccumulationConfig
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.classify import ClassifierConfig
from weakseg.stages.accumulated import ACCUMULATED_FILE, AccumulatedMaps, Origin, to_bytes
from weakseg.stages.classify import classifier_training, tag_data
from weakseg.stages.map_index import MapIndex, MappedImage
from weakseg.stages.placed import PlacedData, PlacedLoss, Seen
from weakseg.training.augment import plain_size
from weakseg.training.loop import EpochDone, Fit, FitPlace, Loss, Records, StepDone, drained
from weakseg.training.placement import Placement
from weakseg.training.schedules import plan_course
from weakseg.training.train import train_model

EPS = 1e-8  # beside the maximum that a map is divided by

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Accumulator:
    """What of the maps of an epoch goes into a store.

    Attributes:
        store: Gets them.
        config: Which.
        epochs: Of the training.

    Raises:
        ConfigError: If no epoch is left in which anything is accumulated.
    """

    store: AccumulatedMaps
    config: AccumulationConfig
    epochs: int

    def __post_init__(self) -> None:
        """Refuse to skip all epochs."""
        if self.epochs <= self.config.skip_epochs:
            raise ConfigError(
                f"classifier.accumulation.skip_epochs: {self.config.skip_epochs} of {self.epochs} epochs leave none in "
                "which anything is accumulated; train longer or skip less"
            )

    def gate(self, logits: Tensor, targets: Tensor) -> Tensor:
        """Return ``(B, K)`` bool: which present classes the network knows; see ``rank_gate``."""
        if self.config.gate == "rank":
            return rank_gate(logits, targets)
        return probability_gate(logits, targets, self.config.min_probability)

    def take(self, epoch: int, image_id: str, maps: NDArray[np.uint8], known: Sequence[bool]) -> None:
        """Merge the maps of classes that the network knows; in the last epoch those of others that have none, too.

        Args:
            epoch: From 0.
            image_id: The image.
            maps: ``(K_present, h, w)`` uint8, of its classes in the order of their ids.
            known: Whether the network knows each.

        Reference:
            [jiang2019oaa], section 3.2; the last epoch as in the later code.
        """
        if epoch < self.config.skip_epochs:
            return
        class_ids = self.store.index.images[self.store.index.place(image_id)].class_ids
        for class_id, values, accepted in zip(class_ids, maps, known, strict=True):
            if accepted:
                self.store.merge(image_id, class_id, values)
            elif epoch == self.epochs - 1:
                self.store.fill(image_id, class_id, values, Origin.LAST)


@dataclass(frozen=True)
class _Watch:
    """Accumulates what the steps of a training have seen."""

    accumulator: Accumulator
    ids: Sequence[str]
    cells: Cells
    crew: Crew

    def see(self, moment: StepDone | EpochDone) -> None:
        if moment.epoch < self.accumulator.config.skip_epochs:
            return
        if isinstance(moment, EpochDone):
            self.accumulator.store.merge_crew(self.crew)
            return
        seen: Seen = moment.extra
        known = self.accumulator.gate(seen.logits, seen.targets).cpu()
        index = self.accumulator.store.index
        for row, (place, number) in enumerate(zip(seen.places.tolist(), seen.indices.tolist(), strict=True)):
            image = index.images[index.place(self.ids[number])]
            channels = [class_id - 1 for class_id in image.class_ids]
            maps = activation_bytes(seen.scores[row, channels], Placement(*place), image.grid, self.cells)
            self.accumulator.take(moment.epoch, image.id, maps, known[row, channels].tolist())


def activation_bytes(scores: Tensor, place: Placement, grid: tuple[int, int], cells: Cells) -> NDArray[np.uint8]:
    """Return ``(K, *grid)`` uint8 activations, ``relu(F_c) / (max relu(F_c) + 1e-8)``, of ``(K, h, w)`` scores: F.

    Reference:
        [jiang2019oaa], section 3.1.
    """
    evidence = place.undone(scores.float().relu(), grid, cells)
    return to_bytes(normalize_evidence(evidence, eps=EPS), grid)


def map_index(samples: Iterable[WeakSample], classes: Classes, config: AugmentConfig, stride: int) -> MapIndex:
    """Return the index of maps with a cell for ``stride`` pixels of each image as it is seen whole."""
    images = []
    for sample in samples:
        size = image_size(sample.image_path)
        grid = grid_size(plain_size(size, config), stride)
        images.append(MappedImage(sample.id, size, grid, tuple(sorted(sample.tags.present))))
    return MapIndex.of(classes, images)


def train_accumulating(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: ClassifierConfig,
    place: FitPlace,
    held: Sequence[WeakSample] = (),
) -> Records:
    """Train as ``train_classifier`` does, and write ``accumulated.safetensors`` beside the model.

    Args:
        train: Images to learn from.
        val: Images to measure mAP on.
        classes: Their classes.
        config: The classifier, its training, and what is accumulated.
        place: Folder, seed and device.
        held: Images that are not learned from and need maps all the same: they get those of the trained classifier.

    Returns:
        One record an epoch, as of ``train_classifier``; the last tells under ``accumulated`` where maps are from.

    Reference:
        [jiang2019oaa]; [jiang2021oaa] for what is hidden.
    """
    config = config.for_images(len(train))
    tags = tag_data(train, classes, config, place)
    training = classifier_training(PlacedData(tags, config.attention_drop.probability), val, classes, config)
    ids = [sample.id for sample in tags.samples]

    def learn(fit: Fit) -> Records:
        model: TagClassifier = fit.model  # type: ignore[assignment]
        color = 255 * model.backbone.mean

        def loss(store: AccumulatedMaps) -> Loss:
            return PlacedLoss(store, ids, config.attention_drop, color)

        return learn_accumulating(fit, tags.samples, held, classes, config=config, loss=loss)

    return train_model(training, place, learn=learn)


def learn_accumulating(
    fit: Fit,
    samples: Sequence[WeakSample],
    held: Sequence[WeakSample],
    classes: Classes,
    *,
    config: ClassifierConfig,
    loss: Callable[[AccumulatedMaps], Loss] | None = None,
) -> Records:
    """Train to the last epoch, fill what is missing then, and save the store beside the model.

    Args:
        fit: Of a tag classifier. Its loss returns what was ``Seen``, beside its value.
        samples: The images, by index.
        held: Images that are not learned from.
        classes: Their classes.
        config: How images are seen, and what is accumulated.
        loss: Makes another loss of what is known of the images; ``None``: that of the fit.

    Returns:
        One record an epoch; the last tells under ``accumulated`` where maps are from.
    """
    model: TagClassifier = fit.model  # type: ignore[assignment]
    everyone = [*samples, *held]
    store = AccumulatedMaps(map_index(everyone, classes, config.augment, model.backbone.stride))
    fit = replace(fit, loss=loss(store)) if loss else fit
    accumulator = Accumulator(store, config.accumulation, plan_course(fit.config, len(fit.data)).num_epochs)
    watch = _Watch(accumulator, [sample.id for sample in samples], model.cells, fit.crew)
    records = drained(fit.moments(store), watch.see)
    fit.crew.leave()
    fill_missing(model, store, everyone, config.augment)
    records[-1]["accumulated"] = tell(store, len(held))
    store.save(fit.place.folder / ACCUMULATED_FILE)
    return records


@torch.no_grad()
def fill_missing(
    model: TagClassifier, store: AccumulatedMaps, samples: Sequence[WeakSample], config: AugmentConfig
) -> None:
    """Give the classes of images that have no maps those of a trained network, which sees each image whole.

    Args:
        model: The network; it is left in evaluation mode.
        store: Gets the maps.
        samples: The images, others aside.
        config: How the network saw images.
    """
    model.eval()
    missing = store.missing()
    for sample in samples:
        if not (class_ids := missing.get(sample.id)):
            continue
        image = sample.load_image()
        seen = plain_size((image.shape[0], image.shape[1]), config)
        evidence = model.evidence(image_tensor(resize_image(image, seen))[None].to(model.device), class_ids)[0]
        grid = store.index.images[store.index.place(sample.id)].grid
        maps = activation_bytes(evidence, Placement(0, 0, *seen), grid, model.cells)
        for class_id, values in zip(class_ids, maps, strict=True):
            store.fill(sample.id, class_id, values, Origin.TRAINED)


def tell(store: AccumulatedMaps, held: int) -> dict[str, int]:
    """Return, and log, where the maps of a store are from, and how many are empty.

    Args:
        store: Without missing maps.
        held: How many of its images the training did not see.
    """
    counts = store.counts()
    total = max(1, sum(counts.values()))
    logger.info(
        "accumulated activations: of %d %.1f %% are of a class that the classifier knew; %d of the last epoch alone, "
        "for it never did; %d of the trained classifier (%d images were held out of training)",
        total,
        100 * counts["accepted"] / total,
        counts["last"],
        counts["trained"],
        held,
    )
    if empty := store.empty():
        logger.warning("accumulated activations: %d of %d are 0 everywhere: nothing speaks for the class", empty, total)
    return {**counts, "empty": empty}

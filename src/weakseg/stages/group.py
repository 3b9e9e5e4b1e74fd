"""Train the classifier of groups of images that share classes."""

import functools
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weakseg.data.classes import Classes
from weakseg.data.groups import TagGroups
from weakseg.data.sample import WeakSample
from weakseg.graph.image_group import group_edges
from weakseg.nn.backbones import build_backbone
from weakseg.nn.classifiers import GROUP_CLASSIFIER
from weakseg.nn.classifiers.group import GroupClassifier
from weakseg.nn.losses import tag_loss
from weakseg.rng import numpy_generator_for
from weakseg.settings.group_classify import GroupClassifierConfig, GroupDrawConfig
from weakseg.stages.accumulate import learn_accumulating
from weakseg.stages.classify import TagData, classifier_header, measured, tag_data
from weakseg.stages.frozen import KEPT_BY_ONE, FrozenFeatures
from weakseg.stages.placed import Seen
from weakseg.training.loop import Fit, FitPlace, Records
from weakseg.training.placement import Placement
from weakseg.training.train import Training, train_model

logger = logging.getLogger(__name__)


@dataclass
class GroupData:
    """Groups, one for each image, drawn anew in each epoch; an image looks alike in all groups of an epoch.

    Attributes:
        images: The images, and what their tags say.
        groups: Draws groups of tagged images.
        untagged: Indices of images without a tag that take part.
        seed: Of what is drawn.
        features: Of the images, where the backbone is frozen.
    """

    images: TagData
    groups: TagGroups
    untagged: tuple[int, ...]
    seed: int
    features: FrozenFeatures | None = None
    _drawn: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    _placed: dict[tuple[int, int], Placement] = field(default_factory=dict)

    @property
    def anchors(self) -> tuple[int, ...]:
        """Index of the image that each group is drawn for."""
        return self.groups.anchors + self.untagged

    def __len__(self) -> int:
        return len(self.anchors)

    def load(self, index: int, epoch: int) -> tuple[Tensor, ...]:
        """Return a group: ``(K, 3, H, W)`` images or ``(K, C, h, w)`` features, and ``(K, classes)`` targets.

        And of its anchor ``(6,)`` int64 of its ``Placement``, which means something where all of the image is seen, and
        the index.
        """
        if epoch not in self._drawn:
            self._drawn = {epoch: np.concatenate([self.groups.epoch(self.seed, epoch), self._apart(epoch)])}
        members = self._drawn[epoch][index].tolist()
        images = torch.stack([self._seen(i, epoch) for i in members])
        targets = torch.stack([self._targets(i) for i in members])
        anchor = members[0]
        placed = self._placed[self._place(anchor, epoch)]
        return images, targets, torch.tensor(placed, dtype=torch.int64), torch.tensor(anchor)

    def _apart(self, epoch: int) -> NDArray[np.int64]:
        """Return ``(untagged, K)`` groups of images without a tag; of few some are in a group twice."""
        order = numpy_generator_for(self.seed, "", f"group/untagged/{epoch}").permutation(len(self.untagged))
        places = np.argsort(order)[:, None] + np.arange(self.groups.size)
        found: NDArray[np.int64] = np.array(self.untagged, np.int64)[order[places % max(1, len(order))]]
        return found

    def _seen(self, index: int, epoch: int) -> Tensor:
        image = functools.partial(self._image, index, epoch)
        return self.features.get(index, epoch, image) if self.features else image()

    def _image(self, index: int, epoch: int) -> Tensor:
        image, _, view = self.images.seen(index, epoch)
        self._placed[self._place(index, epoch)] = Placement.of(view)
        return image

    def _place(self, index: int, epoch: int) -> tuple[int, int]:
        """Return where the placement of an image is kept: for each variant, or, where there are none, for the epoch."""
        return index, epoch % max(1, self.images.config.variants)

    def _targets(self, index: int) -> Tensor:
        return torch.from_numpy(self.images.samples[index].tags.targets(self.images.num_classes))


@dataclass(frozen=True)
class GroupLoss:
    """The loss of a batch of groups: ``L = BCE(l^g, Y) + lambda BCE(l^m, Y)``.

    Attributes:
        config: Weight, and how groups are drawn.
        are_features: Whether batches hold features.

    Reference:
        [li2021groupwsss], equation 12.
    """

    config: GroupClassifierConfig
    are_features: bool

    def __call__(self, module: nn.Module, batch: list[Tensor]) -> tuple[Tensor, Seen]:
        """Return the loss, and what is seen of the anchors: scores are the average of both heads.

        Args:
            module: A ``GroupClassifier``, or what accelerate made of it.
            batch: As ``GroupData`` gives them, stacked.
        """
        (count, size), targets = batch[0].shape[:2], batch[1].flatten(0, 1)
        groups = torch.arange(count, device=targets.device).repeat_interleave(size)
        edges = group_edges(targets, groups, any_class=self.config.groups.draw == "random")
        found = module(
            batch[0].flatten(0, 1), further=("maps", "intermediate"), edges=edges, are_features=self.are_features
        )
        loss = tag_loss(found.logits, targets)
        if self.config.intermediate_weight:
            loss = loss + self.config.intermediate_weight * tag_loss(found.further["intermediate"], targets)
        scores = found.further["maps"].scores()[::size].detach()
        return loss, Seen(found.logits[::size].detach(), scores, batch[1][:, 0], batch[2], batch[3])


def train_group(
    train: Sequence[WeakSample],
    val: Sequence[WeakSample],
    classes: Classes,
    *,
    config: GroupClassifierConfig,
    place: FitPlace,
    held: Sequence[WeakSample] = (),
) -> list[dict[str, Any]]:
    """Train on groups of ``train``, measure mAP on ``val``, and write ``model.safetensors`` into the place's folder.

    The file is that of a classifier: ``load_classifier`` reads it, and its evidence is that of images alone. Where
    activations are accumulated, those of anchors are.

    Args:
        train: Images to learn from.
        val: Images to measure mAP on.
        classes: Their classes.
        config: The classifier and its training.
        place: Folder, seed and device.
        held: Images that are not learned from, and whose activations are wanted where they are accumulated.

    Returns:
        One record an epoch: loss, seconds, and on the last ``mAP`` in percent (NaN where ``val`` shows no class).

    Raises:
        DataError: If no image has a tag.

    Reference:
        [li2021groupwsss], section 3.
    """
    images, draw = tag_data(train, classes, config, place), config.groups
    groups = TagGroups(images.samples, draw.size, pool_size=draw.pool_size, random=draw.draw == "random")
    data = GroupData(images, groups, _untagged(images.samples, draw), place.seed)

    def build() -> GroupClassifier:
        backbone = build_backbone(config.backbone)
        model = GroupClassifier(backbone, len(classes), config.head, convolutions=config.convolutions)
        if config.frozen:
            model.backbone.requires_grad_(requires_grad=False)
            variants = config.augment.variants
            data.features = FrozenFeatures(model.backbone, len(images), place.folder, variants=variants)
        return model

    header = {
        **classifier_header(classes, config.backbone, config.convolutions),
        "kind": GROUP_CLASSIFIER,
        "head": asdict(config.head),
    }
    loss, measure = GroupLoss(config, config.frozen), measured(val, classes, config)

    def learn(fit: Fit) -> Records:
        if not config.accumulate:
            return fit.run()
        return learn_accumulating(fit, images.samples, held, classes, config=config)

    alone = KEPT_BY_ONE if config.frozen else ""
    training = Training("classifier", build, data, loss, config.fit, header, complete=measure, alone=alone)
    return train_model(training, place, learn=learn)


def _untagged(samples: Sequence[WeakSample], config: GroupDrawConfig) -> tuple[int, ...]:
    """Return the indices of images without a tag that are learned from; ``TagGroups`` says how many there are."""
    if config.untagged == "left_out":
        return ()
    found = tuple(index for index, sample in enumerate(samples) if not sample.tags.present)
    if found:
        logger.info("classifier: what those without a tag are known not to show is learned all the same")
    return found

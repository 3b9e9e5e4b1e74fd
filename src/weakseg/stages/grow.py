"""Labels of an image's cells that grow from its seeds, by what a network says of the image."""

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import NamedTuple, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.artifacts import UNDECIDED
from weakseg.graph.knn import knn_graph
from weakseg.nn.losses import floored
from weakseg.ops.crf import dense_crf
from weakseg.ops.growing import (
    Thresholds,
    accepted,
    cell_seeds,
    cut_claims,
    harmonic_claims,
    node_features,
    region_labels,
)
from weakseg.ops.sparse import SparseMatrix
from weakseg.settings.grow import BoundaryConfig, GrowthConfig


@dataclass(frozen=True)
class Scene:
    """What the labels of one image grow from, at the cells of the network's logits.

    Attributes:
        seeds: ``(h, w)`` int64 in {0..K, 255}.
        present: Classes of the image, in increasing order.
        confidence: ``(K + 1, h, w)`` float32 in (0, 1).
        features: ``(N, C)`` float32 of the cells; ``None`` where nothing looks at them.
    """

    seeds: Tensor
    present: tuple[int, ...]
    confidence: Tensor
    features: Tensor | None = None

    def graph(self, config: GrowthConfig) -> SparseMatrix:
        """Return the graph of nearest neighbours, each link of the weight that a cut pays."""
        assert self.features is not None
        graph = knn_graph(self.features, config.neighbors).to("cpu")
        return SparseMatrix(graph.pattern, graph.values * config.link_weight)

    @property
    def flat(self) -> tuple[Tensor, Tensor]:
        """Confidence as ``(K + 1, N)`` and seeds as ``(N,)``."""
        return self.confidence.flatten(1), self.seeds.flatten()


@dataclass(frozen=True)
class GrowthCounts:
    """What was there to grow from, and how much did; sums over images.

    Attributes:
        cells: Of the logits.
        seeded: Cells with a seed.
        labelled: Cells with a label after growth, seeds among them.
        present: Classes of the images.
        without_seed: Of these, classes that have no seed in their image, and so do not grow.
        lost: Of those, classes whose seeds all lie in cells that hold more of others.
        without_background: Images without a background seed.
        absent: Seeded pixels of classes that the image is known not to show; they are dropped.
    """

    cells: int = 0
    seeded: int = 0
    labelled: int = 0
    present: int = 0
    without_seed: int = 0
    lost: int = 0
    without_background: int = 0
    absent: int = 0

    def __add__(self, other: Self) -> "GrowthCounts":
        """Return the sums."""
        mine, theirs = asdict(self), asdict(other)
        return GrowthCounts(**{name: value + theirs[name] for name, value in mine.items()})


class Grown(NamedTuple):
    """The labels of one image.

    Attributes:
        labels: ``(h, w)`` int64 in {0..K, 255}.
        seeds: The same before growth.
        refined: ``(K + 1, h, w)`` what the CRF makes of the probabilities; ``None`` where nothing needs it.
        counts: Of this image.
    """

    labels: Tensor
    seeds: Tensor
    refined: Tensor | None
    counts: GrowthCounts


class Seen(NamedTuple):
    """One image, its weak labels, and what the network says of it; all detached.

    Attributes:
        image: ``(3, H, W)`` float on 0..255.
        labels: ``(H, W)`` int64 seeds in {0..K, 255}.
        tags: ``(K,)`` float: 1 present, 0 absent, NaN unknown.
        probs: ``(K + 1, h, w)`` float32, none of them zero.
        features: ``(N, C)``, or ``None``.
    """

    image: Tensor
    labels: Tensor
    tags: Tensor
    probs: Tensor
    features: Tensor | None


@dataclass(frozen=True)
class Grower:
    """How the labels of images grow, one for all of a training.

    Attributes:
        growth: How they do.
        boundary: The CRF, and whether its result is wanted where growth does without.
        corners: Whether corner cells of the network lie on corner pixels.
        threads: Images that are worked on at once; no result depends on it.
    """

    growth: GrowthConfig
    boundary: BoundaryConfig
    corners: bool = False
    threads: int = 1

    def batch(self, images: Tensor, labels: Tensor, tags: Tensor, found: "Outputs") -> list[Grown]:
        """Return the grown labels of each image of a batch; see ``Seen`` for the tensors."""
        seen = self.seen(images, labels, tags, found)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)  # of each of the threads that follow
        try:
            with ThreadPoolExecutor(self.threads) as pool:
                return list(pool.map(self.one, seen))
        finally:
            torch.set_num_threads(threads)

    def seen(self, images: Tensor, labels: Tensor, tags: Tensor, found: "Outputs") -> list[Seen]:
        """Return the parts of a batch, image by image, with the features that the graph is made of."""
        features: Sequence[Tensor | None] = [None] * len(images)
        if self.growth.on_graph:
            size = (found.probs.shape[2], found.probs.shape[3])
            norm, weight = self.growth.feature_norm, self.growth.position_weight
            features = node_features(found.levels, size, norm=norm, position_weight=weight).unbind()
        parts = (part.detach().cpu().unbind() for part in (images, labels, tags, found.probs))
        return list(map(Seen, *parts, features))

    def one(self, seen: Seen) -> Grown:
        """Return the grown labels of one image."""
        present, kept = present_seeds(seen.labels, seen.tags)
        size = (seen.probs.shape[1], seen.probs.shape[2])
        seeds = cell_seeds(kept, size, corners=self.corners)
        by_crf = self.growth.completed.confidence == "crf"
        refined = self.refined(seen) if by_crf or self.boundary.weight else None
        confidence = refined if by_crf and refined is not None else seen.probs
        labels = GROWTHS[self.growth.kind](Scene(seeds, present, confidence, seen.features), self.growth.completed)
        return Grown(labels, seeds, refined, _counts(seen, kept, seeds, labels, present))

    def refined(self, seen: Seen) -> Tensor:
        """Return ``(K + 1, h, w)`` marginals of the CRF on the image at the size of the cells, none of them zero."""
        size = (seen.probs.shape[1], seen.probs.shape[2])
        small = F.interpolate(seen.image[None], size, mode="bilinear", align_corners=self.corners)[0]
        pixels = small.round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).contiguous()
        unary = -seen.probs if self.boundary.unary == "prob" else -torch.log(seen.probs)
        return floored(dense_crf(unary, pixels, self.boundary.crf)[None])[0]


class Outputs(NamedTuple):
    """What a segmenter says of a batch.

    Attributes:
        probs: ``(B, K + 1, h, w)`` float32, none of them zero.
        levels: ``(B, C_l, h_l, w_l)`` feature maps of the backbone's stages; empty where labels grow without.
    """

    probs: Tensor
    levels: Sequence[Tensor]


def segmenter_outputs(module: nn.Module, images: Tensor, growth: GrowthConfig) -> Outputs:
    """Return what a segmenter, or what accelerate made of it, says of ``(B, 3, H, W)`` images on 0..255."""
    found = module(images, further=("levels",) if growth.on_graph else ())
    return Outputs(floored(found.logits.float().softmax(1)), found.further.get("levels", ()))


def present_seeds(labels: Tensor, tags: Tensor) -> tuple[tuple[int, ...], Tensor]:
    """Return the classes of an image, and its seeds without those of classes that it is known not to show.

    A class of which it is not known whether it is there is taken to be there where it has a seed.

    Args:
        labels: ``(H, W)`` int64 in {0..K, 255}.
        tags: ``(K,)`` float: 1 present, 0 absent, NaN unknown.
    """
    seeded = [label for label in _found(labels) if 0 < label != UNDECIDED]
    known = [number for number, tag in enumerate(tags.tolist(), start=1) if tag == 1]
    absent = [label for label in seeded if tags[label - 1] == 0]
    kept = torch.where(torch.isin(labels, torch.tensor(absent)), UNDECIDED, labels) if absent else labels
    return tuple(sorted({*known, *seeded} - {*absent})), kept


def _cut(scene: Scene, config: GrowthConfig) -> Tensor:
    confidence, seeds = scene.flat
    label_ids = _growing(scene, config)
    if not label_ids:
        return scene.seeds
    claims = cut_claims(scene.graph(config), confidence, seeds, label_ids, as_printed=config.tlinks == "as_printed")
    return accepted(claims, confidence, seeds, _thresholds(config)).reshape(scene.seeds.shape)


def _propagation(scene: Scene, config: GrowthConfig) -> Tensor:
    confidence, seeds = scene.flat
    label_ids = _growing(scene, config)
    if not label_ids:
        return scene.seeds
    claims = {label: own for label, own in harmonic_claims(scene.graph(config), seeds).items() if label in label_ids}
    return accepted(claims, confidence, seeds, _thresholds(config)).reshape(scene.seeds.shape)


def _regions(scene: Scene, config: GrowthConfig) -> Tensor:
    return region_labels(scene.confidence, scene.seeds, scene.present, _thresholds(config))


def _none(scene: Scene, _config: GrowthConfig) -> Tensor:
    return scene.seeds


GROWTHS: dict[str, Callable[[Scene, GrowthConfig], Tensor]] = {
    "cut": _cut,
    "regions": _regions,
    "propagation": _propagation,
    "none": _none,
}
"""How labels grow, by ``growth.kind``."""


def _growing(scene: Scene, config: GrowthConfig) -> list[int]:
    """Return the labels that may grow: of the classes, and of the background if its threshold lets it, the seeded."""
    wanted = ((0,) if _thresholds(config).background < 1 else ()) + scene.present
    return [label for label in wanted if bool((scene.seeds == label).any())]


def _thresholds(config: GrowthConfig) -> Thresholds:
    assert config.threshold is not None and config.background_threshold is not None
    return Thresholds(config.threshold, config.background_threshold)


def _counts(seen: Seen, kept: Tensor, seeds: Tensor, labels: Tensor, present: Iterable[int]) -> GrowthCounts:
    of_pixels, of_cells = _found(kept), _found(seeds)
    present = tuple(present)
    return GrowthCounts(
        cells=seeds.numel(),
        seeded=int((seeds != UNDECIDED).sum()),
        labelled=int((labels != UNDECIDED).sum()),
        present=len(present),
        without_seed=sum(label not in of_cells for label in present),
        lost=sum(label in of_pixels and label not in of_cells for label in present),
        without_background=int(0 not in of_cells),
        absent=int((seen.labels != kept).sum()),
    )


def _found(labels: Tensor) -> set[int]:
    return set(torch.bincount(labels.flatten()).nonzero().flatten().tolist())

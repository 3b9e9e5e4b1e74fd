"""A trained network on its own, as exporters take it, and what is to be said of it."""

from pathlib import Path
from typing import NamedTuple

from torch import Tensor, nn

from weakseg.artifacts import voc_palette
from weakseg.data.classes import Classes
from weakseg.errors import CheckpointError, cut
from weakseg.nn.backbones import Backbone
from weakseg.nn.classifiers import CLASSIFIERS, TagClassifier
from weakseg.nn.exported.described import (
    CLASSIFIER,
    INSTANCES,
    SEGMENTER,
    Described,
    Sides,
    Sight,
)
from weakseg.nn.exported.exportable import make_exportable
from weakseg.nn.segmenters import SEGMENTERS, Segmenter
from weakseg.nn.segmenters.tree import TreeHead
from weakseg.nn.weights import read_header
from weakseg.ops.resample import resample_cells
from weakseg.ops.tree_rounds import MOST_CELLS
from weakseg.pipeline.keys import digest_of
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.stages.classify import load_classifier
from weakseg.stages.segment import load_segmenter
from weakseg.version import __version__

GRID = 4  # pixels of a cell of activations
EPS = 1e-5


class Given(NamedTuple):
    """A model file that is to be exported.

    Attributes:
        path: The file.
        sides: How large images are in the exported file.
    """

    path: Path
    sides: Sides = Sides()


class Labelled(nn.Module):
    """A segmenter's logits alone."""

    def __init__(self, model: Segmenter) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        """Return ``(B, K + 1, h, w)`` logits."""
        logits: Tensor = self.model(pixels).logits
        return logits


class Activated(nn.Module):
    """What a classifier says of images, and where: probabilities of the classes, and activations of all of them.

    Activations are evidence on cells of four pixels, each where it lies, divided by the largest of its map: those of
    ``weakseg activate`` at one scale, without the mirror image.
    """

    def __init__(self, model: TagClassifier, num_classes: int) -> None:
        super().__init__()
        self.model, self.ids = model, tuple(range(1, num_classes + 1))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Return ``(B, K)`` scores and ``(B, K, ceil(H / 4), ceil(W / 4))`` activations, both in [0, 1]."""
        size = (pixels.shape[2], pixels.shape[3])
        grid = ((size[0] + GRID - 1) // GRID, (size[1] + GRID - 1) // GRID)
        evidence = resample_cells(self.model.evidence(pixels, self.ids), grid, size, self.model.cells)
        return self.model(pixels).logits.sigmoid(), evidence / (evidence.amax((2, 3), keepdim=True) + EPS)


def load_exportable(given: Given) -> tuple[nn.Module, Described]:
    """Return a network from pixels to what it gives, and what is to be said of it.

    Raises:
        ConfigError: If networks of this kind cannot be exported, with the reason.
        CheckpointError: If the file cannot be read, or is of another kind.
    """
    header = read_header(given.path)
    kind = header.get("kind")
    if kind in SEGMENTERS:
        return _segmenter(given)
    if kind in CLASSIFIERS:
        return _classifier(given)
    if kind == INSTANCES:
        return _instances(given)
    raise CheckpointError(
        f"{given.path}: is a {cut(kind)}; segmenters of both kinds and tag classifiers can be exported"
    )


def _segmenter(given: Given) -> tuple[nn.Module, Described]:
    model, classes = load_segmenter(given.path)
    red, green, blue = (float(value) for value in model.layout.fill.flatten())
    most = MOST_CELLS if isinstance(model.head, TreeHead) else 0
    stride = model.backbone.stride
    make_exportable(model)
    sight = Sight(stride, model.corners_aligned, (red, green, blue), most)
    return Labelled(model).eval(), _described(given, SEGMENTER, classes, sight)


def _classifier(given: Given) -> tuple[nn.Module, Described]:
    model, classes = load_classifier(given.path)
    fill = _mean_colour(model.backbone)
    make_exportable(model)
    return Activated(model, len(classes)).eval(), _described(given, CLASSIFIER, classes, Sight(GRID, False, fill))


def _instances(given: Given) -> tuple[nn.Module, Described]:
    from weakseg.nn.exported.found import Found  # torchvision takes seconds to load
    from weakseg.stages.instance_segment import load_instance_segmenter

    model, classes = load_instance_segmenter(given.path)
    fill = _mean_colour(model.backbone)
    make_exportable(model)
    sight = Sight(model.backbone.stride, False, fill)
    return Found(model, InstancePredictConfig().nms).eval(), _described(given, INSTANCES, classes, sight)


def _mean_colour(backbone: Backbone) -> tuple[float, float, float]:
    red, green, blue = (float(255.0 * value) for value in backbone.mean.flatten())
    return red, green, blue


def _described(given: Given, kind: str, classes: Classes, sight: Sight) -> Described:
    colours = voc_palette()[int(kind == CLASSIFIER) : len(classes) + 1].tolist()
    further = {"weakseg": __version__, "colours": str(colours), "source": digest_of(given.path)}
    return Described(kind, classes.names, sight, given.sides, further)

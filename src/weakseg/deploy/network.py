"""A trained network on its own, as exporters take it, and what is to be said of it."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weakseg.artifacts import voc_palette
from weakseg.data.classes import Classes
from weakseg.deploy.around import PIXELS
from weakseg.errors import CheckpointError, ConfigError, cut
from weakseg.nn.classifiers import CLASSIFIERS, GROUP_CLASSIFIER, TagClassifier
from weakseg.nn.exported.described import (
    ACTIVATIONS,
    CLASSIFIER,
    LOGITS,
    OPSET,
    SCORES,
    SEGMENTER,
    Described,
    Sides,
    Sight,
    onnx_module,
)
from weakseg.nn.exported.exportable import make_exportable
from weakseg.nn.segmenters import SEGMENTERS, Segmenter
from weakseg.nn.segmenters.tree import TreeHead
from weakseg.nn.weights import read_header
from weakseg.ops.resample import resample_cells
from weakseg.pipeline.keys import digest_of
from weakseg.stages.classify import load_classifier
from weakseg.stages.segment import load_segmenter
from weakseg.version import __version__

INSTANCES = "instance segmenter"
GRID = 4  # pixels of a cell of activations
EPS = 1e-5
EXAMPLE = (2, 3, 161, 194)  # what is traced; every side but that of colours is open
LONGEST = 2**15


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
    if kind == INSTANCES:
        raise ConfigError(
            f"{given.path}: Mask R-CNN is not exported: torchvision's code asks how many boxes a photograph has left, "
            "and torch's exporter cannot follow that; use weakseg predict-instances"
        )
    if kind == GROUP_CLASSIFIER:
        raise ConfigError(
            f"{given.path}: a classifier of groups is not exported: it makes a graph of images that it sees "
            "together; export the segmenter, or a classifier of another method"
        )
    if kind in SEGMENTERS:
        return _segmenter(given)
    if kind in CLASSIFIERS:
        return _classifier(given)
    raise CheckpointError(f"{given.path}: is a {cut(kind)}; segmenters and tag classifiers can be exported")


def _segmenter(given: Given) -> tuple[nn.Module, Described]:
    model, classes = load_segmenter(given.path)
    if isinstance(model.head, TreeHead):
        raise ConfigError(
            f"{given.path}: a segmenter with the head 'tree' is not exported: it spans a tree over the cells of each "
            "image, one edge after the other, and ONNX has no operator for that; train one with another head"
        )
    red, green, blue = (float(value) for value in model.layout.fill.flatten())
    whole = model.backbone.pads and not model.corners_aligned
    model.backbone.pads = model.backbone.pads and not whole  # the file does it, before the network
    make_exportable(model)
    return Labelled(model).eval(), Described(
        SEGMENTER,
        classes.names,
        Sight(model.backbone.stride, model.corners_aligned, (red, green, blue), whole),
        given.sides,
        _further(given, classes, background=True),
    )


def _classifier(given: Given) -> tuple[nn.Module, Described]:
    model, classes = load_classifier(given.path)
    red, green, blue = (float(255.0 * value) for value in model.backbone.mean.flatten())
    make_exportable(model)
    return Activated(model, len(classes)).eval(), Described(
        CLASSIFIER,
        classes.names,
        Sight(GRID, False, (red, green, blue)),
        given.sides,
        _further(given, classes, background=False),
    )


def _further(given: Given, classes: Classes, *, background: bool) -> dict[str, str]:
    colours = voc_palette()[0 if background else 1 : len(classes) + 1].tolist()
    return {"weakseg": __version__, "colours": str(colours), "source": digest_of(given.path)}


def bare_onnx(network: nn.Module, described: Described, where: str) -> Any:
    """Return ``onnx.ModelProto`` of a network alone, from float pixels, by torch's exporter.

    Raises:
        ConfigError: If torch cannot export it.
    """
    onnx_module("onnxscript")  # what torch's exporter needs
    names = [LOGITS] if described.kind == SEGMENTER else [SCORES, ACTIVATIONS]
    program = exported(
        where,
        lambda: torch.onnx.export(
            network,
            (torch.rand(EXAMPLE) * 255,),
            dynamo=True,
            dynamic_shapes=(open_sides(shortest_side(network)),),
            input_names=[PIXELS],
            output_names=names,
            opset_version=OPSET,
            external_data=False,
            verbose=False,
        ),
    )
    return program.model_proto


def shortest_side(network: nn.Module) -> int:
    """Return the least side of images that a ``Labelled`` or ``Activated`` network is exported for.

    It is that whose maps, those of reduced copies, too, have two cells: torch takes maps of one for a case of its own.
    ONNX files have the same sums for all images.
    """
    model: Any = network.model
    least: float = min((1.0, *getattr(model, "scales", ())))
    return math.ceil((int(model.backbone.stride) + 1) / least)


def open_sides(shortest: int) -> dict[int, Any]:
    """Return which sides of ``(B, 3, H, W)`` a network is exported for any size of."""
    side = {"min": shortest, "max": LONGEST}
    return {0: torch.export.Dim("batch"), 2: torch.export.Dim("rows", **side), 3: torch.export.Dim("columns", **side)}


@contextmanager
def unheard() -> Iterator[None]:
    """Let other programs do their work without telling it: what they say is of their own parts, and long."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def exported(where: str, export: Callable[[], Any]) -> Any:
    """Return what an exporter of torch makes; it fails in many ways, and says much."""
    try:
        with torch.no_grad(), unheard():
            return export()
    except Exception as error:
        said = [line.strip() for line in str(error).splitlines() if line.strip()]
        why = next((line for line in said if line.startswith("<class")), said[0] if said else type(error).__name__)
        raise ConfigError(
            f"{where}: torch {torch.__version__} cannot export this network ({cut(why)}); nothing was "
            "written; another backbone or head may do"
        ) from error

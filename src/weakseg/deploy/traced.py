"""A network as torch's exporters trace it."""

import logging
import math
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from weakseg.deploy.around import PIXELS
from weakseg.deploy.around_found import SEEN_BOXES
from weakseg.errors import ConfigError, cut
from weakseg.nn.exported.described import (
    ACTIVATIONS,
    CELLS,
    INSTANCES,
    LABELS,
    LEAST_SCORE,
    LOGITS,
    MOST_OBJECTS,
    OPSET,
    SCORES,
    SEGMENTER,
    Described,
    onnx_module,
)
from weakseg.settings.instance_segment import InstancePredictConfig

EXAMPLE = (2, 3, 161, 194)  # what is traced; every side but that of colours is open
LONGEST = 2**15


class Traced(NamedTuple):
    """What a network is traced with.

    Attributes:
        examples: Its inputs.
        open: Which of their sides are open.
        inputs: Their names.
        outputs: Names of what it gives.
    """

    examples: tuple[Tensor, ...]
    open: tuple[dict[int, Any], ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def _traced(network: nn.Module, kind: str) -> Traced:
    pixels, sides = torch.rand(EXAMPLE) * 255, open_sides(shortest_side(network))
    if kind != INSTANCES:
        return Traced((pixels,), (sides,), (PIXELS,), (LOGITS,) if kind == SEGMENTER else (SCORES, ACTIVATIONS))
    config = InstancePredictConfig()
    chosen = torch.tensor(config.score), torch.tensor(config.most)
    one = {axis: side for axis, side in sides.items() if axis}  # how many boxes there are is another for each image
    names = PIXELS, LEAST_SCORE, MOST_OBJECTS
    return Traced((pixels[:1], *chosen), (one, {}, {}), names, (SEEN_BOXES, LABELS, SCORES, CELLS))


def bare_onnx(network: nn.Module, described: Described, where: str) -> Any:
    """Return ``onnx.ModelProto`` of a network alone, from float pixels, by torch's exporter.

    Raises:
        ConfigError: If torch cannot export it.
    """
    onnx_module("onnxscript")  # what torch's exporter needs
    traced = _traced(network, described.kind)
    program = exported(
        where,
        lambda: torch.onnx.export(
            network,
            traced.examples,
            dynamo=True,
            dynamic_shapes=traced.open,
            input_names=list(traced.inputs),
            output_names=list(traced.outputs),
            opset_version=OPSET,
            custom_translation_table={torch.ops.aten.sort.stable: _sorted},
            external_data=False,
            verbose=False,
        ),
    )
    return program.model_proto


def _sorted(values: Any, *, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:
    """Return what sorts in ONNX: of equal values its TopK gives the first first."""
    operators = onnx_module("onnxscript").opset18
    count = operators.Shape(values, start=dim, end=dim + 1 or None)
    return operators.TopK(values, count, axis=dim, largest=int(descending), sorted=1)


def shortest_side(network: nn.Module) -> int:
    """Return the least side of images that a network is exported for.

    It is that whose maps, those of reduced copies, too, have two cells: torch takes maps of one for a case of its own.
    ONNX files have the same sums for all images.
    """
    model: Any = network.model
    least: float = min((1.0, *getattr(model, "scales", ())))
    coarsest = int(getattr(network, "coarsest", model.backbone.stride))
    return math.ceil((coarsest + 1) / least)


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

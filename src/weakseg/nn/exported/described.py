"""What an exported file says of itself, as properties of the file."""

import importlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from weakseg.errors import ConfigError
from weakseg.files import json_value
from weakseg.settings.instance_segment import KIND

OPSET = 18  # the first whose Resize is Pillow's
SUFFIX = ".onnx"
FORMAT = "1"  # of the properties
LARGEST_STRIDE = 1024
SEGMENTER, CLASSIFIER, INSTANCES = "segmenter", "classifier", KIND
IMAGES, MAX_SIDE, LABELS, LOGITS, PROBABILITIES = "images", "max_side", "labels", "logits", "probabilities"
SCORES, ACTIVATIONS = "scores", "activations"
BOXES, MASKS, CELLS = "boxes", "masks", "cells"
OUTPUTS = {
    SEGMENTER: (LABELS, LOGITS),
    CLASSIFIER: (SCORES, ACTIVATIONS),
    INSTANCES: (BOXES, LABELS, SCORES, MASKS, CELLS),
}
LEAST_SCORE, MOST_OBJECTS, NMS_IOU = "least_score", "most_objects", "nms_iou"  # constants of Mask R-CNN
CLASS_BIAS = "class_bias"  # of its labels, one value each
KNOWN = {"format", "kind", "labels", "stride", "corners_aligned", "fill", "most_cells", "max_side", "mask_side"}


class Sight(NamedTuple):
    """How a network sees images.

    Attributes:
        stride: Pixels of a cell of what it gives.
        corners: Whether corner cells lie on corner pixels.
        fill: Colour of padding, R, G, B on the scale 0..255.
        most: Cells of an image at most; 0: any number.
    """

    stride: int
    corners: bool
    fill: tuple[float, float, float]
    most: int = 0


class Sides(NamedTuple):
    """How large images are.

    Attributes:
        seen: Larger images are first reduced to this long side, unless the caller gives another.
        decided: Long side at most at which labels are decided; larger masks are enlarged from it.
    """

    seen: int = 512
    decided: int = 1024


@dataclass(frozen=True)
class Described:
    """What the properties of a file say.

    Attributes:
        kind: ``segmenter``, ``classifier`` or ``instance segmenter``.
        classes: Names of the classes, without the background.
        sight: How its network sees images.
        sides: How large they are.
        further: What else is told: colours, version, origin.
    """

    kind: str
    classes: tuple[str, ...]
    sight: Sight
    sides: Sides
    further: Mapping[str, str] = field(default_factory=dict)

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of what is told apart; but for classifiers they begin with the background."""
        return self.classes if self.kind == CLASSIFIER else ("background", *self.classes)

    def properties(self) -> dict[str, str]:
        """Return them as text by name."""
        return {
            **self.further,
            "format": FORMAT,
            "kind": self.kind,
            "labels": json.dumps(self.labels, ensure_ascii=False),
            "stride": str(self.sight.stride),
            "corners_aligned": json.dumps(self.sight.corners),
            "fill": json.dumps(self.sight.fill),
            "most_cells": str(self.sight.most),
            "max_side": str(self.sides.seen),
            "mask_side": str(self.sides.decided),
        }

    @classmethod
    def of(cls, properties: Mapping[str, str]) -> "Described":
        """Return what properties say.

        Raises:
            KeyError: If one is missing.
            ValueError: If one cannot be.
        """
        if properties["format"] != FORMAT:
            raise ValueError(f"they are of format {properties['format']!r}, not {FORMAT!r}")
        kind, labels = properties["kind"], json_value(properties["labels"])
        if kind not in OUTPUTS:
            raise ValueError(f"there is no kind {kind!r}")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError("labels are no list of names")
        names = tuple(labels if kind == CLASSIFIER else labels[1:])
        sides = Sides(*(int(properties[name]) for name in ("max_side", "mask_side")))
        if min(sides) < 1:
            raise ValueError(f"sides of {sides}")
        rest = {name: value for name, value in properties.items() if name not in KNOWN}
        return cls(kind, names, _sight_of(properties), sides, rest)


def _sight_of(properties: Mapping[str, str]) -> Sight:
    fill, stride = json_value(properties["fill"]), int(properties["stride"])
    if not isinstance(fill, list) or len(fill) != 3 or not all(isinstance(x, float | int) for x in fill):
        raise ValueError("fill is no colour")
    if not 1 <= stride <= LARGEST_STRIDE:
        raise ValueError(f"a stride of {stride}")
    red, green, blue = map(float, fill)
    return Sight(
        stride,
        json_value(properties["corners_aligned"]) is True,
        (red, green, blue),
        int(properties.get("most_cells", "0")),
    )


def onnx_module(name: str = "onnx") -> Any:
    """Return a module of the extra ``onnx``, which is imported when it is used.

    Raises:
        ConfigError: If it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ConfigError(f"ONNX files need {error.name or name}: pip install 'weakseg[onnx]'") from error

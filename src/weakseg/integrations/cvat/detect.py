"""CVAT's detection function: masks of whole frames with a trained segmenter.

``cvat-cli task auto-annotate 12 --function-module weakseg.integrations.cvat.detect -p run=str:out``
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weakseg.data.classes import Classes
from weakseg.data.formats.instances_out import regions_of
from weakseg.errors import ConfigError
from weakseg.instances import Instances
from weakseg.integrations.cvat.sdk import load_sdk
from weakseg.integrations.cvat.shapes import Form, shapes_of
from weakseg.methods.finished import open_finished, segmenter_of
from weakseg.nn.weights import read_header
from weakseg.photograph.given import Given, read_given
from weakseg.pipeline.options import RunOptions
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.settings.predict import PredictConfig
from weakseg.stages.predict import predict_image
from weakseg.stages.segment import load_segmenter

logger = logging.getLogger(__name__)

Find = Callable[[NDArray[np.uint8]], Instances]


class Detection:
    """A detection function of ``cvat_sdk.auto_annotation``.

    Attributes:
        spec: The classes as labels; a label's number is its class id.
    """

    def __init__(self, find: Find, classes: Classes, *, form: Form = "mask", scored: bool = False) -> None:
        """Take what finds objects, and the names of their classes.

        Args:
            find: From an ``(H, W, 3)`` uint8 image to objects.
            classes: Their names.
            form: ``mask`` or ``polygon``.
            scored: Whether scores mean something.
        """
        if form not in ("mask", "polygon"):
            raise ConfigError(f"form: 'mask' or 'polygon', got {form!r}")
        self._sdk = load_sdk("cvat_sdk.auto_annotation")
        self._find, self._form, self._scored, self._said = find, form, scored, False
        labels = [self._sdk.label_spec(name, number, type=form) for number, name in enumerate(classes.names, start=1)]
        self.spec = self._sdk.DetectionFunctionSpec(labels=labels)
        self._label_ids = {number: number for number in range(1, len(classes) + 1)}

    def detect(self, context: Any, image: Given) -> list[Any]:
        """Return the shapes of a frame; polygons where ``context.conv_mask_to_poly`` says so.

        Args:
            context: CVAT's. Objects below its ``conf_threshold`` are left out; a segmenter's masks have no score.
            image: The frame, of Pillow.
        """
        found, least = self._find(read_given(image)), context.conf_threshold
        if least is not None and self._scored:
            found = found.chosen([number for number, score in enumerate(found.scores) if score >= least])
        elif least is not None and not self._said:
            logger.warning("conf_threshold: masks of a segmenter have no score; %s is not used", least)
            self._said = True
        form: Form = "polygon" if context.conv_mask_to_poly else self._form
        return [self._sdk.shape(**_without(shape, "frame")) for shape in shapes_of(found, self._label_ids, form)]


def detection(
    run: str | Path = "",
    *,
    model: str | Path = "",
    method: str = "",
    form: Form = "mask",
    device: str = "auto",
    predictions: PredictConfig | InstancePredictConfig | None = None,
) -> Detection:
    """Return a detection function of a finished run, or of a model file.

    Args:
        run: Folder of a run or comparison, whose last segmenter is taken.
        model: File of a segmenter, or of an instance segmenter, in place of a run.
        method: Which method of a comparison.
        form: ``mask``, or ``polygon``; polygons mean the same pixels.
        device: ``auto``, ``cpu`` or ``cuda``.
        predictions: How it is applied; ``None``: as the run says, else the defaults.

    Raises:
        ConfigError: If both or neither of run and model are given, or cvat-sdk is not installed.
        CheckpointError: If the segmenter is not trained to the end, or the file is no model of weakseg.
    """
    load_sdk("cvat_sdk.auto_annotation")
    if bool(run) == bool(model):
        raise ConfigError("detection: give a run, or the file of a model, and not both")
    if run and predictions is None:
        predictions = open_finished(Path(run), method).recipe.predictions
    file, device = segmenter_of(Path(run or model), method), RunOptions(1, device).resolve().device
    if read_header(file).get("kind") == "instance segmenter":
        return _of_instances(file, predictions, form, device)
    config = predictions if isinstance(predictions, PredictConfig) else PredictConfig()
    segmenter, classes = load_segmenter(file)
    segmenter.to(device)
    return Detection(lambda image: regions_of(predict_image(segmenter, image, config)), classes, form=form)


def _of_instances(file: Path, predictions: object, form: Form, device: str) -> Detection:
    """Return the function of Mask R-CNN, which needs torchvision, that takes seconds to load."""
    from weakseg.stages.instance_segment import load_instance_segmenter, predict_instances

    config = predictions if isinstance(predictions, InstancePredictConfig) else InstancePredictConfig()
    model, classes = load_instance_segmenter(file)
    model.to(device)
    return Detection(partial(predict_instances, model, config=config), classes, form=form, scored=True)


def _without(shape: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in shape.items() if key != name}


create = detection

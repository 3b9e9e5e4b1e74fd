"""Exported segmenters in 8 bits, and what that costs."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from weakseg.deploy.agreement import Agreement, check_agreement, runner
from weakseg.deploy.around import PIXELS, surround
from weakseg.deploy.export import bare_model, serialized
from weakseg.deploy.network import Given
from weakseg.deploy.traced import unheard
from weakseg.errors import CheckpointError, ConfigError, DataError, cut
from weakseg.files import write_bytes
from weakseg.nn.exported.check import check_model
from weakseg.nn.exported.described import OPSET, Described, onnx_module
from weakseg.ops.resample import resize_image, scaled_size

MOST = 1.0  # points of mIoU that may be lost; without true masks percent of the labels that may change
FEWEST = 4  # images that calibrate, and that measure
OPERATORS = ["Conv", "Clip", "Relu", "Add", "MatMul", "Concat"]
Image = NDArray[np.uint8]
Labels = Callable[[Image], Image]


class Judge(Protocol):
    """Scores two labellings of photographs."""

    @property
    def masks(self) -> int:
        """How many true masks it knows."""

    def add(self, number: int, first: Image, second: Image, /) -> None:
        """Count both labels of a photograph."""

    def scores(self) -> tuple[float, float]:
        """Return mIoU of both, in percent."""


class Tried(NamedTuple):
    """Photographs like those that a network of 8 bits will see.

    Attributes:
        calibrating: ``(H, W, 3)`` uint8, four at least: by them ranges of values are chosen.
        measuring: Others, four at least.
        judge: Knows true masks of those that measure; ``None``: there are none.
        learned: Whether the network has learned from those that measure.
    """

    calibrating: Sequence[Image]
    measuring: Sequence[Image]
    judge: Judge | None = None
    learned: bool = False


class Loss(NamedTuple):
    """What 8 bits cost.

    Attributes:
        changed: Percent of the pixels whose label is another, of the images that did not calibrate.
        calibrated: How many images did.
        measured: How many did not.
        scores: mIoU before and with 8 bits, in percent, where there are true masks.
        masks: How many there are.
        learned: Whether the network has learned from those that measure.
    """

    changed: float
    calibrated: int
    measured: int
    scores: tuple[float, float] | None = None
    masks: int = 0
    learned: bool = False

    @property
    def too_much(self) -> bool:
        """Whether it is a point of mIoU, or without true masks a percent of the labels, or more."""
        return self.changed >= MOST if self.scores is None else not self.scores[0] - self.scores[1] < MOST

    @property
    def sentence(self) -> str:
        """What to say of it."""
        calibrated = f"(calibrated on {self.calibrated} others)"
        parts = [f"of {self.measured} images {self.changed:.2f} % of the labels change {calibrated}"]
        if self.scores is not None:
            before, after = self.scores
            parts.append(
                f"mIoU against {self.masks} true masks {before:.2f} before and {after:.2f} in 8 bits "
                f"({after - before:+.2f} points)"
            )
        if self.learned:
            parts.append("the network has learned from them, which flatters; give others by --images")
        return "; ".join(parts)


class _Calibration:
    """Images as onnxruntime asks for them, one after the other."""

    def __init__(self, images: Sequence[Image], max_side: int) -> None:
        self._rest, self._max_side = iter(images), max_side

    def get_next(self) -> dict[str, Any] | None:
        """Return the next image as the bare network sees it; ``None`` at the end."""
        image = next(self._rest, None)
        if image is None:
            return None
        seen = resize_image(image, scaled_size((image.shape[0], image.shape[1]), 1.0, max_side=self._max_side))
        return {PIXELS: np.ascontiguousarray(seen.transpose(2, 0, 1)[None], np.float32)}


def export_int8(given: Given, out: Path, tried: Tried, *, probabilities: bool = False) -> tuple[Agreement, Loss]:
    """Write a segmenter as ONNX whose network works in 8 bits, if that costs less than a point.

    What counts is mIoU where there are true masks, and else how many labels change.

    Args:
        given: The model file.
        out: The file to write; appears whole or not at all.
        tried: By what it is calibrated and measured.
        probabilities: As of ``export_onnx``.

    Returns:
        How far the file without 8 bits agrees with torch, and what 8 bits cost.

    Raises:
        ConfigError: As ``export_onnx``; or if the file is of no segmenter.
        CheckpointError: As ``export_onnx``; or if they cost more.
        DataError: If there are too few images.
    """
    if min(len(tried.calibrating), len(tried.measuring)) < FEWEST:
        raise DataError(
            f"--int8: {len(tried.calibrating)} images calibrate and {len(tried.measuring)} measure; each need at least "
            f"{FEWEST}: give at least {2 * FEWEST} by --images"
        )
    bare, described = bare_model(given, "--int8")
    plain = serialized(surround(bare, described, probabilities=probabilities), given)
    agreement = check_agreement(runner(plain, described, str(given.path)), given, described)
    small = surround(_quantized(bare, tried.calibrating, given), described, probabilities=probabilities)
    check_model(small, str(given.path))
    content = serialized(small, given)
    before, after = (_labels(part, described, str(given.path)) for part in (plain, content))
    loss = _loss(before, after, tried)
    if loss.too_much:
        raise CheckpointError(
            f"{given.path}: in 8 bits, {loss.sentence}, and less than {MOST:g} "
            f"{'% may change' if loss.scores is None else 'point may be lost'}; nothing was written: export it without "
            "--int8"
        )
    write_bytes(out, content)
    return agreement, loss


def _quantized(bare: Any, images: Sequence[Image], given: Given) -> Any:
    """Return a bare network with 8 bits between its operators, in the form that every runtime reads."""
    onnx, tool = onnx_module(), onnx_module("onnxruntime.quantization")
    prepare = onnx_module("onnxruntime.quantization.shape_inference").quant_pre_process
    try:
        with unheard(), tempfile.TemporaryDirectory() as folder:
            whole, prepared, made = (Path(folder) / f"{name}.onnx" for name in ("whole", "prepared", "made"))
            whole.write_bytes(bare.SerializeToString())
            prepare(str(whole), str(prepared), skip_symbolic_shape=True)
            tool.quantize_static(
                str(prepared),
                str(made),
                _Calibration(images, given.sides.seen),
                op_types_to_quantize=OPERATORS,
                per_channel=True,
                activation_type=tool.QuantType.QUInt8,
                weight_type=tool.QuantType.QInt8,
            )
            model = onnx.load_model(str(made))
    except Exception as error:
        raise ConfigError(
            f"{given.path}: onnxruntime cannot make it one of 8 bits ({cut(error)}); export it without --int8"
        ) from error
    unused = [entry for entry in model.opset_import if entry.domain]  # named by the optimizer, not used
    for entry in unused:
        model.opset_import.remove(entry)
    if any(entry.version != OPSET for entry in model.opset_import):
        raise ConfigError(f"{given.path}: onnxruntime has changed its opset; export it without --int8")
    return model


def _labels(content: bytes, described: Described, where: str) -> Labels:
    run = runner(content, described, where)
    return lambda image: np.asarray(run(image[None])[0][0])


def _loss(before: Labels, after: Labels, tried: Tried) -> Loss:
    changed = pixels = 0
    for number, image in enumerate(tried.measuring):
        labels = before(image), after(image)
        changed, pixels = changed + int((labels[0] != labels[1]).sum()), pixels + labels[0].size
        if tried.judge:
            tried.judge.add(number, *labels)
    scores, masks = (tried.judge.scores(), tried.judge.masks) if tried.judge else (None, 0)
    counted = len(tried.calibrating), len(tried.measuring)
    return Loss(100 * changed / pixels, *counted, scores, masks, tried.learned)

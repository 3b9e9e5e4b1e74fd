"""Exported segmenters in 8 bits, and what that costs."""

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weakseg.deploy.agreement import Agreement, check_agreement, runner
from weakseg.deploy.around import PIXELS, surround
from weakseg.deploy.export import bare_model, serialized
from weakseg.deploy.network import Given, unheard
from weakseg.errors import CheckpointError, ConfigError, DataError, cut
from weakseg.files import write_bytes
from weakseg.nn.exported.check import check_model
from weakseg.nn.exported.described import OPSET, Described, onnx_module
from weakseg.ops.resample import resize_image, scaled_size

MOST = 1.0  # percent of the labels that may change
FEWEST = 8  # images, of which half calibrate and half measure
OPERATORS = ["Conv", "Clip", "Relu", "Add", "MatMul", "Concat"]
Image = NDArray[np.uint8]


class Loss(NamedTuple):
    """What 8 bits cost.

    Attributes:
        changed: Percent of the pixels whose label is another, of the images that did not calibrate.
        calibrated: How many images did.
        measured: How many did not.
    """

    changed: float
    calibrated: int
    measured: int

    @property
    def sentence(self) -> str:
        """What to say of it."""
        calibrated = f"(calibrated on {self.calibrated} others)"
        return f"of {self.measured} images {self.changed:.2f} % of the labels change {calibrated}"


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


def export_int8(
    given: Given, out: Path, images: Sequence[Image], *, probabilities: bool = False
) -> tuple[Agreement, Loss]:
    """Write a segmenter as ONNX whose network works in 8 bits, if that changes less than one percent of the labels.

    Every other image calibrates; on the others it is measured.

    Args:
        given: The model file.
        out: The file to write; appears whole or not at all.
        images: ``(H, W, 3)`` uint8 photographs like those that it will see, eight at least.
        probabilities: As of ``export_onnx``.

    Returns:
        How far the file without 8 bits agrees with torch, and what 8 bits cost.

    Raises:
        ConfigError: As ``export_onnx``; or if the file is of no segmenter.
        CheckpointError: As ``export_onnx``; or if more labels change.
        DataError: If there are too few images.
    """
    if len(images) < FEWEST:
        raise DataError(f"--int8: {len(images)} images, of which half calibrate; give at least {FEWEST} by --images")
    bare, described = bare_model(given, "--int8")
    plain = serialized(surround(bare, described, probabilities=probabilities), given)
    agreement = check_agreement(runner(plain, described, str(given.path)), given, described)
    small = surround(_quantized(bare, images[::2], given), described, probabilities=probabilities)
    check_model(small, str(given.path))
    content = serialized(small, given)
    changed = _changed(plain, content, images[1::2], described, str(given.path))
    loss = Loss(changed, len(images[::2]), len(images[1::2]))
    if changed >= MOST:
        raise CheckpointError(
            f"{given.path}: in 8 bits, {loss.sentence}, and less than {MOST:g} % may; nothing was written: export it "
            "without --int8"
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


def _changed(plain: bytes, small: bytes, images: Sequence[Image], described: Described, where: str) -> float:
    """Return the percent of labels that are others."""
    before, after = runner(plain, described, where), runner(small, described, where)
    other = [(before(image[None])[0] != after(image[None])[0]).ravel() for image in images]
    return 100.0 * float(np.concatenate(other).mean())

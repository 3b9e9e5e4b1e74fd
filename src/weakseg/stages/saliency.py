"""From a photograph to its saliency map, by OpenCV's detectors or by a network."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from weakseg.checks import check_rgb_uint8
from weakseg.errors import CheckpointError, ConfigError, cut
from weakseg.nn.backbones.backbone import IMAGENET_MEAN, IMAGENET_STD
from weakseg.settings.saliency import SaliencyConfig

SIDE = 320  # pixels of the square that the network sees

Pixels = NDArray[np.uint8]
Map = NDArray[np.float32]


def detect_saliency(image: Pixels, config: SaliencyConfig) -> Map:
    """Return how much each pixel of a photograph draws the eye.

    Args:
        image: ``(H, W, 3)`` uint8 RGB.
        config: A detector; ``file`` names the weights of one that has some.

    Returns:
        ``(H, W)`` float32 in [0, 1], stretched: 0 occurs, and 1. All is 0 in a photograph of one colour.

    Raises:
        ConfigError: If the detector is ``files``, or this installation of OpenCV does not have it.
        CheckpointError: As ``load_u2netp``.

    Reference:
        [hou2007spectral] (``spectral``), [montabone2010human] (``fine_grained``), [qin2020u2net] (``u2netp``).
    """
    check_rgb_uint8("image", image)
    if config.detector not in DETECTORS:
        raise ConfigError("saliency.detector: 'files' detects nothing; name a detector")
    if (image == image[:1, :1]).all():
        return np.zeros(image.shape[:2], np.float32)
    found = DETECTORS[config.detector](image, config)
    low, high = float(found.min()), float(found.max())
    stretched = (found - low) / (high - low) if high > low else np.zeros_like(found)
    return cv2.resize(stretched, image.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(np.float32).clip(0, 1)


def load_u2netp(path: Path) -> Any:
    """Return the network of an ONNX file, for OpenCV's ``dnn``; the last one is kept.

    Raises:
        CheckpointError: If it cannot be read.
    """
    try:
        return _network(path, path.stat().st_mtime_ns)
    except (OSError, cv2.error) as error:
        raise CheckpointError(
            f"{path}: cannot be read as ONNX file of U2-Net ({cut(error).strip()}); restore it, or correct "
            "saliency.file"
        ) from error


@lru_cache(maxsize=1)
def _network(path: Path, _written_ns: int) -> Any:
    return cv2.dnn.readNetFromONNX(str(path))


def _u2netp(image: Pixels, config: SaliencyConfig) -> Map:
    """Return the network's first output: its input is scaled by its maximum, less ImageNet's mean, by its deviation."""
    small = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR).astype(np.float32)
    scaled = small / max(float(small.max()), 1.0)
    normal = (scaled - np.array(IMAGENET_MEAN, np.float32)) / np.array(IMAGENET_STD, np.float32)
    network = load_u2netp(Path(config.file))
    network.setInput(np.ascontiguousarray(normal.transpose(2, 0, 1)[None]))
    try:
        found = network.forward(network.getUnconnectedOutLayersNames()[0])
    except cv2.error as error:
        raise CheckpointError(
            f"{config.file}: takes no photograph of {SIDE} x {SIDE} ({cut(error).strip()})"
        ) from error
    if found.shape != (1, 1, SIDE, SIDE):
        raise CheckpointError(
            f"{config.file}: gives {found.shape} of a photograph of {SIDE} x {SIDE}, expected (1, 1, {SIDE}, {SIDE}); "
            "give an ONNX file of U2-Net"
        )
    return np.asarray(found[0, 0], np.float32)


def _opencv(name: str) -> Callable[[Pixels, SaliencyConfig], Map]:
    """Return the detector that OpenCV's module ``saliency`` calls so."""

    def detect(image: Pixels, config: SaliencyConfig) -> Map:
        if not hasattr(cv2, "saliency"):
            raise ConfigError(
                f"saliency.detector: {config.detector!r} is in opencv-contrib-python-headless, which another package "
                "of OpenCV has overwritten; remove that one and install weakseg anew"
            )
        done, found = getattr(cv2.saliency, name)().computeSaliency(np.ascontiguousarray(image[..., ::-1]))
        if not done:
            raise ConfigError(f"saliency.detector: OpenCV's {config.detector!r} gave no map; choose another detector")
        return np.asarray(found, np.float32)

    return detect


DETECTORS: dict[str, Callable[[Pixels, SaliencyConfig], Map]] = {
    "spectral": _opencv("StaticSaliencySpectralResidual_create"),
    "fine_grained": _opencv("StaticSaliencyFineGrained_create"),
    "u2netp": _u2netp,
}

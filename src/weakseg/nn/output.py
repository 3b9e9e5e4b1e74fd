"""What networks return: logits, and further outputs by name."""

from collections.abc import Iterable
from typing import Any, NamedTuple

from torch import Tensor

from weakseg.errors import ConfigError


class Output(NamedTuple):
    """What a classifier or a segmenter makes of images.

    Attributes:
        logits: ``(B, K)`` of a classifier; ``(B, K + 1, h, w)`` of a segmenter, the background first.
        further: What was asked for beside them, by name.
    """

    logits: Tensor
    further: dict[str, Any]


class Layout(NamedTuple):
    """How a segmenter sees images.

    Attributes:
        corners: Whether corner cells of its logits lie on corner pixels, or cells cover the image.
        stride: Pixels of a cell.
        fill: ``(1, 3, 1, 1)`` colour around images, on the scale 0..255, on the device of the network.
    """

    corners: bool
    stride: int
    fill: Tensor


def check_further(network: object, further: Iterable[str], given: Iterable[str]) -> None:
    """Raise ``ConfigError`` if a network is asked for outputs that it does not give."""
    names = tuple(given)
    unknown = [name for name in further if name not in names]
    if unknown:
        raise ConfigError(
            f"{type(network).__name__}: gives no {', '.join(map(repr, unknown))}; "
            f"beside logits it gives {', '.join(map(repr, names)) or 'nothing'}"
        )

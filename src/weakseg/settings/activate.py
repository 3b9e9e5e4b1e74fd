"""Class activation maps."""

from dataclasses import dataclass
from typing import Literal

from weakseg.settings.rules import check_settings


@dataclass(frozen=True)
class ActivateConfig:
    """How activations are computed.

    Attributes:
        scales: Factors on the image size; evidence of all is added.
        stride: Image pixels per cell of the result.
        max_side: Larger images are first reduced to this long side, near the size that the classifier was trained
            with; ``scales`` apply to the reduced size.
        align: ``cells``: evidence is put where the cells of the network lie; ``edges``: stretched over the image, as
            published, which shifts it by up to half a cell down and to the right.
        normalize: Each map is divided by its ``max``, or stretched over its ``range``, as in SEAM.
    """

    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    stride: int = 4
    max_side: int = 512
    align: Literal["cells", "edges"] = "cells"
    normalize: Literal["max", "range"] = "max"

    def __post_init__(self) -> None:
        """Refuse empty or non-positive values."""
        check_settings("activations", self, scales="> 0", stride=">= 1", max_side=">= 32")
        check_settings("activations", self, align=("cells", "edges"), normalize=("max", "range"))

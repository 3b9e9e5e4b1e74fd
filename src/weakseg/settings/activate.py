"""Class activation maps."""

from dataclasses import dataclass, field
from typing import Literal

from weakseg.settings.rules import check_settings
from weakseg.settings.tiles import TileConfig


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
        roots: The square root of the evidence of each scale is added, as published for VGG16.
        normalize: Each map is divided by its ``max``, or stretched over its ``range``, as in SEAM.
        tiles: How evidence in much larger images is looked for in tiles, too; it is added to that of all scales.
    """

    scales: tuple[float, ...] = (1.0, 0.5, 1.5, 2.0)
    stride: int = 4
    max_side: int = 512
    align: Literal["cells", "edges"] = "cells"
    roots: bool = False
    normalize: Literal["max", "range"] = "max"
    tiles: TileConfig = field(default_factory=TileConfig)

    def __post_init__(self) -> None:
        """Refuse empty or non-positive values."""
        check_settings("activations", self, scales="> 0", stride=">= 1", max_side=">= 32")
        check_settings("activations", self, align=("cells", "edges"), normalize=("max", "range"))


@dataclass(frozen=True)
class ExternalConfig:
    """How activations that another program wrote are read.

    Attributes:
        from_values: ``as_written``: values lie in [0, 1]; ``max``: negative values become 0, and each map is divided by
            its largest; ``range``: each map is stretched from its smallest to its largest value.
        from_ids: Number of the first class in the files; ``auto``: 1 in ``class_ids``, where 0 is the background, and 0
            in ``keys`` and in dictionaries of maps by number.
    """

    from_values: Literal["as_written", "max", "range"] = "as_written"
    from_ids: Literal["auto", "0", "1"] = "auto"

    def __post_init__(self) -> None:
        """Refuse words that do not exist."""
        check_settings("activations", self, from_values=("as_written", "max", "range"), from_ids=("auto", "0", "1"))


@dataclass(frozen=True)
class ActivationsConfig(ActivateConfig, ExternalConfig):
    """Where activations come from.

    Attributes:
        from_folder: Folder of activations that another program wrote, a file for each photograph (docs/data.md). No
            classifier is trained then, and settings of computed activations have no effect, but for ``stride``.
    """

    from_folder: str = ""

    def __post_init__(self) -> None:
        """Refuse what either refuses."""
        ActivateConfig.__post_init__(self)
        ExternalConfig.__post_init__(self)

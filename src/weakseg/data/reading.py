"""What the reader of a format hands over."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample

Splits = dict[str, tuple[WeakSample, ...]]


@dataclass
class Extras:
    """What reading leaves beside the labels: both as in ``Reading``, filled on the way."""

    dropped: dict[str, str] = field(default_factory=dict)
    sizes: dict[str, tuple[int, int]] = field(default_factory=dict)

    def add(self, image_id: str, size: tuple[int, int] | None, dropped: Mapping[str, str]) -> None:
        """Note the size that was stated for an image, if any, and which of its labels were left out."""
        self.dropped |= dropped
        self.sizes |= {image_id: size} if size else {}


@dataclass(frozen=True)
class Reading:
    """Classes and samples as a format's files give them.

    Attributes:
        classes: The foreground classes.
        splits: Samples of ``"train"`` and, where there is one, ``"val"``.
        dropped: Reason by file and entry of all labels that were left out.
        sizes: (rows, columns) by image id that label files state, of upright photographs.
        lists: Images by the name of each list that results are scored on.
    """

    classes: Classes
    splits: Splits
    dropped: Mapping[str, str] = field(default_factory=dict)
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    lists: Splits = field(default_factory=dict)

"""What saliency maps hold, and whether they look as if black and white were exchanged."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from weakseg.data.annotations import Box
from weakseg.data.saliency import saliency_size
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError

MOST = 0.7
"""Share of the maps that have to look inverted before it is said; of at least ``FEWEST``."""
FEWEST = 5


LEAST = 0.5 / 255
"""Contrast below which a map tells nothing: half a level."""


@dataclass(frozen=True)
class SaliencyReport:
    """Saliency maps of a data set.

    Attributes:
        images: Number of images.
        maps: How many have a map that can be read.
        resized: How many of these are of another size than the photograph.
        failures: Reason by image id of maps that cannot be used.
        inverted: Of the maps that tell, how many look inverted: what is drawn, else the middle, is darker.
        telling: Number of maps that tell.
    """

    images: int
    maps: int
    resized: int
    failures: Mapping[str, str] = field(default_factory=dict)
    inverted: int = 0
    telling: int = 0

    @property
    def warnings(self) -> tuple[str, ...]:
        """One sentence for each thing that is probably not meant."""
        if self.telling < FEWEST or self.inverted < MOST * self.telling:
            return ()
        return (
            f"saliency: on {self.inverted} of {self.telling} maps what is drawn, or else the middle, is darker than "
            "the rest; white has to be what draws the eye: are they inverted? Then write 255 - value",
        )


def check_saliency(samples: Iterable[WeakSample]) -> SaliencyReport:
    """Read every saliency map once and return the summary; photographs that cannot be read are left out."""
    every = list({sample.id: sample for sample in samples}.values())
    failures: dict[str, str] = {}
    signs: list[float] = []
    maps = resized = 0
    for sample in (sample for sample in every if sample.saliency is not None):
        try:
            saliency = sample.load_saliency()
            resized += sample.saliency is not None and saliency_size(sample.saliency) != saliency.shape
        except DataError as error:
            failures[sample.id] = str(error)
            continue
        maps += 1
        signs.append(contrast(saliency, sample.drawn.boxes))
    told = [sign for sign in signs if abs(sign) > LEAST]
    return SaliencyReport(len(every), maps, resized, failures, sum(sign < 0 for sign in told), len(told))


def contrast(saliency: NDArray[np.float32], boxes: Iterable[Box] = ()) -> float:
    """Return how much brighter a map is in boxes than outside; without boxes, in the middle than at the border.

    The middle is what is further from each border than a fifth of the way to the other.
    """
    rows, columns = saliency.shape
    inside = np.zeros(saliency.shape, bool)
    for box in boxes:
        if (pixels := box.pixels((rows, columns))) is not None:
            inside[pixels] = True
    if not inside.any():
        inside[rows // 5 : rows - rows // 5, columns // 5 : columns - columns // 5] = True
    if inside.all():
        return 0.0
    return float(saliency[inside].mean()) - float(saliency[~inside].mean())

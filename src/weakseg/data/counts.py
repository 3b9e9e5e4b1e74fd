"""How much was drawn: shapes of every kind and class, and images by their strongest label."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from weakseg.data.annotations import IGNORED, NOTHING_DRAWN, STRENGTH, LabelKind
from weakseg.data.regions import deciding
from weakseg.data.sample import WeakSample


@dataclass(frozen=True)
class DrawnCounts:
    """What was drawn on the images of one split.

    Attributes:
        shapes: Number of shapes of each class, in the order of their ids from 0, the background, on; only kinds that
            occur, the strongest first.
        strongest: Number of images by their strongest label, the strongest first; ``tags`` where nothing is drawn.
        ignored: Number of regions to be ignored.
        partly: Number of images that are outlined in part, by the kind of label that decides the rest.
    """

    shapes: Mapping[LabelKind, tuple[int, ...]]
    strongest: Mapping[LabelKind, int]
    ignored: int = 0
    partly: Mapping[LabelKind, int] = field(default_factory=dict)

    def of_class(self, class_id: int) -> int:
        """Return the number of shapes of one class."""
        return sum(numbers[class_id] for numbers in self.shapes.values())


def count_drawn(samples: Sequence[WeakSample], num_classes: int) -> DrawnCounts:
    """Return the counts of a split."""
    drawn = [sample.drawn for sample in samples if sample.drawn != NOTHING_DRAWN]
    found = {kind: Counter(shape.class_id for one in drawn for shape in one.of_kind(kind)) for kind in STRENGTH}
    shapes = {kind: tuple(count[i] for i in range(num_classes + 1)) for kind, count in found.items() if count}
    strongest = Counter(one.strongest for one in drawn)
    strongest["tags"] += len(samples) - len(drawn)
    partly = Counter(deciding(one) for one in drawn if one.regions)
    return DrawnCounts(
        shapes,
        {kind: strongest[kind] for kind in STRENGTH if strongest[kind]},
        sum(count[IGNORED] for count in found.values()),
        {kind: partly[kind] for kind in STRENGTH if partly[kind] and kind != "regions"},
    )

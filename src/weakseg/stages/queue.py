"""What to draw next: which photograph, class and kind of label, by the mIoU that a second of drawing is to bring.

The mean IoU is that of all masks, from one confusion matrix over all photographs. Of each class of a photograph the
area is expected, and the IoU of its mask as it is (``now``) and as a label would make it (``after``): so the pixels
that mask and truth have in common, and together. A label replaces these in the sums over all photographs, and the IoU
of the class rises by what it brings, the mean by one of K classes and the background. So the photographs of a rare
class count for more, and large objects, and masks that spill.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from weakseg.data.effort import SECONDS
from weakseg.errors import DataError
from weakseg.stages.known import MARK_KINDS, Frame, KnownClass, KnownPhotograph, MarkKind, State
from weakseg.stages.reliability import DOUBTFUL

OWN = 0.5  # of how far the area of a mask is from the usual one: that much is believed
RARE = 0.5  # of the photographs that a class has on average: one that has no more is called rare


@dataclass(frozen=True)
class Candidate:
    """A label that may be drawn next.

    Attributes:
        photograph: Its id.
        name: Of the class; empty for tags, which are of all classes.
        kind: Of the label.
        gain: Points of mIoU (percent) of all masks that are expected of it.
        seconds: That it takes.
        reason: In words.
        region: Where to look first, (left, top, right, bottom) in pixels.
    """

    photograph: str
    name: str
    kind: MarkKind
    gain: float
    seconds: float
    reason: str
    region: Frame | None = None

    @property
    def rate(self) -> float:
        """Points of mIoU a second."""
        return self.gain / self.seconds


@dataclass(frozen=True)
class Line:
    """An IoU that depends on a reliability.

    Attributes:
        low: Where the reliability is 0.
        high: Where it is 1.
    """

    low: float
    high: float

    def at(self, reliability: float) -> float:
        """Return it, in [0, 1]."""
        return min(1.0, max(0.0, self.low + (self.high - self.low) * reliability))


@dataclass(frozen=True)
class Expected:
    """IoUs that are to be expected, as measured by benchmarks/draw_next.py on MSRC's ``fit``, each mask counting alike.

    Attributes:
        now: Of a mask by what it was made from, as its own reliability says.
        after: Of the mask that a label of each kind makes, as the reliability of the mask before says.
        rejected: Of a mask that a person has rejected.
        usual: Reliability of a mask of which nobody knows it.
        disagreement: Mean disagreement of two masks, and by how much less ``now`` is where it is higher by one: by 0,
            since nobody has measured it.
    """

    now: Mapping[MarkKind, Line] = field(
        default_factory=lambda: {
            "tag": Line(-0.1, 0.83),
            "click": Line(0.57, 0.91),
            "stroke": Line(0.59, 0.95),
            "box": Line(0.61, 0.91),
        }
    )
    after: Mapping[MarkKind, Line] = field(
        default_factory=lambda: {"click": Line(0.53, 0.77), "stroke": Line(0.68, 0.82), "box": Line(0.7, 0.85)}
    )
    rejected: float = 0.37
    usual: float = 0.82
    disagreement: tuple[float, float] = (0.25, 0.0)

    def of_mask(self, one: KnownClass, state: State) -> float:
        """Return the IoU that is to be expected of the mask of a class as it is, or as what is drawn will make it."""
        if one.drawn not in (None, "tag"):
            return self.of_label(one, one.drawn)
        if one.share is None and one.reliability is None:
            return 0.0
        value = self.now[one.made_from].at(self.usual if one.reliability is None else one.reliability)
        if one.disagreement is not None:
            mean, slope = self.disagreement
            value = min(1.0, max(0.0, value - slope * (one.disagreement - mean)))
        return min(value, self.rejected) if state == "rejected" else value

    def of_label(self, one: KnownClass, kind: MarkKind) -> float:
        """Return the IoU that is to be expected of the mask that a label makes of a class."""
        return self.after[kind].at(self.usual if one.reliability is None else one.reliability)


EXPECTED = Expected()


def what_to_draw(
    photographs: Iterable[KnownPhotograph],
    classes: Iterable[str] = (),
    *,
    kinds: Sequence[MarkKind] = MARK_KINDS,
    expected: Expected = EXPECTED,
) -> list[Candidate]:
    """Return the label of each class and photograph that brings most a second, those that bring most first.

    Nothing is asked of photographs that a person has accepted, nor a label that is no stronger than what a mask was
    made from, nor one that is expected to bring nothing. The order of the arguments does not count.

    Args:
        photographs: All that are to be labelled, and what is known of each.
        classes: Names of all classes, where some are in none of the photographs.
        kinds: Of labels that may be drawn.
        expected: IoUs before and after.

    Raises:
        DataError: If a photograph is given twice.
    """
    given = list(photographs)
    if twice := sorted(name for name, number in Counter(one.id for one in given).items() if number > 1):
        raise DataError(f"image {twice[0]!r}: is given twice; give it once")
    folder = _Folder(given, classes, expected)
    found = [candidate for one in given if one.state != "accepted" for candidate in _of_photograph(one, folder, kinds)]
    return sorted(found, key=_rank)


def _rank(one: Candidate) -> tuple[float, str, str, int]:
    return -one.rate, one.photograph, one.name, MARK_KINDS.index(one.kind)


def _of_photograph(photograph: KnownPhotograph, folder: "_Folder", kinds: Sequence[MarkKind]) -> Iterator[Candidate]:
    """Yield the best label of each class of a photograph; of one of which nothing is known, its tags."""
    state = photograph.state
    if state == "nothing":
        if "tag" in kinds:
            gain = 100 * folder.usual * folder.expected.now["tag"].at(folder.expected.usual)
            yield Candidate(photograph.id, "", "tag", gain, label_seconds("tag", folder.count), "it has no tags")
        return
    for one in photograph.classes:
        usable = [kind for kind in kinds if kind != "tag" and _is_stronger(kind, one, state)]
        gains = {kind: folder.gain(one, state, kind) for kind in usable}
        seconds = {kind: label_seconds(kind, one.objects) for kind in usable}
        best = max(usable, key=lambda kind: (gains[kind] / seconds[kind], MARK_KINDS.index(kind)), default=None)
        if best is not None and gains[best] > 0:
            reason = _reason(one, state, folder)
            yield Candidate(photograph.id, one.name, best, gains[best], seconds[best], reason, one.region)


def _is_stronger(kind: MarkKind, one: KnownClass, state: State) -> bool:
    """Return whether a label says more than what a mask was made from; what was rejected may be drawn again."""
    own, other = MARK_KINDS.index(one.strongest), MARK_KINDS.index(kind)
    return other > own or (state == "rejected" and other == own > 0)


def label_seconds(kind: MarkKind, count: int = 1) -> float:
    """Return what a label takes: of ``count`` objects of one class, and what is beside them; of tags, so many classes.

    A click and a stroke are of no use without one on the background.
    """
    if kind == "tag":
        return SECONDS["class"] * max(1, count)
    if kind == "click":
        return 2 * SECONDS["first point"] + SECONDS["further point"] * (count - 1)
    return SECONDS["box"] * count if kind == "box" else SECONDS["scribble"] * (count + 1)


@dataclass(frozen=True)
class _Counts:
    """Shares of photographs that truth and mask of a class are expected to have in common, and together."""

    common: float
    together: float

    @classmethod
    def of(cls, mask: float, truth: float, iou: float) -> "_Counts":
        """Return them for areas of both: ``together = mask + truth - common``, ``common = iou together``."""
        together = (mask + truth) / (1 + iou)
        return cls(iou * together, together)


class _Folder:
    """What all photographs have of each class: expected areas, and the expected IoU of the class."""

    def __init__(self, photographs: Sequence[KnownPhotograph], classes: Iterable[str], expected: Expected) -> None:
        shown = defaultdict[str, list[tuple[KnownClass, State]]](list)
        for photograph in photographs:
            for one in photograph.classes:
                shown[one.name].append((one, photograph.state))
        self.expected = expected
        self.count = len({*classes, *shown})
        self.photographs = {name: len(members) for name, members in shown.items()}
        most = RARE * sum(self.photographs.values()) / max(1, len(shown))
        self.rare = {name for name, number in self.photographs.items() if number <= most}
        usual = _usual((one for members in shown.values() for one, _ in members), 1.0)
        self._areas = {name: _usual((one for one, _ in members), usual) for name, members in shown.items()}
        counts = {name: [self._now(*member) for member in members] for name, members in shown.items()}
        self._sums = {
            name: _Counts(fsum(c.common for c in found), fsum(c.together for c in found))
            for name, found in counts.items()
        }
        self.usual = max(1, self.count) / (max(1, self.count) + 1) / max(1, len(photographs))

    def gain(self, one: KnownClass, state: State, kind: MarkKind) -> float:
        """Return by how many points (percent) the mean IoU is expected to rise by a label."""
        iou, area = self.expected.of_label(one, kind), self._area(one)
        whole, before, after = self._sums[one.name], self._now(one, state), _Counts.of(area, area, iou)
        together = whole.together - before.together + after.together
        rise = (whole.common - before.common + after.common) / together - whole.common / whole.together
        return 100 * rise / (self.count + 1)

    def _now(self, one: KnownClass, state: State) -> _Counts:
        iou, area = self.expected.of_mask(one, state), self._area(one)
        return _Counts.of(area if one.share is None and iou else one.share or 0.0, area, iou)

    def _area(self, one: KnownClass) -> float:
        """Return what a class is expected to cover: between what its mask does and what the class does elsewhere."""
        usual = self._areas[one.name]
        return usual + OWN * (one.share - usual) if one.share else usual


def _usual(members: Iterable[KnownClass], default: float) -> float:
    """Return the mean share of masks that are not empty."""
    found = [one.share for one in members if one.share]
    return fsum(found) / len(found) if found else default


def _reason(one: KnownClass, state: State, folder: "_Folder") -> str:
    """Return why a label of a class would help, in words."""
    if state == "rejected":
        said = ["its mask was rejected"]
    elif one.share is None and one.reliability is None:
        said = ["it has no mask"]
    elif one.reliability is None:
        said = ["nobody knows how good its mask is"]
    else:
        doubt = "its mask is doubtful" if one.reliability < DOUBTFUL else "its mask may be better"
        said = [f"{doubt} (reliability {one.reliability:.2f})", *one.reasons]
    if one.disagreement is not None and one.disagreement > DOUBTFUL:
        said.append(f"two masks of it have an IoU of {1 - one.disagreement:.2f}")
    if one.name in folder.rare:
        number = folder.photographs[one.name]
        said.append(f"the class is rare ({number} photograph{'s' if number > 1 else ''})")
    return "; ".join(said)

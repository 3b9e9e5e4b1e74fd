"""What to draw next: which photograph, class and kind of label, by the mIoU that a second of drawing is to bring.

What a label of a kind brings is ``100 (after - now) a / (A (K + 1))`` points of the mean IoU over K classes and the
background, from one confusion matrix over all photographs: ``now`` is the IoU to be expected of the class's mask as it
is, ``after`` that of the mask which the label would make, ``a`` the area of the class in the photograph, ``A`` that in
all of them. So the photographs of a rare class count for more, and so do large objects.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import fsum

from weakseg.data.effort import SECONDS
from weakseg.errors import DataError
from weakseg.stages.known import MARK_KINDS, Frame, KnownClass, KnownPhotograph, MarkKind, State
from weakseg.stages.reliability import DOUBTFUL

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
    """IoUs that are to be expected.

    Attributes:
        now: Of a mask by what it was made from, as its own reliability says.
        after: Of the mask that a label of each kind makes, as the reliability of the mask before says.
        rejected: Of a mask that a person has rejected.
        usual: Reliability of a mask of which nobody knows it.
        disagreement: Mean disagreement of two masks, and by how much less ``now`` is where it is higher by one.
    """

    now: Mapping[MarkKind, Line] = field(
        default_factory=lambda: {
            "tag": Line(0.35, 0.85),
            "click": Line(0.3, 0.85),
            "stroke": Line(0.3, 0.9),
            "box": Line(0.5, 0.9),
        }
    )
    after: Mapping[MarkKind, Line] = field(
        default_factory=lambda: {"click": Line(0.5, 0.75), "stroke": Line(0.6, 0.8), "box": Line(0.75, 0.9)}
    )
    rejected: float = 0.35
    usual: float = 0.7
    disagreement: tuple[float, float] = (0.25, 0.5)

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
    weights = _Weights(given, classes)
    found = [
        candidate
        for one in given
        if one.state != "accepted"
        for candidate in _of_photograph(one, weights, kinds, expected)
    ]
    return sorted(found, key=_rank)


def _rank(one: Candidate) -> tuple[float, str, str, int]:
    return -one.rate, one.photograph, one.name, MARK_KINDS.index(one.kind)


def _of_photograph(
    photograph: KnownPhotograph, weights: "_Weights", kinds: Sequence[MarkKind], expected: Expected
) -> Iterator[Candidate]:
    """Yield the best label of each class of a photograph; of one of which nothing is known, its tags."""
    if photograph.state == "nothing":
        if "tag" in kinds:
            gain = 100 * weights.usual * expected.now["tag"].at(expected.usual)
            yield Candidate(photograph.id, "", "tag", gain, label_seconds("tag", weights.count), "it has no tags")
        return
    for one in photograph.classes:
        now = expected.of_mask(one, photograph.state)
        usable = [kind for kind in kinds if kind != "tag" and _is_stronger(kind, one, photograph.state)]
        better = {kind: expected.of_label(one, kind) - now for kind in usable}
        seconds = {kind: label_seconds(kind, one.objects) for kind in usable}
        best = max(usable, key=lambda kind: better[kind] / seconds[kind], default=None)
        if best is not None and better[best] > 0:
            gain, reason = 100 * weights.of(one) * better[best], _reason(one, photograph.state, weights)
            yield Candidate(photograph.id, one.name, best, gain, seconds[best], reason, one.region)


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


class _Weights:
    """By how many points the mIoU rises, of 1, where the mask of a class of a photograph becomes perfect."""

    def __init__(self, photographs: Sequence[KnownPhotograph], classes: Iterable[str]) -> None:
        shown = defaultdict[str, list[KnownClass]](list)
        for photograph in photographs:
            for one in photograph.classes:
                shown[one.name].append(one)
        self.count = len({*classes, *shown})
        self.photographs = {name: len(members) for name, members in shown.items()}
        shares = {name: [one.share for one in members if one.share] for name, members in shown.items()}
        usual = _mean([share for found in shares.values() for share in found], 1.0)
        self._shares = {name: _mean(found, usual) for name, found in shares.items()}
        self._areas = {name: fsum(map(self._area, members)) for name, members in shown.items()}
        most = RARE * sum(self.photographs.values()) / max(1, len(shown))
        self.rare = {name for name, number in self.photographs.items() if number <= most}
        self.usual = max(1, self.count) / (max(1, self.count) + 1) / max(1, len(photographs))

    def of(self, one: KnownClass) -> float:
        return self._area(one) / self._areas[one.name] / (self.count + 1)

    def _area(self, one: KnownClass) -> float:
        """Return the share of a photograph that a class is expected to cover: the mask's, so far as that is trusted."""
        usual = self._shares[one.name]
        if not one.share:
            return usual
        trust = DOUBTFUL if one.reliability is None else one.reliability
        return trust * one.share + (1 - trust) * usual


def _mean(values: Sequence[float], default: float) -> float:
    return fsum(values) / len(values) if values else default


def _reason(one: KnownClass, state: State, weights: _Weights) -> str:
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
    if one.name in weights.rare:
        number = weights.photographs[one.name]
        said.append(f"the class is rare ({number} photograph{'s' if number > 1 else ''})")
    return "; ".join(said)

"""What tags cannot teach: classes that every photograph shows, or none, or hardly any."""

from collections.abc import Sequence
from dataclasses import dataclass

FEWEST_IMAGES = 3
_SHOWN_NAMES = 5


@dataclass(frozen=True)
class ClassCount:
    """How often a class occurs among training images.

    Attributes:
        name: Of the class.
        present: Images that show it.
        absent: Images that are known not to show it.
        drawn: Shapes of it that are drawn.
    """

    name: str
    present: int
    absent: int
    drawn: int = 0


def learning_warnings(counts: Sequence[ClassCount]) -> tuple[str, ...]:
    """Return a sentence for each thing that makes tags useless, or nearly so, and what it means for the result.

    Of classes that are drawn more is known than tags say.
    """
    found = [
        f"class {count.name!r}: no training image shows it, so it cannot be learned; leave it out, or tag images"
        for count in counts
        if not count.present
    ]
    tagged = [count for count in counts if count.present and not count.drawn]
    if everywhere := [count.name for count in tagged if not count.absent]:
        found.append(
            f"{_named(everywhere)}: no training image is known to be without it, so that a classifier cannot find what "
            "makes it, and its masks mean nothing; add photographs without it, or draw boxes"
        )
    if rare := [count.name for count in tagged if count.absent and count.present < FEWEST_IMAGES]:
        found.append(
            f"{_named(rare)}: fewer than {FEWEST_IMAGES} training images show it, and from so few a classifier learns "
            "their backgrounds rather than the class; add photographs"
        )
    if len(counts) == 1 and tagged and tagged[0].absent:
        found.append(
            f"{_named([tagged[0].name])} is the only one: what always comes with it cannot be told from it, and gets "
            "into its masks; tag that as a class, too, or draw boxes"
        )
    return tuple(found)


def _named(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN_NAMES} more" if len(names) > _SHOWN_NAMES else ""
    return f"{'class' if len(names) == 1 else 'classes'} {', '.join(map(repr, names[:_SHOWN_NAMES]))}{more}"

"""Class names as sources of knowledge write them: lower case, underscores, one of several words for the same thing."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping, Sequence

from weakseg.errors import cut, quoted

PUBLISHED = {
    "aeroplane": "airplane",
    "motorbike": "motorcycle",
    "sofa": "couch",
    "tvmonitor": "tv",
    "diningtable": "dining_table",
    "pottedplant": "potted_plant",
    "hair_drier": "hair_dryer",
}
"""What names of VOC and COCO are called in the published relations ([zhang2023grm])."""
SYNONYMS = (
    ("airplane", "aeroplane", "plane"),
    ("motorcycle", "motorbike"),
    ("couch", "sofa"),
    ("tv", "television", "tvmonitor", "tv_monitor"),
    ("dining_table", "diningtable"),
    ("potted_plant", "pottedplant", "houseplant"),
    ("hair_dryer", "hair_drier", "blow_dryer"),
    ("donut", "doughnut"),
    ("cell_phone", "cellphone", "mobile_phone", "cellular_telephone"),
    ("wine_glass", "wineglass"),
    ("teddy_bear", "teddy"),
    ("stop_sign", "street_sign"),
    ("refrigerator", "fridge"),
    ("bicycle", "bike"),
    ("cow", "ox"),
)
"""Words for the same thing."""
MAX_HEADS = 8  # words at the end of a name that are tried


def term_of(name: str) -> str:
    """Return a name in lower case, its words joined by underscores, without punctuation.

    >>> term_of("Traffic-Light (red)")
    'traffic_light_red'
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return "_".join(re.findall(r"[^\W_]+", plain)) or plain


def find_terms(
    names: Sequence[str], is_known: Callable[[str], bool], *, published_first: bool = False
) -> tuple[dict[str, str], list[str]]:
    """Look class names up in a source.

    Each is tried as it is, then words for the same thing, the singular, its words joined, and the words at its end.

    Args:
        names: Class names.
        is_known: Whether the source has a term.
        published_first: Take what a name is called in the published relations before the name itself.

    Returns:
        The term of each name, ``""`` where it is nowhere; and a sentence for each name that was not found as it is
        written, and for each term that several classes have.
    """
    found = {name: first_known(name, is_known, published_first=published_first) for name in names}
    notes = [_note(name, term) for name, term in found.items() if term != term_of(name)]
    return found, notes + same_terms(found)


def same_terms(found: Mapping[str, str]) -> list[str]:
    """Return a sentence for each term that several classes have."""
    names: dict[str, list[str]] = {}
    for name, term in found.items():
        names.setdefault(term, []).append(name)
    return [
        f"classes {cut(' and '.join(map(quoted, same)))}: all are {quoted(term)}, so that nothing tells them apart"
        for term, same in names.items()
        if term and len(same) > 1
    ]


def _note(name: str, term: str) -> str:
    return f"class {quoted(name)}: {f'looked up as {quoted(term)}' if term else 'not found'}"


def first_known(
    name: str, is_known: Callable[[str], bool], *, published_first: bool = False, heads: bool = True
) -> str:
    """Return the best term of a name that a source has, ``""`` if it has none; arguments as those of ``find_terms``."""
    terms = candidates(name, published_first=published_first, heads=heads)
    return next((term for term in terms if is_known(term)), "")


def candidates(name: str, *, published_first: bool = False, heads: bool = True) -> Iterator[str]:
    """Yield the terms that a class name may have in a source, the best first.

    Args:
        name: The class.
        published_first: Begin with what the name is called in the published relations.
        heads: End with the words at the end of the name, most of them first.
    """
    term = term_of(name)
    if published_first and term in PUBLISHED:
        yield PUBLISHED[term]
    for one in (term, *_singulars(term)):
        yield one
        yield from _same_things(one)
        yield one.replace("_", "")
    words = term.split("_") if heads else []
    for first in range(max(1, len(words) - MAX_HEADS), len(words)):
        head = "_".join(words[first:])
        yield from (head, *_singulars(head))


def words_of(name: str) -> list[str]:
    """Return the words of a name.

    >>> words_of("traffic light")
    ['traffic', 'light']
    """
    return term_of(name).split("_")


def _same_things(term: str) -> tuple[str, ...]:
    return next((group for group in SYNONYMS if term in group), ())


def _singulars(term: str) -> tuple[str, ...]:
    """Return what may be the singular of a plural.

    >>> _singulars("skis"), _singulars("glass"), _singulars("cherries"), _singulars("benches")
    (('ski',), (), ('cherry', 'cherrie'), ('benche', 'bench'))
    """
    if not term.endswith("s") or term.endswith("ss"):
        return ()
    if term.endswith("ies"):
        return f"{term[:-3]}y", term[:-1]
    return (term[:-1], term[:-2]) if term.endswith("es") else (term[:-1],)

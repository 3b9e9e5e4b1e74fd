"""ConceptNet's assertions as a graph of English terms, from the dump that it is published as."""

import gzip
import json
import zlib
from array import array
from io import BufferedIOBase
from pathlib import Path

import numpy as np

from weakseg.data.knowledge.concepts import Concepts
from weakseg.errors import DataError, cut

COLUMNS = 5  # assertion, relation, start, end, and JSON with a weight
ENGLISH = b"/c/en/"
LEFT_OUT = frozenset(
    f"/r/{name}".encode()
    for name in (
        "Antonym",
        "DistinctFrom",
        "NotDesires",
        "NotHasProperty",
        "NotCapableOf",
        "NotUsedFor",
        "ObstructedBy",
    )
)
"""Relations that keep things apart."""


def read_conceptnet(path: Path) -> Concepts:
    """Return the English part of a dump of ConceptNet's assertions (5.5 or later), read line by line.

    Nodes are terms, without part of speech and sense; relations that keep things apart, and of a term with itself, are
    left out.

    Args:
        path: The dump, ``.csv.gz`` as it is published, or unpacked.

    Raises:
        DataError: If the dump cannot be read or is truncated, a line has another number of columns or no weight, or
            none is English; names the line.

    Reference:
        [speer2017conceptnet].
    """
    node_of: dict[bytes, int] = {}
    starts, ends, weights = array("q"), array("q"), array("d")
    number = 0
    try:
        with _opened(path) as file:
            for line in file:
                number += 1
                if (edge := _edge(line)) is None:
                    continue
                start, end, weight = edge
                starts.append(node_of.setdefault(start, len(node_of)))
                ends.append(node_of.setdefault(end, len(node_of)))
                weights.append(weight)
    except (gzip.BadGzipFile, EOFError, zlib.error, OSError) as error:
        raise DataError(f"{path}:{number}: the dump cannot be read on ({cut(error)}); fetch it again") from error
    except ValueError as error:
        raise DataError(f"{path}:{number}: {cut(error)}; give ConceptNet's assertions, 5.5 or later") from error
    if not starts:
        raise DataError(f"{path}: none of {number:,} lines joins two English terms; give ConceptNet's assertions")
    edges = np.stack([np.frombuffer(starts, np.int64), np.frombuffer(ends, np.int64)])
    terms = {term.decode("utf-8", "replace"): node for term, node in node_of.items()}
    return Concepts(terms, edges, np.array(weights), len(node_of), f"ConceptNet in {path.name}")


def _opened(path: Path) -> BufferedIOBase:
    return gzip.open(path) if path.suffix == ".gz" else path.open("rb")


def _edge(line: bytes) -> tuple[bytes, bytes, float] | None:
    """Return start, end and weight of a line of two English terms; of others none.

    Raises:
        ValueError: If it is no assertion.
    """
    columns = line.split(b"\t")
    if len(columns) != COLUMNS:
        raise ValueError(f"{len(columns)} columns, expected {COLUMNS}")
    _, relation, start, end, details = columns
    if not (start.startswith(ENGLISH) and end.startswith(ENGLISH)) or relation in LEFT_OUT:
        return None
    start, end = (concept.split(b"/", 4)[3] for concept in (start, end))
    if start == end:
        return None
    return start, end, _weight(details)


def _weight(details: bytes) -> float:
    try:
        weight = float(json.loads(details)["weight"])
    except (ValueError, TypeError, KeyError) as error:
        raise ValueError(f"the last column has no weight ({cut(error)})") from error
    if not 0 < weight < float("inf"):
        raise ValueError(f"weight {weight} is not above zero")
    return weight

"""WordNet's nouns as a graph, from the two files of its database."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from weakseg.data.knowledge.concepts import Concepts
from weakseg.errors import DataError, cut

INDEX, DATA = "index.noun", "data.noun"
POINTERS = frozenset(
    {"@", "@i", "~", "~i", "#m", "#s", "#p", "%m", "%s", "%p", ";c", ";r", ";u", "-c", "-r", "-u"}
)  # more general, more special, members, substances, parts, domains; each both ways in the file


def read_wordnet(folder: Path) -> Concepts:
    """Return the graph of WordNet's nouns: nodes are sets of synonyms, edges of weight one what they point to.

    A word stands for its most frequent sense, the first in the index.

    Args:
        folder: Holds ``index.noun`` and ``data.noun``, of version 3.0 or later.

    Raises:
        DataError: If a file cannot be read, or a line is malformed; names the line.

    Reference:
        [miller1995wordnet].
    """
    node_of_offset: dict[str, int] = {}
    pairs: list[tuple[str, str]] = []
    for where, line in _lines(folder / DATA):
        try:
            offset, targets = _synset(line)
        except (ValueError, IndexError) as error:
            raise DataError(f"{where}: no set of synonyms of WordNet ({cut(error)}); restore the file") from error
        node_of_offset[offset] = len(node_of_offset)
        pairs += ((offset, target) for target in targets)
    try:
        edges = np.array([[node_of_offset[node] for node in pair] for pair in pairs], np.int64).reshape(-1, 2).T
    except KeyError as error:
        raise DataError(f"{folder / DATA}: points to {error}, which is not there; restore the file") from error
    node_of = _first_senses(folder / INDEX, node_of_offset)
    return Concepts(node_of, edges, np.ones(edges.shape[1]), len(node_of_offset), f"WordNet's nouns in {folder.name}")


def _first_senses(path: Path, node_of_offset: dict[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for where, line in _lines(path):
        parts = line.split()
        try:
            found[parts[0]] = node_of_offset[parts[6 + int(parts[3])]]
        except (ValueError, IndexError, KeyError) as error:
            raise DataError(f"{where}: no word of WordNet ({cut(error)}); restore the file") from error
    return found


def _synset(line: str) -> tuple[str, list[str]]:
    """Return the offset of a set of synonyms, and those of the nouns that it points to."""
    parts = line.partition(" | ")[0].split()
    first = 5 + 2 * int(parts[3], 16)
    fields, count = parts[first:], int(parts[first - 1])
    if len(fields) != 4 * count:
        raise ValueError(f"{len(fields)} fields for {count} pointers")
    pointers = zip(fields[::4], fields[1::4], fields[2::4], fields[3::4], strict=True)
    return parts[0], [offset for symbol, offset, kind, _ in pointers if kind == "n" and symbol in POINTERS]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    """Yield place and text of the lines of a file of the database, without the licence at its head."""
    number = 0
    try:
        with path.open(encoding="ascii") as file:
            for number, line in enumerate(file, start=1):
                if not line.startswith(" "):
                    yield f"{path}:{number}", line
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); give the folder of WordNet's database") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{number + 1}: is not ASCII, as WordNet's files are; restore the file") from error
    if not number:
        raise DataError(f"{path}: is empty; restore the file")

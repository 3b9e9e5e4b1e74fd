"""Relations of classes by walks on graphs of concepts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from weakseg.data.knowledge.conceptnet import read_conceptnet
from weakseg.data.knowledge.concepts import Concepts
from weakseg.data.knowledge.terms import find_terms
from weakseg.data.knowledge.word_vectors import NamedVectors, read_text_vectors
from weakseg.data.knowledge.wordnet import read_wordnet
from weakseg.errors import ConfigError, DataError, cut
from weakseg.graph.class_graph import ClassGraph, Relations
from weakseg.ops.restart_walk import RESTART, restart_walk
from weakseg.ops.sparse import matrix_from_edges


@dataclass(frozen=True)
class Related:
    """Relations of classes, as a source has them.

    Attributes:
        relations: ``(M, M)`` float64, finite, >= 0, symmetric.
        source: What they are.
        notes: A sentence for each class that was not found as it is written.
        missing: Classes that are nowhere, and have no relations.
    """

    relations: Relations
    source: str
    notes: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()


def build_class_graph(
    names: Sequence[str], conceptnet: Path | None, wordnet: Path | None, vectors: Path | None, *, strict: bool = False
) -> ClassGraph:
    """Return the class graph of ConceptNet or WordNet.

    Args:
        names: Class names.
        conceptnet: A dump of ConceptNet's assertions; or
        wordnet: the folder of WordNet's database.
        vectors: A text file of word vectors; ``None``: the graph has none.
        strict: Refuse a class that is found nowhere.

    Raises:
        ConfigError: If not one of both sources is given.
        DataError: If a file cannot be used, or holds none of the classes; or ``strict`` and a class is nowhere.
    """
    if conceptnet is not None and wordnet is None:
        related = relate_by_walk(read_conceptnet(conceptnet), names, published_first=True)
    elif wordnet is not None and conceptnet is None:
        related = relate_by_walk(read_wordnet(wordnet), names)
    else:
        raise ConfigError("class graph: give a dump of ConceptNet or a folder of WordNet, one of them")
    found = (
        read_text_vectors(vectors, names) if vectors else NamedVectors(np.zeros((len(names), 0), np.float32), (), ())
    )
    refuse_missing((*related.missing, *found.missing), strict=strict)
    vectors_from = f"text: {vectors.name}" if vectors else "none"
    return ClassGraph(
        tuple(names), found.vectors, related.relations, related.source, vectors_from, (*related.notes, *found.notes)
    )


def refuse_missing(names: Sequence[str], *, strict: bool) -> None:
    """Raise ``DataError`` where a class is nowhere and that is not allowed."""
    if strict and names:
        missing = cut(", ".join(dict.fromkeys(names)))
        raise DataError(f"class graph: {missing}: found nowhere; name other sources, or do without 'strict'")


def relate_by_walk(concepts: Concepts, names: Sequence[str], *, published_first: bool = False) -> Related:
    """Return ``E_st = sqrt(R_st R_ts)``, R_st how often a walk with restart at s is at t.

    Args:
        concepts: The graph that is walked on; all classes walk at once.
        names: Class names.
        published_first: As ``find_terms``.

    Returns:
        Relations; those of a class that is not in the graph are zero.

    Raises:
        DataError: If the graph has none of the classes.

    Reference:
        [fang2017knowledge], semantic consistency by random walks.
    """
    found, notes = find_terms(names, concepts.node_of.__contains__, published_first=published_first)
    present = [name for name in names if found[name]]
    if not present:
        raise DataError(f"{concepts.source}: has none of the classes {cut(', '.join(names))}; name them in English")
    shape = (concepts.num_nodes, concepts.num_nodes)
    weights = matrix_from_edges(torch.from_numpy(concepts.edges), torch.from_numpy(concepts.weights), shape)
    seeds = torch.tensor([concepts.node_of[found[name]] for name in present])
    reached = restart_walk(weights, seeds)[seeds].T.numpy()
    relations = np.zeros((len(names), len(names)))
    rows = np.flatnonzero([bool(found[name]) for name in names])
    relations[np.ix_(rows, rows)] = np.sqrt(reached * reached.T)
    missing = tuple(name for name in names if not found[name])
    source = f"walks with restart ({RESTART:g}) on {concepts.source}"
    return Related(relations, source, tuple(f"{concepts.source}, {note}" for note in notes), missing)

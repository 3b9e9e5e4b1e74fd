"""The class graph that settings ask for: relations and word vectors of the classes of a data set."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from weakseg.data.knowledge.terms import find_terms, same_terms, term_of
from weakseg.data.knowledge.word_vectors import (
    NamedVectors,
    named_vectors,
    package_vectors,
    random_vectors,
    read_text_vectors,
)
from weakseg.data.knowledge.wordnet import read_wordnet
from weakseg.data.sample import Tags
from weakseg.errors import ConfigError, DataError, cut, quoted
from weakseg.graph.class_graph import ClassGraph, Relations, adjacency, shuffled
from weakseg.settings.class_graph import ClassGraphConfig, RelationSource
from weakseg.stages.knowledge import Related, relate_by_walk

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Asked:
    """What a source of relations may need."""

    config: ClassGraphConfig
    names: tuple[str, ...]
    tags: Sequence[Tags]
    vectors: NamedVectors


def class_graph_of(
    config: ClassGraphConfig, classes: Sequence[str], tags: Sequence[Tags], *, seed: int = 0
) -> ClassGraph:
    """Return the class graph of settings; what was not found as it is written is logged, and listed in it.

    Args:
        config: Where relations and word vectors come from.
        classes: Class names in the order of their ids, without background.
        tags: Of the training images; source ``cooccurrence`` alone looks at them.
        seed: Of ``shuffle``.

    Raises:
        ConfigError: If shuffled relations are those that were there, or a package is missing.
        DataError: If a file cannot be used, holds none of the classes, or ``strict`` and a class is nowhere.
    """
    names = tuple(classes)
    vectors = _vectors_of(config, names)
    related = _SOURCES[config.source](_Asked(config, names, tags, vectors))
    if config.strict and (missing := dict.fromkeys((*vectors.missing, *related.missing))):
        raise DataError(
            f"class_graph: {cut(', '.join(missing))}: found nowhere; name other sources, or turn off strict"
        )
    notes = tuple(dict.fromkeys((*related.notes, *vectors.notes, *same_terms({name: term_of(name) for name in names}))))
    for note in notes:
        logger.warning("class graph: %s", note)
    origin = {"text": config.vectors_file, "package": config.package, "graph": config.file}
    told = Path(origin[config.vectors]).name if config.vectors in origin else "from a fixed seed"
    vectors_from = f"{config.vectors}: {told}"
    graph = ClassGraph(names, vectors.vectors, related.relations, related.source, vectors_from, notes)
    return _shuffled(graph, seed) if config.shuffle else graph


def adjacency_of(config: ClassGraphConfig, graph: ClassGraph) -> Relations:
    """Return the ``(M, M)`` float64 adjacency of settings."""
    return adjacency(
        graph.relations,
        config.adjacency,
        neighbours=config.neighbours,
        share=config.share,
        exponent=config.exponent,
        threshold=config.threshold,
    )


def _relations_of_vectors(asked: _Asked) -> Related:
    """Return the cosine of each two word vectors; what is below zero is zero, and so is that of made-up vectors."""
    values = asked.vectors.vectors.astype(np.float64)
    units = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    cosine = (units @ units.T).clip(0.0)
    made_up = np.isin(asked.names, asked.vectors.missing)
    cosine[made_up] = cosine[:, made_up] = 0.0
    return Related((cosine + cosine.T) / 2, "words: cosine of word vectors", missing=asked.vectors.missing)


def _relations_of_tags(asked: _Asked) -> Related:
    """Return counts of images that show a class (on the diagonal) and both of two classes; of ``mlgcn`` as they are.

    Otherwise ``E_ij = sqrt(P(j | i) P(i | j)) = M_ij / sqrt(n_i n_j)``, in [0, 1].

    Reference:
        [chen2019mlgcn], label statistics.
    """
    shown = np.zeros((len(asked.tags), len(asked.names)))
    for row, tags in enumerate(asked.tags):
        shown[row, [class_id - 1 for class_id in tags.present]] = 1.0
    counts = shown.T @ shown
    each = counts.diagonal()
    missing = tuple(name for name, count in zip(asked.names, each, strict=True) if not count)
    notes = [f"class {quoted(name)}: no training image shows it, so that it has no relations" for name in missing]
    if unknown := sum(bool(tags.unknown) for tags in asked.tags):
        notes.append(f"{unknown} of {len(asked.tags)} training images have unknown classes, which count as absent")
    if asked.config.adjacency == "mlgcn":
        return Related(counts, "cooccurrence: counts of training images", tuple(notes), missing)
    scale = np.maximum(each, 1.0) ** -0.5
    return Related(counts * np.outer(scale, scale), "cooccurrence in training images", tuple(notes), missing)


def _relations_of_file(asked: _Asked) -> Related:
    """Return the relations of a file, in the order of classes; those of a class that it does not have are zero.

    Raises:
        DataError: As ``ClassGraph.load``; and if it has none of the classes.
    """
    graph, rows, notes = _opened(asked.config.file, asked.names)
    here = np.array([row for row in rows if row >= 0])
    there = np.array([index for index, row in enumerate(rows) if row >= 0])
    relations = np.zeros((len(rows), len(rows)))
    relations[np.ix_(there, there)] = graph.relations[np.ix_(here, here)]
    missing = tuple(name for name, row in zip(asked.names, rows, strict=True) if row < 0)
    return Related(relations, f"file: {graph.source}", (*graph.fallbacks, *notes), missing)


def _relations_of_wordnet(asked: _Asked) -> Related:
    return relate_by_walk(read_wordnet(Path(asked.config.from_folder).expanduser()), asked.names)


def _no_relations(asked: _Asked) -> Related:
    return Related(np.eye(len(asked.names)), "none")


_SOURCES: dict[RelationSource, Callable[[_Asked], Related]] = {
    "none": _no_relations,
    "file": _relations_of_file,
    "wordnet": _relations_of_wordnet,
    "cooccurrence": _relations_of_tags,
    "words": _relations_of_vectors,
}


def _vectors_of(config: ClassGraphConfig, names: tuple[str, ...]) -> NamedVectors:
    if config.vectors == "text":
        return read_text_vectors(Path(config.vectors_file).expanduser(), names)
    if config.vectors == "package":
        return package_vectors(config.package, names)
    if config.vectors == "graph":
        return _vectors_of_graph(config.file, names)
    return random_vectors(names)


def _vectors_of_graph(file: str, names: tuple[str, ...]) -> NamedVectors:
    graph = ClassGraph.load(Path(file).expanduser())
    if not graph.vectors.shape[1]:
        raise DataError(f"{file}: has no word vectors; build it with some, or choose other vectors")
    return named_vectors(names, dict(zip(map(term_of, graph.names), graph.vectors, strict=True)))


def _opened(file: str, names: tuple[str, ...]) -> tuple[ClassGraph, list[int], list[str]]:
    """Return the graph of a file, its row of each class, -1 where it has none, and sentences on what was not found."""
    path = Path(file).expanduser()
    graph = ClassGraph.load(path)
    row_of = {term_of(name): row for row, name in reversed(list(enumerate(graph.names)))}
    found, notes = find_terms(names, row_of.__contains__)
    rows = [row_of.get(found[name], -1) for name in names]
    if max(rows) < 0:
        raise DataError(
            f"{path}: has none of the classes {cut(', '.join(names))}, but {cut(', '.join(graph.names))}; "
            "build a graph of these classes"
        )
    return graph, rows, [f"{path.name}, {note}" for note in notes]


def _shuffled(graph: ClassGraph, seed: int) -> ClassGraph:
    mixed = shuffled(graph, seed)
    if np.array_equal(mixed.relations, graph.relations):
        raise ConfigError("class_graph.shuffle: changes nothing, for all classes have the same relations")
    return mixed

"""Graphs whose nodes are classes: word vectors, relations, and the adjacency that a network passes messages along."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from weakseg.errors import DataError, ShapeError, cut, quoted
from weakseg.files import json_value, write_bytes
from weakseg.rng import numpy_generator_for
from weakseg.settings.class_graph import AdjacencyKind

Relations = NDArray[np.float64]
Vectors = NDArray[np.float32]
DIGITS = 9  # significant ones, of a vector on disk: they tell all float32 apart
SYMMETRY_TOLERANCE = 1e-6  # of the largest relation
COLUMN_GUARD = 1e-6  # [chen2019mlgcn], for columns that the threshold leaves empty


@dataclass(frozen=True, eq=False)
class ClassGraph:
    """What is known of classes and of how they are related.

    Attributes:
        names: M class names, in the order of their ids; there is no background.
        vectors: ``(M, D)`` float32, finite: a word vector for each. D is 0 where none were asked for.
        relations: ``(M, M)`` float64, finite, >= 0, symmetric.
        source: Where relations come from.
        vectors_from: Where vectors come from.
        fallbacks: A sentence for each name that was not found as it is written.
    """

    names: tuple[str, ...]
    vectors: Vectors
    relations: Relations
    source: str
    vectors_from: str
    fallbacks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse names that are repeated, and arrays of other shapes, types and ranges than above."""
        if not self.names or len(set(self.names)) < len(self.names):
            raise ShapeError(f"names: expected unique names, one at least, got {cut(self.names)}")
        if self.vectors.ndim != 2 or len(self.vectors) != len(self.names) or self.vectors.dtype != np.float32:
            got = f"{self.vectors.dtype} {self.vectors.shape}"
            raise ShapeError(f"vectors: expected float32 of shape ({len(self.names)}, D), got {got}")
        if (bad := np.argwhere(~np.isfinite(self.vectors))).size:
            raise ShapeError(f"vectors: that of {quoted(self.names[bad[0, 0]])} is not finite")
        check_relations(self.relations, self.names)

    def strongest(self, most: int) -> list[tuple[str, str, float]]:
        """Return the pairs of classes with the strongest relations, and these; pairs without are left out."""
        one, other = np.triu_indices(len(self.names), 1)
        values = self.relations[one, other]
        order = [index for index in np.argsort(-values, kind="stable")[:most] if values[index] > 0]
        return [(self.names[one[i]], self.names[other[i]], float(values[i])) for i in order]

    def save(self, path: Path) -> None:
        """Write the graph as one JSON file.

        Raises:
            OutputError: If the file cannot be written.
        """
        value = {
            "source": self.source,
            "vectors_from": self.vectors_from,
            "fallbacks": list(self.fallbacks),
            "classes": list(self.names),
            "relation": self.relations.tolist(),
            "vectors": [[_rounded(number) for number in row] for row in self.vectors.tolist()],
        }
        lines = [f"{json.dumps(key)}: {_lines(part)}" for key, part in value.items()]
        write_bytes(path, ("{" + ",\n".join(lines) + "}\n").encode())

    @classmethod
    def load(cls, path: Path) -> "ClassGraph":
        """Return the graph in a file: as ``save`` wrote it, or names and relations alone.

        Of a file without vectors D is 0.

        Raises:
            DataError: If it cannot be read, or holds anything else; names the file, and the classes.
        """
        try:
            value = json_value(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise DataError(f"{path}: class graph cannot be read as JSON: {cut(error)}; give another file") from error
        if not isinstance(value, dict) or not {"classes", "relation"} <= value.keys():
            raise DataError(f"{path}: need 'classes' and 'relation'; 'weakseg knowledge build' makes one")
        names = value["classes"]
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise DataError(f"{path}: 'classes' has to be a list of names, got {cut(names)}")
        vectors = value.get("vectors", [[]] * len(names))
        try:
            arrays = _array(vectors, "vectors").astype(np.float32), _array(value["relation"], "relation")
            return cls(tuple(names), *arrays, **_origin(value, path))
        except ShapeError as error:
            raise DataError(f"{path}: {error}; repair the file, or build it anew") from error


def check_relations(relations: Relations, names: tuple[str, ...]) -> None:
    """Refuse relations that are not ``(M, M)`` float64, finite, >= 0 and symmetric.

    Raises:
        ShapeError: Names what is wrong, and the first two classes where it is.
    """
    if relations.shape != (len(names), len(names)) or relations.dtype != np.float64:
        expected = f"float64 of shape ({len(names)}, {len(names)})"
        raise ShapeError(f"relations: expected {expected}, got {relations.dtype} {relations.shape}")
    finite = np.where(np.isfinite(relations), relations, 0.0)
    uneven = np.abs(finite - finite.T) > SYMMETRY_TOLERANCE * finite.max(initial=0.0)
    wrong = {"not finite": ~np.isfinite(relations), "negative": finite < 0, "not that of the other way": uneven}
    for what, where in wrong.items():
        if where.any():
            row, column = np.argwhere(where)[0]
            pair = f"{quoted(names[row])} to {quoted(names[column])}"
            raise ShapeError(f"relations: that of {pair}, {relations[row, column]:.6g}, is {what}")


def shuffled(graph: ClassGraph, seed: int = 0) -> ClassGraph:
    """Return the graph with relations handed on in a circle: each class gets those of another one, as a control.

    Args:
        graph: The graph; names and vectors stay.
        seed: Of the order of the circle.
    """
    order = numpy_generator_for(seed, "", "class graph/shuffled").permutation(len(graph.names))
    given = np.empty_like(order)
    given[order] = np.roll(order, 1)
    return replace(graph, relations=graph.relations[np.ix_(given, given)], source=f"{graph.source}, shuffled")


def adjacency(
    relations: Relations,
    kind: AdjacencyKind,
    *,
    neighbours: int = 5,
    share: float = 0.2,
    exponent: float = 1.0,
    threshold: float = 0.4,
) -> Relations:
    """Return what a network passes messages along: ``A``, where node i gets ``sum_j A_ij v_j``.

    * ``symmetric``: ``D^-1/2 (E + I) D^-1/2``, d the row sums of ``E + I`` (equation 2);
    * ``raw``: ``E`` (equation 1);
    * ``no_loops``: ``D^-1/2 E D^-1/2`` of E without its diagonal;
    * ``reweighted``: ``(1 - p) I + p B``, B the rows of ``E^exponent`` without its diagonal, of which a class keeps the
      strongest and those that count it among their strongest, divided by their sum;
    * ``mlgcn``: the same p for each sender, of binary relations: see ``_of_counts``;
    * ``identity``: I.

    Args:
        relations: ``(M, M)`` E: float64, finite, >= 0, symmetric. Of ``mlgcn`` counts: images that show a class on the
            diagonal, images that show both elsewhere.
        kind: One of the above.
        neighbours: Of ``reweighted``: k >= 1, how many a class keeps; more where several are equally strong.
        share: Of ``reweighted`` and ``mlgcn``: p in [0, 1), the share that comes from others.
        exponent: Of ``reweighted``: > 0; below one, differences between relations shrink.
        threshold: Of ``mlgcn``: conditional probability that makes a relation.

    Returns:
        ``(M, M)`` float64, a new array. A class without relations has a one on its diagonal alone, except in ``raw``.

    Raises:
        ShapeError: If relations or arguments differ from the above.

    Reference:
        [zhang2023grm], equations 1 and 2; [chen2019mlgcn], re-weighting.
    """
    check_relations(relations, tuple(map(str, range(len(relations)))))
    if kind not in get_args(AdjacencyKind):
        raise ShapeError(f"kind: expected one of {', '.join(get_args(AdjacencyKind))}, got {quoted(kind)}")
    if neighbours < 1 or not 0 <= share < 1 or exponent <= 0:
        raise ShapeError(
            f"neighbours, share, exponent: need >= 1, in [0, 1), > 0, got {neighbours}, {share}, {exponent}"
        )
    identity = np.eye(len(relations))
    if kind == "raw":
        return relations.copy()
    if kind == "symmetric":
        return _normalized(relations + identity)
    if kind == "no_loops":
        return _normalized(_kept(relations * (1 - identity)))
    if kind == "reweighted":
        return _reweighted(relations, neighbours, share, exponent)
    return _of_counts(relations, share, threshold) if kind == "mlgcn" else identity


def _normalized(weights: Relations) -> Relations:
    """Return ``D^-1/2 W D^-1/2``; row sums are > 0."""
    scale = weights.sum(1) ** -0.5
    normalized: Relations = weights * scale[:, None] * scale
    return normalized


def _kept(weights: Relations) -> Relations:
    """Return weights with a one on the diagonal of empty rows."""
    return weights + np.diag((weights.sum(1) == 0).astype(np.float64))


def _reweighted(relations: Relations, neighbours: int, share: float, exponent: float) -> Relations:
    identity = np.eye(len(relations))
    weights = (relations * (1 - identity)) ** exponent
    weakest = np.sort(weights, axis=1)[:, -min(neighbours, len(weights))]
    strong = weights >= weakest[:, None]
    kept = _kept(np.where(strong | strong.T, weights, 0.0))
    mixed: Relations = (1 - share) * identity + share * kept / kept.sum(1, keepdims=True)
    return mixed


def _of_counts(counts: Relations, share: float, threshold: float) -> Relations:
    """Return ML-GCN's matrix: ``D A'^T D``, ``A' = I + p/(1-p) B / column sums``, ``B_ij = [M_ij / n_i >= threshold]``.

    A class that no image shows has no relations.
    """
    shown = np.diag(counts)
    together = counts - np.diag(shown)
    if (counts % 1).any() or (together > shown[:, None]).any():
        raise ShapeError(
            "relations: expected counts of images, on the diagonal of those that show a class, elsewhere of those "
            "that show both; 'mlgcn' needs them"
        )
    binary = (together / np.maximum(shown, 1)[:, None] >= threshold).astype(np.float64)
    np.fill_diagonal(binary, 0.0)
    weights = np.eye(len(counts)) + share / (1 - share) * binary / (binary.sum(0) + COLUMN_GUARD)
    scale = weights.sum(1) ** -0.5
    normalized: Relations = weights.T * scale[:, None] * scale
    return normalized


def _rounded(number: float) -> float:
    return float(f"{number:.{DIGITS}g}")


def _lines(value: Any) -> str:
    """Return JSON on one line, of a list of lists a line for each."""
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[" + ",\n".join(map(json.dumps, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _array(rows: Any, what: str) -> Relations:
    try:
        array = np.array(rows)
    except ValueError as error:
        raise ShapeError(f"{what}: expected rows of numbers, all of one length") from error
    if array.dtype.kind not in "iuf":
        raise ShapeError(f"{what}: expected rows of numbers, got {cut(rows)}")
    return array.astype(np.float64)


def _origin(value: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Return what a file says of where it comes from; of a file that says nothing, the file."""
    fallbacks = value.get("fallbacks", [])
    if not isinstance(fallbacks, list):
        raise ShapeError(f"fallbacks: expected a list of sentences, got {cut(fallbacks)}")
    return {
        "source": str(value.get("source", path.name)),
        "vectors_from": str(value.get("vectors_from", "none")),
        "fallbacks": tuple(map(str, fallbacks)),
    }

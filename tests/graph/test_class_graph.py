import json
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
import torch

from cases import each
from weakseg.errors import DataError, ShapeError
from weakseg.graph.class_graph import ClassGraph, Relations, adjacency, shuffled
from weakseg.settings.class_graph import AdjacencyKind

KINDS: tuple[AdjacencyKind, ...] = get_args(AdjacencyKind)
OF_COUNTS = np.array([[10, 8, 1], [8, 20, 4], [1, 4, 5]], np.float64)  # grm.md, oracle 9


def relations_of(size: int, seed: int = 0) -> Relations:
    """A sparse symmetric matrix with a diagonal of its own."""
    random = np.random.default_rng(seed)
    half = np.triu(random.random((size, size)) * (random.random((size, size)) < 0.5))
    return half + half.T + np.diag(random.random(size))


def counts_of(size: int, seed: int = 0) -> Relations:
    """Counts of random images that show some classes."""
    shown = (np.random.default_rng(seed).random((60, size)) < 0.3).astype(np.float64)
    return shown.T @ shown


def graph_of(size: int = 4) -> ClassGraph:
    vectors = np.random.default_rng(1).standard_normal((size, 5)).astype(np.float32)
    return ClassGraph(tuple(f"class {i}" for i in range(size)), vectors, relations_of(size), "made up", "a generator")


class TestAdjacency:
    def test_symmetric_of_the_card(self) -> None:
        # grm.md, oracle 8
        found = adjacency(np.array([[0.3, 0.1], [0.1, 0.2]]), "symmetric")
        np.testing.assert_allclose(found, [[0.928571, 0.074125], [0.074125, 0.923077]], atol=5e-7)

    def test_symmetric_has_a_spectral_radius_of_one(self) -> None:
        found = adjacency(relations_of(9), "symmetric")
        assert abs(np.abs(np.linalg.eigvalsh(found)).max() - 1) < 1e-12

    def test_ml_gcn_of_the_card(self) -> None:
        # grm.md, oracle 9
        found = adjacency(OF_COUNTS, "mlgcn")
        expected = [[0.888889, 0.210818, 0], [0.105409, 0.8, 0.105409], [0, 0, 0.888889]]
        np.testing.assert_allclose(found, expected, atol=5e-7)

    def test_ml_gcn_of_classes_that_no_image_shows(self) -> None:
        counts = np.pad(OF_COUNTS, ((0, 1), (0, 1)))
        found = adjacency(counts, "mlgcn")
        np.testing.assert_array_equal(found[3], [0, 0, 0, 1])
        np.testing.assert_array_equal(found[:, 3], [0, 0, 0, 1])
        np.testing.assert_array_equal(found[:3, :3], adjacency(OF_COUNTS, "mlgcn"))

    def test_ml_gcn_by_share_and_threshold(self) -> None:
        np.testing.assert_array_equal(adjacency(OF_COUNTS, "mlgcn", share=0.0), np.eye(3))
        np.testing.assert_array_equal(adjacency(OF_COUNTS, "mlgcn", threshold=0.9), np.eye(3))
        assert (adjacency(OF_COUNTS, "mlgcn", threshold=0.2) > 0).sum() == 8  # 4 / 20 counts, 1 / 10 does not
        with pytest.raises(ShapeError, match="expected counts of images"):
            adjacency(relations_of(4), "mlgcn")
        with pytest.raises(ShapeError, match="expected counts of images"):
            adjacency(np.array([[1.0, 2], [2, 3]]), "mlgcn")

    def test_raw_and_identity(self) -> None:
        relations = relations_of(5)
        np.testing.assert_array_equal(adjacency(relations, "raw"), relations)
        np.testing.assert_array_equal(adjacency(relations, "identity"), np.eye(5))

    def test_no_loops(self) -> None:
        # by hand: without the diagonal the row sums are 1, 5, 4
        relations = np.array([[9.0, 1, 0], [1, 9, 4], [0, 4, 9]])
        expected = [[0, 5**-0.5, 0], [5**-0.5, 0, 4 / 20**0.5], [0, 4 / 20**0.5, 0]]
        np.testing.assert_allclose(adjacency(relations, "no_loops"), expected, atol=1e-12)

    def test_reweighted_by_hand(self) -> None:
        # each keeps its strongest; 0 and 2 choose 1, 1 chooses 2, 3 chooses 0, who keeps 3 for that
        relations = np.array([[9.0, 4, 0, 1], [4, 9, 16, 0], [0, 16, 9, 0], [1, 0, 0, 9]])
        expected = [[0.5, 0.4, 0, 0.1], [0.1, 0.5, 0.4, 0], [0, 0.5, 0.5, 0], [0.5, 0, 0, 0.5]]
        np.testing.assert_allclose(adjacency(relations, "reweighted", neighbours=1, share=0.5), expected, atol=1e-12)
        root = adjacency(relations, "reweighted", neighbours=1, share=0.5, exponent=0.5)
        np.testing.assert_allclose(root[0], [0.5, 1 / 3, 0, 1 / 6], atol=1e-12)

    def test_reweighted_keeps_the_strongest(self) -> None:
        relations = relations_of(12)
        found = adjacency(relations, "reweighted", neighbours=3, share=0.2)
        np.testing.assert_allclose(found.sum(1), 1.0, atol=1e-12)
        others = np.where(np.eye(12) > 0, 0, relations)
        chosen = [{i for i in np.argsort(row)[-3:] if row[i] > 0} for row in others]
        for row in range(12):
            expected = {j for j in range(12) if j in chosen[row] or row in chosen[j]}
            assert {j for j in np.flatnonzero(found[row]) if j != row} == expected

    @each("kind", KINDS)
    def test_of_nothing_is_the_identity(self, kind: AdjacencyKind) -> None:
        nothing = np.zeros((3, 3))
        for relations in (nothing, np.ones((1, 1)), np.eye(4)):
            expected = nothing if kind == "raw" and relations is nothing else np.eye(len(relations))
            np.testing.assert_allclose(adjacency(relations, kind), expected, atol=1e-15)

    @each("kind", KINDS)
    def test_changes_nothing_in_place(self, kind: AdjacencyKind) -> None:
        # grm.md, oracle 8: the released code added I at every call
        relations = counts_of(6)
        before = relations.copy()
        first = adjacency(relations, kind)
        first[0, 0] += 1
        np.testing.assert_array_equal(relations, before)
        first[0, 0] -= 1
        np.testing.assert_allclose(adjacency(relations, kind), first, atol=1e-12)

    @each("kind", KINDS)
    def test_does_not_depend_on_the_order_of_classes(self, kind: AdjacencyKind) -> None:
        relations = counts_of(8)  # several are equally strong
        order = np.random.default_rng(3).permutation(8)
        mixed = adjacency(relations[np.ix_(order, order)], kind, neighbours=2)
        np.testing.assert_allclose(mixed, adjacency(relations, kind, neighbours=2)[np.ix_(order, order)], atol=1e-12)

    def test_bad_arguments(self) -> None:
        fine: dict[str, Any] = {"relations": relations_of(3), "kind": "reweighted"}
        for wrong in ({"neighbours": 0}, {"share": 1.0}, {"share": -0.1}, {"exponent": 0.0}):
            with pytest.raises(ShapeError, match="neighbours, share, exponent: need"):
                adjacency(**fine, **wrong)
        with pytest.raises(ShapeError, match="kind: expected one of symmetric, raw"):
            adjacency(relations_of(3), "symetric")  # type: ignore[arg-type]
        with pytest.raises(ShapeError, match="negative"):
            adjacency(-relations_of(3), "symmetric")


class TestShuffled:
    def test_each_class_gets_the_relations_of_another(self) -> None:
        graph = graph_of(7)
        mixed = shuffled(graph)
        (given,) = ([int(np.flatnonzero(graph.relations.diagonal() == own)[0]) for own in mixed.relations.diagonal()],)
        assert sorted(given) == list(range(7)) and all(i != j for i, j in enumerate(given))
        np.testing.assert_array_equal(mixed.relations, graph.relations[np.ix_(given, given)])
        assert mixed.vectors is graph.vectors and mixed.names == graph.names and mixed.source == "made up, shuffled"

    def test_is_keyed(self) -> None:
        graph = graph_of(7)
        np.testing.assert_array_equal(shuffled(graph, 3).relations, shuffled(graph, 3).relations)
        assert not np.array_equal(shuffled(graph, 3).relations, shuffled(graph, 4).relations)


class TestFile:
    def test_round_trip(self, tmp_path: Path) -> None:
        graph = replace(graph_of(), fallbacks=("class 'x': no such word",), names=("é", "b c", "c", "d"))
        graph.save(tmp_path / "graph.json")
        found = ClassGraph.load(tmp_path / "graph.json")
        np.testing.assert_array_equal(found.relations, graph.relations)
        np.testing.assert_array_equal(found.vectors, graph.vectors)
        assert found.vectors.dtype == np.float32
        for name in ("names", "source", "vectors_from", "fallbacks"):
            assert getattr(found, name) == getattr(graph, name)

    def test_names_and_relations_alone(self, tmp_path: Path) -> None:
        path = tmp_path / "matrix.json"
        path.write_text(json.dumps({"classes": ["a", "b"], "relation": [[1, 0], [0, 1]]}))
        found = ClassGraph.load(path)
        assert found.vectors.shape == (2, 0) and found.source == "matrix.json" and found.vectors_from == "none"

    def test_published(self, real_data: Path) -> None:
        # grm.md, facts about the released matrices
        for name, strongest, pair in (("voc", 0.00238, {"bus", "car"}), ("coco", 0.0034, {"horse", "zebra"})):
            graph = ClassGraph.load(real_data / "knowledge" / f"conceptnet-rwr-{name}.json")
            others = graph.relations * (1 - np.eye(len(graph.names)))
            row, column = np.unravel_index(others.argmax(), others.shape)
            assert {graph.names[row], graph.names[column]} == pair and abs(others.max() - strongest) < 5e-5
            assert adjacency(graph.relations, "symmetric").diagonal().min() > 0.99

    def test_what_is_no_graph(self, tmp_path: Path) -> None:
        path = tmp_path / "graph.json"
        fine: dict[str, Any] = {"classes": ["a", "b"], "relation": [[1, 0], [0, 1]]}
        for change, message in {
            "not json": "cannot be read as JSON",
            "[1]": "need 'classes' and 'relation'",
            json.dumps({**fine, "classes": ["a", 2]}): "'classes' has to be a list of names",
            json.dumps({**fine, "classes": ["a", "a"]}): "names: expected unique names",
            json.dumps({**fine, "classes": [], "relation": []}): "names: expected unique names",
            json.dumps({**fine, "classes": ["a", "b", "c"]}): r"relations: expected float64 of shape \(3, 3\)",
            json.dumps({**fine, "relation": [[1, 0], [0]]}): "relation: expected rows of numbers, all of one length",
            json.dumps({**fine, "relation": [["1", 0], [0, 1]]}): "relation: expected rows of numbers",
            json.dumps({**fine, "relation": [[None, 0], [0, 1]]}): "relation: expected rows of numbers",
            json.dumps({**fine, "relation": [[10**400, 0], [0, 1]]}): "relation: expected rows of numbers",
            json.dumps({**fine, "relation": {"a": 1}}): "relation: expected rows of numbers",
            json.dumps({**fine, "relation": [[1, -2], [-2, 1]]}): "that of 'a' to 'b', -2, is negative",
            json.dumps({**fine, "relation": [[1, 2], [3, 1]]}): "that of 'a' to 'b', 2, is not that of the other way",
            json.dumps({**fine, "relation": [[1, float("nan")], [0, 1]]}): "that of 'a' to 'b', nan, is not finite",
            json.dumps({**fine, "vectors": [[1.0, 2.0], [1.0]]}): "vectors: expected rows of numbers",
            json.dumps({**fine, "vectors": [[1.0, 2.0]]}): r"vectors: expected float32 of shape \(2, D\)",
            json.dumps({**fine, "vectors": [[1.0], [float("inf")]]}): "vectors: that of 'b' is not finite",
            json.dumps({**fine, "fallbacks": "none"}): "fallbacks: expected a list",
        }.items():
            path.write_text(change)
            with pytest.raises(DataError, match=message) as caught:
                ClassGraph.load(path)
            assert str(path) in str(caught.value)
        with pytest.raises(DataError, match="cannot be read"):
            ClassGraph.load(tmp_path / "missing.json")


def test_strongest() -> None:
    relations = np.array([[9, 0.5, 0, 2], [0.5, 9, 1, 0], [0, 1, 9, 0], [2, 0, 0, 9]])
    graph = replace(graph_of(), relations=relations)
    pairs = [("class 0", "class 3", 2.0), ("class 1", "class 2", 1.0), ("class 0", "class 1", 0.5)]
    assert graph.strongest(9) == pairs and graph.strongest(1) == pairs[:1]


def test_adjacency_is_ready_for_a_network() -> None:
    product = torch.from_numpy(adjacency(relations_of(4), "reweighted")).float() @ torch.from_numpy(graph_of().vectors)
    assert product.shape == (4, 5) and bool(product.isfinite().all())

from pathlib import Path

import numpy as np
import pytest

from knowledge_files import assertion, dump, write_wordnet
from weakseg.data.knowledge.concepts import Concepts
from weakseg.data.knowledge.wordnet import read_wordnet
from weakseg.errors import ConfigError, DataError
from weakseg.stages.knowledge import build_class_graph, relate_by_walk


def concepts(edges: list[tuple[int, int]], terms: str, weights: list[float] | None = None) -> Concepts:
    nodes = {term: node for node, term in enumerate(terms)}
    array = np.array(edges, np.int64).T
    return Concepts(nodes, array, np.array(weights or [1.0] * len(edges), np.float64), len(terms), "a graph")


class TestRelations:
    def test_three_nodes_of_the_card(self) -> None:
        # grm.md, oracle 5: R from 0 is [.540541, .306306, .153153]; rows of P are [0, 2/3, 1/3], [1, 0, 0], [1, 0, 0]
        graph = concepts([(0, 1), (1, 0), (0, 2), (2, 0)], "abc", [2, 2, 1, 1])
        found = relate_by_walk(graph, ["a", "b", "c"]).relations
        transition = np.array([[0, 2, 1], [3, 0, 0], [3, 0, 0]]) / 3
        closed = 0.15 * np.linalg.inv(np.eye(3) - 0.85 * transition)
        np.testing.assert_allclose(closed[0], [0.540541, 0.306306, 0.153153], atol=6e-7)
        np.testing.assert_allclose(found, np.sqrt(closed * closed.T), atol=1e-8)

    def test_duplicate_edges_add_up(self) -> None:
        once = relate_by_walk(concepts([(0, 1), (1, 0), (0, 2), (2, 0)], "abc", [3, 3, 1, 1]), list("abc"))
        twice = relate_by_walk(concepts([(0, 1), (0, 1), (1, 0), (0, 2), (2, 0)], "abc", [1, 2, 3, 1, 1]), list("abc"))
        np.testing.assert_allclose(twice.relations, once.relations, atol=1e-12)

    def test_zero_without_a_way_back(self) -> None:
        # grm.md, oracles 6 and 7
        found = relate_by_walk(concepts([(0, 1), (1, 2), (2, 1)], "abc"), list("abc")).relations
        assert (found > 0).tolist() == [[True, False, False], [False, True, True], [False, True, True]]
        np.testing.assert_array_equal(found, found.T)

    def test_order_of_classes_and_of_nodes(self) -> None:
        random = np.random.default_rng(0)
        edges = [(int(u), int(v)) for u, v in random.integers(0, 12, (40, 2)) if u != v]
        found = relate_by_walk(concepts(edges, "abcdefghijkl"), list("abcd")).relations
        mixed = relate_by_walk(concepts(edges, "abcdefghijkl"), list("dbca")).relations
        np.testing.assert_allclose(mixed, found[np.ix_([3, 1, 2, 0], [3, 1, 2, 0])], atol=1e-12)
        order = random.permutation(12)
        moved = relate_by_walk(concepts([(order[u], order[v]) for u, v in edges], "abcdefghijkl"), list("abcd"))
        # nodes have moved, and their terms have not
        back = {int(new): old for old, new in enumerate(order)}
        names = ["abcdefghijkl"[back[node]] for node in range(12)]
        again = relate_by_walk(concepts(edges, "abcdefghijkl"), names[:4]).relations
        np.testing.assert_allclose(moved.relations, again, atol=1e-8)

    def test_names_that_are_nowhere(self) -> None:
        found = relate_by_walk(concepts([(0, 1), (1, 0)], "ab"), ["a", "x", "b"])
        assert found.missing == ("x",) and found.notes == ("a graph, class 'x': not found",)
        np.testing.assert_array_equal(found.relations[1], [0, 0, 0])
        assert found.relations[0, 2] == pytest.approx(0.85 / 1.85, abs=1e-6)
        with pytest.raises(DataError, match="a graph: has none of the classes x, y; name them in English"):
            relate_by_walk(concepts([(0, 1)], "ab"), ["x", "y"])

    def test_classes_of_one_term(self) -> None:
        found = relate_by_walk(concepts([(0, 1), (1, 0)], "ab"), ["a", "A", "b"])
        assert "classes 'a' and 'A': all are 'a', so that nothing tells them apart" in found.notes[-1]
        np.testing.assert_array_equal(found.relations[0], found.relations[1])

    def test_wordnet(self, tmp_path: Path) -> None:
        found = relate_by_walk(read_wordnet(write_wordnet(tmp_path / "dict")), ["cat", "dogs", "stone"])
        assert found.source == "walks with restart (0.15) on WordNet's nouns in dict"
        assert found.notes == ("WordNet's nouns in dict, class 'dogs': looked up as 'dog'",)
        assert found.relations[0, 1] > 0 and found.relations[0, 2] == 0 and found.relations[2, 2] == 1


class TestBuild:
    def test_conceptnet(self, tmp_path: Path) -> None:
        vectors = tmp_path / "vectors.txt"
        vectors.write_text("cat 1 2\ndog 3 4\n")
        graph = build_class_graph(["cat", "dog", "unicorn"], dump(tmp_path / "a.csv.gz"), None, vectors)
        # cat leads to animal alone, animal to dog and hot_dog, dog to animal: nothing leads to cat
        assert graph.relations[0, 0] > 0 and graph.relations[1, 1] > 0 and graph.relations[0, 1] == 0
        assert graph.vectors[:2].tolist() == [[1, 2], [3, 4]] and graph.vectors_from == "text: vectors.txt"
        assert graph.fallbacks == (
            "ConceptNet in a.csv.gz, class 'unicorn': not found",
            "word vectors, class 'unicorn': not found, so that its vector is random",
        )
        with pytest.raises(DataError, match="class graph: unicorn: found nowhere"):
            build_class_graph(["cat", "unicorn"], tmp_path / "a.csv.gz", None, None, strict=True)

    def test_published_names_go_first(self, tmp_path: Path) -> None:
        lines = tuple(assertion("IsA", f"/c/en/{one}", "/c/en/seat") for one in ("sofa", "couch"))
        graph = build_class_graph(["sofa"], dump(tmp_path / "a.csv", lines), None, None)
        assert graph.fallbacks == ("ConceptNet in a.csv, class 'sofa': looked up as 'couch'",)
        assert graph.vectors.shape == (1, 0) and graph.vectors_from == "none"

    def test_one_source(self, tmp_path: Path) -> None:
        for sources in ((None, None), (tmp_path, tmp_path)):
            with pytest.raises(ConfigError, match="one of them"):
                build_class_graph(["cat"], *sources, None)

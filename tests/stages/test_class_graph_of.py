import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from knowledge_files import write_wordnet
from weakseg.data.sample import Tags
from weakseg.errors import ConfigError, DataError
from weakseg.graph.class_graph import ClassGraph
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.stages.class_graph import adjacency_of, class_graph_of

NAMES = ("cat", "dog", "car")
TAGS = [Tags(frozenset(present)) for present in ({1, 2}, {1, 2}, {1}, {3}, {2, 3}, ())]


def test_cooccurrence() -> None:
    # 3 images with cats, 3 with dogs, 2 with cars; 2 with cats and dogs, 1 with dogs and cars
    graph = class_graph_of(ClassGraphConfig(adjacency="symmetric"), NAMES, TAGS)
    expected = [[1, 2 / 3, 0], [2 / 3, 1, 6**-0.5], [0, 6**-0.5, 1]]
    np.testing.assert_allclose(graph.relations, expected, atol=1e-12)
    assert graph.names == NAMES and graph.source == "cooccurrence in training images"
    assert graph.vectors.shape == (3, 300) and graph.fallbacks == ()
    assert graph.vectors_from == "random: from a fixed seed"


def test_counts_of_ml_gcn() -> None:
    config = ClassGraphConfig(adjacency="mlgcn")
    graph = class_graph_of(config, NAMES, TAGS)
    np.testing.assert_array_equal(graph.relations, [[3, 2, 0], [2, 3, 1], [0, 1, 2]])
    # P = [[0, 2/3, 0], [2/3, 0, 1/3], [0, 1/2, 0]], so that A' is that of grm.md, oracle 9
    expected = [[0.888889, 0.210818, 0], [0.105409, 0.8, 0.105409], [0, 0, 0.888889]]
    np.testing.assert_allclose(adjacency_of(config, graph), expected, atol=5e-7)


def test_classes_that_nobody_has_in_training() -> None:
    config = ClassGraphConfig()
    graph = class_graph_of(config, (*NAMES, "cow"), TAGS)
    assert "class 'cow': no training image shows it, so that it has no relations" in graph.fallbacks
    np.testing.assert_array_equal(adjacency_of(config, graph)[3], [0, 0, 0, 1])
    with pytest.raises(DataError, match="cow: found nowhere"):
        class_graph_of(ClassGraphConfig(strict=True), (*NAMES, "cow"), TAGS)
    nobody = class_graph_of(ClassGraphConfig(adjacency="mlgcn"), NAMES, [])
    np.testing.assert_array_equal(nobody.relations, np.zeros((3, 3)))


def test_unknown_tags_are_told() -> None:
    tags = [Tags(frozenset({1}), frozenset({2})), Tags(frozenset({1, 2}))]
    graph = class_graph_of(ClassGraphConfig(adjacency="mlgcn"), NAMES, tags)
    assert "1 of 2 training images have unknown classes, which count as absent" in graph.fallbacks
    np.testing.assert_array_equal(graph.relations[:2, :2], [[2, 1], [1, 1]])


def test_none_and_one_class() -> None:
    for names in (NAMES, ("cat",)):
        graph = class_graph_of(ClassGraphConfig(source="none"), names, TAGS[:1])
        np.testing.assert_allclose(adjacency_of(ClassGraphConfig(source="none"), graph), np.eye(len(names)))
    one = class_graph_of(ClassGraphConfig(), ("cat",), [Tags(frozenset({1}))])
    np.testing.assert_array_equal(adjacency_of(ClassGraphConfig(), one), [[1]])


def vectors_file(folder: Path) -> str:
    path = folder / "vectors.txt"
    path.write_text("cat 1 0 0\ndog 3 4 0\ncar -1 0 1\n")
    return str(path)


def test_words(tmp_path: Path) -> None:
    settings: dict[str, Any] = {"vectors": "text", "vectors_file": vectors_file(tmp_path)}
    graph = class_graph_of(ClassGraphConfig(source="words", **settings), (*NAMES, "unicorn"), [])
    expected = [[1, 0.6, 0, 0], [0.6, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]
    np.testing.assert_allclose(graph.relations, expected, atol=1e-7)
    assert graph.vectors_from == "text: vectors.txt" and graph.vectors.shape == (4, 3)
    with pytest.raises(DataError, match="unicorn: found nowhere"):
        class_graph_of(ClassGraphConfig(source="words", strict=True, **settings), (*NAMES, "unicorn"), [])


def graph_file(folder: Path, *, vectors: bool = True) -> str:
    relations = [[0.5, 0.1, 0.2], [0.1, 0.4, 0.3], [0.2, 0.3, 0.6]]
    value = {"classes": ["couch", "cat", "potted plant"], "relation": relations, "source": "a walk"}
    if vectors:
        value |= {"vectors": [[1, 0], [0, 1], [2, 2]]}
    path = folder / "graph.json"
    path.write_text(json.dumps(value))
    return str(path)


def test_file(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = ClassGraphConfig(source="file", vectors="graph", file=graph_file(tmp_path))
    with caplog.at_level(logging.WARNING):
        graph = class_graph_of(config, ("pottedplant", "unicorn", "sofa"), [])
    np.testing.assert_array_equal(graph.relations, [[0.6, 0, 0.2], [0, 0, 0], [0.2, 0, 0.5]])
    np.testing.assert_array_equal(graph.vectors[[0, 2]], [[2, 2], [1, 0]])
    assert graph.source == "file: a walk" and graph.vectors_from == "graph: graph.json"
    assert graph.fallbacks[:3] == (
        "graph.json, class 'pottedplant': looked up as 'potted_plant'",
        "graph.json, class 'unicorn': not found",
        "graph.json, class 'sofa': looked up as 'couch'",
    )
    assert all(note in caplog.text for note in graph.fallbacks)
    assert adjacency_of(config, graph)[1].tolist() == [0, 1, 0]


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has none of the classes horse, but couch, cat, potted plant"):
        class_graph_of(ClassGraphConfig(source="file", file=graph_file(tmp_path)), ("horse",), [])
    config = ClassGraphConfig(source="file", vectors="graph", file=graph_file(tmp_path, vectors=False))
    with pytest.raises(DataError, match="has no word vectors"):
        class_graph_of(config, ("cat",), [])


def test_wordnet(tmp_path: Path) -> None:
    config = ClassGraphConfig(source="wordnet", from_folder=str(write_wordnet(tmp_path / "dict")))
    graph = class_graph_of(config, NAMES, [])
    assert graph.relations[0, 1] > 0 and not graph.relations[2].any()
    assert "WordNet's nouns in dict, class 'car': not found" in graph.fallbacks


def test_published_matrices_agree(real_data: Path) -> None:
    # grm.md 2.1, step 7: VOC's matrix is a part of COCO's
    folder = real_data / "knowledge"
    voc = ClassGraph.load(folder / "conceptnet-rwr-voc.json")
    config = ClassGraphConfig(source="file", file=str(folder / "conceptnet-rwr-coco.json"), adjacency="symmetric")
    graph = class_graph_of(config, voc.names, [])
    np.testing.assert_array_equal(graph.relations, voc.relations)
    assert len([note for note in graph.fallbacks if "looked up as" in note]) == 6


def test_shuffled() -> None:
    graph = class_graph_of(ClassGraphConfig(shuffle=True), NAMES, TAGS)
    plain = class_graph_of(ClassGraphConfig(), NAMES, TAGS)
    assert graph.source == "cooccurrence in training images, shuffled"
    assert not np.array_equal(graph.relations, plain.relations)
    assert sorted(graph.relations.flat) == sorted(plain.relations.flat)
    with pytest.raises(ConfigError, match="shuffle: changes nothing"):
        class_graph_of(ClassGraphConfig(shuffle=True), ("cat",), [Tags(frozenset({1}))])


def test_names_that_are_alike_are_told() -> None:
    graph = class_graph_of(ClassGraphConfig(), ("cat", "Cat"), TAGS[:3])
    assert "classes 'cat' and 'Cat': all are 'cat', so that nothing tells them apart" in graph.fallbacks

from pathlib import Path

import numpy as np
import pytest
import torch

from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.graph.class_graph import ClassGraph, adjacency
from weakseg.nn.graphs.class_gcn import ClassGcn
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.stages.class_nodes import known_classes

CLASSES = Classes(("cat", "dog", "car"))


def samples(*present: set[int]) -> list[WeakSample]:
    return [WeakSample(str(index), Path("nowhere"), Tags(frozenset(ids))) for index, ids in enumerate(present)]


def test_the_graph_as_networks_take_it(tmp_path: Path) -> None:
    """Adjacency and vectors of the settings, and a header that is plain JSON."""
    relations = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.4]])
    vectors = np.arange(12, dtype=np.float32).reshape(3, 4)
    ClassGraph(CLASSES.names, vectors, relations, "made up", "made up").save(tmp_path / "graph.json")
    config = ClassGraphConfig("file", file=str(tmp_path / "graph.json"), vectors="graph", adjacency="symmetric")
    known = known_classes(config, CLASSES, samples({1}), seed=0)
    expected = torch.from_numpy(adjacency(relations, "symmetric"))
    torch.testing.assert_close(known.nodes.adjacency, expected)
    torch.testing.assert_close(known.nodes.vectors, torch.from_numpy(vectors))
    # grm.md, oracle 8
    torch.testing.assert_close(
        known.nodes.adjacency[:2, :2].float(), torch.tensor([[0.928571, 0.074125], [0.074125, 0.923077]]),
        atol=1e-6, rtol=0,
    )  # fmt: skip
    assert known.header["names"] == list(CLASSES.names) and known.header["relations"] == relations.tolist()
    assert known.header["source"] == "file: made up" and known.header["vectors_from"].startswith("graph")
    gcn = ClassGcn(*known.nodes, (2,))
    assert gcn().shape == (3, 2) and torch.isfinite(gcn()).all()


def test_a_class_that_nobody_has_is_alone() -> None:
    # grm.md, section 8: a row of zeros, and the class itself
    known = known_classes(ClassGraphConfig(), CLASSES, samples({1, 2}, {1, 2}, {1}), seed=0)
    assert known.nodes.adjacency[2].tolist() == pytest.approx([0, 0, 1])
    assert any("'car'" in note for note in known.header["fallbacks"])
    assert torch.isfinite(ClassGcn(*known.nodes, (4,))()).all()


def test_no_graph_and_shuffled_relations() -> None:
    """Controls: nobody hears of another; each hears of another one's."""
    tagged = samples({1, 2}, {1, 2}, {1}, {3})
    none = known_classes(ClassGraphConfig("none"), CLASSES, tagged, seed=0).nodes.adjacency
    torch.testing.assert_close(none, torch.eye(3, dtype=none.dtype))
    plain = known_classes(ClassGraphConfig(), CLASSES, tagged, seed=0).nodes
    mixed = known_classes(ClassGraphConfig(shuffle=True), CLASSES, tagged, seed=0).nodes
    assert mixed.vectors.equal(plain.vectors) and not mixed.adjacency.equal(plain.adjacency)
    assert sorted(mixed.adjacency.flatten().tolist()) == pytest.approx(sorted(plain.adjacency.flatten().tolist()))


def test_images_without_tags_tell_nothing() -> None:
    with pytest.raises(DataError, match=r"'cooccurrence' is counted in tags, and of 2 training images none has one"):
        known_classes(ClassGraphConfig(), CLASSES, samples(set(), set()), seed=0)
    assert known_classes(ClassGraphConfig("none"), CLASSES, samples(set()), seed=0).graph.source == "none"

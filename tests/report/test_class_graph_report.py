import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from weakseg.errors import ShapeError
from weakseg.nn.weights import MODEL_FILE, save_model
from weakseg.report import Report, render
from weakseg.report.class_graph import LEVELS, MAX_EDGES, class_graph_pictures, layout_graph, order_of
from weakseg.report.model import ClassGraphPicture

# b and d are related most, then d and a; c is alone
RELATIONS = np.array([[9, 0, 0, 4], [0, 9, 0, 16], [0, 0, 9, 0], [4, 16, 0, 9]], np.float64)


def picture_of(relations: np.ndarray = RELATIONS) -> ClassGraphPicture:
    return ClassGraphPicture("Class graph", tuple("abcdefghij"[: len(relations)]), relations, "a walk")


def random_picture(size: int) -> ClassGraphPicture:
    half = np.triu(np.random.default_rng(0).random((size, size)))
    return ClassGraphPicture("many", tuple(f"class {i}" for i in range(size)), half + half.T)


class TestLayout:
    def test_related_classes_are_neighbours(self) -> None:
        assert order_of(picture_of()) in ([1, 3, 0, 2], [2, 0, 3, 1])
        assert [label.name for label in layout_graph(picture_of()).labels] == ["b", "d", "a", "c"]
        assert sorted(order_of(random_picture(30))) == list(range(30))

    def test_edges_are_the_strongest(self) -> None:
        drawn = layout_graph(picture_of())
        assert [edge.text for edge in drawn.edges] == ["a and d: 4", "b and d: 16"]
        assert drawn.edges[0].width == drawn.edges[1].width / 2  # by the square root
        assert drawn.description == "b and d: 16; a and d: 4"
        many = layout_graph(random_picture(40))
        assert len(many.edges) == MAX_EDGES and len(layout_graph(random_picture(6)).edges) == 12

    def test_shades(self) -> None:
        drawn = layout_graph(picture_of())
        # 4 is a quarter of 16, so that its shade is the half; rows and columns are b, d, a, c
        side = drawn.cell
        assert drawn.shades[LEVELS - 1] == f"M{side} 0h{side}v{side}h-{side}zM0 {side}h{side}v{side}h-{side}z"
        assert drawn.shades[LEVELS // 2 - 1].startswith(f"M{2 * side} {side}h")
        assert not any(path for level, path in enumerate(drawn.shades, 1) if level not in (LEVELS // 2, LEVELS))

    def test_nodes_are_on_the_circle(self) -> None:
        drawn = layout_graph(random_picture(12))
        middle = drawn.side / 2
        radii = [np.hypot(node.x - middle, node.y - middle) for node in drawn.nodes]
        assert max(radii) - min(radii) < 0.2
        assert {node.anchor for node in drawn.nodes if node.x < middle - 1} == {"end"}

    def test_nothing_is_related(self) -> None:
        for relations in (np.zeros((1, 1)), np.eye(3)):
            drawn = layout_graph(picture_of(relations))
            assert not drawn.edges and not any(drawn.shades) and len(drawn.nodes) == len(relations)

    def test_bad_matrix(self) -> None:
        with pytest.raises(ShapeError, match="negative"):
            picture_of(-np.eye(2))


class TestPage:
    def test_picture_is_on_the_page(self) -> None:
        picture = replace(picture_of(), names=("a", "<b>", "c", "a name that is longer than there is room"))
        page = render(Report(title="run", class_graphs=(replace(picture, fallbacks=("class 'c': not found",)),)))
        assert 'href="#class-graph"' in page and page.count('class="edge"') == 2
        assert "&lt;b&gt;" in page and "<b>" not in page.split("</header>")[1]
        assert "a name that is lo…" in page and "class &#39;c&#39;: not found" in page
        assert len(re.findall('class="shade"', page)) == 2
        assert "class-graph" not in render(Report(title="run")).split("</style>")[1]


def test_graphs_of_trained_models(tmp_path: Path) -> None:
    told = {
        "names": ["a", "b"],
        "source": "a walk",
        "vectors_from": "random",
        "fallbacks": ["class 'b': not found"],
        "relations": [[1.0, 0.5], [0.5, 1.0]],
    }
    for name, header in {"plain": {}, "segmenter": {"class_graph": told}, "segmenter_2": {"class_graph": told}}.items():
        (tmp_path / name).mkdir()
        save_model(tmp_path / name / MODEL_FILE, torch.nn.Linear(1, 1), {"kind": "segmenter", **header})
    (tmp_path / "unfinished").mkdir()
    folders = {name: tmp_path / name for name in ("plain", "unfinished", "segmenter", "segmenter_2")}
    (found,) = class_graph_pictures(folders)
    assert found.title == "Class graph of segmenter" and found.names == ("a", "b")
    assert found.note == "Relations: a walk; word vectors: random." and found.fallbacks == ("class 'b': not found",)
    np.testing.assert_array_equal(found.relations, [[1, 0.5], [0.5, 1]])

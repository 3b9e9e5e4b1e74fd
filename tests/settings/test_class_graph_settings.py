from typing import Any

import pytest

from weakseg.errors import ConfigError
from weakseg.settings.class_graph import ClassGraphConfig


def test_what_there_is() -> None:
    for fine in (
        {},
        {"source": "none"},
        {"source": "none", "adjacency": "identity"},
        {"source": "file", "file": "a.json", "vectors": "graph", "strict": True},
        {"source": "none", "vectors": "graph", "file": "a.json"},
        {"source": "wordnet", "from_folder": "dict", "exponent": 0.5, "neighbours": 3, "shuffle": True},
        {"source": "words", "vectors": "text", "vectors_file": "a.txt", "adjacency": "no_loops"},
        {"vectors": "package", "package": "en_core_web_md", "adjacency": "mlgcn", "threshold": 0.2, "share": 0.5},
        {"source": "file", "file": "counts.json", "adjacency": "mlgcn"},
    ):
        settings: dict[str, Any] = fine
        ClassGraphConfig(**settings)


def test_what_is_refused() -> None:
    cases: list[tuple[dict[str, Any], str]] = [
        ({"source": "conceptnet"}, "class_graph.source: 'none', 'file'"),
        ({"adjacency": "symetric"}, "class_graph.adjacency: 'symmetric'"),
        ({"vectors": "glove"}, "class_graph.vectors: 'random'"),
        ({"neighbours": 0}, "class_graph.neighbours: need >= 1"),
        ({"share": 1.0}, r"class_graph.share: need in \(0, 1\)"),
        ({"exponent": 0.0}, "class_graph.exponent: need > 0"),
        ({"adjacency": "mlgcn", "threshold": 0.0}, "class_graph.threshold: need in"),
        ({"source": "file"}, "class_graph.file: source 'file' or vectors 'graph' needs it"),
        ({"file": "a"}, "class_graph.file: changes nothing without source 'file' or vectors 'graph'"),
        ({"source": "wordnet"}, "class_graph.from_folder: source 'wordnet' needs it"),
        ({"from_folder": "a"}, "class_graph.from_folder: changes nothing"),
        ({"vectors": "text"}, "class_graph.vectors_file: vectors 'text' needs it"),
        ({"vectors_file": "a"}, "class_graph.vectors_file: changes nothing"),
        ({"vectors": "package"}, "class_graph.package: vectors 'package' needs it"),
        ({"package": "a"}, "class_graph.package: changes nothing"),
        ({"source": "words"}, "'words' of random vectors are noise"),
        ({"source": "none", "adjacency": "mlgcn"}, "'mlgcn' needs counts"),
        ({"adjacency": "identity"}, "'identity' makes nothing of relations"),
        ({"source": "none", "adjacency": "raw"}, "adjacency: 'raw' changes nothing with source 'none'"),
        ({"source": "none", "share": 0.5}, "share: 0.5 changes nothing with source 'none'"),
        ({"source": "none", "shuffle": True}, "shuffle: True changes nothing"),
        ({"source": "none", "strict": True}, "strict: True changes nothing"),
        ({"adjacency": "symmetric", "neighbours": 3}, "neighbours: 3 changes nothing with adjacency 'symmetric'"),
        ({"adjacency": "mlgcn", "exponent": 0.5}, "exponent: 0.5 changes nothing with adjacency 'mlgcn'"),
        ({"adjacency": "raw", "share": 0.5}, "share: 0.5 changes nothing with adjacency 'raw'"),
        ({"threshold": 0.5}, "threshold: 0.5 changes nothing with adjacency 'reweighted'"),
    ]
    for settings, message in cases:
        with pytest.raises(ConfigError, match=message):
            ClassGraphConfig(**settings)

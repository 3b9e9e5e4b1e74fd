"""A class graph as networks take it, and what the header of their file says of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from weakseg.data.classes import Classes
from weakseg.data.sample import WeakSample
from weakseg.errors import DataError
from weakseg.graph.class_graph import ClassGraph
from weakseg.nn.graphs.class_gcn import ClassNodes
from weakseg.settings.class_graph import ClassGraphConfig
from weakseg.stages.class_graph import adjacency_of, class_graph_of


@dataclass(frozen=True)
class KnownClasses:
    """Classes whose graph has been made.

    Attributes:
        nodes: Vectors and adjacency; a network keeps them, so that its file is all that it needs.
        graph: Where they come from.
    """

    nodes: ClassNodes
    graph: ClassGraph

    @property
    def header(self) -> dict[str, Any]:
        """What a model file says of them; its tensors hold the vectors and the adjacency."""
        graph = self.graph
        return {
            "names": list(graph.names),
            "source": graph.source,
            "vectors_from": graph.vectors_from,
            "fallbacks": list(graph.fallbacks),
            "relations": graph.relations.tolist(),
        }


def known_classes(
    config: ClassGraphConfig, classes: Classes, samples: Sequence[WeakSample], *, seed: int
) -> KnownClasses:
    """Return the classes of a data set with their graph.

    Args:
        config: The graph.
        classes: The classes.
        samples: Training images; relations of source ``cooccurrence`` are counted in their tags.
        seed: Of shuffled relations.

    Raises:
        ConfigError: As ``class_graph_of``.
        DataError: As there, or if co-occurrence is asked of images without tags.
    """
    if config.source == "cooccurrence" and not any(sample.tags.present for sample in samples):
        raise DataError(
            f"class_graph.source: 'cooccurrence' is counted in tags, and of {len(samples)} training images none has "
            "one; choose another source, or 'none'"
        )
    graph = class_graph_of(config, classes.names, [sample.tags for sample in samples], seed=seed)
    adjacency = torch.from_numpy(adjacency_of(config, graph))
    return KnownClasses(ClassNodes(torch.from_numpy(graph.vectors), adjacency), graph)

"""Graphs whose nodes are classes: where relations and word vectors come from, and what a network makes of them."""

from dataclasses import dataclass, fields
from typing import Literal, get_args

from weakseg.errors import ConfigError
from weakseg.settings.rules import check_settings

AdjacencyKind = Literal["symmetric", "raw", "no_loops", "reweighted", "mlgcn", "identity"]
RelationSource = Literal["none", "file", "wordnet", "cooccurrence", "words"]
VectorSource = Literal["random", "text", "package", "graph"]
SECTION = "class_graph"
OF_KIND = {"neighbours": ("reweighted",), "exponent": ("reweighted",), "threshold": ("mlgcn",)}


@dataclass(frozen=True)
class ClassGraphConfig:
    """What classes have to do with each other, and a word vector for each of them.

    Attributes:
        source: Where relations come from: a ``file`` that ``weakseg knowledge build`` wrote, or a published matrix;
            ``wordnet``, a walk over its nouns; ``cooccurrence`` of the tags of the training images; ``words``, the
            cosine of word vectors; ``none``, no relations.
        file: Of source ``file``, and of the vectors of ``graph``: the class graph.
        from_folder: Of ``wordnet``: folder of its database, with ``index.noun`` and ``data.noun``.
        vectors: Where word vectors come from: ``text``, a file as GloVe writes it; ``package``, an installed spaCy
            model (extra ``words``); ``graph``, the file of the graph; ``random``, made from a fixed seed.
        vectors_file: Of ``text``: the file.
        package: Of ``package``: name of the model.
        adjacency: What messages are passed along: ``reweighted``, a share of some neighbours and the rest of the class
            itself; ``symmetric`` (the paper's equation 2), ``raw`` relations (equation 1), ``no_loops``, or ``mlgcn``,
            binary relations of co-occurrence. ``identity``: as source ``none``.
        neighbours: Of ``reweighted``: how many a class keeps.
        share: Of ``reweighted`` and ``mlgcn``: what comes from other classes, p.
        exponent: Of ``reweighted``: power of relations; below one, differences shrink.
        threshold: Of ``mlgcn``: conditional probability that makes a relation.
        shuffle: Give each class the relations of another one, as a control.
        strict: Refuse a class that is found nowhere, which else has no relations, or a random vector.
    """

    source: RelationSource = "cooccurrence"
    file: str = ""
    from_folder: str = ""
    vectors: VectorSource = "random"
    vectors_file: str = ""
    package: str = ""
    adjacency: AdjacencyKind = "reweighted"
    neighbours: int = 5
    share: float = 0.2
    exponent: float = 1.0
    threshold: float = 0.4
    shuffle: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        """Refuse values out of range, files that are missing or too many, and settings that would change nothing."""
        check_settings(SECTION, self, source=get_args(RelationSource), vectors=get_args(VectorSource))
        check_settings(SECTION, self, adjacency=get_args(AdjacencyKind), neighbours=">= 1", share="in (0, 1)")
        check_settings(SECTION, self, exponent="> 0", threshold="in (0, 1]")
        self._check_pair("file", self.source == "file" or self.vectors == "graph", "source 'file' or vectors 'graph'")
        self._check_pair("from_folder", self.source == "wordnet", "source 'wordnet'")
        self._check_pair("vectors_file", self.vectors == "text", "vectors 'text'")
        self._check_pair("package", self.vectors == "package", "vectors 'package'")
        if self.source == "words" and self.vectors == "random":
            raise ConfigError(f"{SECTION}.source: 'words' of random vectors are noise; name other vectors")
        if self.adjacency == "mlgcn" and self.source not in ("cooccurrence", "file"):
            raise ConfigError(f"{SECTION}.adjacency: 'mlgcn' needs counts of source 'cooccurrence', or a file of them")
        if self.adjacency == "identity" and self.source != "none":
            raise ConfigError(f"{SECTION}.adjacency: 'identity' makes nothing of relations; choose source 'none'")
        self._refuse_idle()

    def _check_pair(self, setting: str, needed: bool, by: str) -> None:
        given = bool(getattr(self, setting))
        if needed != given:
            what = f"{by} needs it" if needed else f"changes nothing without {by}; leave it out"
            raise ConfigError(f"{SECTION}.{setting}: {what}, got {getattr(self, setting)!r}")

    def _refuse_idle(self) -> None:
        kind = f"adjacency {self.adjacency!r}"
        for name, kinds in {**OF_KIND, "share": ("reweighted", "mlgcn")}.items():
            if self.adjacency not in kinds:
                self._need_default(name, kind)
        if self.source == "none":
            for name in ("neighbours", "share", "exponent", "threshold", "shuffle"):
                self._need_default(name, "source 'none'")
            if self.adjacency != "identity":
                self._need_default("adjacency", "source 'none'")
            if self.vectors == "random":
                self._need_default("strict", "source 'none' and random vectors")

    def _need_default(self, name: str, reason: str) -> None:
        value, default = getattr(self, name), {field.name: field.default for field in fields(self)}[name]
        if value != default:
            raise ConfigError(f"{SECTION}.{name}: {value!r} changes nothing with {reason}; leave it at {default!r}")

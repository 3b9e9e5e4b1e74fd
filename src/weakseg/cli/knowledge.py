"""``weakseg knowledge``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weakseg.cli.common import (
    add_overwrite,
    build_parser,
    check_output,
    conclude,
    out_path,
    parse,
    read_class_file,
)
from weakseg.errors import ConfigError

if TYPE_CHECKING:
    from weakseg.graph.class_graph import ClassGraph

SHOWN_PAIRS = 10


def main(words: Sequence[str]) -> int:
    """Build a class graph of any class names."""
    parser = build_parser(
        "knowledge",
        "Build a class graph: how strongly classes of any names are related, by random walks on ConceptNet or on "
        "WordNet's nouns, and a word vector for each. It is one small JSON file, for 'class_graph.file'.",
        "  weakseg knowledge build --conceptnet assertions.csv.gz --classes classes.txt --out graph.json\n"
        "  weakseg knowledge build --wordnet dict --vectors glove.6B.300d.txt --classes classes.txt --out graph.json",
    )
    parser.add_argument("action", type=str, help="build")
    parser.add_argument("--conceptnet", type=str, default="", help="dump of ConceptNet's assertions (.csv.gz)")
    parser.add_argument("--wordnet", type=str, default="", help="folder of WordNet's database (data.noun, index.noun)")
    parser.add_argument("--classes", type=Path, required=True, help="text file with a class name a line")
    parser.add_argument("--vectors", type=str, default="", help="word vectors as GloVe writes them; none if not given")
    parser.add_argument("--out", type=out_path, required=True, help="JSON file that gets the graph")
    parser.add_argument("--strict", action="store_true", help="refuse a class that is found nowhere")
    add_overwrite(parser)
    given = parse(parser, words)
    if given.action != "build":
        raise ConfigError(f"knowledge {given.action}: no such action; there is 'build'")
    if bool(given.conceptnet) == bool(given.wordnet):
        raise ConfigError("knowledge build: give --conceptnet FILE or --wordnet FOLDER, one of them")
    check_output("--out", given.out, overwrite=given.overwrite)
    names = read_class_file(given.classes).names
    from weakseg.stages.knowledge import build_class_graph

    sources = [Path(name).expanduser() if name else None for name in (given.conceptnet, given.wordnet, given.vectors)]
    graph = build_class_graph(names, *sources, strict=given.strict)
    graph.save(given.out)
    return conclude((), f"{describe(graph)}\n{len(names)} classes in {given.out}")


def describe(graph: "ClassGraph") -> str:
    """Return the strongest relations of a graph, and what was not found as it is written, as text."""
    pairs = [f"  {one} and {other}: {value:.3g}" for one, other, value in graph.strongest(SHOWN_PAIRS)]
    lines = ["strongest relations:", *pairs] if pairs else ["no class is related to another one"]
    return "\n".join([f"relations: {graph.source}", *lines, *(f"warning: {note}" for note in graph.fallbacks)])

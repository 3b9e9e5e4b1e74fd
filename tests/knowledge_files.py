"""Small files in the forms of WordNet's database and of ConceptNet's dump."""

import gzip
from pathlib import Path

LICENCE = "  1 This software and database is being provided to you, the LICENSEE, by  \n"
SYNSETS = """\
00000100 03 n 01 entity 0 002 ~ 00000200 n 0000 ~ 00000300 n 0000 | that which is perceived; "a | b"
00000200 05 n 02 cat 0 true_cat 0 003 @ 00000100 n 0000 + 00000900 v 0101 %p 00000400 n 0000 | feline mammal
00000300 05 n 0a dog 0 domestic_dog 0 c 0 d 0 e 0 f 0 g 0 h 0 i 0 j 0 002 @ 00000100 n 0000 ;c 00000400 n 0101 | canine
00000400 08 n 01 tail 0 003 #p 00000200 n 0000 -c 00000300 n 0000 ! 00000100 n 0101 | rear part
00000500 08 n 01 stone 0 000 | hard
"""
WORDS = """\
cat n 2 2 @ %p 2 1 00000200 00000500
dog n 1 2 @ ;c 1 1 00000300
entity n 1 1 ~ 1 1 00000100
stone n 1 0 1 0 00000500
tail n 1 3 #p -c ! 1 1 00000400
true_cat n 1 2 @ %p 1 0 00000200
"""


def write_wordnet(folder: Path) -> Path:
    """Write the two files, and return their folder."""
    folder.mkdir()
    (folder / "data.noun").write_text(LICENCE + SYNSETS)
    (folder / "index.noun").write_text(LICENCE + WORDS)
    return folder


def assertion(relation: str, start: str, end: str, weight: object = 1.0) -> str:
    """A line of the dump."""
    details = f'{{"dataset": "/d/wiktionary/en", "license": "cc:by-sa/4.0", "weight": {weight}}}'
    return f"/a/[/r/{relation}/,{start}/,{end}/]\t/r/{relation}\t{start}\t{end}\t{details}\n"


ASSERTIONS = (
    assertion("Synonym", "/c/fr/chat", "/c/fr/chatte/n"),
    assertion("RelatedTo", "/c/en/cat/n/wn/animal", "/c/en/animal/n", 2.0),
    assertion("RelatedTo", "/c/en/cat", "/c/en/animal", 0.5),
    assertion("Antonym", "/c/en/cat", "/c/en/dog"),
    assertion("IsA", "/c/en/dog/n", "/c/en/animal"),
    assertion("IsA", "/c/en/animal", "/c/en/dog", 3.5),
    assertion("SimilarTo", "/c/en/dog/n", "/c/en/dog/v"),
    assertion("Synonym", "/c/en/cat", "/c/fr/chat"),
    assertion("RelatedTo", "/c/enm/catte", "/c/en/cat"),
    assertion("NotDesires", "/c/en/cat", "/c/en/bath"),
    assertion("RelatedTo", "/c/en/animal", "/c/en/hot_dog"),
)


def dump(path: Path, lines: tuple[str, ...] = ASSERTIONS) -> Path:
    """Write a dump, packed where its name says so."""
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path

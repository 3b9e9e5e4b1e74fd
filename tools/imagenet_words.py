"""Make ``imagenet_words.json`` of WordNet's database: what words above the classes of ImageNet stand for.

python tools/imagenet_words.py FOLDER src/weakseg/data/knowledge/imagenet_words.json
FOLDER holds data.noun and index.noun of WordNet 3.1.
"""

import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from timm.data.imagenet_info import ImageNetInfo

NOT_IN_3_1 = {102: "01875042", 608: "03599921"}  # echidna, of two with the same names; jean, which is jeans now
MORE_GENERAL = ("@", "@i")
GLOSS = 72


class Synset(NamedTuple):
    words: list[str]
    parents: list[str]
    gloss: str


def lines(path: Path) -> Iterator[str]:
    return (line for line in path.read_text("ascii").splitlines() if not line.startswith(" "))


def licence(path: Path) -> str:
    """The numbered lines at the head of each file of the database."""
    head = (line.split(None, 1) for line in path.read_text("ascii").splitlines() if line.startswith(" "))
    return " ".join(words[1].strip() for words in head if len(words) == 2)


def read_synsets(path: Path) -> dict[str, Synset]:
    found = {}
    for line in lines(path):
        head, _, gloss = line.partition(" | ")
        parts = head.split()
        count = int(parts[3], 16)
        pointers = parts[5 + 2 * count :]
        parents = [p for symbol, p in zip(pointers[::4], pointers[1::4], strict=True) if symbol in MORE_GENERAL]
        found[parts[0]] = Synset(parts[4 : 4 + 2 * count : 2], parents, gloss.split(";")[0].strip())
    return found


def read_senses(path: Path) -> dict[str, list[str]]:
    """Offsets of the senses of each word, the usual one first."""
    return {parts[0]: parts[6 + int(parts[3]) :] for parts in map(str.split, lines(path))}


def _short(gloss: str) -> str:
    return textwrap.shorten(gloss, GLOSS, placeholder=" ...")


def synset_of(index: int, info: ImageNetInfo, synsets: dict[str, Synset], senses: dict[str, list[str]]) -> str:
    """The set of synonyms of a class: of those with its names, the one with no other names, or with its description."""
    if index in NOT_IN_3_1:
        return NOT_IN_3_1[index]
    names = [name.replace(" ", "_").lower() for name in info.index_to_description(index).split(", ")]
    having = [o for o in senses.get(names[0], []) if set(names) <= {word.lower() for word in synsets[o].words}]
    same = [offset for offset in having if len(synsets[offset].words) == len(names)] or having
    if len(same) != 1:
        described = info.index_to_description(index, detailed=True)
        same = [offset for offset in senses[names[0]] if synsets[offset].gloss[:40] in described]
    (found,) = same
    return found


def main(folder: Path, out: Path) -> None:
    synsets, senses, info = read_synsets(folder / "data.noun"), read_senses(folder / "index.noun"), ImageNetInfo()
    class_of = {synset_of(index, info, synsets, senses): index for index in range(1000)}
    assert len(class_of) == 1000
    above: dict[str, int] = {}  # in the order in which all that is above comes first

    def enter(offset: str) -> None:
        for parent in synsets[offset].parents:
            if parent not in above:
                enter(parent)
        above.setdefault(offset, len(above))

    for offset in class_of:
        enter(offset)
    kinds: dict[str, set[str]] = {offset: set() for offset in above}
    ancestors: dict[str, set[str]] = {}

    def ancestors_of(offset: str) -> set[str]:
        if offset not in ancestors:
            ancestors[offset] = {offset}.union(*map(ancestors_of, synsets[offset].parents))
        return ancestors[offset]

    for offset in synsets:
        for ancestor in ancestors_of(offset) & kinds.keys():
            kinds[ancestor].add(offset)
    words = {word: [above[offset] for offset in found if offset in above] for word, found in senses.items()}
    content = {
        "notice": licence(folder / "data.noun"),
        "classes": [info.index_to_description(index).lower().split(", ") for index in range(1000)],
        "synsets": [
            [_short(synsets[o].gloss), [above[p] for p in synsets[o].parents], class_of.get(o, -1), len(kinds[o])]
            for o in above
        ],
        "words": {word: places for word, places in words.items() if places},
    }
    rows = (f"{json.dumps(key)}: {json.dumps(value, separators=(',', ':'))}" for key, value in content.items())
    out.write_text("{" + ",\n".join(rows) + "}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))

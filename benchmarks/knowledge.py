"""Time and memory of ``weakseg knowledge build`` on a dump of ConceptNet's size.

    python benchmarks/knowledge.py --classes classes.txt --dump assertions.csv.gz [--share 1.0]

The dump is generated where it is not there yet: as many lines as that of version 5.7, in its form, a tenth of which
join two English terms. Few terms are frequent, and the classes are among these. ``share``: of its size. Appends one
JSON line to benchmarks/results/knowledge.jsonl.
"""

import argparse
import gzip
import resource
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from rows import append_rows

from weakseg.data.knowledge.terms import term_of
from weakseg.stages.knowledge import build_class_graph

LINES, ENGLISH, TERMS = 34_074_917, 3_470_000, 1_165_000
LINE = "{classes} classes, {packed_mb:.0f} MB: {seconds:.0f} s, of computing {cpu_s:.0f} s, peak {peak_mb:.0f} MB"
BLOCK = 100_000  # lines of other languages, packed once and written many times
RELATIONS = ("RelatedTo", "FormOf", "IsA", "Synonym", "HasContext", "DerivedFrom", "UsedFor", "AtLocation", "Antonym")
LANGUAGES = ("fr", "it", "de", "es", "ru", "pt", "ja", "zh", "nl", "fi", "sv", "la")
DETAILS = (
    '{{"dataset": "/d/wiktionary/en", "license": "cc:by-sa/4.0", "sources": [{{"contributor": '
    '"/s/resource/wiktionary/en", "process": "/s/process/wikiparsec/2"}}], "weight": {weight}}}'
)


def line(relation: str, start: str, end: str, weight: float) -> str:
    details = DETAILS.format(weight=weight)
    return f"/a/[/r/{relation}/,{start}/,{end}/]\t/r/{relation}\t{start}\t{end}\t{details}\n"


def words(random: np.random.Generator, count: int) -> list[str]:
    letters = np.array(list("abcdefghijklmnopqrstuvwxyz"))
    return [f"{''.join(random.choice(letters, size))}{i}" for i, size in enumerate(random.integers(3, 12, count))]


def foreign(random: np.random.Generator, count: int) -> str:
    """Lines of other languages, a quarter of which lead to English."""
    terms = words(random, 2 * count)
    found = []
    for index in range(count):
        language = LANGUAGES[index % len(LANGUAGES)]
        start = f"/c/{language}/{terms[2 * index]}"
        end = f"/c/{language if index % 4 else 'en'}/{terms[2 * index + 1]}"
        found.append(line(RELATIONS[index % len(RELATIONS)], start, end, 1.0))
    return "".join(found)


def english(random: np.random.Generator, classes: list[str], share: float, blocks: int) -> Iterator[str]:
    """Lines of English terms, in so many blocks; by powers of a uniform number the first terms are frequent."""
    count, most = int(share * ENGLISH), int(share * TERMS)
    terms = words(random, most - len(classes))
    terms[200:200] = classes
    for part in np.array_split(np.arange(count), blocks):
        size = len(part)
        ends = (most * random.random(size) ** 3).astype(int)
        frequent, any_of = (most * random.random(size) ** 2).astype(int), random.integers(0, most, size)
        starts = np.where(random.random(size) < 0.4, frequent, any_of)
        kinds = random.choice(len(RELATIONS), size, p=(0.48, 0.12, 0.09, 0.07, 0.08, 0.09, 0.03, 0.02, 0.02))
        senses = random.choice(("", "/n", "/v", "/n/wn/artifact"), size, p=(0.55, 0.25, 0.1, 0.1))
        weights = random.choice((0.5, 1.0, 2.0, 3.464), size, p=(0.1, 0.7, 0.15, 0.05))
        rows = zip(kinds, starts, senses, ends, weights, strict=True)
        yield "".join(
            line(RELATIONS[kind], f"/c/en/{terms[start]}{sense}", f"/c/en/{terms[end]}", float(weight))
            for kind, start, sense, end, weight in rows
        )


def write_dump(path: Path, classes: list[str], share: float) -> None:
    random = np.random.default_rng(0)
    blocks, rest = divmod(int(share * (LINES - ENGLISH)), BLOCK)
    packed = gzip.compress(foreign(random, BLOCK).encode(), 6)
    with path.open("wb") as file:
        for text in english(random, classes, share, max(blocks, 1)):
            file.write(packed if blocks else b"")
            file.write(gzip.compress(text.encode(), 6))
        file.write(gzip.compress(foreign(random, rest).encode(), 6))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=Path, required=True, help="text file with a class name a line")
    parser.add_argument("--dump", type=Path, required=True, help="where the dump is, or will be")
    parser.add_argument("--share", type=float, default=1.0)
    given = parser.parse_args()
    names = [name for name in given.classes.read_text(encoding="utf-8").splitlines() if name.strip()]
    if not given.dump.exists():
        write_dump(given.dump, [term_of(name) for name in names], given.share)
    start, cpu_start = time.perf_counter(), time.process_time()
    build_class_graph(names, given.dump, None, None)
    row = {
        "classes": len(names),
        "packed_mb": given.dump.stat().st_size / 1e6,
        "seconds": time.perf_counter() - start,
        "cpu_s": time.process_time() - cpu_start,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(LINE.format(**row))
    append_rows("knowledge", [row], share=given.share)


if __name__ == "__main__":
    main()

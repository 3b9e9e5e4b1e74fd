import gzip
from pathlib import Path

import pytest

from cases import each
from knowledge_files import ASSERTIONS, assertion, dump
from weakseg.data.knowledge.conceptnet import read_conceptnet
from weakseg.errors import DataError


@each("name", ["assertions.csv.gz", "assertions.csv"])
def test_english_part(tmp_path: Path, name: str) -> None:
    found = read_conceptnet(dump(tmp_path / name))
    assert found.node_of == {"cat": 0, "animal": 1, "dog": 2, "hot_dog": 3} and found.num_nodes == 4
    edges = [(*edge, weight) for edge, weight in zip(found.edges.T.tolist(), found.weights.tolist(), strict=True)]
    assert edges == [(0, 1, 2.0), (0, 1, 0.5), (2, 1, 1.0), (1, 2, 3.5), (1, 3, 1.0)]
    assert found.source == f"ConceptNet in {name}"


def test_terms_in_other_scripts(tmp_path: Path) -> None:
    line = assertion("RelatedTo", "/c/en/café", "/c/en/кот")
    assert read_conceptnet(dump(tmp_path / "a.csv", (line,))).node_of == {"café": 0, "кот": 1}


def test_a_dump_that_matches_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    block = gzip.compress(assertion("Synonym", "/c/fr/chat", "/c/en/cat").encode() * 10_000)
    path.write_bytes(block * 100)
    with pytest.raises(DataError, match="none of 1,000,000 lines joins two English terms"):
        read_conceptnet(path)


def test_bad_dumps(tmp_path: Path) -> None:
    packed, plain = tmp_path / "a.csv.gz", tmp_path / "a.csv"
    whole = gzip.compress("".join(ASSERTIONS).encode())
    for path, content, message in (
        (packed, whole[:-20], r"a\.csv\.gz:\d+: the dump cannot be read on"),
        (packed, whole[:40] + b"\0" * 40 + whole[80:], "the dump cannot be read on"),
        (packed, "".join(ASSERTIONS).encode(), "cannot be read on .*[Nn]ot a gzipped file"),
        (plain, whole, "columns, expected 5"),
        (packed, b"", "none of 0 lines"),
        (plain, ASSERTIONS[0].encode() + b"a\tb\tc\td\n", r"a\.csv:2: 4 columns, expected 5"),
        (plain, ASSERTIONS[1].encode()[:-30], r"a\.csv:1: the last column has no weight"),
        (plain, assertion("IsA", "/c/en/a", "/c/en/b", '"x"').encode(), "a.csv:1: the last column has no weight"),
        (plain, assertion("IsA", "/c/en/a", "/c/en/b", -1).encode(), r"a\.csv:1: weight -1\.0 is not above zero"),
        (plain, assertion("IsA", "/c/en/a", "/c/en/b", "NaN").encode(), "weight nan is not above zero"),
    ):
        path.write_bytes(content)
        with pytest.raises(DataError, match=message):
            read_conceptnet(path)
    with pytest.raises(DataError, match=r"none\.csv:0: the dump cannot be read on .*No such file"):
        read_conceptnet(tmp_path / "none.csv")

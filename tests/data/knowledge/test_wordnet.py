from pathlib import Path

import pytest

from knowledge_files import write_wordnet
from weakseg.data.knowledge.wordnet import read_wordnet
from weakseg.errors import DataError


def test_nodes_and_edges(tmp_path: Path) -> None:
    wordnet = write_wordnet(tmp_path / "dict")
    found = read_wordnet(wordnet)
    assert found.num_nodes == 5 and found.source == "WordNet's nouns in dict"
    assert found.node_of == {"cat": 1, "dog": 2, "entity": 0, "stone": 4, "tail": 3, "true_cat": 1}
    # hyponyms and hypernyms, the part both ways, the domain both ways; no verb, no antonym
    expected = [(0, 1), (0, 2), (1, 0), (1, 3), (2, 0), (2, 3), (3, 1), (3, 2)]
    assert [tuple(edge) for edge in found.edges.T.tolist()] == expected
    assert found.weights.tolist() == [1.0] * 8


def test_bad_files(tmp_path: Path) -> None:
    wordnet = write_wordnet(tmp_path / "dict")
    index, data = wordnet / "index.noun", wordnet / "data.noun"
    fine = {path: path.read_text() for path in (index, data)}
    for path, text, message in (
        (data, fine[data].replace("03 n 01", "03 n zz"), r"data\.noun:2: no set of synonyms"),
        (data, fine[data].replace(" 003 #p", " 004 #p"), r"data\.noun:5: no set of synonyms"),
        (data, fine[data] + "00000600 08\n", r"data\.noun:7: no set of synonyms"),
        (data, fine[data].replace("~ 00000200", "~ 00000999"), "points to '00000999', which is not there"),
        (data, fine[data] + "é", r"data\.noun:\d+: is not ASCII"),
        (data, "", r"data\.noun: is empty"),
        (index, fine[index].replace("00000300", "00000301"), r"index\.noun:3: no word of WordNet"),
        (index, fine[index].replace("stone n 1 0 1 0 00000500", "stone n 1"), r"index\.noun:5: no word of WordNet"),
        (index, "", r"index\.noun: is empty"),
    ):
        for each, content in fine.items():
            each.write_text(text if each == path else content, encoding="utf-8")
        with pytest.raises(DataError, match=message):
            read_wordnet(wordnet)
    index.unlink()
    data.write_text(fine[data])
    with pytest.raises(DataError, match=r"index\.noun: cannot be read .* give the folder of WordNet's database"):
        read_wordnet(wordnet)

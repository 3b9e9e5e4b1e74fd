from pathlib import Path

import pytest

from knowledge_files import dump, write_wordnet
from weakseg.cli.main import main
from weakseg.graph.class_graph import ClassGraph


def test_build(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes, out = tmp_path / "classes.txt", tmp_path / "graph.json"
    classes.write_text("cat\ndogs\nunicorn\n")
    folder = write_wordnet(tmp_path / "dict")
    words = ["knowledge", "build", "--wordnet", str(folder), "--classes", str(classes), "--out", str(out)]
    assert main(words) == 0
    printed = capsys.readouterr().out
    assert "  cat and dogs: 0." in printed and f"3 classes in {out}" in printed
    assert "warning: WordNet's nouns in dict, class 'unicorn': not found" in printed
    graph = ClassGraph.load(out)
    assert graph.names == ("cat", "dogs", "unicorn") and graph.relations[0, 1] > 0
    assert main(words) == 2 and "--overwrite" in capsys.readouterr().err
    assert main([*words, "--overwrite", "--strict"]) == 2 and "unicorn: found nowhere" in capsys.readouterr().err
    source = ["--conceptnet", str(dump(tmp_path / "a.csv.gz"))]
    assert main(["knowledge", "build", *source, "--classes", str(classes), "--out", str(out), "--overwrite"]) == 0
    assert "no class is related to another one" in capsys.readouterr().out


def test_bad_words(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    classes = tmp_path / "classes.txt"
    classes.write_text("cat\n")
    rest = ["--classes", str(classes), "--out", str(tmp_path / "graph.json")]
    for words, message in (
        (["show", *rest], "knowledge show: no such action"),
        (["build", *rest], "give --conceptnet FILE or --wordnet FOLDER"),
        (["build", *rest, "--conceptnet", "a", "--wordnet", "b"], "give --conceptnet FILE or --wordnet FOLDER"),
        (["build", *rest, "--conceptnet", str(tmp_path / "none.csv.gz")], "none.csv.gz:0: the dump cannot be read"),
        (["build", *rest, "--wordnet", str(tmp_path / "none")], "cannot be read"),
        (["build", "--out", str(tmp_path / "graph.json")], "--classes"),
    ):
        assert main(["knowledge", *words]) == 2 and message in capsys.readouterr().err
    assert not (tmp_path / "graph.json").exists()

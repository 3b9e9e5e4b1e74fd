import runpy
import sys
from pathlib import Path

import pytest

from generated import FAST, write_folder

EXAMPLES = Path(__file__).parents[1] / "examples"


def run(name: str, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", [name, *arguments])
    runpy.run_path(str(EXAMPLES / name), run_name="__main__")


@pytest.mark.slow
def test_segment_a_photograph(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run("01_segment_a_photograph.py", monkeypatch, str(tmp_path))
    assert "the cat covers" in capsys.readouterr().out
    assert (tmp_path / "cat-mask.png").exists()


def test_run_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    root = write_folder(tmp_path / "photos", 4)
    run("02_run_a_recipe.py", monkeypatch, str(root), str(tmp_path / "out"), *FAST)
    assert "i01.png: labels" in capsys.readouterr().out


def test_examples_are_short_and_all_run_here() -> None:
    source = Path(__file__).read_text()
    for path in EXAMPLES.glob("*.py"):
        assert len(path.read_text().splitlines()) < 60
        assert f'"{path.name}"' in source

import runpy
import sys
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

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


def test_the_notebook_ends_in_a_trained_model(tmp_path: Path) -> None:
    """Executed by Jupyter's own client, in a kernel of this environment; a cell that fails is an error."""
    notebook = nbformat.read(EXAMPLES / "03_notebook.ipynb", as_version=4)
    NotebookClient(notebook, timeout=300, resources={"metadata": {"path": str(tmp_path)}}).execute()
    shown = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    pictures = [output.data["text/html"] for output in shown if "text/html" in output.get("data", {})]
    assert len(pictures) == 3 and all("data:image/png" in html and "reliability" in html for html in pictures)
    assert (tmp_path / "notebook-out" / "run" / "segmenter" / "model.safetensors").is_file()
    assert (tmp_path / "notebook-out" / "cup.png").is_file()
    assert not any(cell.get("outputs") for cell in nbformat.read(EXAMPLES / "03_notebook.ipynb", 4).cells)


def test_examples_are_short_and_all_run_here() -> None:
    source = Path(__file__).read_text()
    for path in sorted(EXAMPLES.iterdir()):
        assert path.suffix == ".ipynb" or len(path.read_text().splitlines()) < 60
        assert f'"{path.name}"' in source

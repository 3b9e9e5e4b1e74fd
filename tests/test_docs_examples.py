"""All commands on all pages are read by the program, and Python on pages for users is executed."""

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data
import torch
from jsonargparse import ArgumentParser, Namespace
from PIL import Image

from generated import draw
from test_docs import PAGES, ROOT, text_of
from tiny_sam import save_tiny, tiny_sam2
from weakseg.cli import common
from weakseg.cli.main import VERBS

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.DOTALL | re.MULTILINE)
WHOLE = {"run", "compare"}  # verbs whose flags are settings of a recipe, which is read after their own


class ParsedError(Exception):
    """A command was understood; nothing of it is carried out."""


def commands(text: str) -> Iterator[list[str]]:
    """Yield the words of each command of weakseg on a page."""
    for language, block in BLOCK.findall(text):
        if language not in ("console", "bash"):
            continue
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            words = [word for word in shlex.split(line.removeprefix("$ "), comments=True) if word != "..."]
            if words[:1] == ["weakseg"] and (language == "bash" or line.startswith("$ ")):
                yield words[1:]


@pytest.fixture
def nothing_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands end when their words are understood; recipes are read, and not carried out."""
    parse = common.parse_words

    def parsed(parser: ArgumentParser, words: list[str]) -> Namespace:
        given = parse(parser, words)
        if parser.prog.split()[1] in WHOLE:
            return given
        raise ParsedError

    def carried_out(*_: object, **__: object) -> None:
        raise ParsedError

    monkeypatch.setattr(common, "parse_words", parsed)
    monkeypatch.setattr("weakseg.methods.run.run_recipe", carried_out)
    monkeypatch.setattr("weakseg.methods.compare.compare_methods", carried_out)
    (tmp_path / "recipes").symlink_to(ROOT / "recipes")
    monkeypatch.chdir(tmp_path)


def understood(words: list[str]) -> None:
    """Raise what a command says of its words, if it does not understand them."""
    verb, *rest = words
    if verb in WHOLE and "--out" not in rest:  # of a line in which that was left out
        rest += ["--out", "out"]
    if "my.yaml" in rest:  # a recipe of the reader
        Path("my.yaml").write_text("method: cam\n" if verb == "run" else "seed: 0\n")
    with pytest.raises(ParsedError):
        importlib.import_module(f"weakseg.cli.{verb.replace('-', '_')}").main(rest)


@pytest.mark.slow
@pytest.mark.usefixtures("nothing_runs")
def test_every_command_on_a_page_is_understood() -> None:
    found = {tuple(words): page for page in PAGES for words in commands(text_of(page))}
    assert len(found) > 90
    wrong = []
    for words, page in found.items():
        assert words[0] in VERBS, f"{page}: {words}"
        try:
            understood(list(words))
        except Exception as error:
            wrong.append(f"{page.relative_to(ROOT)}: weakseg {shlex.join(words)}: {error}")
    assert wrong == []


@pytest.mark.usefixtures("nothing_runs")
@pytest.mark.parametrize(
    "line",
    ["predict --modell out --images a --out b", "run cam --seeds.strikt 0.4 --out b", "run kam --out b"],
)
def test_a_command_with_a_word_that_is_none_is_found(line: str) -> None:
    (words,) = commands(f"```console\n$ weakseg {line}\n```\n")
    with pytest.raises(Exception, match=r"modell|strikt|kam"):
        understood(words)


def blocks(page: str) -> list[str]:
    return [block for language, block in BLOCK.findall(text_of(ROOT / page)) if language == "python"]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with the photographs that pages name, and nobody who looks at pictures."""
    cat = Image.fromarray(skimage.data.chelsea())
    for name in ("cat.jpg", "a.jpg", "b.jpg", "c.jpg", "new.jpg"):
        cat.resize((300, 200)).save(tmp_path / name)
    (tmp_path / "photos").mkdir()
    for index in range(4):
        Image.fromarray(draw(index)[0]).save(tmp_path / "photos" / f"{'abcd'[index]}.png")
    (tmp_path / "photos" / "tags.csv").write_text("image,labels\na.png,\nb.png,disc\nc.png,square\nd.png,disc;square\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Image.Image, "show", lambda *_, **__: None)
    return tmp_path


def test_python_of_the_readme_runs(folder: Path) -> None:
    (block,) = blocks("README.md")
    exec(compile(block, "README.md", "exec"), {})
    assert (folder / "mask.png").is_file()


@pytest.mark.slow
def test_python_of_the_guide_runs(folder: Path) -> None:
    """One after the other, as they build on each other; the one that serves Label Studio does not end by itself."""
    found = [block for block in blocks("docs/guide.md") if "uvicorn" not in block]
    assert len(found) == 4
    names: dict[str, Any] = {}
    for block in found:
        exec(compile(block, "guide.md", "exec"), names)
    assert names["found"].instances.areas == (12, 12) and names["mask"].shape == (200, 300)
    assert (folder / "out" / "segmenter" / "model.safetensors").is_file()


def test_python_of_proposers_runs(folder: Path) -> None:
    """With a tiny network in the place of the published one."""
    save_tiny(tiny_sam2(), folder / "sam2.1-hiera-tiny")
    (block,) = blocks("docs/proposers.md")
    names: dict[str, Any] = {}
    exec(compile(block, "proposers.md", "exec"), names)
    assert names["boxes"].proposes


def test_python_of_data_and_operators_runs(folder: Path) -> None:
    (block,) = blocks("docs/data.md")
    photographs = sorted((folder / "photos").glob("*.png"))

    def my_network(image: np.ndarray[Any, Any], tags: tuple[str, ...]) -> dict[str, np.ndarray[Any, Any]]:
        return dict.fromkeys(tags, image[::4, ::4, 0] / 255)

    tags = dict.fromkeys("abcd", ("disc", "square"))
    exec(block, {"photographs": photographs, "my_network": my_network, "tags": tags, "folder": folder})
    assert sorted(path.name for path in folder.glob("*.npz")) == ["a.npz", "b.npz", "c.npz", "d.npz"]
    (block,) = blocks("docs/operators.md")
    names: dict[str, Any] = {"boundary": torch.rand(12, 16), "activations": torch.rand(2, 12, 16)}
    exec(block, names)
    assert names["walked"].shape == (2, 12, 16)

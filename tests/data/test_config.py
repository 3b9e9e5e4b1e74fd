import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from weakseg.data.config import DataConfig
from weakseg.data.old_words import refuse_old_words
from weakseg.errors import ConfigError
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes

SLOW = ("torch", "numpy", "PIL", "cv2", "pycocotools", "jsonargparse", "yaml", "scipy")
OLD = [
    ("data", "masks", "found", r"data\.masks: is called data\.truth"),
    ("data", "tags", "masks", r"data\.tags: 'masks' is called 'truth'"),
    ("data", "labels", "masks", r"data\.labels: 'masks' is called 'regions'"),
    ("seeds", "use", "masks", r"seeds\.use: 'masks' is called 'regions'"),
]


def test_it_is_quick_to_import() -> None:
    """Parsers of command lines are built of it before anything is computed."""
    script = (
        "import sys\nfrom weakseg.data.config import DataConfig\nDataConfig()\n"
        f"print([name for name in {SLOW} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize("name", ["tags", "whats_the_point", "VOC", ""])
def test_unknown_formats(name: str) -> None:
    with pytest.raises(ConfigError, match=f"data.format: unknown '{name}'; .*voc, coco, folder, labelme, .* csv$"):
        DataConfig(format=name, train="t.csv")


def test_the_nearest_format_is_named() -> None:
    with pytest.raises(ConfigError, match=r"unknown 'label-me'; did you mean 'labelme'\? There are"):
        DataConfig(format="label-me", train="t")


@pytest.mark.parametrize("given", [{"format": "voc"}, {"format": "csv"}, {"min_pixels": 0}])
def test_contradictions(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=r"data\.(train|min_pixels): "):
        DataConfig(**given)


@pytest.mark.parametrize(("section", "setting", "value", "message"), OLD)
def test_old_words_in_recipes_and_on_command_lines(
    tmp_path: Path, section: str, setting: str, value: str, message: str
) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(f"method: drawn\n{section}: {{{setting}: {value}}}\n")
    with pytest.raises(ConfigError, match=rf"r\.yaml: {message}"):
        load_recipe(str(recipe))
    with pytest.raises(ConfigError, match=message):
        load_recipes(str(recipe), ["drawn"])
    for words in ([f"--{section}.{setting}", value], [f"--{section}.{setting}={value}"]):
        with pytest.raises(ConfigError, match=message):
            load_recipe("drawn", words)
        with pytest.raises(ConfigError, match=message):
            load_recipes("drawn", ["drawn"], words)


def test_old_words_of_one_method(tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text("methods: {whole: {method: drawn, seeds: {use: masks}}}\n")
    with pytest.raises(ConfigError, match=r"seeds\.use: 'masks' is called 'regions'"):
        load_recipes(str(recipe))


@pytest.mark.parametrize("given", [{"tags": "masks"}, {"labels": "masks"}])
def test_old_words_in_python(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="'masks' is called"):
        DataConfig(**given)


def test_other_words_pass() -> None:
    refuse_old_words({"masks": {"crf": {}}, "data": {"truth": "masks", "tags": "truth", "train": "masks"}})
    refuse_old_words(["masks", "--masks.crf.iterations", "3", "--data.truth", "masks", "--product", "masks"])

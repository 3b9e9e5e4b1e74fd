"""Settings of before have one error each, which says what they are called."""

from pathlib import Path
from typing import Any

import pytest

from weakseg.data.config import DataConfig
from weakseg.errors import ConfigError
from weakseg.methods.recipes import load_recipe
from weakseg.methods.shared_recipe import load_recipes
from weakseg.settings.old_words import refuse_old_words

OLD = [
    ("data", "masks", "found", r"data\.masks: is called data\.truth"),
    ("data", "tags", "masks", r"data\.tags: 'masks' is called 'truth'"),
    ("data", "labels", "masks", r"data\.labels: 'masks' is called 'regions'"),
    ("seeds", "use", "masks", r"seeds\.use: 'masks' is called 'regions'"),
    ("segmenter", "fit.poly_power", "0.5", r"fit\.poly_power: is called fit\.schedule\.power"),
    ("completion", "seed", "1", r"completion\.seed: is called seed"),
]


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

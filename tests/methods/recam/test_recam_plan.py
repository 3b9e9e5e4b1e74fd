"""What plans of ReCAM share with each other, and with those of other methods."""

from dataclasses import replace

import pytest

from generated import write_folder
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.errors import ConfigError
from weakseg.methods import METHODS
from weakseg.methods.irnet.config import IrnetRecipe
from weakseg.methods.recam.config import RecamRecipe
from weakseg.methods.recipe import Recipe
from weakseg.pipeline.keys import step_keys
from weakseg.settings.recam import RecamActivationsConfig, RecamConfig
from weakseg.settings.walk import BoundaryWalkConfig


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    root = write_folder(tmp_path_factory.mktemp("plans") / "data", 4)
    return open_dataset(DataConfig(root=str(root), format="folder", train="tags.json", val="val.json"))


def keys_of(recipe: Recipe, dataset: Dataset) -> dict[str, str]:
    return step_keys(METHODS[recipe.method].build(recipe, dataset), "data")


def test_what_is_trained_once(dataset: Dataset) -> None:
    keys = keys_of(RecamRecipe(), dataset)

    def shared(other: Recipe) -> set[str]:
        return {name for name, key in keys_of(other, dataset).items() if key == keys.get(name)}

    assert shared(RecamRecipe(activations=RecamActivationsConfig(weights="cls"))) == {"classifier", "recam"}
    assert shared(RecamRecipe(recam=RecamConfig(weight=0.0))) == {"classifier"}
    assert shared(IrnetRecipe()) == {"classifier"}
    assert shared(RecamRecipe(walk=BoundaryWalkConfig(background=0.3))) >= {"activations", "seeds", "boundary"}


def test_one_class_has_no_weights_of_the_second_layer(dataset: Dataset) -> None:
    one, recam = replace(dataset, classes=Classes(("disc",))), RecamActivationsConfig(weights="recam")
    assert "recam" in keys_of(RecamRecipe(), one) and "recam" in keys_of(RecamRecipe(activations=recam), dataset)
    with pytest.raises(ConfigError, match="softmax over one class"):
        keys_of(RecamRecipe(activations=recam), one)

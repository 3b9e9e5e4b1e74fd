from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from weakseg.errors import CheckpointError, ConfigError
from weakseg.nn.models import ModelFile, class_count, load_model
from weakseg.nn.weights import load_weights, save_model


def read_linear(file: ModelFile) -> nn.Module:
    return nn.Linear(2, int(file.header["size"]))


def failing(error: Exception) -> Callable[[ModelFile], nn.Module]:
    def read(file: ModelFile) -> nn.Module:
        raise error

    return read


BUILDERS = {"line": read_linear, "other": failing(ConfigError("not me"))}


def written(folder: Path, **header: Any) -> Path:
    path = folder / "m.safetensors"
    save_model(path, nn.Linear(2, 3), {"kind": "line", "size": 3, **header})
    return path


def test_the_kind_says_how_it_is_built(tmp_path: Path) -> None:
    path = written(tmp_path, note="mine")
    model, header = load_model(path, BUILDERS)
    assert isinstance(model, nn.Linear) and not model.training and header["note"] == "mine"
    assert model.state_dict()["weight"].equal(load_weights(path)["weight"])


@pytest.mark.parametrize("kind", ["tree", None, ["line"]])
def test_another_kind(tmp_path: Path, kind: Any) -> None:
    with pytest.raises(CheckpointError, match=r"m\.safetensors: is no line or other but a"):
        load_model(written(tmp_path, kind=kind), BUILDERS)


@pytest.mark.parametrize("kind", [KeyError, TypeError, ValueError, RuntimeError, ConfigError])
def test_headers_that_say_too_little(tmp_path: Path, kind: type[Exception]) -> None:
    with pytest.raises(CheckpointError, match=r"the header describes no network of kind 'line' \(.*size.*\); train"):
        load_model(written(tmp_path), {"line": failing(kind("size"))})


def test_headers_that_describe_another_network(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"belongs to another model; .* other shape \['bias', 'weight'"):
        load_model(written(tmp_path, size=4), BUILDERS)


class TestParts:
    def file(self) -> ModelFile:
        state = {f"head.{name}": value for name, value in nn.Linear(2, 3).state_dict().items()}
        return ModelFile(Path("m"), {}, {**state, "backbone.weight": torch.zeros(1)})

    def test_one_that_fits(self) -> None:
        self.file().check_part("head", lambda: nn.Linear(2, 3))

    @pytest.mark.parametrize("build", [lambda: nn.Linear(2, 10**11), lambda: nn.Linear(2, 3, bias=False)])
    def test_one_that_does_not(self, build: Callable[[], nn.Module]) -> None:
        with pytest.raises(CheckpointError, match="m: head: belongs to another model"):
            self.file().check_part("head", build)


def test_class_count() -> None:
    assert class_count({"classes": ["a", "b"]}) == 2
    for wrong in ({}, {"classes": None}):
        with pytest.raises((KeyError, TypeError)):
            class_count(wrong)

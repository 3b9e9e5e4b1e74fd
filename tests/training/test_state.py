from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import TinyModel
from weakseg.errors import CheckpointError
from weakseg.settings.fit import FitConfig
from weakseg.training.optimizers import build_optimizer
from weakseg.training.state import Progress, StateFile


class Total:
    def __init__(self, total: float = 0.0) -> None:
        self.total = total

    def state_dict(self) -> dict[str, Any]:
        return {"total": self.total}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total = state["total"]


class Mean(Total):
    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.total = state["mean"]


def trained(seed: int = 0) -> tuple[TinyModel, torch.optim.Optimizer]:
    model = TinyModel(seed=seed)
    optimizer = build_optimizer(model, FitConfig())
    model(torch.ones(2, 4)).square().sum().backward()
    optimizer.step()
    return model, optimizer


@pytest.fixture
def file(tmp_path: Path) -> StateFile:
    return StateFile(tmp_path / "state.pt", {"lr": 0.1})


def test_nothing_there(file: StateFile) -> None:
    assert file.load(*trained(), Total()) == (0, [])


def test_all_comes_back(file: StateFile) -> None:
    (model, optimizer), records, total = trained(), [{"epoch": 1, "loss": 0.5}], Total()
    file.save(Progress(model, optimizer, 1, records), Total(3.0))
    other, its_optimizer = trained(seed=1)
    assert file.load(other, its_optimizer, total) == (1, records) and total.total == 3
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)
    states = [found.state_dict()["state"] for found in (its_optimizer, optimizer)]
    torch.testing.assert_close(states[0], states[1], rtol=0, atol=0)


def test_other_settings(file: StateFile) -> None:
    file.save(Progress(*trained(), 1, []), None)
    with pytest.raises(CheckpointError, match=r"state\.pt: made with other settings; delete it"):
        StateFile(file.path, {"lr": 0.2}).load(*trained(), None)


def test_a_state_without_what_is_wanted(file: StateFile) -> None:
    file.save(Progress(*trained(), 1, []), Total())
    file.path.rename(file.path.with_name("total.pt"))
    Mean.__name__, name = "Total", Mean.__name__  # of the same name, so that only its content tells them apart
    try:
        with pytest.raises(CheckpointError, match=r"total\.pt: what it keeps does not fit Total \('mean'\)"):
            StateFile(file.path.with_name("total.pt"), file.settings).load(*trained(), Mean())
    finally:
        Mean.__name__ = name

import copy
import errno
from pathlib import Path
from typing import Any

import pytest
import torch

from tiny import TinyModel
from weakseg.errors import CheckpointError
from weakseg.nn.weights import load_state, save_state
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


class TestScaler:
    """What scales losses in half precision; a CPU has one, too."""

    @staticmethod
    def scaler(scale: float) -> torch.amp.GradScaler:
        return torch.amp.GradScaler("cpu", init_scale=scale, growth_interval=7)

    def test_it_comes_back(self, file: StateFile) -> None:
        model, optimizer = trained()
        saved, found = self.scaler(512.0), self.scaler(65536.0)
        saved.scale(torch.ones(1))
        saved.update(1024.0)
        file.save(Progress(model, optimizer, 1, [], saved), None)
        assert file.load(model, optimizer, None, found) == (1, [])
        assert found.state_dict() == saved.state_dict() and found.get_scale() == 1024

    def test_a_state_without_one_leaves_it_as_it_is(self, file: StateFile) -> None:
        file.save(Progress(*trained(), 1, []), None)
        found = self.scaler(512.0)
        assert file.load(*trained(), None, found) == (1, []) and found.get_scale() == 512

    def test_one_that_is_none_begins_anew(self, file: StateFile, caplog: pytest.LogCaptureFixture) -> None:
        file.save(Progress(*trained(), 1, []), None)
        save_state(file.path, {**load_state(file.path), "scaler": {}})
        assert file.load(*trained(), None, self.scaler(512.0)) == (0, [])
        assert "does not hold the state of a training" in caplog.text


def test_other_settings(file: StateFile) -> None:
    file.save(Progress(*trained(), 1, []), None)
    with pytest.raises(CheckpointError, match=r"state\.pt: made with other settings; delete it"):
        StateFile(file.path, {"lr": 0.2}).load(*trained(), None)


def test_a_damaged_state_changes_nothing(file: StateFile, caplog: pytest.LogCaptureFixture) -> None:
    """Whatever part of it is: what was restored before that is as it was."""
    file.save(Progress(*trained(), 1, [{"epoch": 1}]), Total(3.0))
    whole = load_state(file.path)
    for change, message in (
        ({"epoch": "1"}, "does not hold the state of a training (ValueError: '1' is no number of epochs)"),
        ({"records": 5}, "does not hold the state of a training (TypeError"),
        ({"model": 5}, "does not hold the state of a training (TypeError"),
        ({"optimizer": {"state": {}, "param_groups": []}}, "does not hold the state of a training (ValueError"),
        ({"settings": None}, ""),
    ):
        found = {**whole, **change}
        if change == {"settings": None}:
            del found["settings"]
        save_state(file.path, found)
        (model, optimizer), total = trained(seed=1), Total(7.0)
        before = copy.deepcopy([model.state_dict(), optimizer.state_dict()])
        caplog.clear()
        assert file.load(model, optimizer, total) == (0, [])
        assert f"{file.path}: " in caplog.text and message in caplog.text and "begins anew" in caplog.text
        torch.testing.assert_close([model.state_dict(), optimizer.state_dict()], before, rtol=0, atol=0)
        assert total.total == 7


def test_what_is_of_something_else_or_may_be_read_later_is_no_damage(
    file: StateFile, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.save(Progress(*trained(), 1, []), Total())
    with pytest.raises(CheckpointError, match=r"keeps the state of Total, but that of nothing is wanted; delete it"):
        file.load(*trained(), None)
    other = StateFile(file.path.with_name("other.pt"), file.settings)
    save_state(other.path, {**load_state(file.path), "kept": {"name": "Total", "state": {"mean": 1}}})
    with pytest.raises(CheckpointError, match=r"other\.pt: what it keeps does not fit Total \('total'\)"):
        other.load(*trained(), Total())

    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.EIO, "input/output error")

    monkeypatch.setattr(torch, "load", fail)
    with pytest.raises(CheckpointError, match="input/output error"):
        file.load(*trained(), Total())

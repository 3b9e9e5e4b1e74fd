from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from tiny import CONFIG, NoisyLine, TinyModel, squared_error
from weakseg.nn.weights import MODEL_FILE, load_weights, read_header
from weakseg.rng import numpy_generator_for
from weakseg.training.loop import EpochDone, Fit, FitPlace, Records, drained
from weakseg.training.train import Training, train_model


class Drawn(TinyModel):
    """Draws its weights from the global generator as it finds it."""

    def __init__(self) -> None:
        state = torch.get_rng_state()
        super().__init__()
        torch.set_rng_state(state)
        self.head = nn.Linear(6, 1)


SLOW = replace(CONFIG, lr=0.005)
TRAINING: Training[TinyModel] = Training("line", Drawn, NoisyLine(), squared_error, SLOW, {"kind": "line", "size": 6})


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return load_weights(folder / MODEL_FILE)


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    records = train_model(TRAINING, FitPlace(tmp_path))
    assert read_header(tmp_path / MODEL_FILE) == {"kind": "line", "size": 6}
    assert [record["epoch"] for record in records] == [1, 2, 3]


def test_initial_weights_come_from_the_seed_and_the_title(tmp_path: Path) -> None:
    places = [FitPlace(tmp_path / str(n), seed) for n, seed in enumerate((0, 0, 1))]
    for number, place in enumerate(places):
        torch.manual_seed(number)  # does not matter
        train_model(TRAINING, place)
    train_model(replace(TRAINING, title="plane"), FitPlace(tmp_path / "3"))
    found = [weights(tmp_path / str(n))["head.weight"] for n in range(4)]
    assert found[0].equal(found[1]) and not found[0].equal(found[2]) and not found[0].equal(found[3])


def test_they_are_those_of_the_builder(tmp_path: Path) -> None:
    torch.manual_seed(numpy_generator_for(5, "", "line/init").integers(2**62))
    fit = Fit(Drawn(), NoisyLine(), squared_error, SLOW, FitPlace(tmp_path / "a", 5), "line")
    fit.run()
    train_model(TRAINING, FitPlace(tmp_path / "b", 5))
    torch.testing.assert_close(weights(tmp_path / "b"), fit.model.state_dict(), rtol=0, atol=0)


def test_what_is_left_after_the_last_epoch(tmp_path: Path) -> None:
    def complete(model: TinyModel, records: Records) -> dict[str, Any]:
        records[-1]["measured"] = 7.0
        nn.init.zeros_(model.head.bias)
        return {"measured": records[-1]["measured"]}

    records = train_model(replace(TRAINING, complete=complete), FitPlace(tmp_path))
    assert records[-1]["measured"] == 7 and float(weights(tmp_path)["head.bias"]) == 0
    assert read_header(tmp_path / MODEL_FILE) == {"kind": "line", "size": 6, "measured": 7.0}


def test_a_caller_may_go_through_the_moments(tmp_path: Path) -> None:
    seen: list[int] = []

    def learn(fit: Fit) -> Records:
        moments = fit.moments()
        seen.extend(moment.epoch for moment in [next(moments) for _ in range(5)] if isinstance(moment, EpochDone))
        return drained(moments)

    train_model(TRAINING, FitPlace(tmp_path / "a"), learn=learn)
    train_model(TRAINING, FitPlace(tmp_path / "b"))
    torch.testing.assert_close(weights(tmp_path / "a"), weights(tmp_path / "b"), rtol=0, atol=0)
    assert seen == [0]


def test_examples_can_be_joined(tmp_path: Path) -> None:
    def join(examples: list[tuple[torch.Tensor, ...]]) -> list[torch.Tensor]:
        return [2 * torch.stack(part) for part in zip(*examples, strict=True)]

    for name, collate in (("a", None), ("b", join)):
        train_model(replace(TRAINING, collate=collate), FitPlace(tmp_path / name))
    with pytest.raises(AssertionError):
        torch.testing.assert_close(weights(tmp_path / "a"), weights(tmp_path / "b"))

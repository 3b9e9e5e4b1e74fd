"""Trainings on a GPU: the processor's weights in single precision, sound ones in half, and states that go on."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agreement import SINGLE, assert_agree
from device_stages import CALM, train_tiny, train_tiny_in_two
from tiny import NoisyLine, TinyModel, squared_error
from weakseg.settings.fit import Precision
from weakseg.training.loop import Fit, FitPlace, StepDone


def test_weights_are_those_of_the_processor(tmp_path: Path) -> None:
    assert_agree(train_tiny(tmp_path / "a", "cuda"), train_tiny(tmp_path / "b", "cpu"), SINGLE)


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_every_precision_learns(precision: Precision, tmp_path: Path) -> None:
    # the processor's losses fall from 4.0 to 0.05 in six epochs; the first steps of fp16 overflow, and are skipped
    model = TinyModel(dropout=0.0)
    config = replace(CALM, epochs=6, precision=precision)
    records = Fit(model, NoisyLine(), squared_error, config, FitPlace(tmp_path, 0, "cuda")).run()
    assert all(parameter.isfinite().all() and parameter.dtype == torch.float32 for parameter in model.parameters())
    assert records[-1]["loss"] < 1 < records[0]["loss"] < 5


@pytest.mark.parametrize("precision", ["no", "bf16", "fp16"])
def test_an_interrupted_training_goes_on(precision: Precision, tmp_path: Path) -> None:
    config = replace(CALM, precision=precision)
    whole, parts = train_tiny(tmp_path / "a", "cuda", config), train_tiny_in_two(tmp_path / "b", "cuda", config)
    assert_agree(parts, whole, 1e-5 if precision == "no" else 1e-2)  # also by the scale of fp16, which is kept


def test_a_state_goes_on_where_it_was_not_made(tmp_path: Path) -> None:
    whole = train_tiny(tmp_path / "whole", "cpu")
    for first, then in (("cuda", "cpu"), ("cpu", "cuda")):
        with pytest.raises(KeyboardInterrupt):
            train_tiny(tmp_path / first, first, stop=(1, 3))
        assert_agree(train_tiny(tmp_path / first, then), whole, SINGLE)


def test_what_is_told_of_a_step_is_on_the_device(tmp_path: Path) -> None:
    moments = Fit(TinyModel(), NoisyLine(), squared_error, CALM, FitPlace(tmp_path, 0, "cuda")).moments()
    first = next(moments)
    moments.close()
    assert isinstance(first, StepDone) and isinstance(first.loss, float) and all(part.is_cuda for part in first.batch)

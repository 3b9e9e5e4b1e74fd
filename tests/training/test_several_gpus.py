"""What needs GPUs; on CPUs ``test_portions.py``, ``test_state.py`` and ``test_together.py`` see what can be seen."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from four_images import four_words, write_four
from tiny import CONFIG, NoisyLine, TinyModel, squared_error
from weakseg.cli.main import main
from weakseg.nn.weights import load_state, load_weights
from weakseg.training.loop import EpochDone, Fit, FitPlace, StepDone


def fit(folder: Path) -> Fit:
    config = replace(CONFIG, precision="fp16", epochs=4)
    return Fit(TinyModel(dropout=0.0), NoisyLine(), squared_error, config, FitPlace(folder, device="cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_the_scale_of_half_precision_is_in_the_state(tmp_path: Path) -> None:
    for moment in fit(tmp_path / "a").moments():
        if isinstance(moment, StepDone) and moment.epoch == 2:
            break
    state = load_state(tmp_path / "a" / "state.pt")
    assert state["epoch"] == 2 and state["scaler"]["scale"] > 0
    done = [moment.epoch for moment in fit(tmp_path / "a").moments() if isinstance(moment, EpochDone)]
    assert done == [2, 3]
    fit(tmp_path / "b").run()
    found, expected = (load_state(tmp_path / name / "state.pt") for name in "ab")
    assert found["scaler"] == expected["scaler"]
    torch.testing.assert_close(found["model"], expected["model"], rtol=0, atol=1e-4)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two GPUs")
@pytest.mark.parametrize(("precision", "tolerance"), [("no", 1e-3), ("fp16", 1e-2)])
def test_two_train_what_one_does(tmp_path: Path, precision: str, tolerance: float) -> None:
    """Norms take the statistics of the whole batch, which two processes share."""
    write_four(tmp_path)
    more = ["--device=cuda", "--model.head=score", "--fit.norm_statistics=batch", f"--fit.precision={precision}"]
    for out, gpus in (("one", 1), ("two", 2)):
        assert main([*four_words(tmp_path, out)[:-1], *more, f"--gpus={gpus}"]) == 0
    one, two = (load_weights(tmp_path / out / "model.safetensors") for out in ("one", "two"))
    torch.testing.assert_close(two, one, rtol=0, atol=tolerance)

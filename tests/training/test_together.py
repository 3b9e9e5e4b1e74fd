"""Two real processes train what one does: ``tests/together.py`` under torchrun, on CPUs."""

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image

import together
from generated import FAST, folder_arguments, write_folder
from tiny import NoisyLine, TinyModel, squared_error
from weakseg.cli.main import main
from weakseg.nn.weights import load_state, load_weights
from weakseg.stages.accumulated import ACCUMULATED_FILE
from weakseg.training.loop import Fit, FitPlace

TESTS = Path(__file__).parents[1]
SHORT = [
    "--classifier.frozen=false",
    "--classifier.fit.epochs=1",
    "--segmenter.fit.epochs=1",
    "--segmenter.model.head=score",
    "--workers=1",
]


class Ended(NamedTuple):
    """What two processes have left, and what one has; and what the two have said."""

    two: Path
    one: Path
    said: str


@pytest.fixture(scope="module")
def ended(real_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("together")
    two, one, msrc = folder / "two", folder / "one", real_data / "msrc"
    words = ["run", "cam", "--device=cpu", *folder_arguments(write_folder(folder / "data", 8)), *FAST, *SHORT, "--out"]
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launcher, str(TESTS / "together.py"), str(two), str(msrc), *words, str(two / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=TESTS) as process:
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        for name, train in together.trainings(msrc).items():
            train(one / name)
        assert main([*words, str(one / "run")]) == 0
        torch.set_num_threads(threads)
        said, _ = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return Ended(two, one, said)


def records(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return [{name: value for name, value in json.loads(line).items() if name != "seconds"} for line in lines]


EQUAL = ("plain", "adamw", "iterations", "classifier", "segmenter", "boundary", "accumulating", "seeded")


class TestWeights:
    @pytest.mark.parametrize("name", EQUAL)
    def test_they_are_those_of_one_process(self, ended: Ended, name: str) -> None:
        found, expected = (load_weights(folder / name / "model.safetensors") for folder in (ended.two, ended.one))
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)

    @pytest.mark.parametrize("name", EQUAL)
    def test_records_are_of_whole_batches(self, ended: Ended, name: str) -> None:
        found, expected = records(ended.two / name), records(ended.one / name)
        assert [r.pop("loss") for r in found] == pytest.approx([r.pop("loss") for r in expected], abs=1e-5)
        assert found == expected  # mAP, and what has grown

    def test_what_is_accumulated_is_the_same_but_for_rounding(self, ended: Ended) -> None:
        found, expected = (load_weights(f / "accumulating" / ACCUMULATED_FILE) for f in (ended.two, ended.one))
        assert found.keys() == expected.keys()
        for name in found:
            assert (found[name].long() - expected[name].long()).abs().max() <= (name == "values")

    @pytest.mark.parametrize("name", ["dropout", "normed"])
    def test_dropout_and_norms_of_parts_of_batches_differ(self, ended: Ended, name: str) -> None:
        found, expected = (load_weights(folder / name / "model.safetensors") for folder in (ended.two, ended.one))
        assert found.keys() == expected.keys()
        assert max((found[n].double() - expected[n].double()).abs().max() for n in found) > 1e-3

    def test_norms_on_cpus_are_told_once(self, ended: Ended) -> None:
        assert ended.said.count("1 batch norms take the statistics of each process's part of a batch") == 1

    def test_two_epochs_in_two_two_in_one_two_in_two(self, ended: Ended) -> None:
        config = replace(together.CONFIG, epochs=6)
        place = FitPlace(ended.one / "resumed")
        Fit(TinyModel(dropout=0.0), NoisyLine(9), squared_error, config, place).run()
        found, expected = (load_state(folder / "resumed" / "state.pt") for folder in (ended.two, ended.one))
        for part in ("model", "optimizer"):
            torch.testing.assert_close(found[part], expected[part], rtol=0, atol=1e-5)
        assert len(found["records"]) == 6


class TestRun:
    def test_both_leave_the_same_files(self, ended: Ended) -> None:
        found, expected = (
            {path.relative_to(folder) for path in (folder / "run").rglob("*")} for folder in (ended.two, ended.one)
        )
        assert found == expected and len(found) > 40

    def test_manifests_say_the_same_but_for_times(self, ended: Ended) -> None:
        for path in sorted((ended.one / "run").glob("*/manifest.json")):
            found, expected = (
                json.loads((folder / path.relative_to(ended.one)).read_text()) for folder in (ended.two, ended.one)
            )
            for name in ("step", "key", "settings", "versions", "complete"):
                assert found.get(name) == expected.get(name), path
            assert found["summary"].keys() == expected["summary"].keys()
            assert found["summary"]["workers"] == 1

    @pytest.mark.parametrize("step", ["seeds", "masks", "predictions"])
    def test_masks_are_nearly_those_of_one_process(self, ended: Ended, step: str) -> None:
        paths = sorted((ended.one / "run" / step).glob("*.png"))
        shares = []
        for path in paths:
            found, expected = (
                np.asarray(Image.open(folder / path.relative_to(ended.one))) for folder in (ended.two, ended.one)
            )
            shares.append((found != expected).mean())
        assert len(paths) >= 2 and max(shares) < 0.005

    def test_one_process_speaks(self, ended: Ended) -> None:
        lines = ended.said.splitlines()
        assert sum(line.startswith("report: ") for line in lines) == 1
        assert sum("step 1 of 8" in line for line in lines) == 1
        assert sum("classifier: 2 processes share batches of 4" in line for line in lines) == 1
        assert sum(line.startswith("segmenter: done in") for line in lines) == 1


def test_each_training_is_in_one_of_the_lists() -> None:
    named: dict[str, Callable[[Path], None]] = together.trainings(Path())
    assert set(named) == {*EQUAL, "dropout", "normed"}

"""A command as several processes: who is started, who speaks, and how all end when one fails."""

import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from four_images import four_words, halve_image_of, write_four
from weakseg import crew as crews
from weakseg.cli.main import main
from weakseg.cli.several import check_gpus, start
from weakseg.crew import ALONE, Crew, crew, launched
from weakseg.errors import ConfigError
from weakseg.pipeline.options import RunOptions


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Return the patch of an environment in which this process is not joined yet."""
    monkeypatch.setattr(crews, "_current", None)
    return monkeypatch


class TestGpus:
    @pytest.mark.skipif(torch.cuda.device_count() > 1, reason="there are GPUs here")
    def test_more_than_there_are(self, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
        assert main(["run", "cam", "--out", str(tmp_path / "out"), "--data.root=x", "--gpus", "2"]) == 2
        assert "--gpus 2: torch sees" in capsys.readouterr().err
        assert not (tmp_path / "out").exists()

    @pytest.mark.parametrize(
        ("words", "message"),
        [
            (("--gpus", "0"), "--gpus: 1 or more, got 0"),
            (("--gpus=2", "--device=cpu"), "torchrun --nproc-per-node 2 -m weakseg"),
            (("--gpus", "two"), "gpus: need a whole number"),
        ],
    )
    def test_what_means_nothing(
        self, words: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert main(["run", "cam", "--out", str(tmp_path / "out"), "--data.root=x", *words]) == 2
        assert message in capsys.readouterr().err

    def test_as_many_as_there_are_start_the_same_command(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        started: list[tuple[int, list[str]]] = []

        def noted(count: int, words: list[str]) -> int:
            started.append((count, words))
            return 1

        monkeypatch.setattr("weakseg.cli.main.start", noted)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: 3)
        words = ["run", "cam", "--out", str(tmp_path / "out"), "--data.root=x", "--gpus", "3"]
        assert main(words) == 1  # some images failed
        assert started == [(3, words)] and not (tmp_path / "out").exists()

    def test_another_number_than_the_launchers(self, launcher: pytest.MonkeyPatch, tmp_path: Path) -> None:
        launcher.setattr(crews, "_current", Crew(0, 2))
        launcher.setattr("weakseg.cli.main.prepare", lambda verb: ALONE)
        with pytest.raises(ConfigError, match="a launcher has started 2 processes; leave it out"):
            check_gpus(4, "auto")

    def test_verbs_that_train_nothing_have_no_such_flag(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert main(["predict", "--gpus", "2"]) == 2
        assert "--gpus" in capsys.readouterr().err


class TestLauncher:
    @pytest.mark.parametrize(("text", "count"), [("", 1), ("1", 1), ("8", 8), ("many", 1)])
    def test_how_many(self, launcher: pytest.MonkeyPatch, text: str, count: int) -> None:
        launcher.setenv("WORLD_SIZE", text)
        assert launched() == count

    def test_one_that_says_half(self, launcher: pytest.MonkeyPatch) -> None:
        launcher.setenv("WORLD_SIZE", "2")
        for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
            launcher.delenv(name, raising=False)
        with pytest.raises(ConfigError, match=r"WORLD_SIZE is 2, but RANK, MASTER_ADDR, MASTER_PORT not set"):
            crew()

    def test_verbs_that_train_nothing_use_one_process(
        self, launcher: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO, "weakseg")
        for rank, code in (("1", 0), ("0", 2)):
            launcher.setenv("WORLD_SIZE", "2")
            launcher.setenv("RANK", rank)
            assert main(["predict"]) == code
            assert bool(capsys.readouterr().err) == (rank == "0")
        assert "predict: nothing is trained; one of 2 processes works" in caplog.text
        assert "WORLD_SIZE" not in os.environ and crew() is ALONE

    def test_more_processes_than_gpus(self, launcher: pytest.MonkeyPatch) -> None:
        launcher.setattr(crews, "_current", Crew(2, 3, local_rank=2))
        launcher.setattr(torch.cuda, "is_available", lambda: True)
        launcher.setattr(torch.cuda, "device_count", lambda: 2)
        with pytest.raises(ConfigError, match="3 processes or more on a machine with 2 GPUs; start one for each"):
            RunOptions().resolve()

    def test_each_process_has_its_gpu(self, launcher: pytest.MonkeyPatch) -> None:
        chosen: list[int] = []
        launcher.setattr(crews, "_current", Crew(5, 6, local_rank=1))
        launcher.setattr(torch.cuda, "is_available", lambda: True)
        launcher.setattr(torch.cuda, "device_count", lambda: 2)
        launcher.setattr(torch.cuda, "set_device", chosen.append)
        assert RunOptions().resolve() == RunOptions(1, "cuda") and chosen == [1]
        assert RunOptions(3, "cpu").resolve() == RunOptions(3, "cpu") and chosen == [1]


class TestErrors:
    def test_one_of_a_process_that_follows_ends_all_and_is_told_once(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = halve_image_of(1, write_four(tmp_path))
        assert start(2, four_words(tmp_path, "out")) == 2
        said = capfd.readouterr().err
        assert said.count("weakseg train-segmenter: ") == 1 and f"{path}: cannot be read as an image" in said, said
        assert "Traceback" not in said
        left = {found.name for found in (tmp_path / "out").iterdir()}
        assert left == {".weakseg.lock", "settings.json", "metrics.jsonl"}

    def test_one_of_the_first_process_ends_those_that_wait(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        (write_four(tmp_path) / "out").mkdir()
        (tmp_path / "out" / "letter.txt").write_text("Dear")
        assert start(2, four_words(tmp_path, "out")) == 2
        said = capfd.readouterr().err
        assert said.count("weakseg train-segmenter: ") == 1 and "holds files that are not weakseg's" in said, said
        assert "Traceback" not in said and len(list((tmp_path / "out").iterdir())) == 1


def test_the_command_starts_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "weakseg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("weakseg ")

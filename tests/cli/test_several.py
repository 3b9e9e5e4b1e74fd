"""A command as several processes: who is started, who speaks, and how all end when one fails."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import torch
from PIL import Image

from generated import CLASSES, draw
from weakseg import crew as crews
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.cli.several import launched, start
from weakseg.crew import ALONE, Crew, crew
from weakseg.errors import ConfigError
from weakseg.pipeline.options import RunOptions
from weakseg.rng import generator_for
from weakseg.training.batches import Batching, epoch_loader


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
            from weakseg.cli.several import check_gpus

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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("four")
    (root / "i").mkdir()
    for index in range(4):
        image, mask = draw(index)
        Image.fromarray(image).save(root / "i" / f"{index}.png")
        LabelMap(mask).save(root / "m" / f"{index}.png")
    (root / "c.txt").write_text("\n".join(CLASSES))
    return root


def words(root: Path, out: str) -> list[str]:
    """Return a training of one batch of four images."""
    settings = ["--fit.epochs=1", "--fit.batch_size=4", "--augment.long_side=[64,80]", "--augment.crop=64"]
    paths = [f"--{name}={root / path}" for name, path in (("masks", "m"), ("images", "i"), ("classes", "c.txt"))]
    return ["train-segmenter", *paths, f"--out={root / out}", *settings, "--device=cpu"]


class FourData:
    def __len__(self) -> int:
        return 4

    def load(self, index: int, epoch: int) -> tuple[torch.Tensor]:
        return (torch.tensor(index),)


def seen_by(rank: int) -> int:
    """Return the last image that a process of two sees of the batch."""
    order, batching = generator_for(0, "", "segmenter/order/0"), Batching(1, 4, crew=Crew(rank, 2))
    ((_, indices),) = epoch_loader(FourData(), 0, batching=batching, generator=order)
    return indices[-1]


class TestErrors:
    @pytest.mark.parametrize("rank", [1, 0])
    def test_one_of_any_process_ends_all_and_is_told_once(
        self, folder: Path, rank: int, capfd: pytest.CaptureFixture[str]
    ) -> None:
        path = folder / "i" / f"{seen_by(rank)}.png"
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        begun = time.monotonic()
        try:
            assert start(2, words(folder, f"out{rank}")) == 2
        finally:
            path.write_bytes(whole)
        said = capfd.readouterr().err
        assert said.count("weakseg train-segmenter: ") == 1 and said.count(f"{path.name}") >= 1, said
        assert "Traceback" not in said and time.monotonic() - begun < 60
        left = {found.name for found in (folder / f"out{rank}").iterdir()}
        assert left <= {".weakseg.lock", "settings.json", "metrics.jsonl"}

    def test_a_process_that_is_killed_ends_all(self, folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
        killed: list[int] = []

        def kill() -> None:
            while not (folder / "killed" / "settings.json").exists():
                time.sleep(0.05)
            children = subprocess.run(
                ["pgrep", "-P", str(os.getpid()), "-f", "weakseg train-segmenter"], capture_output=True, check=True
            )
            killed.extend(map(int, children.stdout.split()))
            os.kill(max(killed), signal.SIGKILL)

        threading.Thread(target=kill, daemon=True).start()
        more = ["--fit.epochs=10000"]
        assert start(2, [*words(folder, "killed"), *more]) == 2
        said = capfd.readouterr().err
        assert len(killed) == 2
        assert "another process of this command has ended" in said
        assert "process 1 of 2 was ended by the system (signal 9)" in said


def test_the_command_starts_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "weakseg", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("weakseg ")

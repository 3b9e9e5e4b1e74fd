"""Processes of this machine."""

import os
import signal
from pathlib import Path

import psutil
import pytest
import torch

from weakseg.errors import WeaksegError
from weakseg.pipeline.engines.local import LocalEngine, default_workers, one_thread


def square(value: int) -> tuple[int, int, int]:
    return value * value, torch.get_num_threads(), os.getpid()


def working_folder(_: int) -> str:
    return str(Path.cwd())


def die(value: int) -> int:
    if value == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return value


@pytest.mark.parametrize("workers", [1, 2])
def test_each_item_comes_with_what_was_made_of_it_on_one_thread(workers: int) -> None:
    found = dict(LocalEngine(workers).map(square, range(6), title="squares"))
    assert {item: value for item, (value, _, _) in found.items()} == {n: n * n for n in range(6)}
    assert {threads for _, threads, _ in found.values()} == {1}


def test_idle_processes_follow_to_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Else relative paths would lead to where they were started."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        monkeypatch.chdir(tmp_path / name)
        found = {place for _, place in LocalEngine(2).map(working_folder, range(4), title="folders")}
        assert found == {str(tmp_path / name)}
    LocalEngine(2).release()


def test_one_worker_or_one_item_is_this_process() -> None:
    for engine, items in ((LocalEngine(1), [1, 2]), (LocalEngine(), [1]), (LocalEngine(4), [1])):
        assert {process for _, (_, _, process) in engine.map(square, items, title="squares")} == {os.getpid()}
    assert list(LocalEngine(4).map(square, [], title="squares")) == []


def test_several_are_other_processes_until_they_are_released() -> None:
    engine = LocalEngine(2)
    found = {process for _, (_, _, process) in engine.map(square, range(4), title="squares")}
    assert os.getpid() not in found and all(map(psutil.pid_exists, found))
    engine.release()
    engine.release()
    assert not any(map(psutil.pid_exists, found))


def test_threads_of_this_process_are_restored_even_if_nobody_asks_for_the_rest() -> None:
    before = torch.get_num_threads()
    rest = LocalEngine(1).map(square, [1, 2, 3], title="squares")
    next(rest)
    del rest
    assert torch.get_num_threads() == before


def test_a_process_that_the_system_ended_is_an_error_that_names_the_step() -> None:
    with pytest.raises(WeaksegError, match=r"masks: a process was ended by the system.*use fewer --workers"):
        list(LocalEngine(2).map(die, range(4), title="masks"))


def test_there_is_a_worker_at_least() -> None:
    assert default_workers() >= 1


def test_one_thread() -> None:
    before = torch.get_num_threads()
    try:
        one_thread()
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)

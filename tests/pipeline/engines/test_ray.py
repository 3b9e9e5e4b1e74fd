"""Actors of a local Ray, and addresses where none is."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import torch

from weakseg.errors import ConfigError, OutputError
from weakseg.pipeline.engines import WorkerDied
from weakseg.pipeline.engines.ray import RayEngine
from weakseg.pipeline.engines.ray_cluster import disconnect
from weakseg.pipeline.options import RunOptions

ENGINE = RayEngine(2, units_per_call=2)


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    ENGINE.release()
    disconnect()


def square(value: int) -> tuple[int, int, int]:
    return value * value, torch.get_num_threads(), os.getpid()


def slow(value: int) -> int:
    time.sleep(0.05)
    return os.getpid()


def die(value: int) -> int:
    if value == 2:
        os.kill(os.getpid(), signal.SIGSEGV)
    return value


def full(value: int) -> int:
    if value == 3:
        raise OutputError("no space")
    return value


ADDRESSES = {
    "127.0.0.1:1": r"nothing answers at 127.0.0.1:1 .*ray start --head.*leave --address out",
    "auto": "no Ray runs on this machine",
    "ray://127.0.0.1:10001": "HOST:PORT of the head",
    "nowhere": "HOST:PORT of the head",
    "nowhere:99999": "HOST:PORT of the head",
}
CONNECT = """
import sys
from weakseg.errors import ConfigError
from weakseg.pipeline.engines.ray_cluster import connect
for address in sys.argv[1:]:
    try:
        connect(address)
    except ConfigError as error:
        print(error)
"""


def test_an_address_where_no_ray_is() -> None:
    """First, for there is a Ray on this machine once the others have begun."""
    begun, environment = time.monotonic(), {**os.environ, "RAY_ADDRESS": ""}
    others = any(process.name() == "raylet" for process in psutil.process_iter())  # of tests beside this one
    asked = {address: message for address, message in ADDRESSES.items() if not (others and address == "auto")}
    words = [sys.executable, "-c", CONNECT, *asked]
    said = subprocess.run(words, capture_output=True, text=True, check=True, env=environment).stdout.splitlines()
    assert time.monotonic() - begun < 30
    for message, line in zip(asked.values(), said, strict=True):
        with pytest.raises(ConfigError, match=message):
            raise ConfigError(line)


def test_each_item_comes_with_what_was_made_of_it_on_one_thread() -> None:
    found = dict(ENGINE.map(square, range(20), title="squares"))
    assert {item: value for item, (value, _, _) in found.items()} == {n: n * n for n in range(20)}
    assert {threads for _, threads, _ in found.values()} == {1}
    assert os.getpid() not in {process for _, _, process in found.values()}
    assert list(ENGINE.map(square, [], title="squares")) == []


def test_both_actors_work_and_stay_until_they_are_released() -> None:
    first: set[int] = set()
    until = time.monotonic() + 60
    while len(first) < 2 and time.monotonic() < until:  # one may start long before the other, and does all meanwhile
        first |= {process for _, process in ENGINE.map(slow, range(12), title="slow")}
    assert first == {process for _, process in ENGINE.map(slow, range(12), title="slow")}
    assert len(first) == 2 and all(map(psutil.pid_exists, first))
    ENGINE.release()
    until = time.monotonic() + 10
    while any(map(psutil.pid_exists, first)) and time.monotonic() < until:
        time.sleep(0.05)
    assert not any(map(psutil.pid_exists, first))


def test_a_death_comes_after_what_the_others_have_done_and_the_next_call_has_living_actors() -> None:
    found = []
    with pytest.raises(WorkerDied, match=r"masks: a process was ended by the system.*use fewer --workers"):
        for item, _ in ENGINE.map(die, range(8), title="masks"):
            found.append(item)
    assert 2 not in found
    assert {item for item, _ in ENGINE.map(square, range(8), title="squares")} == set(range(8))


def test_each_alone_says_which_one_it_was() -> None:
    found = dict(ENGINE.each_alone(die, range(4), title="masks"))
    assert isinstance(found.pop(2), WorkerDied) and found == {0: 0, 1: 1, 3: 3}


def test_an_error_comes_as_it_is() -> None:
    with pytest.raises(OutputError, match=r"^no space$"):
        list(ENGINE.map(full, range(8), title="masks"))


def test_sigterm_is_left_to_this_process() -> None:
    list(ENGINE.map(square, range(2), title="squares"))
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


def test_where_ray_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install 'weakseg\[ray\]', or use the engine 'joblib'"):
        RunOptions(device="cpu", engine="ray").resolve()


def test_an_address_where_something_else_answers() -> None:
    from weakseg.pipeline.engines import ray_cluster

    with socket.create_server(("127.0.0.1", 0)) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr(ray_cluster, "CHECK_S", 4.0)
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with pytest.raises(ConfigError, match=f"what answers at {address} is no Ray, or wants a token"):
            ray_cluster._check_runs(address)


DRIVER = """
import os, sys, time
from weakseg.pipeline.engines.ray import RayEngine
from weakseg.pipeline.options import RunOptions
def work(value):
    print(os.getpid(), file=open(sys.argv[1] + f"/{value}", "w"))
    time.sleep(60)
if __name__ == "__main__":
    list(RayEngine(2).map(work, [1, 2], title="sleep"))
"""


def test_the_end_of_the_driver_ends_its_ray(tmp_path: Path) -> None:
    (tmp_path / "driver.py").write_text(DRIVER.replace("sys.argv[1]", repr(str(tmp_path))))
    with subprocess.Popen([sys.executable, str(tmp_path / "driver.py")], stderr=subprocess.DEVNULL) as driver:
        until = time.monotonic() + 60
        while len(list(tmp_path.glob("[12]"))) < 2 and time.monotonic() < until:
            time.sleep(0.1)
        started = psutil.Process(driver.pid).children(recursive=True)
        workers = [process for process in started if not process.name().endswith("Agent")]  # which end a little later
        assert len(workers) > 3
        driver.kill()
        driver.wait()
    assert psutil.wait_procs(workers, timeout=15)[1] == []

"""A task on a server of this machine, and credentials for it in the environment."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from cvat_server import TOKEN, FakeTask, served
from generated import CLASSES, draw

NAMES = ("i00.png", "i01.png", "Fotos/i02.jpg", "i03.png")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """No credentials but those that a test sets, and no folder of the user."""
    for name in ("CVAT_HOST", "CVAT_USERNAME", "CVAT_PASSWORD", "CVAT_ACCESS_TOKEN", "PASS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return monkeypatch


@pytest.fixture
def task() -> FakeTask:
    """Four drawn photographs, one of them in a folder."""
    return FakeTask({name: draw(index)[0] for index, name in enumerate(NAMES)}, dict.fromkeys(CLASSES, "any"))


@pytest.fixture
def host(task: FakeTask, environment: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of the task's server, which the environment names, with a token."""
    with served(task) as address:
        environment.setenv("CVAT_HOST", address)
        environment.setenv("CVAT_ACCESS_TOKEN", TOKEN)
        yield address

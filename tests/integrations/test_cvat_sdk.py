"""Connections to CVAT: credentials, and what is said of servers that refuse."""

import sys
from pathlib import Path

import pytest

from cvat_server import PASSWORD, TOKEN, USER, FakeTask
from weakseg.cli.main import main
from weakseg.errors import ConfigError
from weakseg.integrations.cvat import detection, interaction

Capture = pytest.CaptureFixture[str]


def look(*words: str) -> int:
    return main(["cvat", "pull", "12", "--out", "out", "--dry-run", *words])


def test_user_and_password(host: str, environment: pytest.MonkeyPatch, task: FakeTask, capsys: Capture) -> None:
    environment.delenv("CVAT_ACCESS_TOKEN")
    environment.setenv("CVAT_USERNAME", USER)
    environment.setenv("CVAT_PASSWORD", PASSWORD)
    assert look() == 0
    assert task.requests[0][:2] == ("POST", "/api/auth/login")
    shown = capsys.readouterr()
    assert PASSWORD not in shown.out + shown.err
    environment.setenv("CVAT_PASSWORD", "another")
    assert look() == 2
    error = capsys.readouterr().err
    assert "refuses the credentials; set CVAT_ACCESS_TOKEN, or CVAT_USERNAME and CVAT_PASSWORD, anew" in error
    assert "another" not in error.replace("anew", "")


def test_a_profile_that_cvat_cli_has_saved(host: str, environment: pytest.MonkeyPatch, capsys: Capture) -> None:
    from cvat_sdk.core.auth import AuthStore, ProfileEntry

    environment.delenv("CVAT_ACCESS_TOKEN")
    environment.delenv("CVAT_HOST")
    AuthStore().put_profile("work", ProfileEntry(host, TOKEN, "2026-01-02"))
    assert look() == look("--profile", "work") == 0
    assert f"task 12 'cats' at {host}" in capsys.readouterr().out
    assert look("--profile", "nobody") == 2
    assert "--profile: Unknown profile 'nobody'" in capsys.readouterr().err


def test_an_organization(host: str, task: FakeTask) -> None:
    assert look("--organization", "cats") == 0


def test_no_credentials(host: str, environment: pytest.MonkeyPatch, task: FakeTask, capsys: Capture) -> None:
    environment.delenv("CVAT_ACCESS_TOKEN")
    assert look() == 2
    error = capsys.readouterr().err
    assert f"no credentials for {host}: set CVAT_ACCESS_TOKEN, or CVAT_USERNAME and CVAT_PASSWORD" in error
    assert task.requests == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--host", "http://anna:secret@127.0.0.1"), "--host: 127.0.0.1 comes with a user or password"),
        (("--host", "http://127.0.0.1:9"), "http://127.0.0.1:9: cannot be reached"),
        (("--host", "ftp://127.0.0.1"), "Invalid url schema 'ftp'"),
    ],
)
def test_hosts_that_do_not_do(words: tuple[str, ...], message: str, host: str, capsys: Capture) -> None:
    assert look(*words) == 2
    error = capsys.readouterr().err
    assert message in error and "secret" not in error and "Traceback" not in error


@pytest.mark.parametrize(
    ("status", "message"),
    [(401, "refuses the credentials"), (403, "does not allow it"), (404, "has no such task"), (429, "too often")],
)
def test_refusals(status: int, message: str, host: str, task: FakeTask, capsys: Capture) -> None:
    task.refuse["GET", "/api/tasks/12"] = status
    assert look() == 2
    error = capsys.readouterr().err
    assert f"{host}: " in error and message in error and f"HTTP {status}" in error


def test_another_task_and_one_without_photographs(host: str, task: FakeTask, capsys: Capture) -> None:
    assert main(["cvat", "pull", "13", "--out", "out", "--dry-run"]) == 2
    assert "has no such task" in capsys.readouterr().err
    task.dimension = "3d"
    assert look() == 2
    assert "task 12 has no photographs; give a task of images or of a video" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("send", "1"), "cvat send: no such action; there are 'pull' and 'push'"),
        (("pull", "1"), "--out: needed by pull"),
        (("push", "1"), "name the run, or the folder of objects or masks"),
        (("pull", "1", "somewhere", "--out", "o"), "cvat pull: a source belongs to push"),
        (("pull", "1", "--out", "o", "--skip-unknown"), "cvat pull: --skip-unknown belongs to push"),
        (("pull", "1", "--out", "o", "--replace", "all"), "cvat pull: --replace belongs to push"),
        (("push", "1", "run", "--labels-only"), "cvat push: --labels-only belongs to pull"),
        (("push", "1", "run", "--overwrite"), "cvat push: --overwrite belongs to pull"),
        (("push", "1", "run", "--score", "2"), "--score: must lie in [0, 1]"),
        (("push", "1", "nowhere"), "nowhere: no such folder"),
    ],
)
def test_flags_that_do_not_go_together(words: tuple[str, ...], message: str, capsys: Capture) -> None:
    assert main(["cvat", *words]) == 2
    assert message in capsys.readouterr().err


def test_without_cvat_sdk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """As where the extra is not installed: imports of it fail."""
    for name in [name for name in sys.modules if name.split(".")[0] == "cvat_sdk"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cvat_sdk", None)  # type: ignore[arg-type]
    assert look() == 2
    assert "cvat-sdk is needed" in (error := capsys.readouterr().err) and "pip install 'weakseg[cvat]'" in error
    for make in (lambda: detection(model=tmp_path / "m"), interaction):
        with pytest.raises(ConfigError, match=r"pip install 'weakseg\[cvat\]'"):
            make()

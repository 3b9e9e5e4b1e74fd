"""Published weights: fetched from a server of this machine, added by hand, and all that goes wrong on the way."""

import hashlib
import socket
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from weakseg.cli.main import main
from weakseg.errors import CheckpointError, ConfigError, OutputError
from weakseg.nn import published
from weakseg.nn.published import PUBLISHED, add_weights, cache_folder, find_weights, get_weights, place_of

CONTENT = bytes(range(256)) * 1000
Capture = pytest.CaptureFixture[str]


class Handler(BaseHTTPRequestHandler):
    """Sends the content whole, cut, changed, longer, by a detour, or not at all."""

    def do_GET(self) -> None:
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/whole")
            self.end_headers()
            return
        if self.path == "/missing":
            self.send_error(404)
            return
        sent = {"/cut": CONTENT[:70_000], "/changed": CONTENT[:-1] + b"!", "/longer": CONTENT * 3}
        self.send_response(200)
        if self.path != "/longer":
            self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(sent.get(self.path, CONTENT))

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def server() -> Iterator[str]:
    """Address of the server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{found.server_address[1]}"
        found.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("WEAKSEG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Name of an entry whose file the server has."""
    entry = replace(
        PUBLISHED["u2netp"],
        file="made.bin",
        url=f"{server}/whole",
        sha256=hashlib.sha256(CONTENT).hexdigest(),
        num_bytes=len(CONTENT),
    )
    monkeypatch.setitem(PUBLISHED, "made", entry)
    return "made"


def point_to(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = PUBLISHED["made"].url
    monkeypatch.setitem(PUBLISHED, "made", replace(PUBLISHED["made"], url=f"{url.rpartition('/')[0]}/{place}"))


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file())


def test_fetched_once_and_again_where_damaged(made: str, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = get_weights(made)
    assert path == place_of(made) == cache / "weights" / "made.bin" and path.read_bytes() == CONTENT
    assert find_weights(made) == path and files(cache) == ["made.bin"]
    point_to("missing", monkeypatch)
    assert get_weights(made) == path  # nobody was asked
    path.write_bytes(CONTENT[:-2])
    with pytest.raises(CheckpointError, match=r"made\.bin: is damaged; weakseg weights get made fetches it anew"):
        find_weights(made)
    point_to("moved", monkeypatch)
    assert get_weights(made).read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("cut", r"cannot be fetched \(.*70000 of 256000 bytes\)"),
        ("changed", r"is not what was published: its SHA-256 is [0-9a-f]{64}, expected [0-9a-f]{64}; nothing was kept"),
        ("longer", "is not what was published"),
        ("missing", r"cannot be fetched \(HTTP Error 404: Not Found\)"),
    ],
)
def test_nothing_is_kept_of_what_is_not_whole(
    place: str, message: str, made: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    point_to(place, monkeypatch)
    with pytest.raises(CheckpointError, match=message):
        get_weights(made)
    assert files(cache) == []
    with pytest.raises(ConfigError, match=r"made\.bin: is not there; weakseg weights get made fetches it"):
        find_weights(made)


def test_without_a_network(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/x"
    for wrong in (url, "http://no-such-host.invalid/x"):
        monkeypatch.setitem(PUBLISHED, made, replace(PUBLISHED[made], url=wrong))
        with pytest.raises(CheckpointError, match=r"cannot be fetched .*give it by weakseg weights add made\.bin"):
            get_weights(made)


def test_a_server_that_says_nothing(made: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(published, "TIMEOUT_S", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"
        monkeypatch.setitem(PUBLISHED, made, replace(PUBLISHED[made], url=url))
        with pytest.raises(CheckpointError, match=r"cannot be fetched \(timed out\)"):
            get_weights(made)


def test_a_cache_that_cannot_be_written(made: str, cache: Path) -> None:
    cache.write_text("a file")
    with pytest.raises(OutputError, match=r"cannot be written"):
        get_weights(made)


def test_a_file_that_is_there(made: str, cache: Path, tmp_path: Path) -> None:
    own = tmp_path / "of any name"
    own.write_bytes(CONTENT)
    assert add_weights(own) == (made, place_of(made)) and find_weights(made).read_bytes() == CONTENT
    own.write_bytes(CONTENT + b"!")
    with pytest.raises(
        CheckpointError, match=r"is none of the known weights: its SHA-256 is .*, theirs are u2netp 309c"
    ):
        add_weights(own)
    for wrong in (tmp_path / "none", tmp_path):
        with pytest.raises(CheckpointError, match="cannot be read"):
            add_weights(wrong)


def test_the_published_file_is_that_of_the_tests(real_data: Path, cache: Path) -> None:
    file = real_data / "saliency" / "u2netp.onnx"
    assert add_weights(file) == ("u2netp", cache / "weights" / "u2netp.onnx")
    assert file.stat().st_size == PUBLISHED["u2netp"].num_bytes
    assert PUBLISHED["u2netp"].url.startswith("https://github.com/danielgatis/rembg/releases/download/v0.0.0/")


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("WEAKSEG_CACHE", "~/own")
    assert cache_folder() == tmp_path / "own"
    monkeypatch.setenv("WEAKSEG_CACHE", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    assert cache_folder() == tmp_path / "x" / "weakseg"
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "local"))
    wanted = {"linux": ".cache/weakseg", "darwin": "Library/Caches/weakseg", "win32": "local/weakseg/cache"}
    for platform, place in wanted.items():
        monkeypatch.setattr(sys, "platform", platform)
        assert cache_folder() == tmp_path / place


def test_the_verb(made: str, cache: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["weights", "list"]) == 0
    assert f"not there: {place_of(made)}" in capsys.readouterr().out
    assert main(["weights", "get", made]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"made: {place_of(made)}\n" and "made.bin, kB: 256/256" in shown.err
    assert main(["weights", "list"]) == 0
    assert f"  there: {place_of(made)}" in capsys.readouterr().out
    place_of(made).rename(tmp_path / "mine")
    assert main(["weights", "add", str(tmp_path / "mine")]) == 0 and place_of(made).is_file()
    point_to("missing", monkeypatch)
    place_of(made).unlink()
    capsys.readouterr()
    for words, message in (
        (["get"], "weights get: give a name: "),
        (["get", "u2"], "no weights are called 'u2'; there are 'u2netp' or 'made'"),
        (["get", made], "/missing: cannot be fetched"),
        (["add"], "weights add: give a file of weights"),
        (["list", "made"], "weights list: it takes no name"),
        (["fetch", made], "weights fetch: no such action; there are 'get', 'add' and 'list'"),
    ):
        assert main(["weights", *words]) == 2
        assert message in capsys.readouterr().err

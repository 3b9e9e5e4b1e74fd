import errno
import hashlib
import json
import os
import shutil
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from cases import each
from full_disks import no_file_longer_than
from weakseg.errors import OutputError, StoreError
from weakseg.files import (
    TEMPORARY_PREFIX,
    atomic_path,
    noting,
    owner,
    read_json,
    where_full,
    write_bytes,
    write_compact_json,
    write_json,
)

PROBLEMS = (errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO)


def failing(code: int) -> Callable[..., Any]:
    """Return a function that fails as the system does; tests run as root, whom permissions do not stop."""

    def fail(*_: Any, **__: Any) -> Any:
        raise OSError(code, os.strerror(code))

    return fail


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestSuccess:
    def test_content(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "a.bin", b"\x00\xffcontent")
        assert (tmp_path / "a.bin").read_bytes() == b"\x00\xffcontent"
        assert names(tmp_path) == ["a.bin"]

    def test_old_files_are_replaced(self, tmp_path: Path) -> None:
        for content in (b"a longer old one", b"new"):
            write_bytes(tmp_path / "a", content)
        assert (tmp_path / "a").read_bytes() == b"new"

    def test_folders_are_made(self, tmp_path: Path) -> None:
        write_bytes(tmp_path / "x/y/z.bin", b"1")
        assert names(tmp_path / "x/y") == ["z.bin"]

    def test_who_may_read_it_is_the_umasks_to_say(self, tmp_path: Path) -> None:
        usual = os.umask(0o022)
        try:
            for umask, mode in ((0o022, 0o644), (0o077, 0o600), (0o002, 0o664)):
                os.umask(umask)
                write_bytes(tmp_path / "a", b"1")
                assert (tmp_path / "a").stat().st_mode & 0o777 == mode
        finally:
            os.umask(usual)

    def test_the_temporary_file_is_beside_its_place_and_keeps_the_suffix(self, tmp_path: Path) -> None:
        with atomic_path(tmp_path / "a.png") as temporary:
            assert temporary.parent == tmp_path
            assert temporary.suffix == ".png"
            assert temporary.name.startswith(f"{TEMPORARY_PREFIX}{owner()}-")
            temporary.write_bytes(b"1")
            assert not (tmp_path / "a.png").exists()
        assert names(tmp_path) == ["a.png"]

    def test_names_of_every_kind(self, tmp_path: Path) -> None:
        for name in ("犬 (1).png", "a.b.c", ".hidden", "x" * 200):
            write_bytes(tmp_path / name, b"1")
            assert (tmp_path / name).read_bytes() == b"1"


def test_what_is_written_is_noted(tmp_path: Path) -> None:
    write_bytes(tmp_path / "before", b"1")
    with noting() as outer:
        write_bytes(tmp_path / "a", b"first")
        with noting() as inner:
            write_bytes(tmp_path / "b", b"second")
    assert [[each.path for each in noted] for noted in (outer, inner)] == [[str(tmp_path / "a")], [str(tmp_path / "b")]]
    status = (tmp_path / "a").stat()
    assert (outer[0].num_bytes, outer[0].written_ns) == (status.st_size, status.st_mtime_ns)
    assert outer[0].digest == hashlib.blake2b(b"first", digest_size=16).hexdigest() != inner[0].digest


def test_a_home_that_has_gone_is_not_made_anew(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    with noting(home):
        write_bytes(home / "a" / "b", b"1")
        write_bytes(tmp_path / "other" / "b", b"1")
        home.rename(tmp_path / "gone")
        for path in (home / "a" / "b", home / "c"):
            with pytest.raises(OutputError, match="cannot be written: No such file or directory"):
                write_bytes(path, b"2")
        assert not home.exists()
        (tmp_path / "gone").rename(home)
        write_bytes(home / "c", b"2")
    assert names(home) == ["a", "c"] and names(tmp_path) == ["home", "other"]


class TestFailure:
    """The old file stays, and nothing else does."""

    @pytest.fixture
    def old(self, tmp_path: Path) -> Path:
        (tmp_path / "a.bin").write_bytes(b"old")
        return tmp_path / "a.bin"

    def test_a_name_that_is_too_long_is_no_fault_of_the_folder(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match="too long for this file system; give the image a shorter") as caught:
            write_bytes(tmp_path / ("x" * 256), b"1")
        assert not isinstance(caught.value, OutputError)

    def test_while_writing(self, old: Path) -> None:
        with pytest.raises(KeyboardInterrupt), atomic_path(old) as temporary:
            temporary.write_bytes(b"half")
            raise KeyboardInterrupt
        assert old.read_bytes() == b"old"
        assert names(old.parent) == ["a.bin"]

    def test_an_error_of_the_caller_is_not_disguised(self, old: Path) -> None:
        with pytest.raises(ZeroDivisionError), atomic_path(old):
            _ = 1 / 0
        assert names(old.parent) == ["a.bin"]

    @each("code", PROBLEMS)
    @each("where", ["write_bytes", "replace", "open"])
    def test_of_the_system(self, old: Path, code: int, where: str) -> None:
        wanted = rf"a\.bin: cannot be written: {os.strerror(code)}; free some space"
        with pytest.MonkeyPatch.context() as patch, pytest.raises(OutputError, match=wanted):
            patch.setattr(Path, where, failing(code))
            write_bytes(old, b"new")
        assert old.read_bytes() == b"old"
        assert names(old.parent) == ["a.bin"]

    def test_of_a_full_disk(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """It is named, with what is free: that may be room, where no further file can be had."""
        wanted = r"free some space on the disk at /\S* \([\d,.]+ of [\d,.]+ MB are free\) or choose another"
        with monkeypatch.context() as patch, pytest.raises(OutputError, match=wanted):
            patch.setattr(Path, "write_bytes", failing(errno.ENOSPC))
            write_bytes(old, b"new")
        none_left = types.SimpleNamespace(f_files=1234, f_favail=0)
        monkeypatch.setattr(os, "statvfs", lambda path: none_left)
        monkeypatch.setattr(shutil, "disk_usage", lambda path: types.SimpleNamespace(free=5e6, total=7e9))
        said = where_full(old, OSError(errno.EDQUOT, "Disk quota exceeded"))
        assert said.endswith("(5.0 of 7,000.0 MB are free, but it holds 1,234 files, which are all that it can)")
        assert where_full(old, OSError(errno.EIO, "")) == "" and where_full(Path("/"), OSError(errno.ENOSPC, "")) == ""

    def test_that_a_library_tells_in_words(self, old: Path) -> None:
        said = r"a\.bin: cannot be written: File too large"
        with no_file_longer_than(1000), pytest.raises(OutputError, match=said), atomic_path(old) as temporary:
            save_file({"a": torch.zeros(3000)}, temporary)
        assert old.read_bytes() == b"old" and names(old.parent) == ["a.bin"]

    def test_of_the_flush(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "fsync", failing(errno.ENOSPC))
        with pytest.raises(OutputError, match="No space left on device"):
            write_bytes(old, b"new")
        assert old.read_bytes() == b"old"
        assert names(old.parent) == ["a.bin"]

    def test_in_a_folder_that_cannot_be_written(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "open", failing(errno.EROFS))
        with pytest.raises(OutputError, match="Read-only file system") as caught:
            write_bytes(tmp_path / "a.bin", b"new")
        assert isinstance(caught.value.__cause__, OSError)
        assert not names(tmp_path)

    def test_on_a_disk_that_turns_read_only(self, old: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        # Systems remount a failing disk read-only: then the temporary file cannot be removed either.
        for where in ("write_bytes", "unlink"):
            monkeypatch.setattr(Path, where, failing(errno.EROFS))
        with pytest.raises(OutputError, match=r"a\.bin: cannot be written: Read-only file system"):
            write_bytes(old, b"new")

    def test_where_a_folder_is_a_file(self, tmp_path: Path) -> None:
        (tmp_path / "x").write_bytes(b"")
        with pytest.raises(OutputError, match=r"x/a\.bin: cannot be written"):
            write_bytes(tmp_path / "x/a.bin", b"1")

    def test_where_the_file_is_a_folder(self, tmp_path: Path) -> None:
        (tmp_path / "a.bin").mkdir()
        with pytest.raises(OutputError, match=r"a\.bin: cannot be written"):
            write_bytes(tmp_path / "a.bin", b"1")
        assert names(tmp_path) == ["a.bin"]


VALUE: dict[str, Any] = {"name": "犬", "values": [1, 2.5, None, True], "nested": {"a": []}}


class TestJson:
    def test_round_trip(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", VALUE)
        assert read_json(tmp_path / "a.json") == VALUE

    def test_people_can_read_it(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", VALUE)
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert "犬" in text
        assert text.endswith("}\n")
        assert len(text.splitlines()) > 5
        assert json.loads(text) == VALUE

    def test_what_is_no_json_leaves_the_old_file(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", 1)
        with pytest.raises(TypeError):
            write_json(tmp_path / "a.json", {"a": object()})
        assert read_json(tmp_path / "a.json") == 1
        assert names(tmp_path) == ["a.json"]

    @each("content", [b"", b"{", b"\xff\xfe", b'{"a": 1} x'])
    def test_damaged_files_are_named(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "a.json").write_bytes(content)
        with pytest.raises(StoreError, match=r"a\.json: cannot be read as JSON"):
            read_json(tmp_path / "a.json")

    def test_missing_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(StoreError, match=r"none\.json: cannot be read as JSON"):
            read_json(tmp_path / "none.json")


def test_compact_json_is_the_same_value_on_fewer_lines(tmp_path: Path) -> None:
    numbers = [[float(n), n + 0.5] for n in range(60)]
    value = {"a": {"x": numbers, "y": [{"name": "ü" * 100, "n": 1}, {"n": [1, 2]}]}, "b": list(range(200)), "c": {}}
    write_compact_json(tmp_path / "v.json", value)
    assert read_json(tmp_path / "v.json") == value
    lines = (tmp_path / "v.json").read_text(encoding="utf-8").splitlines()
    assert lines[:2] == ["{", ' "a": {'] and lines[2].startswith('  "x": [[0.0, 0.5], [1.0, 1.5]')
    assert lines[3:7] == ['  "y": [', f'   {{"name": "{"ü" * 100}", "n": 1}},', '   {"n": [1, 2]}', "  ]"]
    assert lines[7] == " }," and lines[9:] == [' "c": {}', "}"]

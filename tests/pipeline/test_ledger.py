"""What a folder remembers of the files that were written into it."""

import json
import os
from pathlib import Path

import pytest

from weakseg.errors import OutputError, StoreError
from weakseg.files import noting, write_bytes
from weakseg.pipeline.ledger import LEDGER, STATE_FILE, Ledger


def written(folder: Path, *names: str) -> Ledger:
    with noting() as found:
        for name in names:
            write_bytes(folder / name, os.fsencode(name))
    ledger = Ledger(folder)
    ledger.add(found)
    return ledger


def test_another_one_knows_what_was_added(tmp_path: Path) -> None:
    ledger = written(tmp_path, "a.png", "sub/b.png", "犬\udcff.png", STATE_FILE)
    again = Ledger(tmp_path)
    assert len(again) == 3 and again.digest == ledger.digest and not again.unfit()
    assert again.holds(tmp_path / "sub" / "b.png") and not again.holds(tmp_path / STATE_FILE)


def test_the_digest_is_of_names_and_contents_alone(tmp_path: Path) -> None:
    one, two = written(tmp_path / "1", "a", "b"), written(tmp_path / "2", "b", "a")
    os.utime(tmp_path / "2" / "a", (1, 1))
    assert one.digest == two.digest == two.close() == Ledger(tmp_path / "2").digest
    assert one.digest != written(tmp_path / "3", "a", "c").digest


def test_a_torn_line_costs_its_file_alone(tmp_path: Path) -> None:
    written(tmp_path, "a", "b")
    content = (tmp_path / LEDGER).read_bytes()
    (tmp_path / LEDGER).write_bytes(content[:-20])
    assert len(Ledger(tmp_path)) == 1
    written(tmp_path, "c")
    assert sorted(Ledger(tmp_path).unfit()) == [] and len(Ledger(tmp_path)) == 2


@pytest.mark.parametrize("name", ["../a", "/etc/a", "sub/../../a", "", 3, None])
def test_names_that_lead_out_of_the_folder_count_for_nothing(name: object, tmp_path: Path) -> None:
    written(tmp_path, "a")
    with (tmp_path / LEDGER).open("a") as file:
        file.write(json.dumps([name, 1, 1, ""]) + "\n")
    assert len(Ledger(tmp_path)) == 1 and not Ledger(tmp_path).unfit()


def test_files_elsewhere_are_left_out(tmp_path: Path) -> None:
    with noting() as found:
        write_bytes(tmp_path / "beside" / "a", b"1")
    Ledger(tmp_path / "own").add(found)
    assert not (tmp_path / "own").exists()


def test_dropped_files_are_gone(tmp_path: Path) -> None:
    ledger = written(tmp_path, "a", "b")
    ledger.drop(["a"])
    assert not (tmp_path / "a").exists() and len(Ledger(tmp_path)) == 1


def test_one_that_cannot_be_written_or_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(5, "Input/output error")

    with noting() as found:
        write_bytes(tmp_path / "a", b"1")
    ledger = Ledger(tmp_path)
    with monkeypatch.context() as patch, pytest.raises(OutputError, match=r"written\.jsonl: cannot be written: Input"):
        patch.setattr(Path, "open", refuse)
        ledger.add(found)
    with monkeypatch.context() as patch, pytest.raises(StoreError, match=r"written\.jsonl: cannot be read: Input"):
        patch.setattr(Path, "read_bytes", refuse)
        Ledger(tmp_path)

"""Products of other settings are put aside whole, found again, and never mixed."""

from pathlib import Path

import pytest

from weakseg.errors import OutputError, StoreError
from weakseg.files import write_json
from weakseg.pipeline.aside import HIDDEN_FOLDER, exchange
from weakseg.pipeline.lock import LOCK_FILE

NAME = "settings.json"


def told(strict: float, images: str = "photos", workers: int = 0) -> dict[str, object]:
    return {"settings": {"strict": strict, "loader_workers": workers}, "inputs": {"images": images}}


def make(folder: Path, strict: float) -> None:
    """Make products that say what they were made with, where there are none."""
    write_json(folder / NAME, told(strict))
    for name in ("a.png", "sub/b.png", "written.jsonl"):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if not path.exists():
            path.write_text(f"{name} of {strict}")


def products(folder: Path) -> dict[str, str]:
    files = [path for path in folder.rglob("*") if path.is_file() and HIDDEN_FOLDER not in path.parts]
    return {path.relative_to(folder).as_posix(): path.read_text() for path in files if path.name != LOCK_FILE}


def test_settings_of_before_find_what_they_made(tmp_path: Path) -> None:
    (tmp_path / LOCK_FILE).write_text("mine")
    assert exchange(tmp_path, NAME, told(0.5)) == []
    made: dict[float, dict[str, str]] = {}
    for strict in (0.5, 0.4, 0.3):
        changes = exchange(tmp_path, NAME, told(strict))
        assert products(tmp_path) == {} and len(changes) == (strict < 0.5)
        make(tmp_path, strict)
        made[strict] = products(tmp_path)
    for strict in (0.4, 0.5, 0.5, 0.3):
        before = products(tmp_path)
        changes = exchange(tmp_path, NAME, told(strict))
        assert products(tmp_path) == made[strict] and bool(changes) == (before != made[strict])
    assert exchange(tmp_path, NAME, told(0.3, workers=4)) == []  # which changes nothing
    assert exchange(tmp_path, NAME, told(0.2)) == ["settings.strict: 0.3 -> 0.2"]
    assert (tmp_path / LOCK_FILE).read_text() == "mine"


def test_what_is_of_other_inputs_stays(tmp_path: Path) -> None:
    make(tmp_path, 0.5)
    before = products(tmp_path)
    assert exchange(tmp_path, NAME, told(0.4, images="others")) == []
    assert products(tmp_path) == before
    (tmp_path / NAME).write_text("{")
    with pytest.raises(StoreError, match=r"settings\.json: cannot be read as JSON"):
        exchange(tmp_path, NAME, told(0.5))


def test_an_end_at_any_moment_mixes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The move there and back takes eight steps; after each of them it is broken off, and any settings go on."""
    rename = Path.rename
    for steps in range(8):
        for then in (0.5, 0.4, 0.3):
            folder = tmp_path / f"{steps}-{then}"
            folder.mkdir()
            made = {}
            for strict in (0.4, 0.5):
                exchange(folder, NAME, told(strict))
                make(folder, strict)
                made[strict] = products(folder)
            left = [steps]

            def broken(path: Path, target: Path, left: list[int] = left) -> Path:
                if not left[0]:
                    raise OSError("no more")
                left[0] -= 1
                return rename(path, target)

            with monkeypatch.context() as patch, pytest.raises(OutputError, match="cannot be moved"):
                patch.setattr(Path, "rename", broken)
                exchange(folder, NAME, told(0.4))
            exchange(folder, NAME, told(then))
            assert products(folder) == made.get(then, {})
            for strict in (0.4, 0.5):
                exchange(folder, NAME, told(strict))
                assert products(folder) == made[strict]

import errno
from pathlib import Path

import pytest

from weakseg.errors import OutputError, StoreError
from weakseg.files import TEMPORARY_PREFIX, read_json
from weakseg.pipeline.store import Store, differences


def test_the_first_call_settles_and_a_later_one_must_agree(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.settle("recipe.json", {"seeds": {"strict": 0.5}, "seed": 0}, "settings")
    store.settle("recipe.json", {"seed": 0, "seeds": {"strict": 0.5}}, "settings")
    with pytest.raises(StoreError, match=r"other settings: seeds.strict: 0.5 -> 0.4. Use a new --out"):
        store.settle("recipe.json", {"seeds": {"strict": 0.4}, "seed": 0}, "settings")
    assert read_json(tmp_path / "recipe.json")["seeds"]["strict"] == 0.5


def test_what_changes_nothing_may_differ(tmp_path: Path) -> None:
    store = Store(tmp_path)

    def settings(lr: float, workers: int, file: str) -> dict[str, object]:
        return {"parts": [{"fit": {"lr": lr, "loader_workers": workers}, "backbone": {"file": file}}]}

    store.settle("recipe.json", settings(0.1, 0, "a.pth"), "settings")
    store.settle("recipe.json", settings(0.1, 2, "a.pth"), "settings")
    store.settle("recipe.json", settings(0.1, 2, "b.pth"), "settings", besides=frozenset({"loader_workers", "file"}))
    for other in (settings(0.2, 0, "a.pth"), settings(0.1, 0, "b.pth")):
        with pytest.raises(StoreError, match="other settings: parts: "):
            store.settle("recipe.json", other, "settings")


def test_many_differences_are_shortened(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.settle("content.json", {str(i): 0 for i in range(9)}, "images")
    with pytest.raises(StoreError, match="and 4 more"):
        store.settle("content.json", {str(i): 1 for i in range(9)}, "images")


def test_differences_names_added_and_removed_keys() -> None:
    assert differences({"a": {"b": 1}}, {"a": {"c": 2}}) == ["a.b: 1 -> null", "a.c: null -> 2"]


def test_a_step_of_another_key_is_never_mixed(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder, manifest = store.open_step("seeds", "k1", {"strict": 0.5})
    assert not manifest["complete"]
    store.finish_step("seeds", manifest, {"images": 3})
    assert store.open_step("seeds", "k1", {"strict": 0.5})[1]["summary"] == {"images": 3}
    with pytest.raises(StoreError, match="other settings or inputs"):
        store.open_step("seeds", "k2", {"strict": 0.4})
    assert folder == tmp_path / "seeds"


def test_a_folder_of_unknown_origin_is_refused(tmp_path: Path) -> None:
    (tmp_path / "seeds").mkdir()
    (tmp_path / "seeds" / "a.png").write_bytes(b"x")
    with pytest.raises(StoreError, match=r"holds files but no manifest.json"):
        Store(tmp_path).open_step("seeds", "k", {})


def test_half_written_files_of_a_killed_run_are_removed(tmp_path: Path) -> None:
    leftover = tmp_path / "masks" / f"{TEMPORARY_PREFIX}x.png"
    leftover.parent.mkdir()
    leftover.write_bytes(b"half")
    Store(tmp_path)
    assert not leftover.exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, *args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(OutputError, match=r"out: .*Read-only file system; choose another --out"):
        Store(tmp_path / "out")


def test_an_out_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("x")
    with pytest.raises(OutputError, match="cannot be used as run folder"):
        Store(tmp_path / "out")

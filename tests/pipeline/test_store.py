import errno
import os
import time
from dataclasses import asdict
from pathlib import Path

import pytest

from weakseg.errors import OutputError, StoreError
from weakseg.files import noting, read_json, write_bytes, write_json
from weakseg.pipeline.ledger import LEDGER, Ledger
from weakseg.pipeline.lock import LOCK_FILE
from weakseg.pipeline.manifests import MANIFEST, differences
from weakseg.pipeline.store import Store
from weakseg.settings.refine import RefineConfig
from weakseg.settings.tiles import TileConfig


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


def test_tiles_of_the_default_are_as_if_there_were_none(tmp_path: Path) -> None:
    store, usual = Store(tmp_path), asdict(RefineConfig())
    store.settle(
        "recipe.json", {"masks": {name: value for name, value in usual.items() if name != "tiles"}}, "settings"
    )
    store.settle("recipe.json", {"masks": usual}, "settings")
    with pytest.raises(StoreError, match=r"other settings: masks\.tiles: null -> "):
        store.settle("recipe.json", {"masks": asdict(RefineConfig(tiles=TileConfig(tile=0)))}, "settings")


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
    with pytest.raises(StoreError, match=r"holds files that are not weakseg's, which might be replaced; use a new"):
        Store(tmp_path)
    assert not (tmp_path / LOCK_FILE).exists()
    with pytest.raises(StoreError, match=r"holds files but no manifest.json"):
        Store(tmp_path, others=True).open_step("seeds", "k", {})


NAMES = ("a.png", "b.png", "c/d.png")


def finished(store: Store, inputs: dict[str, str]) -> Path:
    """Leave a finished step of three products."""
    folder, manifest = store.open_step("masks", "k", {}, inputs)
    with noting() as written:
        for name in NAMES:
            write_bytes(folder / name, name.encode() * 10)
    Ledger(folder).add(written)
    store.finish_step("masks", manifest, {"images": 3})
    return folder


class TestComplete:
    """A step is complete if its products are there as they were written."""

    @pytest.fixture
    def store(self, tmp_path: Path) -> Store:
        return Store(tmp_path)

    def opened(self, store: Store, **inputs: str) -> bool:
        return bool(store.open_step("masks", "k", {}, inputs or {"seeds": "1"})[1]["complete"])

    def test_whatever_lies_beside_them(self, store: Store) -> None:
        folder = finished(store, {"seeds": "1"})
        (folder / "state.pt").write_bytes(b"")
        os.utime(folder / "a.png", (5, 5))
        assert self.opened(store) and (folder / "state.pt").exists()

    def test_what_is_missing_or_damaged_is_named_and_the_rest_stays(
        self, store: Store, caplog: pytest.LogCaptureFixture
    ) -> None:
        folder = finished(store, {"seeds": "1"})
        (folder / "a.png").unlink()
        (folder / "c" / "d.png").write_bytes(b"c/d.pn?" * 10)
        assert not self.opened(store) and [path.name for path in folder.rglob("*.png")] == ["b.png"]
        assert "of 3 files 2 are missing or damaged: a.png, c/d.png" in caplog.text
        assert not self.opened(store)

    def test_a_damaged_list_of_files_makes_all_anew(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        folder = finished(store, {"seeds": "1"})
        lines = (folder / LEDGER).read_text().splitlines()
        (folder / LEDGER).write_text("\n".join([*lines[1:], "[torn", '{"a": 1}', "[1, 2, 3, 4]"]))
        (folder / "state.pt").write_bytes(b"kept")
        assert not self.opened(store) and "list of files is damaged" in caplog.text
        assert sorted(path.name for path in folder.iterdir()) == [MANIFEST, "state.pt"]

    def test_other_inputs_make_all_anew(self, store: Store, caplog: pytest.LogCaptureFixture) -> None:
        folder = finished(store, {"seeds": "1"})
        with caplog.at_level("INFO"):
            assert not self.opened(store, seeds="2") and [path.name for path in folder.iterdir()] == [MANIFEST]
        assert "masks: is made anew, because seeds changed" in caplog.text
        assert read_json(folder / MANIFEST)["inputs"] == {"seeds": "2"}

    def test_what_an_earlier_version_made_is_taken_as_it_is(self, store: Store) -> None:
        folder = finished(store, {"seeds": "1"})
        (folder / LEDGER).unlink()
        manifest = read_json(folder / MANIFEST)
        write_json(folder / MANIFEST, {k: v for k, v in manifest.items() if k not in ("products", "inputs")})
        assert self.opened(store) and Ledger(folder).holds(folder / "c" / "d.png")
        (folder / "b.png").unlink()
        assert not self.opened(store)

    @pytest.mark.parametrize("change", [{"key": 1}, {"complete": "yes"}, {"inputs": []}, {"summary": {"failures": 1}}])
    def test_a_manifest_of_another_shape_is_named(self, store: Store, change: dict[str, object]) -> None:
        folder = finished(store, {"seeds": "1"})
        for content in ({**read_json(folder / MANIFEST), **change}, [], None, 3):
            write_json(folder / MANIFEST, content)
            with pytest.raises(StoreError, match=r"manifest\.json: is no manifest of a step; delete .*masks to make"):
                self.opened(store)


def test_ten_thousand_files_are_checked_within_a_second(tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number:04}.png").write_bytes(b"x" * 3000)
    Ledger(tmp_path).adopt()
    seconds = []
    for _ in range(5):
        begun = time.process_time()
        ledger = Ledger(tmp_path)
        assert not ledger.unfit() and ledger.digest
        seconds.append(time.process_time() - begun)
    assert min(seconds) < 0.1


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

"""What a key covers, and what changes none."""

import os
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from weakseg.errors import ConfigError
from weakseg.pipeline.keys import digest_of, hash_of, settings_that_count, step_keys
from weakseg.pipeline.plan import Kind, Role, Step, StepResult, Work
from weakseg.settings.refine import RefineConfig
from weakseg.settings.tiles import TileConfig


def step(name: str, settings: dict[str, Any], code: str = "tests.work", **needs: Kind) -> Step:
    return Step(name, Kind.LABELS, needs, settings, Work(code, lambda context: StepResult()))


def plan(**first: Any) -> list[Step]:
    return [step("a", first), step("b", {"x": 1}, a=Kind.LABELS), step("c", {"x": 1})]


def test_hash_ignores_key_order() -> None:
    assert hash_of({"a": 1, "b": [2]}) == hash_of({"b": [2], "a": 1}) != hash_of({"a": 1, "b": [3]})


def test_a_setting_changes_its_step_and_what_is_made_of_it() -> None:
    one, two = step_keys(plan(strict=0.5), "data"), step_keys(plan(strict=0.4), "data")
    assert {name for name in one if one[name] != two[name]} == {"a", "b"}
    assert one == step_keys(plan(strict=0.5), "data")


def test_data_name_and_code_count() -> None:
    one = step("a", {})
    keys = [
        step_keys([changed], content)["a"]
        for changed, content in ((one, "data"), (one, "other data"), (step("a", {}, code="tests.other"), "data"))
    ]
    keys.append(step_keys([replace(one, name="b")], "data")["b"])
    assert len(set(keys)) == 4


def test_what_a_step_is_in_its_plan_changes_no_key() -> None:
    one = step("a", {})
    assert step_keys([one], "data") == step_keys([replace(one, role=Role.RESULT)], "data")


def test_a_plan_that_does_not_fit_has_no_keys() -> None:
    with pytest.raises(ConfigError, match="no earlier step"):
        step_keys([step("b", {}, a=Kind.LABELS)], "data")


def test_settings_that_change_nothing_are_left_out_at_any_depth() -> None:
    settings = {"fit": {"loader_workers": 2, "lr": 0.1}, "many": [{"memory_mb": 5}], "scales": (1.0, 2.0)}
    assert settings_that_count(settings) == {"fit": {"lr": 0.1}, "many": [{}], "scales": [1.0, 2.0]}
    assert step_keys(plan(loader_workers=1), "data") == step_keys(plan(loader_workers=8), "data")


def test_tiles_as_they_are_by_default_leave_keys_as_they_were_before_there_were_any() -> None:
    before, usual = {"max_side": 512}, asdict(RefineConfig())
    assert "tiles" not in settings_that_count(usual) and "tiles" in usual
    assert step_keys(plan(**before), "data") == step_keys(
        plan(**before, tiles=usual["tiles"], tiles_for="outlines"), "data"
    )
    others = [asdict(TileConfig(tile=0)), asdict(TileConfig(overlap=32)), asdict(TileConfig(beyond=1000))]
    keys = [step_keys(plan(**before, tiles=tiles), "data")["a"] for tiles in [usual["tiles"], *others]]
    assert len(set(keys)) == 4


class TestFiles:
    def test_their_content_counts_and_not_their_place(self, tmp_path: Path) -> None:
        one, two, other = (tmp_path / name for name in ("one", "two", "other"))
        one.write_bytes(b"weights")
        two.write_bytes(b"weights")
        other.write_bytes(b"other weights")
        keys = [step_keys(plan(backbone={"file": str(path)}), "data")["a"] for path in (one, two, other)]
        assert keys[0] == keys[1] != keys[2]

    def test_no_file_is_no_digest(self) -> None:
        assert settings_that_count({"file": ""}) == {"file": ""}

    def test_a_file_that_is_missing_is_named_with_its_setting(self, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"a\.backbone\.file: .*gone\.pt is no file; correct the path"):
            step_keys(plan(backbone={"file": str(tmp_path / "gone.pt")}), "data")

    def test_a_file_that_was_written_again_is_read_again(self, tmp_path: Path) -> None:
        path = tmp_path / "w"
        path.write_bytes(b"one")
        before = digest_of(path)
        path.write_bytes(b"two")
        os.utime(path, ns=(1, 1))
        assert digest_of(path) != before

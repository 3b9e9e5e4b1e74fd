"""``benchmarks/gpu.py`` on few small images: by the processor, and on a GPU in name."""

import json
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest
import torch

from named_gpu import named_gpu

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
OF_FOLDER = ("gpu", "rows", "wsgcn", "a2gnn")


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """The script, whose rows go elsewhere."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    for name in OF_FOLDER:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(import_module("rows"), "RESULTS", tmp_path)
    found = import_module("gpu")
    assert found.__file__ == str(BENCHMARKS / "gpu.py")
    return found


def test_every_case_on_the_processor(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--device", "cpu", "--small"]) == 0
    rows = [json.loads(line) for line in (tmp_path / "gpu.jsonl").read_text().splitlines()]
    (voc,) = [row for row in rows if "minutes" in row]
    of_all = next(row for row in rows if row["case"] == script.WSGCN_ALL)
    assert voc["images"] == 10_582 and voc["of"] == of_all["images"] == 4
    assert voc["minutes"] == pytest.approx(10_582 * of_all["seconds"] / 4 / 60)
    measured = [row for row in rows if "minutes" not in row]
    assert len(measured) == 11 and all(row["seconds"] > 0 and row["small"] for row in measured)
    told = capsys.readouterr().out
    assert all(row["case"] in told for row in measured) and "extrapolated from 4" in told and "goal" not in told


def test_no_case_begins_when_the_time_is_over(script: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main(["--device", "cpu", "--small", "--minutes", "0", "--only", "tree"]) == 0
    assert "tree filter, 16 groups of 16 channels: left out, for 0 minutes are over" in capsys.readouterr().out


def test_a_case_that_fails_does_not_end_the_others(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(scale: object) -> Iterator[object]:
        yield script.Case("a product that cannot be", 1, lambda device: lambda: torch.ones(3) @ torch.ones(2))
        yield from script.tree_cases(scale)

    monkeypatch.setitem(script.GROUPS, "tree", broken)
    assert script.main(["--device", "cpu", "--small", "--only", "tree"]) == 1
    assert "a product that cannot be: failed, RuntimeError: " in capsys.readouterr().out
    assert len((tmp_path / "gpu.jsonl").read_text().splitlines()) == 1


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without GPU")
def test_without_a_gpu_it_says_so(script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert script.main([]) == 0
    assert capsys.readouterr().out.startswith("no GPU: torch sees none") and not list(tmp_path.iterdir())


def test_every_case_on_a_gpu_in_name(script: ModuleType) -> None:
    with named_gpu() as seen:
        for group in script.GROUPS.values():
            for case in group(script.SMALL):
                run = case.work("cuda")
                seen.clear()
                run()
                if case.images > 2 and case.name.startswith("segmenter"):
                    assert not seen, case.name

"""Whole runs on a GPU: a recipe of each family to its end, by the command, too, without memory that stays behind."""

import gc
from pathlib import Path

import pytest
import torch

from agreement import SINGLE, assert_agree
from device_cases import flattened
from device_stages import STAGES
from generated import FAST, folder_arguments, write_folder
from small_recipes import RECIPES, check_small, write_voc
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.ops import position_kernel, stencil
from weakseg.pipeline.options import RunOptions
from weakseg.steps.base import forget_models

FAMILIES = ("psa", "irnet", "seam", "wsgcn-i", "wsgcn-p", "a2gnn_boxes", "a2gnn_tags", "a2gnn_losses", "dgcn", "dsrg")
FURTHER = ("oaa", "group", "recam", "mlgcn", "grm")
MB = 2**20


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("voc"))


@pytest.mark.parametrize("name", sorted(STAGES))
def test_a_stage(name: str) -> None:
    # labels next to edges of equal scores may differ; of all pixels one in two hundred does at most
    found, expected = STAGES[name]("cuda"), STAGES[name]("cpu")
    for one, other in zip(flattened(found), flattened(expected), strict=True):
        if one.is_floating_point():
            assert_agree(one, other, SINGLE * 100)
        else:
            assert float((one == other).float().mean()) >= 0.995


@pytest.mark.parametrize("family", [*FAMILIES, *FURTHER])
def test_a_recipe_runs_to_its_end(family: str, voc: Path, tmp_path: Path) -> None:
    check_small(RECIPES / f"{family}_voc12.yaml", voc, tmp_path / "run", RunOptions(device="cuda"))


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = write_folder(tmp_path / "data")
    given = ["run", "cam", "--device", "cuda", "--out", str(tmp_path / "run")]
    assert main([*given, *folder_arguments(data), *FAST]) == 0, capsys.readouterr().err
    masks = [LabelMap.load(file) for file in (tmp_path / "run" / "masks").glob("*.png")]
    assert masks and all(mask.label_ids <= {0, 1, 2} for mask in masks)


def test_memory_is_given_back(voc: Path, tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("needs a GPU, and not one in name")
    used = []
    for number in range(3):
        check_small(RECIPES / "irnet_voc12.yaml", voc, tmp_path / str(number), RunOptions(device="cuda"))
        forget_models()
        stencil.stencil_pattern.cache_clear()
        position_kernel._band.cache_clear()
        gc.collect()
        used.append(torch.cuda.memory_allocated())
    assert used[2] <= used[1] + MB  # what libraries keep for themselves they take in the first run

"""A recipe of each family runs from labels to scores with tiny networks of the same kind; ``make recipes`` runs all."""

from pathlib import Path

import pytest

from small_recipes import RECIPES, check_small, write_voc

FAMILIES = ("psa", "irnet", "seam", "wsgcn-i", "a2gnn_boxes", "dgcn", "dsrg", "oaa", "group", "recam", "mlgcn")


@pytest.fixture(scope="module")
def voc(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_voc(tmp_path_factory.mktemp("voc"))


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_a_recipe_runs_to_its_end(family: str, voc: Path, tmp_path: Path) -> None:
    check_small(RECIPES / f"{family}_voc12.yaml", voc, tmp_path / "run")

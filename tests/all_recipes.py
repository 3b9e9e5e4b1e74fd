"""All recipes for VOC 2012 and COCO run from labels to scores with tiny networks of the same kind: ``make recipes``."""

from pathlib import Path

import pytest

from small_recipes import RECIPES, check_small, write_coco, write_voc

PUBLISHED = sorted(path.name for path in RECIPES.glob("*.yaml") if path.stem.endswith(("_voc12", "_coco")))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    return {"voc12": write_voc(root / "voc"), "coco": write_coco(root / "coco")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_runs_to_its_end(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    check_small(RECIPES / name, data[Path(name).stem.rpartition("_")[2]], tmp_path / "run")

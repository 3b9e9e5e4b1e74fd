"""All recipes for VOC 2012 and COCO run from labels to scores with tiny networks of the same kind: ``make recipes``."""

from pathlib import Path

import pytest

from small_recipes import RECIPES, check_small, over_supervised, run_small, write_coco, write_voc
from weakseg.files import read_json

PUBLISHED = sorted(path.name for path in RECIPES.glob("*.yaml") if path.stem.endswith(("_voc12", "_coco")))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("data")
    return {"voc12": write_voc(root / "voc"), "coco": write_coco(root / "coco")}


@pytest.mark.parametrize("name", sorted(path.stem for path in (RECIPES / "segmenters").glob("*.yaml")))
def test_a_segmenter_is_trained_and_applied(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    assert not run_small(over_supervised(name, tmp_path), data["voc12"], tmp_path / "run").failures
    (score,) = read_json(tmp_path / "run" / "evaluation" / "results.json")["scores"]
    assert score["protocol"]["settings"]["init"]["backbone"].endswith(("_thin", "_eighth"))


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_recipe_runs_to_its_end(name: str, data: dict[str, Path], tmp_path: Path) -> None:
    check_small(RECIPES / name, data[Path(name).stem.rpartition("_")[2]], tmp_path / "run")

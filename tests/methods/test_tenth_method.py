"""A made-up method moves in by one folder (``tests/tenth``) and one entry of ``METHODS``; all verbs serve it."""

import shutil
from pathlib import Path

import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.cli.main import main
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.files import read_json
from weakseg.methods import METHODS, Method
from weakseg.methods.compare import COMPARISON_FILE
from weakseg.pipeline.plan import TRAIN

OWN = ("pairs", "pair_scores", "before_crf", "masks", "smoothed")


@pytest.fixture(scope="module")
def moved_in() -> object:
    """The one entry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(METHODS, "tenth", Method("tenth.config:PairRecipe", "tenth.plan:build_plan"))
        yield


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tenth") / "data")


@pytest.fixture(scope="module")
def run_folder(data: Path, moved_in: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("run") / "run"
    assert main(words("run", data, out, "--workers=1")) == 0
    return out


@pytest.fixture(scope="module")
def comparison(data: Path, moved_in: object, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("compared") / "compared"
    assert main(words("compare", data, out, "--methods", "cam,tenth", "--segmenter", "--workers=1")) == 0
    return out


def words(verb: str, data: Path, out: Path, *more: str) -> list[str]:
    fast = FAST if verb == "compare" else [word for word in FAST if not word.startswith("--seeds.")]
    return [verb, "tenth", "--out", str(out), "--device", "cpu", *folder_arguments(data), *fast, *more]


def files(folder: Path) -> dict[str, bytes]:
    """Products of all steps but the states and times of trainings."""
    kept = (p for p in folder.rglob("*") if p.suffix in (".png", ".safetensors"))
    return {str(p.relative_to(folder)): p.read_bytes() for p in kept}


def test_run(run_folder: Path) -> None:
    scored = {score["name"]: score for score in read_json(run_folder / "evaluation" / "results.json")["scores"]}
    assert {"masks", "predictions", "smoothed"} <= set(scored)
    assert scored["smoothed"]["protocol"]["split"] == "val"
    assert all((run_folder / name).is_dir() for name in OWN)


def test_two_workers_leave_the_same_files(data: Path, run_folder: Path, moved_in: object, tmp_path: Path) -> None:
    """From the same networks: all that is done image by image, or pair by pair, is done again."""
    shutil.copytree(run_folder, tmp_path / "two")
    for name in ("activations", "pair_scores", "before_crf", "masks", "predictions", "smoothed"):
        shutil.rmtree(tmp_path / "two" / name)
    assert main(words("run", data, tmp_path / "two", "--workers=2")) == 0
    assert files(tmp_path / "two") == files(run_folder)


def test_pairs_do_not_depend_on_the_order_of_the_list(data: Path) -> None:
    from tenth.plan import PairJob

    config = DataConfig(root=str(data), format="folder", train="tags.json", val="val.json")
    samples = open_dataset(config).splits[TRAIN]
    job = PairJob(data, data, data, seed=3)
    forward = {unit.name: unit for unit in job.units(samples)}
    assert forward == {unit.name: unit for unit in job.units(samples[::-1])}
    assert any(len(unit.samples) == 2 for unit in forward.values())
    assert forward != {unit.name: unit for unit in PairJob(data, data, data, seed=4).units(samples)}


def test_compare_shares_what_is_shared_and_scores_what_follows_the_segmenter(comparison: Path) -> None:
    found = {each["method"]: each for each in read_json(comparison / COMPARISON_FILE)["methods"]}
    assert found["cam"]["steps"]["activations"] == found["tenth"]["steps"]["activations"]
    assert found["cam"]["steps"]["masks"] != found["tenth"]["steps"]["masks"]
    assert found["tenth"]["masks"] == "masks"
    scores = {score["name"]: score["mean_iou"] for score in found["tenth"]["scores"]}
    assert {"masks", "predictions", "smoothed"} <= set(scores)
    figures = found["tenth"]["figures"]
    assert figures["segmenter"] == scores["smoothed"]
    assert figures["train_seconds"] > 0
    assert figures["seconds_an_image"] > 0


def test_compare_without_segmenter_leaves_out_what_follows_it(
    data: Path, comparison: Path, moved_in: object, tmp_path: Path
) -> None:
    out = shutil.copytree(comparison, tmp_path / "again")
    assert main(words("compare", data, out, "--methods", "cam,tenth", "--workers=1")) == 0
    _, tenth = read_json(out / COMPARISON_FILE)["methods"]
    assert not {"segmenter", "predictions", "smoothed"} & set(tenth["steps"])
    assert {"pairs", "masks"} <= set(tenth["steps"])


def test_label(run_folder: Path, data: Path, tmp_path: Path) -> None:
    """The same photographs and tags as in the run get the same masks, from the same networks."""
    assert main(label(run_folder, data, tmp_path)) == 0
    for mask in (run_folder / "masks").glob("*.png"):
        assert (tmp_path / "masks" / mask.name).read_bytes() == mask.read_bytes()
    assert not (tmp_path / "segmenter").exists()


def test_label_with_a_method_of_a_comparison(comparison: Path, data: Path, tmp_path: Path) -> None:
    assert main([*label(comparison, data, tmp_path), "--method", "tenth"]) == 0
    assert list((tmp_path / "masks").glob("*.png"))


def test_report_of_a_run_and_of_a_comparison(run_folder: Path, comparison: Path) -> None:
    assert main(["report", str(run_folder)]) == 0
    for folder in (run_folder, comparison):
        page = (folder / "report.html").read_text()
        assert "tenth" in page
        assert "smoothed" in page


def test_the_page_of_a_comparison_is_not_overwritten(comparison: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (comparison / "report.html").read_bytes()
    assert main(["report", str(comparison)]) == 2
    assert "is a comparison, whose page, report.html, weakseg compare writes" in capsys.readouterr().err
    assert (comparison / "report.html").read_bytes() == page


def label(run: Path, data: Path, out: Path) -> list[str]:
    given = ["--images", str(data / "images"), "--labels", str(data / "tags.json")]
    return ["label", str(run), *given, "--out", str(out), "--device", "cpu", "--workers=1"]

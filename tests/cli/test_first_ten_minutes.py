"""What somebody does who has just installed weakseg: one photograph, fourteen, the report, a notebook's lines."""

import csv
import shutil
from pathlib import Path

import numpy as np
import pytest
import skimage

import weakseg
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth
from weakseg.evaluation.confusion import Confusion

WANTED = {"car": 4, "cow": 5, "": 5}  # photographs of each, and of none of MSRC's classes
Capture = pytest.CaptureFixture[str]


def main_is_well(*words: str | Path) -> None:
    assert main([str(word) for word in words]) == 0


def write_photographs(source: Path, folder: Path) -> dict[str, np.ndarray]:
    """Write fourteen photographs and their tags as a person would; return true masks, 1 car, 2 cow."""
    config = DataConfig(root=str(source), format="voc", train="train", tags="truth")
    dataset, left, rows, truth = open_dataset(config), dict(WANTED), [], {}
    folder.mkdir()
    for one in open_truth(config, dataset, "train"):
        names = sorted(dataset.classes.names[i - 1] for i in one.sample.tags.present)
        kind = names[0] if len(names) == 1 else "" if not names else "several"
        if left.get(kind):
            left[kind] -= 1
            shutil.copy(one.sample.image_path, folder)
            rows.append((one.sample.image_path.name, kind))
            labels = one.load_truth()
            shown = labels == dataset.classes.id_of(kind, "test") if kind else np.zeros(labels.shape, bool)
            truth[one.id] = np.where(labels == 255, 255, shown * (1 + list(WANTED).index(kind))).astype(np.uint8)
    with (folder / "tags.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("image", "labels"), *rows])
    return truth


@pytest.mark.slow
def test_first_ten_minutes(real_data: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    main_is_well("doctor")
    cat, mask = Path(skimage.__file__).parent / "data" / "chelsea.png", tmp_path / "mask.png"
    main_is_well("words", "cat")
    main_is_well("segment", cat, "--tags", "tabby cat", "--out", mask, "--overlay", tmp_path / "look.png")
    assert "reliability" in capsys.readouterr().out
    assert 0.3 < (LabelMap.load(mask).labels == 1).mean() < 0.9

    photos, out = tmp_path / "photos", tmp_path / "out"
    truth = write_photographs(real_data / "msrc", photos)
    assert len(truth) == sum(WANTED.values()) == 14
    data: list[str | Path] = ["--data.root", photos, "--data.train", "tags.csv"]
    main_is_well("data", "check", *data)
    main_is_well("run", "cam", *data, "--out", out, "--segmenter.fit.iterations", "2", "--predictions.scales", "[0.5]")
    for said in ("the backbone stays as it is", "seeds.strict, seeds.lenient (auto)"):
        assert said in caplog.text and said in (out / "report.html").read_text()
    found = Confusion.empty(2)
    for image_id, labels in truth.items():
        found += Confusion.of(labels, LabelMap.load(out / "masks" / f"{image_id}.png").labels, 2)
    assert found.mean_iou() > 0.6
    rows = list(csv.DictReader((out / "masks.csv").open()))
    assert len(rows) == 9 and all(0 <= float(row["reliability"]) <= 1 for row in rows)

    result = weakseg.segment(cat, boxes=("cat", 90, 10, 420, 295))
    assert 0 <= result.reliability <= 1 and (result.mask == 1).any()
    settings = {
        "data": {"train": "tags.csv"},
        "segmenter": {"fit": {"iterations": 2}},
        "predictions": {"scales": [0.5]},
    }
    again = weakseg.run("cam", root=photos, out=out, options=None, **settings)
    assert again.model and any(again.mask(image_id).any() for image_id in truth)
    main_is_well("predict", "--model", again.model, "--images", photos, "--out", tmp_path / "predicted")
    assert len(list((tmp_path / "predicted").glob("*.png"))) == 14

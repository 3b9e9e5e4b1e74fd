"""The step that scores: what is wrong with the truth is said before anything runs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import write_folder
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import open_truth
from weakseg.errors import DataError
from weakseg.evaluation.protocol import describe_protocol, score_maps
from weakseg.files import read_json
from weakseg.pipeline.options import RunOptions
from weakseg.pipeline.plan import VAL, Kind, Role, Step, StepContext, StepResult, Work
from weakseg.steps.evaluate import evaluation_step


@pytest.fixture
def config(tmp_path: Path) -> DataConfig:
    root = write_folder(tmp_path / "data", 4)
    return DataConfig(root=str(root), train="tags.json", val="val.json", truth="masks")


def test_truth_that_nobody_can_understand_ends_the_plan(config: DataConfig) -> None:
    dataset = open_dataset(config)
    assert evaluation_step(dataset, config, []).role == Role.CHECK
    for path in Path(config.root, "masks").iterdir():
        labels = np.asarray(Image.open(path))
        Image.fromarray(np.where(labels > 0, 255, 0).astype(np.uint8)).save(path)
    with pytest.raises(DataError, match=r"truth in .*masks: the masks hold no values but 0 and 255"):
        evaluation_step(dataset, config, [])


def test_a_missing_folder_ends_the_plan(config: DataConfig) -> None:
    dataset = open_dataset(config)
    Path(config.root, "masks").rename(Path(config.root, "elsewhere"))
    with pytest.raises(DataError, match=r"data\.truth: .*masks is not a folder"):
        evaluation_step(dataset, config, [])


def test_each_product_is_scored_on_the_lists_that_it_has_images_of(config: DataConfig, tmp_path: Path) -> None:
    (Path(config.root) / "early.txt").write_text("i00\ni01\ni03\n")  # the last is of val
    config = replace(config, parts={"tags.json": {"fit": 2, "held": 1}}, score=("fit", "held", "early.txt"))
    dataset = open_dataset(config)
    nothing = Work("tests.nothing", lambda context: StepResult())
    masks = Step("masks", Kind.LABELS, {}, {}, nothing, Role.RESULT)
    predictions = Step("predictions", Kind.LABELS, {}, {}, nothing, Role.AFTER, VAL)
    folders = {name: tmp_path / name for name in ("masks", "predictions")}
    for split, folder in zip(("train", "val"), folders.values(), strict=True):
        for sample in dataset.splits[split]:
            labels = np.roll(open_truth(config, dataset, split)[0].load_truth(), int(sample.id[1:]), 1)
            folder.mkdir(exist_ok=True)
            Image.fromarray(labels).save(folder / f"{sample.id}.png")
    check = evaluation_step(dataset, config, [masks, predictions])
    check.work.run(StepContext(tmp_path / "out", folders, RunOptions(1, "cpu").make_engine(), "cpu"))
    scores = {(s["name"], s["protocol"]["list"]): s for s in read_json(tmp_path / "out" / "results.json")["scores"]}
    assert list(scores) == [
        ("masks", "fit"), ("masks", "held"), ("masks", "early.txt"), ("predictions", "early.txt"),
    ]  # fmt: skip
    assert [(s["images"], s["missing"]) for s in scores.values()] == [(2, 0), (1, 0), (3, 1), (3, 2)]
    held = score_maps("masks", open_truth(config, dataset, "train", "held"), folders["masks"])
    assert scores["masks", "held"]["mean_iou"] == 100 * held.confusion.mean_iou("error")
    assert "list early.txt (3 images, 1 without prediction; made for tags.json)" in describe_protocol(
        scores["masks", "early.txt"]
    )


def test_a_product_that_no_list_meets_is_scored_whole(config: DataConfig) -> None:
    dataset = open_dataset(replace(config, score="tags.json"))
    assert (dataset.lists_for("train"), dataset.lists_for("val")) == (("tags.json",), ("",))

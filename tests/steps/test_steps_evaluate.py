"""The step that scores: what is wrong with the truth is said before anything runs."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import write_folder
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.errors import DataError
from weakseg.pipeline.plan import Role
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

"""A real run, taken to CVAT by each of the ways there are."""

from pathlib import Path

import cvat_sdk.auto_annotation as auto
import numpy as np
import pytest
from cvat_sdk import make_client
from cvat_sdk.masks import decode_mask

from cvat_server import TOKEN, FakeTask
from generated import CLASSES, FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.image import load_rgb
from weakseg.integrations.cvat import detection
from weakseg.stages.weak_seeds import paint_regions

SIZE = (48, 64)


def on_server(task: FakeTask, frame: int) -> np.ndarray:
    labels = np.zeros(SIZE, np.uint8)
    for shape in (shape for shape in task.shapes if shape["frame"] == frame):
        mask = decode_mask(shape["points"], image_width=SIZE[1], image_height=SIZE[0])
        labels[mask] = shape["label_id"] - 100
    return labels


@pytest.mark.slow
def test_a_run_as_a_file_as_masks_of_a_task_and_as_a_function(
    host: str, task: FakeTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write_folder(tmp_path / "data", 4)
    monkeypatch.chdir(data)
    assert main(["run", "cam", *folder_arguments(data), *FAST, "--out", "out"]) == 0
    masks = {path.stem: LabelMap.load(path).labels for path in (data / "out/masks").glob("*.png")}
    assert len(masks) == 3

    assert main(["export", "out", "--product", "masks", "--format", "cvat", "--out", "a.xml"]) == 0
    config = DataConfig(root=str(data), format="cvat", train="a.xml", images="images", classes=CLASSES)
    found = {one.id: paint_regions(one.drawn.regions, SIZE).labels for one in open_dataset(config).splits["train"]}
    assert set(found) == set(masks)
    for name, labels in found.items():
        np.testing.assert_array_equal(labels, masks[name])

    task.photographs = {path.name: load_rgb(path) for path in sorted((data / "images").iterdir())}
    numbers = {Path(name).stem: number for number, name in enumerate(task.photographs)}
    assert main(["cvat", "push", "12", "out", "--product", "masks"]) == 0
    for name, labels in masks.items():
        np.testing.assert_array_equal(on_server(task, numbers[name]), labels)
    assert main(["cvat", "push", "12", "out", "--product", "predictions", "--replace", "auto"]) == 0
    predicted = {path.stem: LabelMap.load(path).labels for path in (data / "out/predictions").glob("*.png")}
    assert predicted
    for name, labels in predicted.items():
        np.testing.assert_array_equal(on_server(task, numbers[name]), labels)

    with make_client(host, access_token=TOKEN) as client:
        auto.annotate_task(client, 12, detection(data / "out", device="cpu"), clear_existing=True)
    for name, labels in predicted.items():
        np.testing.assert_array_equal(on_server(task, numbers[name]), labels)
    assert "mask" in {shape["type"] for shape in task.shapes} or not any(map(np.any, predicted.values()))

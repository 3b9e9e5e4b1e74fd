import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.stages.mask_counts import count_masks, load_mask

CLASSES = Classes(("cat", "dog", "cow"))


def samples_of(folder: Path, *masks: np.ndarray) -> list[WeakSample]:
    for number, mask in enumerate(masks):
        LabelMap(mask.astype(np.uint8)).save(folder / f"{number}.png")
    return [WeakSample(str(n), folder / f"{n}.jpg", Tags(frozenset())) for n in range(len(masks))]


def test_pixels_of_each_class_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    first, second = np.zeros((40, 50)), np.full((40, 50), 3)
    first[:10], second[:, :10] = 1, 255
    with caplog.at_level(logging.INFO):
        counts = count_masks(samples_of(tmp_path, first, second), tmp_path, CLASSES)
        counts.tell()
    assert counts.as_json() == {
        "images": 2,
        "pixels": {"background": 1500, "cat": 500, "dog": 0, "cow": 1600},
        "undecided": 400,
    }
    assert [record.message for record in caplog.records] == [
        "masks of 2 images: background 38 %, cat 12 %, dog 0 %, cow 40 %; undecided 10 %",
        "classes missing from the masks, which the segmenter learns never to predict: dog",
    ]


def test_masks_that_teach_little_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    whole = np.arange(1600).reshape(40, 40) % 4
    masks = [whole, np.full((40, 40), 255), whole[:32], *[whole[:, :20]] * 6]
    count_masks(samples_of(tmp_path, *masks), tmp_path, CLASSES).tell()
    assert [record.message for record in caplog.records if record.levelname == "WARNING"] == [
        "masks without a decided pixel, which teach nothing: 1",
        "images with a side of less than 33 pixels, of which the network sees mostly padding: 2, 3, 4, 5, 6 and 2 more",
    ]


def test_masks_without_any_label_are_refused(tmp_path: Path) -> None:
    counts = count_masks(samples_of(tmp_path, *[np.full((40, 40), 255)] * 2), tmp_path, CLASSES)
    with pytest.raises(DataError, match="none of the pixels of 2 images is decided"):
        counts.tell()


def test_masks_of_another_data_set_are_refused(tmp_path: Path) -> None:
    samples = samples_of(tmp_path, np.zeros((4, 4)), np.full((4, 4), 9))
    with pytest.raises(DataError, match=r"1\.png: label 9 but there are 3 classes"):
        count_masks(samples, tmp_path, CLASSES)
    assert (load_mask(tmp_path, "1", 9) == 9).all()


def test_colours_are_no_labels(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4, 3), np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png"):
        load_mask(tmp_path, "a", 3)

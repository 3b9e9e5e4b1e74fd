"""Tags that teach a classifier nothing are said to, with what it means, before anything is learned of them."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from weakseg.data.annotations import Box, Drawn
from weakseg.data.check import check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.learnable import ClassCount, learning_warnings


@pytest.mark.parametrize(
    ("counts", "expected"),
    [
        ([ClassCount("cat", 5, 5), ClassCount("dog", 3, 7)], []),
        ([ClassCount("cat", 5, 5), ClassCount("dog", 0, 7)], ["class 'dog': no training image shows it"]),
        (
            [ClassCount("cat", 10, 0), ClassCount("dog", 3, 7)],
            ["class 'cat': no training image is known to be without"],
        ),
        ([ClassCount("cat", 10, 0)], ["class 'cat': no training image is known to be without it"]),
        ([ClassCount("cat", 5, 5)], ["class 'cat' is the only one"]),
        (
            [ClassCount("cat", 2, 8), ClassCount("dog", 1, 9)],
            ["classes 'cat', 'dog': fewer than 3 training"],
        ),
        ([ClassCount("cat", 10, 0, drawn=1), ClassCount("dog", 1, 9, drawn=2)], []),
        ([ClassCount("cat", 2, 8, drawn=2)], []),
        ([ClassCount(f"c{n}", 1, 9) for n in range(7)], ["classes 'c0', 'c1', 'c2', 'c3', 'c4' and 2 more: fewer"]),
    ],
)
def test_what_is_said(counts: list[ClassCount], expected: list[str]) -> None:
    found = learning_warnings(counts)
    assert len(found) == len(expected)
    assert all(start in sentence for start, sentence in zip(expected, found, strict=True))


def data_set(root: Path, write_image, tags: dict[str, list[str]]) -> Dataset:
    for number, name in enumerate(tags):
        write_image(root / name, seed=number)
    (root / "tags.json").write_text(json.dumps(tags))
    return open_dataset(DataConfig(root=str(root), train="tags.json"))


def test_one_class_on_every_photograph(tmp_path: Path, write_image) -> None:
    dataset = data_set(tmp_path, write_image, {f"{n}.png": ["crate"] for n in range(4)})
    (warning,) = check_dataset(dataset).warnings
    assert "'crate'" in warning and "a classifier cannot find" in warning and "draw boxes" in warning


def test_a_class_that_is_drawn_is_not_learned_from_tags_alone(tmp_path: Path, write_image) -> None:
    dataset = data_set(tmp_path, write_image, {f"{n}.png": ["crate"] for n in range(4)})
    samples = list(dataset.splits["train"])
    samples[0] = replace(samples[0], drawn=Drawn(boxes=(Box(1, 0, 0, 2, 2),)))
    assert check_dataset(Dataset(dataset.classes, {"train": tuple(samples)})).warnings == ()

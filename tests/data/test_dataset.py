from pathlib import Path

import pytest

from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError

NO_TAGS = Tags(frozenset())


def test_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.root: '~nobody-here/x' names an unknown home"):
        open_dataset(DataConfig("~nobody-here/x", train="a.csv"))
    with pytest.raises(DataError, match=r"data\.root: .*gone is not a folder; give"):
        open_dataset(DataConfig(root=str(tmp_path / "gone")))


def test_no_training_images() -> None:
    with pytest.raises(DataError, match="no training images; check"):
        Dataset(Classes(("cat",)), {"train": ()})


def test_image_listed_twice() -> None:
    sample = WeakSample("a", Path("a.jpg"), NO_TAGS)
    with pytest.raises(DataError, match="image 'a' is listed more than once in val"):
        Dataset(Classes(("cat",)), {"train": (sample,), "val": (sample, sample)})


@pytest.mark.parametrize("kind", ["voc", "coco"])
def test_formats_that_need_a_list(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"data\.train: format '" + kind):
        DataConfig(format=kind)  # type: ignore[arg-type]


def test_min_pixels() -> None:
    with pytest.raises(ConfigError, match=r"data\.min_pixels: need >= 1, got 0"):
        DataConfig(min_pixels=0)


def test_single_image_of_one_pixel(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images/a.png", 1, 1)
    (tmp_path / "train.csv").write_text("image,label\na.png,cat\n")
    dataset = open_dataset(DataConfig(root=str(tmp_path), train="train.csv"))
    (sample,) = dataset.splits["train"]
    assert sample.load_image().shape == (1, 1, 3)
    assert dataset.classes.names == ("cat",)


def test_missing_image_fails_alone_and_late(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("image,label\na.png,cat\ngone.png,cat\n")
    good, bad = open_dataset(DataConfig(root=str(tmp_path), train="train.csv")).splits["train"]
    good.load_image()
    with pytest.raises(DataError, match=r"gone\.png: no such image"):
        bad.load_image()


def test_root_may_be_a_link(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "data/cat/a.png")
    (tmp_path / "link").symlink_to(tmp_path / "data")
    assert open_dataset(DataConfig(root=str(tmp_path / "link"))).splits["train"][0].id == "a"


def test_settings_that_lead_outside(voc_root: Path, coco_root: Path) -> None:
    assert voc_root == coco_root
    good = {"root": str(voc_root), "train": "train"}
    bad = [
        DataConfig(**good, format="voc", images="../photos"),
        DataConfig(**good, format="voc", tags="../tags.csv"),
        DataConfig(**good, format="voc", tags="truth", truth="/tmp"),
        DataConfig(root=str(voc_root), format="voc", train="../../../train"),
        DataConfig(root=str(voc_root), format="coco", train="../train.json"),
        DataConfig(root=str(voc_root), format="coco", train="train.json", images=".."),
        DataConfig(root=str(voc_root), train="/etc/passwd"),
        DataConfig(root=str(voc_root), images="../photos"),
    ]
    for config in bad:
        with pytest.raises(DataError, match=r"data\.\w+: .*outside the data folder"):
            open_dataset(config)

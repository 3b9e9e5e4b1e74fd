import shutil
from pathlib import Path

import pytest

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import Tags
from weakseg.errors import DataError


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(root=str(root), **settings))  # type: ignore[arg-type]


def tags_of(dataset: Dataset, split: str = "train") -> dict[str, Tags]:
    return {sample.id: sample.tags for sample in dataset.splits[split]}


def test_label_file(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "train.csv").write_text("image,label\nz/b.jpg,dog\na.jpg,\nz/b.jpg,cat\n")
    (tmp_path / "val.json").write_text('{"c.jpg": ["ant"]}')
    dataset = read(tmp_path, train="train.csv", val="val.json")
    assert dataset.classes.names == ("ant", "cat", "dog")
    assert tags_of(dataset) == {"z/b": Tags(frozenset({2, 3})), "a": Tags(frozenset())}
    assert tags_of(dataset, "val") == {"c": Tags(frozenset({1}))}
    assert [s.id for s in dataset.splits["train"]] == ["z/b", "a"]
    assert dataset.splits["train"][0].image_path == tmp_path.resolve() / "images/z/b.jpg"


def test_names_without_suffix_find_their_file(tmp_path: Path, write_image) -> None:
    pixels = write_image(tmp_path / "a.png")
    (tmp_path / "train.csv").write_text("image,label\na,cat\n")
    (sample,) = read(tmp_path, train="train.csv").splits["train"]
    assert (sample.load_image() == pixels).all()


@pytest.mark.parametrize(("folder", "setting"), [("images", ""), ("photos", "photos"), (".", "")])
def test_folder_of_images(tmp_path: Path, write_image, folder: str, setting: str) -> None:
    write_image(tmp_path / folder / "a.png")
    (tmp_path / "train.csv").write_text("image,label\na.png,cat\n")
    (sample,) = read(tmp_path, train="train.csv", images=setting).splits["train"]
    assert sample.image_path.is_file()


def test_folder_of_images_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.images: .*photos is not a folder; give"):
        read(tmp_path, images="photos")


def test_classes_come_from_setting_or_file(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,label\na.png,cat\n")
    assert read(tmp_path, train="train.csv", classes=("dog", "cat")).classes.names == ("dog", "cat")
    (tmp_path / "classes.txt").write_text("background\nzebra\ncat\n")
    dataset = read(tmp_path, train="train.csv")
    assert dataset.classes.names == ("zebra", "cat")
    assert tags_of(dataset) == {"a": Tags(frozenset({2}))}
    with pytest.raises(DataError, match=r"train\.csv:2: unknown class 'cat'; known classes: bird"):
        read(tmp_path, train="train.csv", classes=("bird",))


def test_label_file_without_any_class(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("image,label\na.png,\n")
    with pytest.raises(DataError, match="no class names; give"):
        read(tmp_path, train="train.csv")


@pytest.mark.parametrize("name", ["../a.jpg", "/etc/a.jpg", "x/../../a.jpg", "C:\\a.jpg", "link/a.jpg", "link.jpg"])
def test_label_file_that_points_outside(tmp_path: Path, name: str) -> None:
    root = tmp_path / "root"
    root.mkdir()
    (tmp_path / "a.jpg").touch()
    (root / "link").symlink_to(tmp_path)
    (root / "link.jpg").symlink_to(tmp_path / "a.jpg")
    (root / "train.csv").write_text(f"image,label\nok.jpg,cat\n{name},cat\n")
    dataset = read(root, train="train.csv")
    assert [sample.id for sample in dataset.splits["train"]] == ["ok"]
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("train.csv:3") and "leads outside the data folder" in reason
    (root / "train.csv").write_text(f"image,label\n{name},cat\n")
    with pytest.raises(DataError, match=r"train\.csv:2: .*leads outside the data folder"):
        read(root, train="train.csv")


def test_label_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"train\.csv: no such label file"):
        read(tmp_path, train="train.csv")


def test_class_folders(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/a.png", seed=1)
    write_image(tmp_path / "cat/b.PNG", seed=2)
    write_image(tmp_path / "dog/c.png", seed=3)
    write_image(tmp_path / "_none_/d.png", seed=4)
    shutil.copy(tmp_path / "cat/a.png", tmp_path / "dog/a.png")
    write_image(tmp_path / "dog/.hidden.png")
    write_image(tmp_path / ".cache/e.png")
    (tmp_path / "dog/notes.txt").touch()
    (tmp_path / "docs").mkdir()
    dataset = read(tmp_path)
    assert dataset.classes.names == ("cat", "dog")
    both, cat, dog, none = (Tags(frozenset(ids)) for ids in ([1, 2], [1], [2], []))
    assert tags_of(dataset) == {"d": none, "a": both, "b": cat, "c": dog}
    paths = {sample.id: sample.image_path for sample in dataset.splits["train"]}
    assert paths["a"] == tmp_path / "cat/a.png"


def test_class_folders_with_a_validation_file(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images/cat/a.png")
    (tmp_path / "val.csv").write_text("image,label\ncat/z.png,bird\n")
    dataset = read(tmp_path, val="val.csv")
    assert dataset.classes.names == ("bird", "cat")
    assert tags_of(dataset, "val") == {"cat/z": Tags(frozenset({1}))}


def test_folder_of_masks_is_no_class(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/a.png")
    write_image(tmp_path / "masks/a.png", seed=1)
    assert read(tmp_path, truth="masks").classes.names == ("cat",)


def test_two_photographs_with_one_name(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/001.png", seed=1)
    write_image(tmp_path / "dog/001.png", seed=2)
    with pytest.raises(DataError, match=r"dog/001\.png: another image than .*cat/001\.png, with the same name; rename"):
        read(tmp_path)


def test_one_stem_with_two_suffixes(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/a.png")
    write_image(tmp_path / "dog/a.bmp")
    dataset = read(tmp_path)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("dog/a.bmp") and reason.startswith("'a.bmp' and 'a.png' (")
    assert tags_of(dataset) == {"a": Tags(frozenset({1}))}


def test_class_and_background_at_once(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "background/a.png")
    write_image(tmp_path / "cat/a.png")
    dataset = read(tmp_path)
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("background/a.png") and "is said to have no label, but has 'cat'" in reason
    assert tags_of(dataset) == {"a": Tags(frozenset({1}))}


def test_images_without_labels(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "images/a.png")
    with pytest.raises(DataError, match=r"images: 1 images such as 'a\.png', but no labels; set data\.train"):
        read(tmp_path)


def test_images_beside_class_folders(tmp_path: Path, write_image) -> None:
    write_image(tmp_path / "cat/a.png")
    write_image(tmp_path / "b.png")
    with pytest.raises(DataError, match=r"1 images such as 'b\.png' lie beside the class folders"):
        read(tmp_path)


def test_no_images_at_all(tmp_path: Path) -> None:
    (tmp_path / "images/cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"images: no images, and no class folders with images; set"):
        read(tmp_path)


@pytest.mark.parametrize("link", ["cat", "cat/a.png"])
def test_class_folder_that_is_a_link_outside(tmp_path: Path, write_image, link: str) -> None:
    write_image(tmp_path / "outside/a.png")
    target = tmp_path / "outside" / ("" if link == "cat" else "a.png")
    (tmp_path / "root" / link).parent.mkdir(parents=True)
    (tmp_path / "root" / link).symlink_to(target)
    with pytest.raises(DataError, match=r"'cat(/a\.png)?' leads outside"):
        read(tmp_path / "root")


def test_a_photograph_of_a_class_folder_that_lies_outside_is_left_out_alone(tmp_path: Path, write_image) -> None:
    for place in ("outside/a.png", "root/cat/b.png"):
        write_image(tmp_path / place)
    (tmp_path / "root/cat/a.png").symlink_to(tmp_path / "outside/a.png")
    dataset = read(tmp_path / "root")
    assert [sample.id for sample in dataset.splits["train"]] == ["b"]
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("cat/a.png") and "leads outside" in reason


def test_names_of_another_unicode_form(tmp_path: Path, write_image) -> None:
    """Labels and photographs of a Mac, in one file with those of others."""
    composed, decomposed = "f\u00e4hre", "fa\u0308hre"
    write_image(tmp_path / f"images/{decomposed}.png")
    (tmp_path / "t.csv").write_text(f"image,label\n{composed}.png,cat\n{decomposed}.png,dog\n", encoding="utf-8")
    (sample,) = read(tmp_path, train="t.csv").splits["train"]
    assert (sample.id, sample.tags) == (composed, Tags(frozenset({1, 2})))
    assert sample.load_image().shape == (4, 5, 3)
    shutil.rmtree(tmp_path / "images")
    write_image(tmp_path / f"images/cat/{decomposed}.png")
    write_image(tmp_path / f"images/dog/{composed}.png")
    (sample,) = read(tmp_path).splits["train"]
    assert (sample.id, sample.tags) == (composed, Tags(frozenset({1, 2})))

import json
from pathlib import Path
from typing import Any

import pytest
from pycocotools import mask as coco_mask

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.sample import Tags
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.errors import DataError

Document = dict[str, Any]


def read(root: Path, **settings: object) -> Dataset:
    return open_dataset(DataConfig(**{"root": str(root), "format": "coco", "train": "train.json", **settings}))


def test_classes_and_tags(coco_root: Path) -> None:
    dataset = read(coco_root)
    assert dataset.classes.names == ("cat", "dog")  # category ids 2 and 9
    a, b = dataset.splits["train"]
    assert (a.id, a.tags) == ("a", Tags(frozenset({1, 2})))
    assert (b.id, b.tags) == ("b", Tags(frozenset(), frozenset({2})))  # only a crowd shows a dog
    assert a.image_path == coco_root.resolve() / "images/a.png"


def test_a_crowd_beside_an_object_changes_nothing(coco_root: Path, coco_document: Document) -> None:
    coco_document["annotations"][2]["image_id"] = 7
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    a, b = read(coco_root).splits["train"]
    assert (a.tags, b.tags) == (Tags(frozenset({1, 2})), Tags(frozenset()))


def test_given_classes_are_a_subset_in_their_own_order(coco_root: Path) -> None:
    assert read(coco_root, classes=("dog", "cat")).classes.names == ("dog", "cat")
    dataset = read(coco_root, classes=("dog",))
    assert [s.tags for s in dataset.splits["train"]] == [Tags(frozenset({1})), Tags(frozenset(), frozenset({1}))]
    (coco_root / "classes.txt").write_text("cat\n")
    assert [s.tags for s in read(coco_root).splits["train"]] == [Tags(frozenset({1})), Tags(frozenset())]


def test_given_class_without_category(coco_root: Path) -> None:
    with pytest.raises(DataError, match=r"train\.json: data\.classes: unknown class 'dogs'; did you mean 'dog'"):
        read(coco_root, classes=("dogs",))


def test_category_named_background_is_no_class(coco_root: Path, coco_document: Document) -> None:
    coco_document["categories"][1]["name"] = "background"
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    dataset = read(coco_root)
    assert dataset.classes.names == ("dog",)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))


def test_validation_file(coco_root: Path, coco_document: Document) -> None:
    (coco_root / "val.json").write_text(json.dumps(coco_document))
    assert [s.id for s in read(coco_root, val="val.json").splits["val"]] == ["a", "b"]
    coco_document["categories"].append({"id": 4, "name": "bird"})
    (coco_root / "val.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=r"val\.json: categories: unknown class 'bird'"):
        read(coco_root, val="val.json")
    assert "val" in read(coco_root, val="val.json", classes=("cat",)).splits


@pytest.mark.parametrize(
    ("folder", "file", "setting"),
    [("train", "train.json", ""), ("train2017", "instances_train2017.json", ""), ("photos", "train.json", "photos")],
)
def test_folder_of_images(coco_root: Path, folder: str, file: str, setting: str) -> None:
    (coco_root / "images").rename(coco_root / folder)
    (coco_root / "train.json").rename(coco_root / file)
    dataset = read(coco_root, train=file, images=setting)
    assert dataset.splits["train"][0].image_path == coco_root.resolve() / folder / "a.png"


def test_no_folder_of_images(coco_root: Path) -> None:
    (coco_root / "images").rename(coco_root / "photos")
    with pytest.raises(
        DataError,
        match=r"none of the folders images, train.* exists, and no image is beside train\.json; set data\.images",
    ):
        read(coco_root)


@pytest.mark.parametrize("name", ["../a.png", "link.png"])
def test_names_that_lead_outside(coco_root: Path, coco_document: Document, name: str, tmp_path_factory: Any) -> None:
    (coco_root / "images/link.png").symlink_to(tmp_path_factory.mktemp("outside") / "a.png")
    coco_document["images"][1]["file_name"] = name
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    dataset = read(coco_root)
    assert [sample.id for sample in dataset.splits["train"]] == ["a"]
    ((where, reason),) = dataset.dropped.items()
    assert where.endswith("train.json: images[1]") and reason.startswith(f"'{name}' leads outside")
    coco_document["images"][0]["file_name"] = f"x/../{name}"
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    with pytest.raises(DataError, match=r"lists no images that can be used: .*images\[[01]\]: .*leads outside"):
        read(coco_root)


@pytest.mark.parametrize("name", ["/home/me/photos/b.png", "D:\\\\photos\\\\b.png"])
def test_paths_of_another_machine_are_names(coco_root: Path, coco_document: Document, name: str) -> None:
    coco_document["images"][1]["file_name"] = name
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    assert read(coco_root).splits["train"][1].image_path == coco_root.resolve() / "images/b.png"


def move(root: Path, document: Document, file: str, folder: str) -> None:
    (root / file).parent.mkdir(parents=True, exist_ok=True)
    (root / file).write_text(json.dumps(document))
    (root / folder).mkdir(parents=True, exist_ok=True)
    for name in ("a.png", "b.png"):
        (root / folder / name).write_bytes((root / "images" / name).read_bytes())


@pytest.mark.parametrize(
    ("file", "folder"),
    [
        ("valid/_annotations.coco.json", "valid"),  # Roboflow
        ("annotations/instances_Train.json", "images/Train"),  # CVAT
        ("annotations/person_keypoints_val2017.json", "val2017"),
        ("labels.json", "data"),  # FiftyOne
        ("part/annotations.json", "part/images"),
        ("annotations.json", "."),
    ],
)
def test_where_the_tools_put_images(coco_root: Path, coco_document: Document, file: str, folder: str) -> None:
    move(coco_root, coco_document, file, folder)
    for name in ("a.png", "b.png"):
        (coco_root / "images" / name).unlink()
    for split in ("train", "val"):
        dataset = read(coco_root, train=file, **({"val": file} if split == "val" else {}))
        assert dataset.splits[split][1].image_path == (coco_root / folder / "b.png").resolve()


def test_each_split_beside_its_file(coco_root: Path, coco_document: Document) -> None:
    move(coco_root, coco_document, "train/_annotations.coco.json", "train")
    for image, name in zip(coco_document["images"], ("c.png", "d.png"), strict=True):
        image["file_name"] = name
        (coco_root / "images" / name).write_bytes((coco_root / "images/a.png").read_bytes())
    (coco_root / "valid").mkdir()
    for name in ("c.png", "d.png"):
        (coco_root / "images" / name).rename(coco_root / "valid" / name)
    (coco_root / "valid/_annotations.coco.json").write_text(json.dumps(coco_document))
    for name in ("a.png", "b.png"):
        (coco_root / "images" / name).unlink()
    dataset = read(coco_root, train="train/_annotations.coco.json", val="valid/_annotations.coco.json")
    assert [sample.image_path.parent.name for sample in dataset.splits["train"]] == ["train", "train"]
    assert [sample.image_path.parent.name for sample in dataset.splits["val"]] == ["valid", "valid"]


def test_two_photographs_of_one_id_in_two_splits(coco_root: Path, coco_document: Document) -> None:
    for split in ("train", "valid"):
        move(coco_root, coco_document, f"{split}/_annotations.coco.json", split)
    for name in ("a.png", "b.png"):
        (coco_root / "images" / name).unlink()
    with pytest.raises(DataError, match=r"have one image id 'a' in two splits"):
        read(coco_root, train="train/_annotations.coco.json", val="valid/_annotations.coco.json")


def test_a_group_is_no_class(coco_root: Path, coco_document: Document) -> None:
    for category in coco_document["categories"]:
        category["supercategory"] = "pets"
    coco_document["categories"].append({"id": 0, "name": "pets", "supercategory": "none"})
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    assert read(coco_root).classes.names == ("cat", "dog")
    assert read(coco_root, classes=("pets", "dog")).splits["train"][0].tags == Tags(frozenset({2}))


def test_two_categories_of_one_name_are_one_class(coco_root: Path, coco_document: Document) -> None:
    coco_document["categories"][1]["name"] = "dog"
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    dataset = read(coco_root)
    assert dataset.classes.names == ("dog",)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1}))


@pytest.mark.parametrize("size", [(10**9, 10**9), (5000, 20_000), (6, 4)])
def test_sizes_that_are_not_the_photographs_are_never_rasterised(
    coco_root: Path, coco_document: Document, size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(coco_mask, "frPyObjects", lambda *_: pytest.fail("rasterised"))
    for image in coco_document["images"]:
        image |= {"height": size[0], "width": size[1]}
    coco_document["annotations"][2]["segmentation"] = [[0, 0, 1, 0, 1, 1]]
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    config = DataConfig(root=str(coco_root), format="coco", train="train.json", labels="regions")
    with pytest.raises(DataError, match="regions are wanted, but no image has any"):
        open_dataset(config)
    config = DataConfig(root=str(coco_root), format="coco", train="train.json")
    dataset = open_dataset(config)
    assert dataset.splits["train"][0].tags == Tags(frozenset({1, 2}))
    for sample in (*open_truth(config, dataset, "train"), *open_instance_truth(config, dataset, "train")):
        with pytest.raises(
            DataError, match=r"images\[[01]\]: ('height' and 'width' are missing|truth of image '[ab]' is )"
        ):
            sample.load_truth()


def test_no_images(coco_root: Path, coco_document: Document) -> None:
    (coco_root / "train.json").write_text(json.dumps(coco_document | {"images": [], "annotations": []}))
    with pytest.raises(DataError, match="no training images"):
        read(coco_root)

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.truth import EvalSample, open_instance_truth, open_truth
from weakseg.errors import DataError


def open_both(config: DataConfig, split: str = "train") -> tuple[EvalSample, ...]:
    return open_truth(config, open_dataset(config), split)


def save_mask(path: Path, labels: np.ndarray) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(labels.astype(np.uint8)).save(path)


@pytest.fixture
def folder_config(tmp_path: Path, write_image) -> DataConfig:
    for name in ("a", "b"):
        write_image(tmp_path / f"images/{name}.png", 4, 6, seed=ord(name))
    (tmp_path / "train.csv").write_text("image,label\na.png,cat\nb.png,\n")
    return DataConfig(root=str(tmp_path), train="train.csv", truth="masks")


def test_voc(voc_root: Path) -> None:
    a, b = open_both(DataConfig(root=str(voc_root), format="voc", train="train"))
    assert (a.id, b.id, a.num_classes) == ("a", "b", 2)
    expected = np.zeros((4, 6), np.uint8)
    expected[:2, :3], expected[2, :] = 1, 255
    np.testing.assert_array_equal(a.load_truth(), expected)
    assert not b.load_truth().any()


def test_voc_images_without_mask_are_left_out(voc_root: Path) -> None:
    (voc_root / "SegmentationClass/a.png").unlink()
    assert [s.id for s in open_both(DataConfig(root=str(voc_root), format="voc", train="train"))] == ["b"]


def test_coco_small_objects_lie_on_large_ones_and_crowds_are_void(coco_root: Path) -> None:
    config = DataConfig(root=str(coco_root), format="coco", train="train.json")
    a, b = open_both(config)
    expected = np.zeros((4, 6), np.uint8)
    expected[:, :4] = 2  # dog, drawn first though listed last
    expected[1:3, 1:3] = 1  # cat
    np.testing.assert_array_equal(a.load_truth(), expected)
    void = np.zeros((4, 6), np.uint8)
    void[:, 1:3] = 255  # runs of 4, 8, 12 pixels go down the columns of 4
    np.testing.assert_array_equal(b.load_truth(), void)


def test_coco_with_chosen_classes(coco_root: Path) -> None:
    a, b = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json", classes=("cat",)))
    assert np.argwhere(a.load_truth() == 1).tolist() == [[1, 1], [1, 2], [2, 1], [2, 2]]
    assert a.load_truth().sum() == 4
    assert not b.load_truth().any()


def test_coco_images_with_boxes_only_are_left_out(coco_root: Path, coco_document) -> None:
    coco_document["annotations"][0]["segmentation"] = []
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    config = DataConfig(root=str(coco_root), format="coco", train="train.json")
    assert [sample.id for sample in open_both(config)] == ["b"]
    assert len(open_dataset(config).splits["train"]) == 2


def test_coco_without_sizes(coco_root: Path, coco_document) -> None:
    del coco_document["images"][0]["height"], coco_document["images"][0]["width"]
    (coco_root / "train.json").write_text(json.dumps(coco_document))
    a, _ = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json"))
    with pytest.raises(DataError, match=r"train\.json: images\[0\]: 'height' and 'width' are missing"):
        a.load_truth()


def test_coco_size_that_is_not_the_photographs(coco_root: Path, write_image) -> None:
    write_image(coco_root / "images/a.png", 6, 4)
    a, _ = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json"))
    with pytest.raises(DataError, match=r"train\.json: images\[0\]: truth of image 'a' is 4 x 6.*a\.png is 6 x 4"):
        a.load_truth()


def test_folder_with_masks(folder_config: DataConfig) -> None:
    save_mask(Path(folder_config.root) / "masks/a.png", np.ones((4, 6)))
    (a,) = open_both(folder_config)
    assert a.load_truth().tolist() == [[1] * 6] * 4


def test_folder_without_masks(folder_config: DataConfig) -> None:
    assert open_both(DataConfig(root=folder_config.root, train="train.csv")) == ()


def test_masks_that_are_no_folder(folder_config: DataConfig) -> None:
    with pytest.raises(DataError, match=r"data\.truth: .*masks is not a folder; give"):
        open_both(folder_config)


def test_masks_outside_the_root(folder_config: DataConfig) -> None:
    dataset = open_dataset(folder_config)
    with pytest.raises(DataError, match=r"data\.truth: '\.\./masks' leads outside"):
        open_truth(DataConfig(root=folder_config.root, train="train.csv", truth="../masks"), dataset, "train")


def test_mask_that_is_a_link_outside(folder_config: DataConfig, tmp_path_factory: pytest.TempPathFactory) -> None:
    target = tmp_path_factory.mktemp("outside") / "a.png"
    save_mask(target, np.ones((4, 6)))
    (Path(folder_config.root) / "masks").mkdir()
    (Path(folder_config.root) / "masks/a.png").symlink_to(target)
    with pytest.raises(DataError, match=r"masks/a\.png' leads outside"):
        open_both(folder_config)


def test_split_that_does_not_exist(folder_config: DataConfig) -> None:
    (Path(folder_config.root) / "masks").mkdir()
    assert open_both(folder_config, "val") == ()


def test_mask_of_another_size(folder_config: DataConfig) -> None:
    save_mask(Path(folder_config.root) / "masks/a.png", np.ones((6, 4)))
    (a,) = open_both(folder_config)
    with pytest.raises(DataError, match=r"masks/a\.png: truth of image 'a' is 6 x 4.*images/a\.png is 4 x 6"):
        a.load_truth()


def test_mask_is_compared_with_the_upright_photograph(folder_config: DataConfig) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (4, 6)).save(Path(folder_config.root) / "images/a.png", exif=exif)
    save_mask(Path(folder_config.root) / "masks/a.png", np.ones((4, 6)))
    (a,) = open_both(folder_config)
    assert a.load_truth().shape == (4, 6)


def test_values_out_of_range(folder_config: DataConfig) -> None:
    labels = np.zeros((4, 6))
    labels[0, :3] = (1, 2, 255)
    save_mask(Path(folder_config.root) / "masks/a.png", labels)
    (a,) = open_both(folder_config)
    with pytest.raises(DataError, match=r"masks/a\.png: .*'a' holds values \[2\] .*expected 0\.\.1 or 255"):
        a.load_truth()


@pytest.mark.parametrize("content", [b"", b"no image"])
def test_unreadable_mask(folder_config: DataConfig, content: bytes) -> None:
    (Path(folder_config.root) / "masks").mkdir()
    (Path(folder_config.root) / "masks/a.png").write_bytes(content)
    (a,) = open_both(folder_config)
    with pytest.raises(DataError, match=r"masks/a\.png: cannot be read as a mask"):
        a.load_truth()


def test_samples_travel_to_other_processes(coco_root: Path, voc_root: Path) -> None:
    coco = open_both(DataConfig(root=str(coco_root), format="coco", train="train.json"))
    voc = open_both(DataConfig(root=str(voc_root), format="voc", train="train"))
    for sample in coco + voc:
        np.testing.assert_array_equal(pickle.loads(pickle.dumps(sample)).load(), sample.load())


def test_truth_of_0_and_255_alone_is_a_question(folder_config: DataConfig) -> None:
    labels = np.zeros((4, 6))
    labels[1:3, 1:3] = 255
    save_mask(Path(folder_config.root) / "masks/a.png", labels)
    with pytest.raises(
        DataError, match=r"truth in .*masks: the masks hold no values but 0 and 255.*set data\.void to none"
    ):
        open_both(folder_config)
    (a,) = open_both(replace(folder_config, void="none"))
    np.testing.assert_array_equal(a.load_truth(), labels == 255)
    (a,) = open_both(replace(folder_config, void=255))
    np.testing.assert_array_equal(a.load_truth(), labels)


def test_coloured_truth(voc_root: Path) -> None:
    """As CVAT writes it; its objects are told apart by colours."""
    (voc_root / "labelmap.txt").write_text(
        "# label:color_rgb:parts:actions\nbackground:0,0,0::\ndog:9,8,7::\ncat:1,2,3::\n"
    )
    colours, objects = np.zeros((4, 6, 3)), np.zeros((4, 6, 3))
    colours[:2], colours[3, :3] = (9, 8, 7), (1, 2, 3)
    objects[:2], objects[3, :3] = (5, 5, 5), (4, 4, 4)
    save_mask(voc_root / "SegmentationClass/a.png", colours)
    save_mask(voc_root / "SegmentationObject/a.png", objects)
    config = DataConfig(root=str(voc_root), format="voc", train="train")
    expected = np.zeros((4, 6), np.uint8)
    expected[:2], expected[3, :3] = 2, 1
    a, _ = open_both(config)
    np.testing.assert_array_equal(a.load_truth(), expected)
    (sample,) = open_instance_truth(config, open_dataset(config), "train")
    assert sample.load_truth().objects.class_ids == (1, 2)
    (voc_root / "classes.txt").unlink()
    assert open_dataset(config).classes.names == ("dog", "cat")  # in the order of the label map
    assert open_dataset(replace(config, tags="truth", min_pixels=4)).splits["train"][0].tags.present == {1}


def test_a_palette_of_another_name(folder_config: DataConfig) -> None:
    save_mask(Path(folder_config.root) / "masks/a.png", np.full((4, 6, 3), (1, 2, 3)))
    (Path(folder_config.root) / "colours.csv").write_text("name,r,g,b\ncat,1,2,3\n")
    (a,) = open_both(replace(folder_config, palette="colours.csv"))
    assert (a.load_truth() == 1).all()
    with pytest.raises(DataError, match="leads outside the data folder"):
        open_both(replace(folder_config, palette="../colours.csv"))

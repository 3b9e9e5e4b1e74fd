"""Lists that results are scored on, and parts that a keyed rule cuts."""

from pathlib import Path

import pytest

from weakseg.data.config import DataConfig
from weakseg.data.dataset import Dataset, open_dataset
from weakseg.data.readers.lists import part_ids
from weakseg.data.truth import open_instance_truth, open_truth
from weakseg.errors import ConfigError, DataError

CUT = {"train": {"fit": 5, "held": 3}}


@pytest.fixture
def voc(tmp_path: Path, write_image) -> DataConfig:
    """Eight images of ``train``, a ninth in ``wide`` alone."""
    (tmp_path / "classes.txt").write_text("cat\n")
    for number in range(9):
        write_image(tmp_path / f"JPEGImages/i{number}.jpg", 4, 6, seed=number)
        (tmp_path / "Annotations").mkdir(exist_ok=True)
        (tmp_path / f"Annotations/i{number}.xml").write_text(
            "<annotation><object><name>cat</name></object></annotation>"
        )
    folder = tmp_path / "ImageSets/Segmentation"
    folder.mkdir(parents=True)
    (folder / "train.txt").write_text("".join(f"i{n}\n" for n in range(8)))
    (folder / "val.txt").write_text("i8\n")
    (folder / "wide.txt").write_text("i0\ni8\n")
    return DataConfig(root=str(tmp_path), format="voc", train="train")


def ids(dataset: Dataset, split: str) -> list[str]:
    return [sample.id for sample in dataset.splits[split]]


def replaced(config: DataConfig, **changes: object) -> DataConfig:
    return DataConfig(**{**vars(config), **changes})


class TestParts:
    def test_they_depend_on_ids_alone(self) -> None:
        names = [f"i{n}" for n in range(40)]
        found = part_ids(names, {"fit": 30, "held": 10})
        assert found == part_ids(names[::-1], {"held": 10, "fit": 30})
        assert len(found["fit"]) == 30 and found["fit"] | found["held"] == set(names)
        assert not found["fit"] & found["held"]
        assert found["held"] != set(names[30:])
        assert found["held"] < part_ids(names, {"fit": 20, "held": 20})["held"]  # a larger part keeps its images

    def test_figures_stay_comparable(self) -> None:
        found = part_ids([f"i{n}" for n in range(10)], {"fit": 7, "held": 3})
        assert sorted(found["held"]) == ["i4", "i5", "i7"]  # as this version cuts: another rule makes other figures

    def test_a_segmenter_is_trained_on_one_and_predicts_the_other(self, voc: DataConfig) -> None:
        whole = open_dataset(voc)
        cut = open_dataset(replaced(voc, train="fit", val="held", parts=CUT))
        assert (len(cut.splits["train"]), len(cut.splits["val"])) == (5, 3)
        assert sorted(ids(cut, "train") + ids(cut, "val")) == ids(whole, "train")
        assert cut.splits["train"][0] in whole.splits["train"] and cut.lists == {}

    def test_of_a_list_that_is_no_split(self, voc: DataConfig) -> None:
        both = open_dataset(replaced(voc, val="val", parts=CUT, score=("fit", "held")))
        assert [len(samples) for samples in both.lists.values()] == [5, 3]
        assert (ids(both, "val"), len(both.splits["train"])) == (["i8"], 8)
        other = open_dataset(replaced(voc, train="a", val="val", parts={"wide": {"a": 1, "b": 1}}))
        assert len(other.splits["train"]) == 1

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"parts": {"train": {"fit": 5, "held": 2}}, "train": "fit"}, "8 images, but its parts are fit 5 . held 2"),
            ({"parts": {"train": {"val": 5, "held": 3}}, "train": "val"}, "'val' names a part, but .*val.txt exists"),
            ({"score": "hold"}, "data.score: there is no list 'hold'; name a list under ImageSets/Segmentation"),
            ({"parts": CUT, "score": "hold"}, "there is no list 'hold'; name the parts fit, held, or a list"),
            ({"score": "val"}, "none of the 1 images of 'val' is in data.train or data.val"),
            ({"score": "../x"}, "leads outside"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, voc: DataConfig, changes: dict[str, object], message: str) -> None:
        with pytest.raises(DataError, match=message):
            open_dataset(replaced(voc, **changes))

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"parts": {"train": {"fit": 0}}}, "part 'fit' needs at least one image, got 0"),
            ({"parts": {"train": {"fit": 1}, "val": {"fit": 1}}}, "'fit' must name one part and nothing else"),
            ({"parts": {"train": {"train": 1}}}, "'train' must name one part"),
            ({"score": ("a", "a")}, "'a' must be the name of a list, given once"),
            ({"score": ""}, "'' must be the name of a list"),
        ],
    )
    def test_settings_that_contradict_themselves(self, changes: dict[str, object], message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            DataConfig(train="x", **changes)


class TestScoreLists:
    def test_a_list_meets_the_splits_that_it_has_images_of(self, voc: DataConfig) -> None:
        found = open_dataset(replaced(voc, val="val", score=("train", "wide")))
        assert (found.lists_for("train"), found.lists_for("val")) == (("train", "wide"), ("wide",))
        plain = open_dataset(replaced(voc, val="val", score="train"))
        assert (plain.lists_for("train"), plain.lists_for("val")) == (("train",), ("",))
        assert open_dataset(voc).lists_for("train") == ("",)

    def test_truth_of_images_that_are_in_no_split_counts(self, voc: DataConfig) -> None:
        from PIL import Image

        config = replaced(voc, score="wide")
        dataset = open_dataset(config)
        (Path(voc.root) / "SegmentationClass").mkdir()
        for number in (0, 3, 8):
            Image.new("L", (6, 4), 1).save(Path(voc.root) / f"SegmentationClass/i{number}.png")
        assert [one.id for one in open_truth(config, dataset, "train")] == ["i0", "i3"]
        assert [one.id for one in open_truth(config, dataset, "train", "wide")] == ["i0", "i8"]

    def test_a_damaged_entry_is_left_out(self, voc: DataConfig) -> None:
        path = Path(voc.root) / "ImageSets/Segmentation/odd.txt"
        path.write_text("i1\n../i2\ni1\ni3\n")
        found = open_dataset(replaced(voc, score="odd"))
        assert [sample.id for sample in found.lists["odd"]] == ["i1", "i3"]
        assert sorted(where[-1] for where in found.dropped if "odd.txt" in where) == ["2", "3"]

    def test_a_text_file_of_ids_for_other_layouts(self, tmp_path: Path, write_image) -> None:
        for name in "abc":
            write_image(tmp_path / f"images/{name}.png", 4, 6)
        (tmp_path / "train.csv").write_text("image,label\na.png,cat\nb.png,\nc.png,cat\n")
        (tmp_path / "some.txt").write_text("a\nc.png\nx\na\n")
        config = DataConfig(root=str(tmp_path), train="train.csv", score=("some.txt", "train.csv"))
        found = open_dataset(config)
        assert [[one.id for one in samples] for samples in found.lists.values()] == [["a", "c"], ["a", "b", "c"]]
        assert list(found.dropped.values()) == [
            "image 'x' is in neither data.train nor data.val",
            "image 'a' is there already; keep one entry",
        ]
        (tmp_path / "some.txt").write_text("x\n")
        with pytest.raises(DataError, match=r"lists no image of data\.train or data\.val"):
            open_dataset(config)
        with pytest.raises(DataError, match=r"no list 'b\.txt'; name a text file of image ids, or a part"):
            open_dataset(replaced(config, score="b.txt"))

    def test_coco_is_scored_on_parts_of_its_file(self, coco_root: Path) -> None:
        config = DataConfig(
            root=str(coco_root), format="coco", train="one", val="two", score=("one", "train.json"),
            parts={"train.json": {"one": 1, "two": 1}},
        )  # fmt: skip
        dataset = open_dataset(config)
        assert len(dataset.lists["one"]) == 1 and len(dataset.lists["train.json"]) == 2
        for opened in (open_truth, open_instance_truth):
            (one,) = opened(config, dataset, "train")
            assert [s.id for s in opened(config, dataset, "train", "one")] == [one.id]
            every = opened(config, dataset, "train", "train.json")
            assert sorted(s.id for s in every) == ["a", "b"] and every[0].id == one.id


class TestVerdicts:
    def test_only_what_is_rejected_takes_part(self, voc: DataConfig, tmp_path: Path) -> None:
        (tmp_path / "checked.csv").write_text(
            'image,verdict\n"i0",accepted\n"i3",rejected\n"i5",rejected\n"x",rejected\n'
        )
        found = open_dataset(replaced(voc, val="val", only="checked.csv"))
        with pytest.raises(DataError, match=r"data\.only: there is no file .*other\.csv"):
            open_dataset(replaced(voc, only="other.csv"))
        assert ids(found, "train") == ["i3", "i5"] and ids(found, "val") == ["i8"]
        assert found.dropped[f"{tmp_path / 'checked.csv'}:5"] == "image 'x' is no training image"

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", "the file is empty; expected the columns image and verdict"),
            ("image,class\ni0,cat\n", ":1: expected the columns image,verdict, got image,class"),
            ("image,verdict\ni0,good\n", ":2: expected an image id, and one of accepted, rejected; got i0,good"),
            ("image,verdict\ni0,accepted\n", "rejects no training image"),
        ],
    )
    def test_other_lists_are_refused(self, voc: DataConfig, tmp_path: Path, text: str, message: str) -> None:
        (tmp_path / "checked.csv").write_text(text)
        with pytest.raises(DataError, match=message):
            open_dataset(replaced(voc, only="checked.csv"))

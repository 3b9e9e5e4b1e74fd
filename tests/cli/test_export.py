"""``weakseg export``, as a user types it."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools.coco import COCO

from generated import CLASSES, draw, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats.mask_files import MaskRules, load_mask
from weakseg.data.formats.palettes import read_palette
from weakseg.data.truth import instance_truth_from_coco, instance_truth_from_masks, open_truth
from weakseg.files import write_json
from weakseg.instances import SUFFIX, Instances
from weakseg.methods.recipes import RECIPE_FILE, load_recipe, recipe_as_json

Capture = pytest.CaptureFixture[str]
NAMES = [f"i{index:02}" for index in range(4)]


def objects_of(index: int) -> Instances:
    """Return the objects of a drawn image; the disc is sure, the square is not."""
    _, mask = draw(index)
    ids = [class_id for class_id in (1, 2) if (mask == class_id).any()]
    return Instances.of(mask == np.reshape(ids, (-1, 1, 1)), ids, scores=[1 / class_id for class_id in ids])


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs, masks and objects; works in their folder."""
    root = write_folder(tmp_path / "data", 4)
    for index, name in enumerate(NAMES):
        objects_of(index).save(root / "found" / f"{name}{SUFFIX}")
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def run(data: Path) -> Path:
    """A run folder that holds masks, and no objects yet."""
    recipe = load_recipe("irnet", [*folder_arguments(data), "--instances=true"])
    write_json(data / "run" / RECIPE_FILE, recipe_as_json(recipe))
    write_json(data / "run/data/place.json", {"root": str(data)})
    for name in NAMES[:2]:
        LabelMap.load(data / f"masks/{name}.png").save(data / f"run/masks/{name}.png")
    return data / "run"


def export(*words: str) -> int:
    return main(["export", *words])


FOLDER = ("found", "--images", "images", "--classes", "classes.txt")


@pytest.mark.parametrize("more", [(), ("--polygons",)])
def test_a_folder_of_objects_as_coco(more: tuple[str, ...], data: Path, capsys: Capture) -> None:
    assert export(*FOLDER, "--format", "coco", "--out", "o.json", *more) == 0
    assert "4 objects on 4 images" in capsys.readouterr().out
    found = {s.id: s.load_truth().objects for s in instance_truth_from_coco(Path("o.json"), Classes(CLASSES))}
    assert list(found) == NAMES
    for index, name in enumerate(NAMES):
        np.testing.assert_array_equal(found[name].masks, objects_of(index).masks)
        assert found[name].class_ids == objects_of(index).class_ids
    document = json.loads(Path("o.json").read_text())
    assert document["images"][0]["file_name"] == "i00.png"
    assert isinstance(document["annotations"][0]["segmentation"], list if more else dict)


def test_a_data_set_of_what_was_exported(data: Path) -> None:
    assert export(*FOLDER, "--format", "coco", "--out", "o.json") == 0
    config = DataConfig(root=str(data), format="coco", train="o.json", images="images", classes=CLASSES)
    dataset = open_dataset(config)
    for sample in open_truth(config, dataset, "train"):
        np.testing.assert_array_equal(sample.load_truth(), LabelMap.load(data / f"masks/{sample.id}.png").labels)


def test_objects_of_low_score_are_left_out(data: Path, capsys: Capture) -> None:
    assert export(*FOLDER, "--format", "coco", "--out", "o.json", "--score", "0.6") == 0
    assert "2 objects on 4 images" in capsys.readouterr().out
    assert {a["category_id"] for a in json.loads(Path("o.json").read_text())["annotations"]} == {1}


def test_objects_as_results_with_the_numbers_of_a_data_set(data: Path, capsys: Capture) -> None:
    images = [{"id": 10 + n, "file_name": f"{name}.jpg", "height": 48, "width": 64} for n, name in enumerate(NAMES)]
    categories = [{"id": 7, "name": "square"}, {"id": 90, "name": "disc"}]
    write_json(Path("val.json"), {"images": images, "annotations": [], "categories": categories})
    words = ("found", "--classes", "classes.txt", "--format", "coco-results", "--like", "val.json")
    assert export(*words, "--out", "r.json") == 0
    found = COCO("val.json").loadRes("r.json")
    capsys.readouterr()
    assert [(a["image_id"], a["category_id"], a["score"]) for a in found.anns.values()] == [
        (11, 90, 1.0),
        (12, 7, 0.5),
        (13, 90, 1.0),
        (13, 7, 0.5),
    ]


def test_objects_as_voc_with_the_lists_of_cvat(data: Path) -> None:
    assert export("found", "--classes", "classes.txt", "--format", "voc", "--out", "voc") == 0
    paths = {n: (data / f"voc/SegmentationObject/{n}.png", data / f"voc/SegmentationClass/{n}.png") for n in NAMES}
    for index, sample in enumerate(instance_truth_from_masks(paths, MaskRules(Classes(CLASSES)))):
        np.testing.assert_array_equal(sample.load_truth().objects.masks, objects_of(index).masks)
    assert Path("voc/ImageSets/Segmentation/default.txt").read_text().split() == NAMES
    lines = Path("voc/labelmap.txt").read_text().splitlines()
    assert lines[1:] == ["background:0,0,0::", "disc:128,0,0::", "square:0,128,0::"]


def test_masks_as_coco_and_voc(data: Path, capsys: Capture) -> None:
    words = ("masks", *FOLDER[1:])
    assert export(*words, "--format", "coco", "--out", "o.json", "--polygons") == 0
    assert "4 regions on 4 images" in capsys.readouterr().out
    (both,) = [s for s in instance_truth_from_coco(Path("o.json"), Classes(CLASSES)) if s.id == "i03"]
    np.testing.assert_array_equal(both.load_truth().objects.masks, objects_of(3).masks)
    assert export(*words, "--format", "voc", "--out", "voc") == 0
    assert "4 masks" in capsys.readouterr().out and not Path("voc/SegmentationObject").exists()
    for name in NAMES:
        assert Path(f"voc/SegmentationClass/{name}.png").read_bytes() == Path(f"masks/{name}.png").read_bytes()


def test_masks_in_colours_for_cvat_come_back(data: Path, capsys: Capture) -> None:
    """Also where CVAT gives the classes other colours, in another order."""
    assert export("masks", *FOLDER[1:], "--format", "segmentation-mask", "--out", "cvat") == 0
    assert "4 masks: " in capsys.readouterr().out
    assert all(Image.open(f"cvat/SegmentationClass/{name}.png").mode == "RGB" for name in NAMES)
    words = ("evaluate", "--predictions", "masks", "--classes", "classes.txt", "--truth", "cvat/SegmentationClass")
    assert main(list(words)) == 0
    assert "mean IoU   100.00" in capsys.readouterr().out
    for name in NAMES:
        path = Path(f"cvat/SegmentationClass/{name}.png")
        pixels = np.asarray(Image.open(path))
        Image.fromarray(
            np.where((pixels == (128, 0, 0)).all(-1, keepdims=True), (250, 50, 83), pixels).astype(np.uint8)
        ).save(path)
    lines = ["square:0,128,0::", "disc:250,50,83::", "background:0,0,0::"]
    Path("cvat/labelmap.txt").write_text("\n".join(lines))
    assert main(list(words)) == 0
    assert "mean IoU   100.00" in capsys.readouterr().out
    Path("cvat/labelmap.txt").rename("colours.txt")
    assert main(list(words)) == 2
    assert "is a coloured mask, and nothing says which colour" in capsys.readouterr().err
    assert main([*words, "--palette", "colours.txt"]) == 0


def test_undecided_pixels_in_colours(data: Path, capsys: Capture) -> None:
    labels = LabelMap.load(data / "masks/i00.png").labels.copy()
    labels[:5] = 255
    LabelMap(labels).save(data / "masks/i00.png")
    assert export("masks", *FOLDER[1:], "--format", "segmentation-mask", "--out", "cvat") == 0
    assert "4 masks, 1 with undecided pixels, which are of the class 'undecided'" in capsys.readouterr().out
    rules = MaskRules(Classes(CLASSES), palette=read_palette(Path("cvat/labelmap.txt")))
    np.testing.assert_array_equal(load_mask(Path("cvat/SegmentationClass/i00.png"), rules), labels)


def test_objects_in_colours(data: Path) -> None:
    assert export("found", "--classes", "classes.txt", "--format", "segmentation-mask", "--out", "cvat") == 0
    paths = {n: (data / f"cvat/SegmentationObject/{n}.png", data / f"cvat/SegmentationClass/{n}.png") for n in NAMES}
    rules = MaskRules(Classes(CLASSES), palette=read_palette(Path("cvat/labelmap.txt")))
    for index, sample in enumerate(instance_truth_from_masks(paths, rules)):
        found = sample.load_truth().objects
        assert sorted(found.areas) == sorted(objects_of(index).areas)
        assert sorted(found.class_ids) == sorted(objects_of(index).class_ids)


@pytest.mark.parametrize("void", ["", "none", "255"])
def test_evaluate_asks_what_255_is(
    tmp_path: Path, void: str, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    truth = np.zeros((4, 4), np.uint8)
    truth[:2] = 255
    for folder, labels in (("truth", truth), ("pred", np.zeros((4, 4), np.uint8)), ("own", truth)):
        (tmp_path / folder).mkdir()
        Image.fromarray(labels).save(tmp_path / folder / "a.png")
    (tmp_path / "classes.txt").write_text("crate\n")
    places = [f"--{name}={tmp_path / place}" for name, place in (("truth", "truth"), ("classes", "classes.txt"))]
    code = main(["evaluate", "--predictions", str(tmp_path / "pred"), *places, *([f"--void={void}"] if void else [])])
    shown = capsys.readouterr()
    if not void:
        assert (
            code == 2
            and "truth: the masks hold no values but 0 and 255" in shown.err
            and "set --void to none" in shown.err
        )
    else:
        assert code == 0 and ("crate        0.00" if void == "none" else "crate      absent") in shown.out
    if void == "none":
        main(["evaluate", "--predictions", str(tmp_path / "own"), *places, "--void=none"])
        assert "own: the masks hold no values but 0 and 255, and 255 is undecided" in caplog.text


def test_a_run_knows_its_images_and_classes(data: Path, run: Path, capsys: Capture) -> None:
    assert export("run", "--format", "coco", "--out", "o.json") == 0
    assert "1 regions on 2 images" in capsys.readouterr().out
    document = json.loads(Path("o.json").read_text())
    assert [image["file_name"] for image in document["images"]] == ["i00.png", "i01.png"]
    assert [category["name"] for category in document["categories"]] == list(CLASSES)
    objects_of(3).save(run / f"instances/i03{SUFFIX}")
    assert export("run", "--format", "coco", "--out", "o.json", "--overwrite") == 0
    assert "2 objects on 1 images" in capsys.readouterr().out
    assert export("run", "--product", "masks", "--format", "voc", "--out", "voc") == 0
    assert "2 masks" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("nowhere", "--format", "voc", "--out", "o"), "nowhere: no such folder"),
        (("found", "--format", "voc", "--out", "o"), "--classes: needed, as found is no run folder"),
        (("found", "--format", "voc", "--out", "o", "--product", "masks"), "--product: found is no run folder"),
        (("run", "--format", "voc", "--out", "o", "--product", "walk"), "run: has no walk"),
        (("found", "--classes", "classes.txt", "--format", "coco", "--out", "o"), "o must end in .json"),
        (("found", "--classes", "classes.txt", "--format", "coco", "--out", "o.json"), "'i00' has no photograph"),
        ((*FOLDER, "--format", "voc", "--out", "o", "--polygons"), "--polygons: is for --format coco"),
        ((*FOLDER, "--format", "coco", "--out", "o.json", "--like", "x"), "--like: is for --format coco-results"),
        ((*FOLDER, "--format", "coco-results", "--out", "o.json"), "--like: coco-results need it"),
        ((*FOLDER, "--format", "coco", "--out", "o.json", "--score", "2"), "--score: must lie in [0, 1]"),
        (
            ("found", "--classes", "one.txt", "--format", "voc", "--out", "o"),
            "'i02' has class 2, but there are 1",
        ),
        (
            ("masks", "--classes", "one.txt", "--format", "voc", "--out", "o"),
            "'i02' has class 2, but there are 1",
        ),
        (("empty", "--classes", "one.txt", "--format", "voc", "--out", "o"), "empty: holds neither objects"),
        (("found", "--classes", "colon.txt", "--format", "voc", "--out", "o"), "class 'a:b' has a colon"),
        (
            ("masks", "--classes", "classes.txt", "--format", "coco-results", "--like", "x", "--out", "o.json"),
            "masks holds masks, but coco-results are of objects",
        ),
    ],
)
def test_errors_are_one_message(words: tuple[str, ...], message: str, data: Path, run: Path, capsys: Capture) -> None:
    Path("one.txt").write_text("disc\n")
    Path("colon.txt").write_text("disc\na:b\n")
    Path("empty").mkdir()
    assert export(*words) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error

"""``weakseg export`` to YOLO, LabelMe and Label Studio: what is written is read back bit for bit by its readers."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from generated import CLASSES as GENERATED
from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.annotations import IGNORED, Box, Shape
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.formats import labelme, labelstudio
from weakseg.data.regions import mask_of_runs
from weakseg.instances import SUFFIX, Instances

Capture = pytest.CaptureFixture[str]
Labels = NDArray[np.uint8]
CLASSES = ("cat", 'Übung "2": <a&b>', "yes")
SOURCE = ("masks", "--images", "photos", "--classes", "classes.txt")


def drawn_masks() -> dict[str, Labels]:
    """Return masks by image id: holes, single pixels, classes that touch, borders, thin images, nothing."""
    rng = np.random.default_rng(0)
    ring = np.zeros((12, 15), np.uint8)
    ring[1:11, 1:11], ring[4:7, 4:7], ring[5, 5] = 1, 0, 2
    ring[8, 3], ring[:, 14], ring[11, 12] = 0, 3, 3
    return {
        "plain": ring,
        "ordner/größe 1.b": rng.integers(0, 4, (17, 23), np.uint8),
        "x/images/y": rng.integers(0, 4, (6, 9), np.uint8).repeat(5, 0).repeat(4, 1),
        "tall": rng.integers(0, 3, (41, 1), np.uint8),
        "wide": rng.integers(0, 3, (1, 40), np.uint8),
        "empty": np.zeros((5, 6), np.uint8),
        "full": np.full((5, 6), 2, np.uint8),
    }


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for image_id, labels in drawn_masks().items():
        write(tmp_path, image_id, labels)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(root: Path, image_id: str, labels: Labels) -> None:
    LabelMap(labels).save(root / f"masks/{image_id}.png")
    photograph = root / f"photos/{image_id}.jpg"
    photograph.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", labels.shape[::-1], (90, 120, 60)).save(photograph)


def export(kind: str, *more: str, source: Iterable[str] = SOURCE, out: str = "out") -> int:
    return main(["export", *source, "--format", kind, "--out", out, *more])


def painted(shapes: Iterable[Shape], size: tuple[int, int], names: Mapping[str, int]) -> Labels:
    """Return the labels of regions, none of which overlap."""
    labels = np.zeros(size, np.uint8)
    for shape in shapes:
        assert shape.kind == "region" and shape.size == size
        pixels = mask_of_runs(shape.runs, size)
        assert not labels[pixels].any()
        labels[pixels] = IGNORED if shape.ignored else names[shape.label]
    return labels


NAMES = {name: number for number, name in enumerate(CLASSES, start=1)}


class TestYoloSegments:
    def test_masks_come_back(self, data: Path, capsys: Capture) -> None:
        assert export("yolo-segments") == 0
        said = capsys.readouterr().out
        assert "regions on 7 images" in said and "one for each part that hangs together" in said
        assert "holes are bridged" in said
        dataset = open_dataset(DataConfig(root="out", format="yolo", train="images"))
        assert dataset.classes.names == CLASSES and dataset.dropped == {}
        found = {sample.id: sample for sample in dataset.splits["train"]}
        assert set(found) == set(drawn_masks())
        for image_id, labels in drawn_masks().items():
            again = np.zeros_like(labels)
            for region in found[image_id].drawn.regions:
                again[mask_of_runs(region.runs, region.size)] = region.class_id
            np.testing.assert_array_equal(again, labels)
            assert found[image_id].load_image().shape[:2] == labels.shape
        assert Path("out/images/x/labels/y.txt").is_file() and Path("out/labels/empty.txt").read_text() == ""

    def test_no_line_can_be_taken_for_a_box_or_a_pose(self, data: Path) -> None:
        assert export("yolo-segments") == 0
        lines = Path("out/labels/full.txt").read_text().split("\n")
        assert lines[0].split()[0] == "1" and len(lines[0].split()) == 11
        for path in Path("out").rglob("*.txt"):
            assert all(len(line.split()) >= 11 for line in path.read_text().splitlines())

    def test_holes_are_refused_by_name(self, data: Path, capsys: Capture) -> None:
        assert export("yolo-segments", "--holes", "refuse") == 1
        shown = capsys.readouterr()
        assert "failed: plain in export: image 'plain': has 2 holes, which YOLO's outlines cannot have" in shown.err
        assert "--holes bridge" in shown.err
        assert not Path("out/labels/plain.txt").exists() and not Path("out/images/plain.jpg").exists()
        assert Path("out/labels/full.txt").is_file() and "plain" in Path("out/failures.csv").read_text()
        assert export("yolo-segments", "--overwrite") == 0
        assert Path("out/labels/plain.txt").is_file() and not Path("out/failures.csv").exists()

    def test_photographs_may_stay_where_they_are(self, data: Path) -> None:
        words = ("masks", "--classes", "classes.txt", "--photographs", "leave")
        assert export("yolo-segments", source=words) == 0
        assert Path("out/labels/ordner/größe 1.b.txt").is_file() and not list(Path("out").rglob("*.jpg"))

    def test_objects_of_several_parts(self, data: Path, capsys: Capture) -> None:
        masks = np.zeros((2, 12, 15), np.bool_)
        masks[0, 2:5, 2:5] = masks[0, 8, 8] = masks[1, 3:9, 3:9] = True
        Instances.of(masks, [3, 1]).save(Path("found") / f"plain{SUFFIX}")
        assert export("yolo-segments", source=("found", *SOURCE[1:])) == 0
        assert "2 objects on 1 images; 3 outlines" in capsys.readouterr().out
        (sample,) = open_dataset(DataConfig(root="out", format="yolo", train="images")).splits["train"]
        united = {class_id: np.zeros((12, 15), np.bool_) for class_id in (1, 3)}
        for region in sample.drawn.regions:
            united[region.class_id] |= mask_of_runs(region.runs, region.size)
        np.testing.assert_array_equal(united[3], masks[0])
        np.testing.assert_array_equal(united[1], masks[1])

    def test_ultralytics_reads_the_same_pixels(self, data: Path) -> None:
        """Its own reader and raster, of the package ``ultralytics``; skipped where that is not installed."""
        utils = pytest.importorskip("ultralytics.data.utils")
        assert export("yolo-segments") == 0
        names = utils.check_det_dataset("out/data.yaml", autodownload=False)["names"]
        assert tuple(names.values()) == CLASSES
        compared = 0
        for image_id in ("plain", "ordner/größe 1.b", "x/images/y"):
            photograph, labels = f"out/images/{image_id}.jpg", drawn_masks()[image_id]
            (file,) = utils.img2label_paths([str(Path(photograph).resolve())])
            _, boxes, size, segments, *_, message = utils.verify_image_label(
                (photograph, file, "", False, len(CLASSES), 0, 0, False)
            )
            assert message == "" and size == labels.shape
            again = np.zeros_like(labels)
            for class_id, segment in zip(boxes[:, 0], segments, strict=True):
                polygon = (segment * (size[1], size[0])).reshape(1, -1)
                again[utils.polygon2mask(size, list(polygon)).astype(bool)] = class_id + 1
                compared += 1
            np.testing.assert_array_equal(again, labels)
        assert compared > 50


class TestYoloBoxes:
    def test_boxes_around_parts_of_masks(self, data: Path, capsys: Capture) -> None:
        assert export("yolo-boxes") == 0
        assert " boxes: " in capsys.readouterr().out
        dataset = open_dataset(DataConfig(root="out", format="yolo", train="images"))
        found = {sample.id: set(sample.drawn.boxes) for sample in dataset.splits["train"]}
        assert found["plain"] == {
            Box(1, 1, 1, 11, 11),
            Box(2, 5, 5, 6, 6),
            Box(3, 0, 14, 12, 15),
            Box(3, 11, 12, 12, 13),
        }
        assert found["full"] == {Box(2, 0, 0, 5, 6)} and found["empty"] == set()

    def test_boxes_of_objects_are_their_own(self, data: Path) -> None:
        masks = np.zeros((2, 12, 15), np.bool_)
        masks[0, 2:5, 2:5] = masks[1, 3:9, 3:9] = True
        boxes = [(1.25, 2.0, 5.5, 5.75), (0.0, 0.0, 12.0, 15.0)]
        Instances.of(masks, [3, 1], boxes=boxes, scores=[0.9, 0.4]).save(Path("found") / f"plain{SUFFIX}")
        assert export("yolo-boxes", source=("found", *SOURCE[1:])) == 0
        (sample,) = open_dataset(DataConfig(root="out", format="yolo", train="images")).splits["train"]
        assert sample.drawn.boxes == (Box(3, 1.25, 2, 5.5, 5.75), Box(1, 0, 0, 12, 15))
        assert export("yolo-boxes", "--score", "0.5", "--overwrite", source=("found", *SOURCE[1:])) == 0
        assert len(Path("out/labels/plain.txt").read_text().splitlines()) == 1


class TestLabelme:
    @pytest.mark.parametrize("more", [(), ("--polygons",)])
    def test_masks_come_back(self, more: tuple[str, ...], data: Path) -> None:
        assert export("labelme", *more) == 0
        table = labelme.read_table(Path("out"))
        assert table.dropped == {} and {Path(image.name).suffix for image in table.images} == {".jpg"}
        found = {image.name.removesuffix(".jpg"): image for image in table.images}
        assert set(found) == set(drawn_masks())
        for image_id, labels in drawn_masks().items():
            np.testing.assert_array_equal(painted(found[image_id].shapes, labels.shape, NAMES), labels)
            assert len(found[image_id].shapes) == len(set(np.unique(labels)) - {0})
        dataset = open_dataset(DataConfig(root="out", format="labelme", train=".", classes=CLASSES))
        assert {sample.id for sample in dataset.splits["train"]} == set(drawn_masks())

    def test_the_form(self, data: Path) -> None:
        assert export("labelme") == 0
        document = json.loads(Path("out/ordner/größe 1.b.json").read_text(encoding="utf-8"))
        assert document["imagePath"] == "größe 1.b.jpg" and document["imageData"] is None
        assert (document["imageHeight"], document["imageWidth"]) == (17, 23) and document["flags"] == {}
        shape = document["shapes"][0]
        assert shape["shape_type"] == "mask" and shape["label"] == "cat" and shape["group_id"] is None
        assert all(isinstance(value, float) for point in shape["points"] for value in point)

    def test_undecided_pixels_are_to_be_ignored(self, data: Path, capsys: Capture) -> None:
        labels = drawn_masks()["plain"]
        labels[3:5] = 255
        write(data, "plain", labels)
        for more in ((), ("--polygons", "--overwrite")):
            assert export("labelme", *more) == 0
            assert "undecided pixels of 1 masks are '__ignore__'" in capsys.readouterr().out
            (image,) = labelme.read_table(Path("out/plain.json")).images
            np.testing.assert_array_equal(painted(image.shapes, labels.shape, NAMES), labels)

    def test_photographs_that_stay_are_named_by_their_path(self, data: Path) -> None:
        assert export("labelme", "--photographs", "leave", out="deep/out") == 0
        path = Path("deep/out/ordner/größe 1.b.json")
        said = json.loads(path.read_text(encoding="utf-8"))["imagePath"]
        assert said == "../../../photos/ordner/größe 1.b.jpg" and (path.parent / said).is_file()
        assert not list(Path("deep").rglob("*.jpg"))

    def test_beside_the_photographs_themselves(self, data: Path) -> None:
        before = Path("photos/plain.jpg").stat()
        assert export("labelme", "--overwrite", out="photos") == 0
        after = Path("photos/plain.jpg").stat()  # whose time of the last reading may be another
        assert Path("photos/plain.json").is_file()
        assert (after.st_mtime_ns, after.st_size, after.st_ino) == (before.st_mtime_ns, before.st_size, before.st_ino)

    def test_objects_have_scores_and_groups(self, data: Path) -> None:
        masks = np.zeros((1, 12, 15), np.bool_)
        masks[0, 2:5, 2:5] = masks[0, 8, 8] = True
        Instances.of(masks, [3], scores=[0.5]).save(Path("found") / f"plain{SUFFIX}")
        assert export("labelme", "--polygons", source=("found", *SOURCE[1:])) == 0
        shapes = json.loads(Path("out/plain.json").read_text())["shapes"]
        assert [(one["group_id"], one["score"]) for one in shapes] == [(1, 0.5), (1, 0.5)]
        (image,) = labelme.read_table(Path("out/plain.json")).images
        np.testing.assert_array_equal(painted(image.shapes, (12, 15), NAMES) == 3, masks[0])

    def test_labelme_itself_opens_them(self, data: Path) -> None:
        """Its own reader, of the package ``labelme``; skipped where that is not installed."""
        label_file = pytest.importorskip("labelme._label_file")
        assert export("labelme") == 0
        for image_id, labels in drawn_masks().items():
            found = label_file.read_label_file(f"out/{image_id}.json")
            again = np.zeros_like(labels)
            for shape in found.shapes:
                (left, top), (right, bottom) = (map(int, point) for point in shape["points"])
                again[top : bottom + 1, left : right + 1][shape["mask"]] = NAMES[shape["label"]]
            np.testing.assert_array_equal(again, labels)


def annotated(path: Path) -> list[dict[str, object]]:
    """Return tasks as Label Studio exports them when somebody has accepted the predictions."""
    tasks = json.loads(path.read_text(encoding="utf-8"))
    return [{"data": task["data"], "annotations": task["predictions"]} for task in tasks]


class TestLabelStudio:
    def test_masks_come_back(self, data: Path) -> None:
        assert export("labelstudio") == 0
        Path("accepted.json").write_text(json.dumps(annotated(Path("out/tasks.json"))))
        table = labelstudio.read_table(Path("accepted.json"))
        assert table.dropped == {}
        found = {image.name.removesuffix(".jpg"): image for image in table.images}
        assert set(found) == set(drawn_masks())  # of /data/local-files/?d=, with all folders
        for image_id, labels in drawn_masks().items():
            np.testing.assert_array_equal(painted(found[image_id].shapes, labels.shape, NAMES), labels)
        config = DataConfig(root=".", format="labelstudio", train="accepted.json", images="photos", classes=CLASSES)
        assert len(open_dataset(config).splits["train"]) == 7

    @pytest.mark.parametrize(
        ("prefix", "address"),
        [
            ("/data/local-files/?d=a b/", "/data/local-files/?d=a b/ordner/gr%C3%B6%C3%9Fe%201.b.jpg"),
            ("http://localhost:8081/", "http://localhost:8081/ordner/gr%C3%B6%C3%9Fe%201.b.jpg"),
            ("", "ordner/größe 1.b.jpg"),
        ],
    )
    def test_addresses(self, prefix: str, address: str, data: Path) -> None:
        assert export("labelstudio", "--url-prefix", prefix) == 0
        tasks = json.loads(Path("out/tasks.json").read_text(encoding="utf-8"))
        assert address in [task["data"]["image"] for task in tasks]

    def test_undecided_pixels_have_a_label(self, data: Path, capsys: Capture) -> None:
        labels = drawn_masks()["plain"]
        labels[3:5] = 255
        write(data, "plain", labels)
        assert export("labelstudio") == 0
        assert "undecided pixels of 1 masks are 'undecided'" in capsys.readouterr().out
        Path("accepted.json").write_text(json.dumps(annotated(Path("out/tasks.json"))))
        (image,) = (one for one in labelstudio.read_table(Path("accepted.json")).images if one.name == "plain.jpg")
        np.testing.assert_array_equal(painted(image.shapes, labels.shape, {**NAMES, "undecided": 255}), labels)
        names = [one.get("value") for one in ElementTree.parse("out/labelstudio.xml").iter("Label")]
        assert names == [*CLASSES, "undecided"]

    def test_the_configuration_and_objects(self, data: Path) -> None:
        masks = np.zeros((2, 12, 15), np.bool_)
        masks[0, 2:5, 2:5] = masks[1, 3:9, 3:9] = True
        boxes = [(2.0, 2.0, 5.0, 5.0), (0.0, 0.0, 12.0, 15.0)]
        Instances.of(masks, [3, 1], boxes=boxes, scores=[0.9, 0.4]).save(Path("found") / f"plain{SUFFIX}")
        assert export("labelstudio", source=("found", *SOURCE[1:])) == 0
        view = ElementTree.parse("out/labelstudio.xml").getroot()
        assert [(one.tag, one.get("name"), one.get("toName")) for one in view] == [
            ("Image", "image", None),
            ("BrushLabels", "brush", "image"),
            ("RectangleLabels", "box", "image"),
        ]
        assert [label.get("background") for label in view[1]] == ["#800000", "#008000", "#808000"]
        (task,) = json.loads(Path("out/tasks.json").read_text())
        (prediction,) = task["predictions"]
        assert prediction["score"] == pytest.approx(0.65) and prediction["model_version"].startswith("weakseg-")
        assert [one["score"] for one in prediction["result"]] == [0.9, 0.4, 0.9, 0.4]
        assert len({one["id"] for one in prediction["result"]}) == 4
        Path("accepted.json").write_text(json.dumps(annotated(Path("out/tasks.json"))))
        (image,) = labelstudio.read_table(Path("accepted.json")).images
        for shape, mask in zip(image.shapes[:2], masks, strict=True):
            np.testing.assert_array_equal(mask_of_runs(shape.runs, (12, 15)), mask)
        for shape, (top, left, bottom, right) in zip(image.shapes[2:], boxes, strict=True):
            np.testing.assert_allclose(shape.positions, ((top, left), (bottom, right)), rtol=0, atol=1e-12)

    def test_label_studio_accepts_predictions_for_the_configuration(self, data: Path) -> None:
        """Its own check, of the package ``label-studio-sdk``; skipped where that is not installed."""
        interface = pytest.importorskip("label_studio_sdk.label_interface").LabelInterface
        assert export("labelstudio") == 0
        view = interface(Path("out/labelstudio.xml").read_text(encoding="utf-8"))
        for task in json.loads(Path("out/tasks.json").read_text(encoding="utf-8")):
            assert view.validate_prediction(task["predictions"][0], return_errors=True) == []


@pytest.mark.parametrize(
    ("kind", "more", "message"),
    [
        ("yolo-boxes", ("--holes", "refuse"), "--holes: is for --format yolo-segments, got yolo-boxes"),
        ("labelme", ("--undecided", "background"), "--undecided: is for --format yolo-segments or yolo-boxes"),
        (
            "labelstudio",
            ("--photographs", "leave"),
            "--photographs: is for --format yolo-segments or yolo-boxes or lab",
        ),
        ("labelme", ("--url-prefix", ""), "--url-prefix: is for --format labelstudio, got labelme"),
        ("yolo-segments", ("--polygons",), "--polygons: is for --format coco or cvat or labelme, got yolo-segments"),
    ],
)
def test_flags_that_do_not_go_together(
    kind: str, more: tuple[str, ...], message: str, data: Path, capsys: Capture
) -> None:
    assert export(kind, *more) == 2
    assert message in capsys.readouterr().err and not Path("out").exists()


@pytest.mark.parametrize("kind", ["yolo-segments", "yolo-boxes"])
def test_yolo_has_no_word_for_undecided_pixels(kind: str, data: Path, capsys: Capture) -> None:
    labels = drawn_masks()["full"]
    labels[0, :3] = 255
    write(data, "full", labels)
    assert export(kind) == 1
    assert "image 'full': 3 pixels are undecided, which YOLO cannot say" in capsys.readouterr().err
    assert not Path("out/labels/full.txt").exists() and Path("out/labels/plain.txt").is_file()
    assert export(kind, "--undecided", "background", "--overwrite") == 0
    assert "undecided pixels of 1 masks are background now" in capsys.readouterr().out
    assert Path("out/labels/full.txt").read_text().startswith("1 ")


@pytest.mark.parametrize("kind", ["yolo-segments", "yolo-boxes", "labelme", "labelstudio"])
class TestOneBadPhotograph:
    """It is named, and does not stop the others."""

    def test_it_has_another_size(self, kind: str, data: Path, capsys: Capture) -> None:
        Image.new("RGB", (15, 13)).save("photos/plain.jpg")
        assert export(kind) == 1
        shown = capsys.readouterr()
        assert "failed: plain in export" in shown.err and "on 6 images" in shown.out

    def test_its_mask_is_damaged_or_of_an_unknown_class(self, kind: str, data: Path, capsys: Capture) -> None:
        Path("masks/plain.png").write_bytes(b"no PNG")
        LabelMap(np.full((5, 6), 9, np.uint8)).save(Path("masks/full.png"))
        assert export(kind) == 1
        shown = capsys.readouterr()
        assert "failed: plain in export" in shown.err and "'full' has class 9, but there are 3" in shown.err
        assert "on 5 images" in shown.out

    def test_its_photograph_is_missing(self, kind: str, data: Path, capsys: Capture) -> None:
        Path("photos/plain.jpg").unlink()
        assert export(kind) == 1
        assert "image 'plain': has no photograph; give their folder with --images" in capsys.readouterr().err

    def test_all_are_bad(self, kind: str, data: Path, capsys: Capture) -> None:
        assert export(kind, source=("masks", "--classes", "classes.txt")) == 2
        assert "nothing can be exported: image 'empty': has no photograph" in capsys.readouterr().err

    def test_a_photograph_that_lies_turned_in_its_file(self, kind: str, data: Path) -> None:
        """Masks are upright, and so are all four formats' readers."""
        exif = Image.Exif()
        exif[0x0112] = 6
        Image.new("RGB", (12, 15)).save("photos/plain.jpg", exif=exif)
        assert export(kind) == 0
        if kind == "yolo-segments":
            samples = open_dataset(DataConfig(root="out", format="yolo", train="images")).splits["train"]
            (plain,) = (one for one in samples if one.id == "plain")
            again = np.zeros((12, 15), np.uint8)
            for region in plain.drawn.regions:
                again[mask_of_runs(region.runs, (12, 15))] = region.class_id
            np.testing.assert_array_equal(again, drawn_masks()["plain"])
            assert plain.load_image().shape == (12, 15, 3)


@pytest.mark.parametrize(("kind", "name"), [("labelme", "__ignore__"), ("labelstudio", "undecided")])
def test_names_that_mean_something_else(kind: str, name: str, data: Path, capsys: Capture) -> None:
    Path("classes.txt").write_text("\n".join([name, *CLASSES[1:]]), encoding="utf-8")
    assert export(kind) == 2
    assert f"classes: {name!r}" in capsys.readouterr().err


@pytest.mark.slow
def test_a_real_run_goes_to_every_program(tmp_path: Path, capsys: Capture) -> None:
    """From labels to masks, and to the four formats, as typed."""
    root, run = write_folder(tmp_path / "data", 4), tmp_path / "run"
    fast = [*FAST, "--segmenter.fit.epochs=1", "--workers=1", "--device=cpu"]
    assert main(["run", "cam", "--out", str(run), *folder_arguments(root), *fast]) == 0
    masks = {path.stem: LabelMap.load(path).labels for path in (run / "masks").glob("*.png")}
    assert len(masks) == 3 and any((labels > 0).any() for labels in masks.values())
    for kind in ("yolo-segments", "yolo-boxes", "labelme", "labelstudio"):
        more = [] if kind.startswith("label") else ["--undecided", "background"]
        assert export(kind, *more, source=[str(run)], out=str(tmp_path / kind)) == 0
        assert "regions on 3 images" in capsys.readouterr().out
    samples = open_dataset(
        DataConfig(root=str(tmp_path / "yolo-segments"), format="yolo", train="images", classes=GENERATED)
    ).splits["train"]
    for sample in samples:
        again = np.zeros_like(masks[sample.id])
        for region in sample.drawn.regions:
            again[mask_of_runs(region.runs, region.size)] = region.class_id
        np.testing.assert_array_equal(again, np.where(masks[sample.id] == 255, 0, masks[sample.id]))
    tasks = json.loads((tmp_path / "labelstudio/tasks.json").read_text())
    scores = [task["predictions"][0].get("score") for task in tasks]
    assert any(score is not None for score in scores) and all(0 <= score <= 1 for score in scores if score is not None)

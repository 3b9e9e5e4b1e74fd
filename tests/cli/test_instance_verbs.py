"""The verbs of instances, as a user types them."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.data.classes import Classes
from weakseg.data.formats.instances_out import write_coco_annotations
from weakseg.instances import SUFFIX, Instances
from weakseg.nn.weights import read_header

Capture = pytest.CaptureFixture[str]
SIZES = {"model.width": 16, "model.hidden": 32, "model.mask_layers": 1, "model.proposals": 32, "augment.crop": 64}
SMALL = [f"--{name}={value}" for name, value in SIZES.items()]
PUBLISHED = ["--config", str(Path(__file__).parents[2] / "recipes/instances/mask_rcnn_resnet101.yaml")]
EMBEDDED = ["--model.backbone.name=efficientnet_lite0", "--model.backbone.weights=embedded"]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, class masks, object masks, instances and a COCO file of four images."""
    root, whole = tmp_path_factory.mktemp("verbs"), {}
    (root / "images").mkdir()
    for index in range(4):
        image, mask = draw(index)
        Image.fromarray(image).save(root / f"images/i{index}.png")
        LabelMap(mask).save(root / f"classes/i{index}.png")
        LabelMap(mask).save(root / f"objects/i{index}.png")  # one object a class
        ids = [class_id for class_id in (1, 2) if (mask == class_id).any()]
        whole[f"i{index}"] = Instances.of(mask == np.reshape(ids, (-1, 1, 1)), ids)
        whole[f"i{index}"].save(root / f"instances/i{index}{SUFFIX}")
    (root / "classes.txt").write_text("\n".join(CLASSES))
    write_coco_annotations(root / "true.json", whole, {i: f"{i}.png" for i in whole}, Classes(CLASSES))
    return root


def test_train_predict_evaluate(data: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture) -> None:
    images, classes = ["--images", str(data / "images")], ["--classes", str(data / "classes.txt")]
    train = ["train-instances", "--instances", str(data / "instances"), *images, *classes, "--out", str(tmp_path / "m")]
    small = [*train, *SMALL, "--augment.long_side", "[64,64]"]
    assert main([*small, "--fit.epochs", "2"]) == 0
    assert main([*small, "--fit.epochs", "1"]) == 0  # the model of two epochs is put aside
    assert "trained on 4 images" in capsys.readouterr().out and "fit.epochs: 2 -> 1" in caplog.text
    assert list((tmp_path / "m/.earlier").rglob("model.safetensors"))
    found = ["--model", str(tmp_path / "m/model.safetensors"), *images, "--out", str(tmp_path / "f")]
    assert main(["predict-instances", *found, "--score", "0.01", "--workers", "1"]) == 0
    assert "4 files of instances" in capsys.readouterr().out
    assert Instances.load(tmp_path / f"f/i3{SUFFIX}").image_size == (48, 64)
    folders = ["--truth", str(data / "classes"), "--objects", str(data / "objects")]
    assert main(["evaluate", "--predictions", str(tmp_path / "f"), *folders, *classes]) == 0
    assert "(4 images, 0 without prediction, 4 objects)" in capsys.readouterr().out


def test_settings_of_a_file(data: Path, tmp_path: Path, capsys: Capture) -> None:
    """The published Mask R-CNN, made small by flags after it."""
    train = ["train-instances", "--instances", str(data / "instances"), "--images", str(data / "images")]
    train += ["--classes", str(data / "classes.txt"), "--out", str(tmp_path / "m")]
    flags = [*SMALL, *EMBEDDED, "--fit.iterations=2", "--fit.batch_size=2", "--fit.lr=0.0001"]
    assert main([*train, *PUBLISHED, *flags, "--augment.long_side=[64,64]"]) == 0
    model = read_header(tmp_path / "m/model.safetensors")["model"]
    assert (model["width"], model["samples"], model["pyramid_norm"]) == (16, 512, "none")
    assert main([*train, "--config", str(tmp_path / "none.yaml")]) == 2
    assert "none.yaml" in capsys.readouterr().err


@pytest.mark.parametrize("truth", [["classes", "--objects", "objects"], ["true.json"]])
def test_truth_against_itself_is_perfect(
    truth: list[str], data: Path, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    words = ["evaluate", "--predictions", "instances", "--classes", "classes.txt", "--out", str(tmp_path / "r.json")]
    assert main([*words, "--truth", *truth]) == 0
    printed = capsys.readouterr().out
    assert "mAP^r    100.00   100.00   100.00   100.00" in printed and "COCO ap 100.00" in printed
    assert "ap_large absent" in printed and "IoU >= threshold" in printed
    values = json.loads((tmp_path / "r.json").read_text())
    assert values["objects"] == 4 and values["coco"]["ap50"] == 100.0
    assert main([*words, "--truth", *truth, "--match", "free", "--overwrite"]) == 0
    assert "IoU > threshold" in capsys.readouterr().out


def test_a_list_chooses_images(data: Path, tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "list.txt").write_text("i1\ni3\n")
    words = ["evaluate", "--predictions", str(data / "instances"), "--classes", str(data / "classes.txt")]
    for truth in (["--truth", str(data / "true.json")], [f"--truth={data}/classes", f"--objects={data}/objects"]):
        assert main([*words, *truth, "--list", str(tmp_path / "list.txt")]) == 0
        assert "(2 images, 0 without prediction, 3 objects)" in capsys.readouterr().out
    (tmp_path / "list.txt").write_text("i1\ni9\n")
    assert main([*words, "--truth", str(data / "true.json"), "--list", str(tmp_path / "list.txt")]) == 2
    assert "image 'i9' has no true objects" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["evaluate", "--predictions", "classes", "--truth", "classes", "--objects", "objects"],
            "none of the 4 images with truth has instances",
        ),
        (
            ["evaluate", "--predictions", "instances", "--truth", "classes", "--objects", "nowhere"],
            "nowhere: no such folder of true masks",
        ),
        (["evaluate", "--predictions", "instances", "--truth", "nowhere.json"], "nowhere.json: no such COCO file"),
        (
            ["train-instances", "--instances", "classes", "--images", "images", "--out", "o"],
            "classes: no file ID.instances.json has the name of an image in images",
        ),
    ],
)
def test_errors_are_one_message(
    words: list[str], message: str, data: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(data)
    assert main([*words, "--classes", "classes.txt"]) == 2
    error = capsys.readouterr().err
    assert message in error and "Traceback" not in error


def test_a_model_of_another_kind_is_refused(data: Path, tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "other.safetensors"
    other.write_bytes(b"no model")
    words = ["--model", str(other), "--images", str(data / "images"), "--out", str(tmp_path / "out")]
    assert main(["predict-instances", *words]) == 2
    assert "other.safetensors: not a weakseg model" in capsys.readouterr().err

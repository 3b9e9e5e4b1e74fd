"""``weakseg export-model``, and ``weakseg predict`` with what it writes."""

import io
import re
import runpy
import shutil
import sys
from contextlib import redirect_stdout
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from exported_models import cone, write_classifier, write_segmenter  # noqa: F401 - the fixture
from generated import write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.deploy.pictures import picture
from weakseg.methods.publication import seal

FAST_SEGMENTER = [
    *("--segmenter.model.backbone.name", "cone", "--segmenter.model.backbone.weights", "none"),
    *("--segmenter.fit.epochs", "1", "--segmenter.fit.batch_size", "4", "--segmenter.augment.crop", "64"),
]
DOCUMENT = Path(__file__).parents[2] / "docs" / "deploy.md"
Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_segmenter(tmp_path_factory.mktemp("verb") / "model.safetensors")


@pytest.fixture(scope="module")
def photographs(model: Path) -> Path:
    folder = model.parent / "photographs"
    folder.mkdir()
    for number in range(8):
        Image.fromarray(picture((90 + number, 120), number)).save(folder / f"p{number}.png")
    return folder


@pytest.fixture(scope="module")
def printed(model: Path) -> str:
    """What is said when ``model.onnx`` is written beside the model."""
    with redirect_stdout(io.StringIO()) as said:
        assert main(["export-model", str(model), "--format", "onnx"]) == 0
    return said.getvalue()


def test_predict_with_the_exported_file(
    model: Path, printed: str, photographs: Path, tmp_path: Path, capsys: Capture
) -> None:
    out = str(model.with_suffix(".onnx"))
    assert "agrees with torch on" in printed and "--scales 1.0 --flip false" in printed
    once = re.search(r"weakseg predict (.*)", printed)
    assert once is not None
    for name, file in {"a": str(model), "b": out}.items():
        words = ["predict", "--model", file, "--images", str(photographs), "--out", str(tmp_path / name)]
        words += ["--workers", "1"]  # this process, which knows the backbone
        assert main([*words, *once[1].split()]) == 0
    for path in (tmp_path / "a").glob("*.png"):
        same = LabelMap.load(path).labels == LabelMap.load(tmp_path / "b" / path.name).labels
        assert same.mean() >= 0.999
    assert main(["export-model", str(model), "--format", "onnx"]) == 2
    assert "--overwrite" in capsys.readouterr().err


def test_eight_bits(
    model: Path, photographs: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    """A network of 8 hidden channels keeps its labels or does not; either way what was measured is told."""
    photographs = Path(shutil.copytree(photographs, tmp_path / "with one that is none"))
    (photographs / "broken.png").write_bytes(b"")
    out = tmp_path / "small.onnx"
    words = ["export-model", str(model), "--format", "onnx", "--int8", "--out", str(out)]
    code = main([*words, "--images", str(photographs)])
    said = capsys.readouterr()
    measured = re.search(
        r"of 4 images ([0-9.]+) % of the labels change \(calibrated on 4 others\)", said.out + said.err
    )
    assert measured is not None
    assert (code == 0) == (float(measured[1]) < 1.0) == out.exists()
    assert "left out: " in caplog.text and "broken.png" in caplog.text
    assert main(words) == 2
    assert "give their folder by --images" in capsys.readouterr().err
    (tmp_path / "two").mkdir()
    for name in ("p0.png", "p1.png"):
        (tmp_path / "two" / name).write_bytes((photographs / name).read_bytes())
    assert main([*words, "--images", str(tmp_path / "two"), "--overwrite"]) == 2
    assert (
        "1 images calibrate and 1 measure; each need at least 4: give at least 8 by --images" in capsys.readouterr().err
    )


def test_of_a_run(tmp_path: Path, capsys: Capture) -> None:
    root, out = write_folder(tmp_path / "photos", 4), tmp_path / "out"
    words = ["run", "supervised", "--out", str(out), "--until", "segmenter", *FAST_SEGMENTER]
    words += ["--data.root", str(root), "--data.train", "tags.json", "--data.truth", "masks"]
    assert main([*words, "--workers", "1", "--predictions.max_side", "200"]) == 0
    capsys.readouterr()
    assert main(["export-model", str(out), "--format", "onnx"]) == 0
    printed = capsys.readouterr().out
    assert (out / "model.onnx").is_file() and "longer side than 200" in printed
    assert "the run's own predictions are made with" in printed and "flip True" in printed
    assert main(["export-model", str(out), "--format", "onnx", "--network", "classifier"]) == 2
    assert "'classifier' has not been trained to the end" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--format", "torch", "--int8"], "--int8: is for --format onnx"),
        (["--format", "torch", "--probabilities"], "--probabilities: is for --format onnx"),
        (["--format", "onnx", "--max-side", "8"], "--max-side: need 0 or at least 32, got 8"),
        (["--format", "onnx", "--images", "."], "--images: belong to --int8"),
        (["--format", "onnx", "--int8", "--truth", "."], "--truth: is of the photographs that --images names"),
        (["--format", "onnx", "--out", "a.pt2"], "must end in .onnx"),
        (["--format", "onnx", "--method", "cam"], "--method: .* is no folder of a run"),
        (["--format", "onnx", "--network", "classifier"], "--network: .* is no folder of a run"),
        (["--format", "keras"], "--format"),
    ],
)
def test_what_does_not_go_together(words: list[str], says: str, model: Path, capsys: Capture) -> None:
    assert main(["export-model", str(model), *words]) == 2
    assert re.search(says, capsys.readouterr().err)


@pytest.mark.usefixtures("printed")
def test_the_document_s_example(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    """Ten lines with onnxruntime, numpy and Pillow, as they stand in docs/deploy.md."""
    example = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert example is not None and "weakseg" not in example[1]
    assert len([line for line in example[1].splitlines() if line.strip()]) <= 10
    monkeypatch.chdir(tmp_path)
    shutil.copy(model.with_suffix(".onnx"), "model.onnx")
    image = picture((120, 90))
    Image.fromarray(image).save("photo.jpg", quality=95)
    Path("example.py").write_text(example[1])
    capsys.readouterr()
    runpy.run_path("example.py")
    assert Image.open("mask.png").size == (90, 120)
    colours = {tuple(colour) for colour in np.asarray(Image.open("mask.png").convert("RGB")).reshape(-1, 3).tolist()}
    assert colours <= {(0, 0, 0), (128, 0, 0), (0, 128, 0)} and len(colours) > 1
    assert "'background': " in capsys.readouterr().out


def test_a_classifier_in_eight_bits_is_refused(tmp_path: Path, photographs: Path, capsys: Capture) -> None:
    path = write_classifier(tmp_path / "model.safetensors")
    words = ["export-model", str(path), "--format", "onnx", "--int8", "--images", str(photographs)]
    assert main(words) == 2
    assert "--int8: is for segmenters, and" in capsys.readouterr().err
    assert not (tmp_path / "model.onnx").exists()


def test_without_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
    for name, words in {"onnx": ["predict", "--model", "a.onnx"], "onnxruntime": ["export-model", str(model)]}.items():
        monkeypatch.setitem(sys.modules, name, None)  # as where it is not installed
        rest = ["--images", ".", "--out", "gone"] if words[0] == "predict" else ["--format", "onnx", "--overwrite"]
        (model.parent / "a.onnx").write_bytes(b"")
        monkeypatch.chdir(model.parent)
        assert main([*words, *rest]) == 2
        assert "pip install 'weakseg[onnx]'" in capsys.readouterr().err


def test_a_published_folder_gets_the_file_beside_its_model(model: Path, tmp_path: Path, capsys: Capture) -> None:
    shutil.copy(model, tmp_path / "model.safetensors")
    seal(tmp_path, {"segmenter": "model.safetensors", "labeller": None})
    assert main(["export-model", str(tmp_path), "--format", "torch"]) == 0
    assert f"{tmp_path / 'model.pt2'}: " in capsys.readouterr().out and (tmp_path / "model.pt2").is_file()

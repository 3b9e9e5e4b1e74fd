"""Masks and instances are paired with truth by image id, whatever the Unicode form of their names."""

import unicodedata
from pathlib import Path

import numpy as np
import pytest

from generated import CLASSES, draw
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.files import read_json
from weakseg.instances import SUFFIX, Instances

NAME = "f\u00e4hre"
FORMS = [unicodedata.normalize(form, NAME) for form in ("NFC", "NFD")]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Truth and predictions under the composed and the decomposed name; works in their folder."""
    monkeypatch.chdir(tmp_path)
    mask = draw(3)[1]
    for form, name in zip(("NFC", "NFD"), FORMS, strict=True):
        for folder in ("masks", "objects"):
            LabelMap(mask).save(tmp_path / f"{folder}-{form}/{name}.png")
            LabelMap(mask).save(tmp_path / f"{folder}-{form}/plain.png")
        for stem in (name, "plain"):
            found = Instances.of(mask == np.reshape([1, 2], (-1, 1, 1)), [1, 2])
            found.save(tmp_path / f"found-{form}/{stem}{SUFFIX}")
        (tmp_path / f"{form}.txt").write_text(f"{name}\nplain\n", encoding="utf-8")
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    return tmp_path


def evaluate(data: Path, *words: str) -> dict[str, object]:
    assert main(["evaluate", *words, "--classes", "classes.txt", "--out", "r.json", "--overwrite"]) == 0
    found: dict[str, object] = read_json(data / "r.json")
    return found


def test_forms_of_names_are_one_image(data: Path) -> None:
    for truth in ("NFC", "NFD"):
        for found in ("NFC", "NFD"):
            for more in ((), ("--list", "NFC.txt"), ("--list", "NFD.txt")):
                masks = evaluate(data, "--truth", f"masks-{truth}", "--predictions", f"masks-{found}", *more)
                assert (masks["images"], masks["missing"], masks["mean_iou"]) == (2, 0, 100.0)
                assert set(masks["per_image"]) == {FORMS[0], "plain"}  # type: ignore[call-overload]
                folders = ["--truth", f"masks-{truth}", "--objects", f"objects-{found}"]
                objects = evaluate(data, *folders, "--predictions", f"found-{found}", *more)
                assert (objects["images"], objects["missing"], objects["objects"]) == (2, 0, 4)


def test_two_masks_of_one_image_are_refused(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (data / f"masks-NFD/{FORMS[1]}.png").rename(data / f"masks-NFC/{FORMS[1]}.png")
    assert main(["evaluate", "--truth", "masks-NFC", "--predictions", "masks-NFC", "--classes", "classes.txt"]) == 2
    assert "is of the same image as" in capsys.readouterr().err


def test_exported_names_are_those_of_the_photographs(data: Path) -> None:
    words = ["masks-NFD", "--classes", "classes.txt", "--format", "voc", "--out", "voc"]
    assert main(["export", *words]) == 0
    assert {path.stem for path in (data / "voc/SegmentationClass").iterdir()} == {FORMS[0], "plain"}

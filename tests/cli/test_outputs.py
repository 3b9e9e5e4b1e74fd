"""No verb replaces a file that it has not made itself, unless that is asked for."""

import shutil
from pathlib import Path

import pytest

from generated import folder_arguments, write_folder
from weakseg.cli.main import main
from weakseg.files import write_json
from weakseg.pipeline.lock import LOCK_FILE

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Photographs with masks; works in their folder."""
    root = write_folder(tmp_path / "data", 4)
    monkeypatch.chdir(root)
    return root


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_is_replaced_on_demand_alone(data: Path, capsys: Capture) -> None:
    masks = ["masks", "--images", "images", "--classes", "classes.txt"]
    score = ["--predictions", "masks", "--truth", "masks", "--classes", "classes.txt"]
    for words, out in (
        (["evaluate", *score], "new/scores.json"),
        (["export", *masks, "--format", "coco"], "new/objects.json"),
        (["export", *masks, "--format", "voc"], "new/SegmentationClass/i00.png"),
        (["export", *masks, "--format", "segmentation-mask"], "new/labelmap.txt"),
        (["data", "simulate", "--kind", "boxes", *folder_arguments(data)], "new/boxes.json"),
    ):
        written = data / out
        named = written if written.suffix == ".json" else data / "new"
        written.parent.mkdir(parents=True, exist_ok=True)
        written.write_text("mine")
        assert main([*words, "--out", str(named)]) == 2, words
        said = capsys.readouterr().err
        assert f"--out: {named} " in said and "or --overwrite to replace" in said
        assert contents(data / "new") == {str(written.relative_to(data / "new")): b"mine"}
        assert main([*words, "--out", str(named), "--overwrite"]) == 0
        assert written.read_bytes() != b"mine"
        for path in contents(data / "new"):
            (data / "new" / path).unlink()
        assert main([*words, "--out", str(named)]) == 0 and written.exists()  # an empty folder is as good as none
        for path in contents(data / "new"):
            (data / "new" / path).unlink()


def test_a_file_is_no_folder_and_a_folder_no_file(data: Path, capsys: Capture) -> None:
    (data / "folder.json").mkdir()
    score = ["evaluate", "--predictions", "masks", "--truth", "masks", "--classes", "classes.txt"]
    for words, message in (
        ([*score, "--out", "folder.json", "--overwrite"], "--out: folder.json is a folder; give a file"),
        (["export", "masks", "--format", "voc", "--out", "tags.json"], "--out: tags.json is a file; give a folder"),
        (["data", "check", *folder_arguments(data), "--overwrite"], "--overwrite: 'check' writes nothing"),
        (["demo", "--out", "images"], "--out: images holds files; give a new folder, or --overwrite to replace those"),
    ):
        assert main(words) == 2
        assert message in capsys.readouterr().err


def test_a_folder_of_other_files_is_nobodys_out(data: Path, tmp_path: Path, capsys: Capture) -> None:
    """Masks that a person has drawn would be taken for products, and made anew."""
    mine = contents(data)
    refine = ["refine", "--seeds", "masks", "--images", "images", "--crf.iterations", "1", "--workers", "1"]
    run = ["run", "drawn", *folder_arguments(data), "--workers", "1"]
    for words in (refine, run, ["compare", "drawn", "--methods", "drawn", *folder_arguments(data)]):
        assert main([*words, "--out", str(data / "masks" if words == refine else data)]) == 2
        assert "holds files that are not weakseg's, which might be replaced; use a new --out" in capsys.readouterr().err
    assert contents(data) == mine
    out = tmp_path / "refined"
    assert main([*refine, "--out", str(out)]) == main([*refine, "--out", str(out)]) == 0
    (out / LOCK_FILE).unlink()  # as an earlier version has left it
    assert main([*refine, "--out", str(out)]) == 0


def test_overlays_of_other_masks_stay(data: Path, capsys: Capture) -> None:
    write_json(data / "looks/overlays.json", {"masks": str(data / "before")})
    (data / "looks/i00.jpg").write_bytes(b"picture")
    words = ["predict", "--model", "tags.json", "--images", "images", "--overlays", "looks"]
    assert main([*words, "--out", "after"]) == 2
    assert f"--overlays: looks holds overlays of {data / 'before'}; give a new folder" in capsys.readouterr().err
    assert main([*words, "--out", "before"]) == 2
    assert "overlays" not in capsys.readouterr().err  # but that the model is none
    assert (data / "looks/i00.jpg").read_bytes() == b"picture"


def test_settings_of_before_find_what_a_stage_made(
    data: Path, tmp_path: Path, capsys: Capture, caplog: pytest.LogCaptureFixture
) -> None:
    words = ["refine", "--seeds", "masks", "--images", "images", "--workers", "1", "--out", str(tmp_path / "out")]
    few, many = ["--label_confidence", "0.6", "--crf.iterations", "1"], ["--crf.iterations", "0"]
    assert main([*words, *few]) == 0
    stamps = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    assert len(stamps) == 4
    with caplog.at_level("INFO"):
        assert main([*words, *many]) == 0
    assert "changed: settings.config.crf.iterations: 1 -> 0; settings.config.label_confidence: 0.6 -> " in caplog.text
    assert f"what was made is kept in {tmp_path / 'out/.earlier'}" in caplog.text
    assert not any(path.exists() and path.stat().st_mtime_ns == stamp for path, stamp in stamps.items())
    assert main(["export", str(tmp_path / "out"), "--classes", "classes.txt", "--format", "voc", "--out", "voc"]) == 0
    assert "4 masks" in capsys.readouterr().out  # and none of those that are kept
    assert main([*words, *few]) == 0
    assert {path: path.stat().st_mtime_ns for path in stamps} == stamps
    shutil.copytree(data / "images", data / "others")
    assert main([*words, *few, "--images", "others"]) == 2
    assert "was made with other inputs: inputs.images: " in capsys.readouterr().err

"""Whole runs on a tiny generated data set."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.errors import ConfigError, DataError, StoreError
from weakseg.files import read_json
from weakseg.methods.finished import open_finished
from weakseg.methods.recipes import load_recipe
from weakseg.methods.run import run_recipe
from weakseg.pipeline.options import RunOptions


def run_words(root: Path, out: Path, *more: str) -> list[str]:
    return ["run", "cam", "--out", str(out), *folder_arguments(root), *FAST, *more]


def products(out: Path) -> dict[str, bytes]:
    folders = ("activations", "seeds", "masks", "predictions")
    paths = (path for name in folders for path in (out / name).rglob("*") if path.suffix not in (".json", ".jsonl"))
    return {str(path.relative_to(out)): path.read_bytes() for path in paths}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_folder(tmp_path_factory.mktemp("tiny") / "data")


@pytest.fixture(scope="module")
def finished(data: Path) -> Path:
    out = data.parent / "finished"
    assert main(run_words(data, out, "--workers", "1")) == 0
    return out


def test_a_run_leaves_every_product(finished: Path) -> None:
    names = {key.partition("/")[0]: 0 for key in products(finished)}
    for key in products(finished):
        names[key.partition("/")[0]] += 1
    assert names == {"activations": 9, "seeds": 9, "masks": 9, "predictions": 3}
    assert (finished / "report.html").stat().st_size > 10_000
    listed = (finished / "masks.csv").read_text().splitlines()
    assert listed[0] == "image,class,label,share,reliability,reasons,mask" and len(listed) == 9
    scores = read_json(finished / "evaluation" / "results.json")["scores"]
    assert [s["name"] for s in scores] == ["activations", "seeds", "masks", "predictions"]
    assert scores[-1]["protocol"]["split"] == "val"
    assert scores[-1]["protocol"]["undecided"] == "error"


def test_masks_hold_only_the_tags_of_their_image(finished: Path, data: Path) -> None:
    tags = json.loads((data / "tags.json").read_text())
    ids = {"disc": 1, "square": 2}
    for name, shown in tags.items():
        mask = LabelMap.load(finished / "masks" / name)
        assert mask.label_ids <= {0, *(ids[tag] for tag in shown)}
        assert mask.labels.shape == (48, 64)


def test_a_second_call_repeats_nothing(finished: Path, data: Path) -> None:
    stamps = {p: p.stat().st_mtime_ns for name in ("masks", "segmenter") for p in (finished / name).iterdir()}
    assert main(run_words(data, finished)) == 0
    assert stamps == {p: p.stat().st_mtime_ns for p in stamps}


def test_four_workers_and_another_order_give_the_same_masks(finished: Path, data: Path, tmp_path: Path) -> None:
    """Activations, seeds and masks of one trained classifier depend on neither workers nor order."""
    other = tmp_path / "other"
    shutil.copytree(finished / "classifier", other / "classifier")
    moved = tmp_path / "data"
    shutil.copytree(data, moved)
    shown = json.loads((moved / "tags.json").read_text())
    labels = tmp_path / "reversed.json"
    labels.write_text(json.dumps(dict(reversed(shown.items()))))
    words = ["label", str(finished), "--images", str(moved / "images"), "--labels", str(labels), "--out"]
    looks = tmp_path / "looks"
    assert main([*words, str(tmp_path / "a"), "--workers", "4", "--overlays", str(looks)]) == 0
    assert {path.stem for path in looks.glob("*.jpg")} == {path.stem for path in (tmp_path / "a/masks").glob("*.png")}
    again = products(tmp_path / "a")
    assert again == {k: v for k, v in products(finished).items() if not k.startswith("predictions")}


@pytest.mark.slow
def test_four_workers_and_a_reversed_list_give_the_same_run(finished: Path, data: Path, tmp_path: Path) -> None:
    """Training included: batches are drawn from the samples in order of their ids."""
    other = tmp_path / "data"
    shutil.copytree(data, other)
    for name in ("tags.json", "val.json"):
        shown = json.loads((data / name).read_text())
        (other / name).write_text(json.dumps(dict(reversed(shown.items()))))
    assert main(run_words(other, tmp_path / "four", "--workers", "4")) == 0
    assert products(tmp_path / "four") == products(finished)


def wait_for(path: Path, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + 120
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("moment", "stop"),
    [
        ("classifier/state.pt", signal.SIGKILL),
        ("seeds/i02.png", signal.SIGKILL),
        ("segmenter/state.pt", signal.SIGINT),
    ],
)
def test_a_killed_run_goes_on_to_the_same_masks(
    finished: Path, data: Path, tmp_path: Path, moment: str, stop: signal.Signals
) -> None:
    out = tmp_path / "killed"
    command = [sys.executable, "-m", "weakseg", *run_words(data, out, "--workers", "1")]
    with subprocess.Popen(
        command,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        # A shell's background jobs ignore SIGINT, and their children would too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    ) as process:
        wait_for(out / moment, process)
        process.send_signal(stop)
        process.wait()
        assert process.returncode in (-stop, 130)
    assert not (out / "report.html").exists()
    assert main(run_words(data, out, "--workers", "1")) == 0
    assert products(out) == products(finished)
    assert not list(out.rglob(".part-*"))


def test_a_changed_setting_makes_anew_what_it_touches(
    finished: Path, data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out, kept = tmp_path / "out", ("classifier/model.safetensors", "activations/i01.safetensors")
    shutil.copytree(finished, out)
    before = [(out / name).stat().st_mtime_ns for name in kept]
    with caplog.at_level("INFO"):
        assert main(run_words(data, out, "--seeds.strict=0.9", "--workers=1")) == 0
    assert before == [(out / name).stat().st_mtime_ns for name in kept]
    assert "activations: done before" in caplog.text and 'seeds: made anew: strict: "auto" -> 0.9' in caplog.text
    assert open_finished(out).recipe.seeds.strict == 0.9  # type: ignore[attr-defined]
    assert products(out) != products(finished)
    caplog.clear()
    assert main(run_words(data, out, "--workers=1")) == 0 and products(out) == products(finished)
    assert not any("done in" in text for text in caplog.messages if not text.startswith(("evaluation", "all")))


def test_moved_data_are_the_same_data(finished: Path, data: Path, tmp_path: Path) -> None:
    moved, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, moved)
    shutil.copytree(finished, out)
    assert main(run_words(moved, out)) == 0
    assert open_finished(out).recipe.data.root == str(moved)


def test_a_failing_image_is_named_and_the_run_goes_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = tmp_path / "data"
    shutil.copytree(data, broken)
    (broken / "images" / "i03.png").write_bytes((data / "images" / "i03.png").read_bytes()[:200])
    out = tmp_path / "out"
    assert main(run_words(broken, out, "--workers", "1")) == 1
    assert "failed: i03 in data" in capsys.readouterr().err
    assert "i03.png" in (out / "failures.csv").read_text()
    assert "masks/i03.png" not in products(out)
    assert "masks/i02.png" in products(out)


def small(root: Path, tags: dict[str, list[str]], *more: str) -> Any:
    """A recipe on some images of ``write_folder`` with other tags and no ``val``."""
    (root / "tags.json").write_text(json.dumps(tags))
    places = [word for word in folder_arguments(root) if not word.startswith("--data.val")]
    return load_recipe("cam", [*places, *FAST, *more])


def test_a_single_image(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    root = write_folder(tmp_path / "data", 2)
    result = run_recipe(small(root, {"i01.png": ["disc"]}), tmp_path / "out", RunOptions(1, "cpu"))
    assert not result.failures
    assert set(products(tmp_path / "out")) == {
        "activations/i01.safetensors",
        "seeds/i01.png",
        "masks/i01.png",
        "predictions/i01.png",
    }
    assert "mAP could not be measured" in caplog.text
    assert "class 'square': no training image shows it" in caplog.text


def test_an_untagged_image_is_all_background(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    run_recipe(small(root, {"i00.png": [], "i01.png": ["disc"]}), tmp_path / "out", RunOptions(1, "cpu"))
    assert LabelMap.load(tmp_path / "out" / "masks" / "i00.png").label_ids == {0}


def test_an_image_of_one_pixel(tmp_path: Path) -> None:
    from PIL import Image

    root = write_folder(tmp_path / "data", 4)
    Image.new("RGB", (1, 1), "red").save(root / "images" / "dot.png")
    recipe = small(root, {"dot.png": ["disc"], "i01.png": ["disc"]})
    assert not run_recipe(recipe, tmp_path / "out", RunOptions(1, "cpu")).failures
    assert LabelMap.load(tmp_path / "out" / "predictions" / "dot.png").labels.shape == (1, 1)


def test_a_giant_image_is_refused_by_name_and_the_others_are_done(tmp_path: Path) -> None:
    import zlib

    root = write_folder(tmp_path / "data", 4)
    header = (20_000).to_bytes(4, "big") * 2 + bytes([8, 2, 0, 0, 0])
    chunks = b"".join(
        len(body).to_bytes(4, "big") + kind + body + zlib.crc32(kind + body).to_bytes(4, "big")
        for kind, body in ((b"IHDR", header), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b""))
    )
    (root / "images" / "giant.png").write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)
    recipe = small(root, {"giant.png": ["disc"], "i01.png": ["disc"]})
    result = run_recipe(recipe, tmp_path / "out", RunOptions(1, "cpu"))
    assert [failure.image_id for failure in result.failures] == ["giant"]
    assert "limit of 100,000,000" in result.failures[0].reason


def test_data_without_background(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    recipe = small(root, {"i03.png": ["disc", "square"], "i01.png": ["disc"]}, "--seeds.background=none")
    run_recipe(recipe, tmp_path / "out", RunOptions(1, "cpu"))
    assert LabelMap.load(tmp_path / "out" / "masks" / "i03.png").label_ids <= {1, 2}
    assert LabelMap.load(tmp_path / "out" / "masks" / "i01.png").label_ids == {1}


def test_a_background_that_is_a_class(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    more = ("--seeds.background=class", "--seeds.background_class=square")
    run_recipe(
        small(root, {"i03.png": ["disc", "square"], "i01.png": ["disc"]}, *more), tmp_path / "out", RunOptions(1, "cpu")
    )
    assert 2 not in LabelMap.load(tmp_path / "out" / "masks" / "i03.png").label_ids


def test_power_background_is_psa(tmp_path: Path) -> None:
    root = write_folder(tmp_path / "data", 4)
    more = ("--seeds.background=power", "--seeds.strict=4", "--seeds.lenient=32", "--seeds.unary=scores")
    assert not run_recipe(small(root, {"i01.png": ["disc"]}, *more), tmp_path / "out", RunOptions(1, "cpu")).failures


def test_a_full_disk_stops_the_run_and_what_is_done_is_kept(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    import errno

    out = tmp_path / "out"
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if Path(target).name == "i04.png" and "seeds" in str(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        assert main(run_words(data, out, "--workers", "1")) == 2
    message = capsys.readouterr().err
    assert "seeds/i04.png" in message and "No space left on device" in message
    assert (out / "seeds" / "i03.png").exists() and not (out / "masks").exists()
    assert main(run_words(data, out, "--workers", "1")) == 0
    assert products(out) == products(finished)


def test_a_truncated_classifier_is_named(
    finished: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    shutil.copytree(finished, out)
    model = out / "classifier" / "model.safetensors"
    model.write_bytes(model.read_bytes()[:1000])
    words = ["label", str(out), "--images", str(data / "images"), "--labels", str(data / "val.json"), "--out"]
    assert main([*words, str(tmp_path / "l")]) == 2
    assert "model.safetensors: not a weakseg model" in capsys.readouterr().err


def test_bad_truth_is_a_named_failure_and_the_others_are_scored(
    finished: Path, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, other)
    shutil.copytree(finished, out)
    shutil.copy(other / "images" / "i00.png", other / "masks" / "i00.png")  # a colour image is no label map
    assert main(run_words(other, out)) == 1
    assert "i00 in evaluation" in capsys.readouterr().err
    assert read_json(out / "evaluation" / "results.json")["scores"][0]["images"] == 8


def test_corrected_truth_gives_new_scores(finished: Path, data: Path, tmp_path: Path) -> None:
    other, out = tmp_path / "data", tmp_path / "out"
    shutil.copytree(data, other)
    shutil.copytree(finished, out)
    for path in (out / "predictions").glob("*.png"):
        shutil.copy(path, other / "masks" / path.name)
    assert main(run_words(other, out)) == 0
    assert read_json(out / "evaluation" / "results.json")["scores"][-1]["mean_iou"] == pytest.approx(100.0)


def test_a_step_in_which_every_image_fails_is_not_finished(
    finished: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from weakseg.steps import seed

    def refuse(*arguments: object, **options: object) -> None:
        raise MemoryError("no memory")

    out = tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(seed, "seed_image", refuse)
        assert main(run_words(data, out, "--workers", "1")) == 2
    assert "seeds: every image failed; the first, i00: MemoryError: no memory" in capsys.readouterr().err
    assert main(run_words(data, out, "--workers", "1")) == 0
    assert products(out) == products(finished)


def test_a_misspelt_background_class_is_found_before_anything_runs(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    more = ("--seeds.background=class", "--seeds.background_class=sqare")
    assert main(run_words(data, tmp_path / "out", *more)) == 2
    assert "did you mean 'square'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("method", "section"),
    [
        ("cam", "classifier"),
        ("cam", "segmenter.model"),
        ("seam", "classifier"),
        ("psa", "affinity"),
        ("irnet", "boundary"),
        ("wsgcn-i", "boundary"),
        ("wsgcn-p", "affinity"),
        ("a2gnn", "affinity"),
    ],
)
def test_a_backbone_without_such_weights_is_found_before_anything_runs(
    method: str, section: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["run", method, "--out", str(tmp_path / "out"), *folder_arguments(data)]
    assert main([*words, f"--{section}.backbone.name=resnet18"]) == 2
    assert "backbone 'resnet18': has output_stride" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("verb", ["run", "compare"])
def test_a_missing_file_of_weights_is_found_before_anything_runs(
    verb: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    several = ["--methods", "cam"] if verb == "compare" else []
    words = [verb, "cam", *several, "--out", str(tmp_path / "out"), *folder_arguments(data)]
    words += [f"--segmenter.model.backbone.{word}" for word in ("name=resnet38", "weights=file", "file=no.pth")]
    assert main([*words, "--segmenter.model.backbone.output_stride=8"]) == 2
    assert "segmenter.model.backbone.file: no.pth is no file; correct the path" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_errors_that_stop_a_run_before_it_starts(data: Path, tmp_path: Path) -> None:
    options = RunOptions(1, "cpu")
    with pytest.raises(DataError, match="is not a folder"):
        run_recipe(load_recipe("cam", ["--data.root=/nowhere"]), tmp_path / "a", options)
    with pytest.raises(ConfigError, match=r"data\.train: format 'voc' needs it"):
        load_recipe("cam", ["--data.format=voc"])
    with pytest.raises(StoreError, match="no run folder"):
        open_finished(tmp_path)


def test_the_supervised_reference_has_no_labeller(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fast = [word for word in FAST if word.startswith(("--segmenter", "--predictions"))]
    out = tmp_path / "out"
    assert main(["run", "supervised", "--out", str(out), "--workers=1", *folder_arguments(data), *fast]) == 0
    assert (out / "masks" / "i01.png").read_bytes() == (data / "masks" / "i01.png").read_bytes()
    images = ["--images", str(data / "images"), "--labels", str(data / "tags.json")]
    assert main(["label", str(out), *images, "--out", str(tmp_path / "l")]) == 2
    assert "has no labeller" in capsys.readouterr().err

"""A whole recipe by processes of this machine, by actors of Ray, and by shards: the same bits."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest

from generated import FAST, folder_arguments, write_folder
from weakseg.artifacts import LabelMap
from weakseg.cli.main import main
from weakseg.files import read_json
from weakseg.pipeline.engines.ray_cluster import disconnect
from weakseg.pipeline.manifests import MANIFEST
from weakseg.pipeline.share import SHARDS_FOLDER, Share

Capture = pytest.CaptureFixture[str]
COUNTED = (".png", ".safetensors", ".json")
SHARDS = ("1/3", "2/3", "3/3")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photographs, and activations of another program: cones on the objects."""
    root = write_folder(tmp_path_factory.mktemp("engines") / "data", 12)
    (root / "cams").mkdir()
    for path in sorted((root / "masks").glob("*.png")):
        labels = LabelMap.load(path).labels
        maps = {}
        for class_id in np.unique(labels[labels > 0]).tolist():
            inside = cv2.distanceTransform((labels == class_id).astype(np.uint8), cv2.DIST_L2, 5)
            maps[class_id - 1] = np.clip(0.4 + inside / 14, 0, 1).astype(np.float32)
        np.save(root / "cams" / f"{path.stem}.npy", maps, allow_pickle=True)
    return root


@pytest.fixture(scope="module", autouse=True)
def ended() -> Iterator[None]:
    yield
    disconnect()


def words(data: Path, out: Path, *more: str, workers: int = 1) -> list[str]:
    settings = ["--seeds.crf.iterations=1", "--masks.crf.iterations=2", "--seeds.strict=0.45", "--seeds.lenient=0.35"]
    settings += ["--seeds.check_crf=false", "--masks.check_crf=false"]
    settings += ["--segmenter.fit.epochs=1", "--segmenter.augment.crop=64", "--predictions.scales=[1.0]"]
    common = [f"--out={out}", f"--workers={workers}", "--device=cpu", f"--activations.from_folder={data / 'cams'}"]
    return ["run", "cam", *common, *folder_arguments(data), *settings, *more]


def products(out: Path) -> dict[str, bytes]:
    """Return all files that are no manifest, by name."""
    folders = (path.parent for path in out.glob(f"*/{MANIFEST}"))
    paths = (path for folder in folders for path in folder.rglob("*") if path.suffix in COUNTED)
    found = {str(p.relative_to(out)): p.read_bytes() for p in paths if not {MANIFEST, SHARDS_FOLDER} & {*p.parts}}
    return {name: content for name, content in found.items() if "evaluation" not in name}


@pytest.fixture(scope="module")
def reference(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What one process makes."""
    out = tmp_path_factory.mktemp("engines") / "one"
    assert main(words(data, out)) == 0
    return products(out)


def test_processes_and_actors_make_the_same(data: Path, tmp_path: Path, reference: dict[str, bytes]) -> None:
    assert len([name for name in reference if name.startswith("masks/")]) == 9
    for name, more in {"joblib": (), "ray": ("--engine=ray", "--units-per-call=2")}.items():
        assert main(words(data, tmp_path / name, *more, workers=2)) == 0
        assert products(tmp_path / name) == reference


def test_clocks_that_differ_by_an_hour_make_nothing_anew(
    data: Path, tmp_path: Path, reference: dict[str, bytes], capsys: Capture
) -> None:
    """A copy of a run to another file system, or a server whose clock has been set: contents tell."""
    out = tmp_path / "out"
    for shard in SHARDS:
        assert main(words(data, out, f"--shard={shard}")) == 0
        for path in (path for path in out.rglob("*") if path.is_file()):
            state = path.stat()
            os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns + 3600 * 10**9))
    before = {
        path: path.stat().st_ino for name in ("activations", "seeds", "masks") for path in (out / name).glob("i*")
    }
    assert main(words(data, out)) == 0
    assert products(out) == reference and len(before) == 27
    assert {path: path.stat().st_ino for path in before} == before


def test_three_shards_and_a_last_run_make_the_same(
    data: Path, tmp_path: Path, reference: dict[str, bytes], capsys: Capture
) -> None:
    out, seen = tmp_path / "out", set()
    for shard in SHARDS:
        assert main(words(data, out, f"--shard={shard}")) == 0
        made = {path.stem for path in (out / "masks").glob("*.png")}
        assert made == {
            f"i{n:02}" for n in range(9) if any(Share.of(one).takes(f"i{n:02}") for one in SHARDS[: len(seen) + 1])
        }
        said = capsys.readouterr().out
        assert f"shard {shard}: its share of activations, seeds, masks, reliability is done; left:" in said
        assert "segmenter: is done of all images at once; a run without --shard does it" in said
        assert "predictions: needs segmenter" in said
        seen.add(shard)
    before = {path: path.stat().st_mtime_ns for path in (out / "masks").glob("*.png")}
    assert len(before) == 9
    assert main(words(data, out)) == 0
    assert products(out) == reference
    assert {path: path.stat().st_mtime_ns for path in before} == before  # what shards made was taken
    assert main(words(data, out, "--shard=2/3")) == 0  # all is done
    assert "its share of activations" in capsys.readouterr().out
    assert products(out) == reference


def test_shards_at_once_race_with_those_of_another_array(
    data: Path, tmp_path: Path, reference: dict[str, bytes]
) -> None:
    """Two arrays, of one and of two: half of the photographs are worked on by both, whoever is first."""
    out = tmp_path / "out"
    commands = [[sys.executable, "-m", "weakseg", *words(data, out, f"--shard={shard}")] for shard in ("1/1", "2/2")]
    started = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for command in commands]
    ends = [(process.wait(), process.stderr.read() if process.stderr else "") for process in started]
    assert [code for code, _ in ends] == [0, 0], ends
    assert main(words(data, out)) == 0
    assert products(out) == reference


def test_what_was_lost_or_made_of_others_is_made_anew(data: Path, tmp_path: Path, reference: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    for shard in SHARDS:
        assert main(words(data, out, f"--shard={shard}")) == 0
    (out / "activations" / "i03.safetensors").unlink()
    (out / "masks" / "i01.png").write_bytes(b"torn")
    record = out / "reliability" / SHARDS_FOLDER / "1-of-3.json"
    record.write_text(json.dumps({**read_json(record), "seen": {"masks": "other", "seeds": ""}}))
    assert main(words(data, out)) == 0
    assert products(out) == reference


def test_a_killed_shard_goes_on(data: Path, tmp_path: Path, reference: dict[str, bytes]) -> None:
    out = tmp_path / "out"
    command = [sys.executable, "-m", "weakseg", *words(data, out, "--shard=1/1")]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        until = time.monotonic() + 60
        while not list(out.glob("seeds/*.png")) and time.monotonic() < until:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    assert main(words(data, out, "--shard=1/1")) == 0
    assert main(words(data, out)) == 0
    assert products(out) == reference


def test_locks_of_shards_and_of_the_whole(data: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    hold = (
        "import sys, time; from pathlib import Path; from weakseg.pipeline.store import Store\n"
        "from weakseg.pipeline.share import Share\n"
        "store = Store(Path(sys.argv[1]), share=Share.of(sys.argv[2]) if sys.argv[2] else None)\n"
        "print('held', flush=True); time.sleep(60)"
    )

    def held(shard: str, check: Callable[[], None]) -> None:
        command = [sys.executable, "-c", hold, str(out), shard]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None and other.stdout.readline() == "held\n"
            check()
            capsys.readouterr()
            other.kill()

    def refused(*more: str) -> None:
        assert main(words(data, out, *more)) == 2
        assert "works on it; wait for its end" in capsys.readouterr().err

    def of_shard() -> None:
        refused("--shard=1/3")
        refused()
        assert main(words(data, out, "--shard=2/3")) == 0

    held("1/3", of_shard)
    held("", lambda: refused("--shard=1/3"))


def test_a_shard_puts_nothing_aside(data: Path, tmp_path: Path, capsys: Capture) -> None:
    out = tmp_path / "out"
    assert main(words(data, out, "--shard=1/2")) == 0
    before = products(out)
    assert main(words(data, out, "--shard=2/2", "--masks.crf.iterations=1")) == 2
    assert "holds products of other settings or data" in capsys.readouterr().err
    assert products(out) == before


def test_bad_words(data: Path, tmp_path: Path, capsys: Capture) -> None:
    for more, message in {
        "--shard=0/3": "shard: i/n with i from 1 to n, such as 1/8",
        "--shard=half": "got 'half'",
        "--engine=spark": "engine: 'joblib' or 'ray', got 'spark'",
        "--address=auto": "address: is that of a Ray cluster; set engine to 'ray'",
        "--units-per-call=0": "units_per_call: 1 or more",
    }.items():
        assert main(words(data, tmp_path / "out", more)) == 2
        assert message in capsys.readouterr().err
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_run_ends_where_it_is_told_to_and_shards_go_on(
    data: Path, tmp_path: Path, reference: dict[str, bytes], capsys: Capture
) -> None:
    out = tmp_path / "out"
    assert main(words(data, out, "--until=activations")) == 0
    assert "done until activations; without --until it goes on from there" in capsys.readouterr().out
    assert not (out / "seeds").exists() and not (out / "report.html").exists()
    for shard in ("1/2", "2/2"):
        assert main(words(data, out, f"--shard={shard}", "--until=seeds")) == 0
        assert "its share of activations, seeds is done; when all shards" in capsys.readouterr().out
    assert main(words(data, out, "--until=nothing")) == 2
    assert "until: there is no step 'nothing'; choose 'activations', 'seeds'" in capsys.readouterr().err
    assert main(words(data, out)) == 0
    assert products(out) == reference
    assert (out / "report.html").exists()


def test_what_is_decided_of_all_images_waits_for_all_shards(data: Path, tmp_path: Path, capsys: Capture) -> None:
    out, more = tmp_path / "out", ("--seeds.strict=auto", "--seeds.lenient=auto", "--masks.check_crf=true")
    assert main(words(data, tmp_path / "one", *more)) == 0
    capsys.readouterr()
    told = "decides something of all images; run the shards again when all have done"
    for shard, expected in (
        ("1/2", f"its share of activations is done; left:\n  seeds: {told} activations"),
        (
            "2/2",
            f"its share of activations, seeds is done; left:\n  masks: {told} seeds",
        ),  # which found the other
        ("1/2", "its share of activations, seeds, masks, reliability is done"),
        ("2/2", "its share of activations, seeds, masks, reliability is done"),
    ):
        assert main(words(data, out, *more, f"--shard={shard}")) == 0
        assert f"shard {shard}: {expected}" in capsys.readouterr().out
    assert main(words(data, out, *more)) == 0
    assert products(out) == products(tmp_path / "one")


def test_shards_of_a_comparison(data: Path, tmp_path: Path, capsys: Capture) -> None:
    command = ["compare", "cam", "--methods=cam", "--until=masks", *words(data, tmp_path / "x")[4:]]
    command = [word for word in command if not word.startswith(("--segmenter", "--predictions"))]
    for name, shards in {"one": [], "out": ["1/2", "2/2"]}.items():
        out = f"--out={tmp_path / name}"
        for shard in shards:
            assert main([*command, out, f"--shard={shard}"]) == 0
            assert f"shard {shard}: cam: its share of activations, seeds, masks is done" in capsys.readouterr().out
            assert not (tmp_path / name / "results.json").exists()
        assert main([*command, out]) == 0
    one, out = (sorted((tmp_path / name).glob("steps/masks-*/*.png")) for name in ("one", "out"))
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in out] and len(out) == 9


def test_shards_of_a_stage(data: Path, tmp_path: Path, capsys: Capture) -> None:
    run = tmp_path / "run"
    assert main(words(data, run, "--until=seeds")) == 0
    words_of_stage = ["refine", f"--seeds={run / 'seeds'}", f"--images={data / 'images'}", "--crf.iterations=1"]
    words_of_stage += ["--device=cpu", "--workers=1"]
    ends = [main([*words_of_stage, f"--out={tmp_path / 'one'}"])]
    capsys.readouterr()
    for shard in SHARDS:
        ends.append(main([*words_of_stage, f"--out={tmp_path / 'out'}", f"--shard={shard}"]))
        assert f"shard {shard}: when all have ended, run it without --shard" in capsys.readouterr().out
    times = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*.png")}
    ends.append(main([*words_of_stage, f"--out={tmp_path / 'out'}"]))
    one, out = (sorted((tmp_path / name).glob("*.png")) for name in ("one", "out"))
    assert set(ends) <= {0, 1} and len(out) == 9  # the seeds are of training images alone
    assert [path.read_bytes() for path in one] == [path.read_bytes() for path in out]
    assert {path: path.stat().st_mtime_ns for path in out} == times
    assert main([*words_of_stage, f"--out={tmp_path / 'out'}", "--shard=1/3", "--crf.iterations=2"]) == 2
    assert "which a call without --shard puts aside" in capsys.readouterr().err


def test_shards_of_labels(data: Path, tmp_path: Path, capsys: Capture) -> None:
    """Nothing is trained, so that one array does all."""
    run = tmp_path / "run"
    assert main(["run", "cam", f"--out={run}", "--device=cpu", "--workers=1", *folder_arguments(data), *FAST]) == 0
    command = ["label", str(run), f"--images={data / 'images'}", f"--labels={data / 'tags.json'}", "--workers=1"]
    assert main([*command, "--device=cpu", f"--out={tmp_path / 'one'}"]) == 0
    capsys.readouterr()
    for shard in ("1/2", "2/2"):
        assert main([*command, "--device=cpu", f"--out={tmp_path / 'out'}", f"--shard={shard}"]) == 0
        said = capsys.readouterr().out
        assert f"shard {shard}: its share of classifier, activations, seeds, masks, reliability is done; when" in said
    assert main([*command, "--device=cpu", f"--out={tmp_path / 'out'}"]) == 0
    assert products(tmp_path / "out") == products(tmp_path / "one") != {}
    assert (tmp_path / "out" / "masks.csv").read_text() == (tmp_path / "one" / "masks.csv").read_text()

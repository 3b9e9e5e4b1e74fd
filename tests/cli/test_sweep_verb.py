"""``weakseg sweep`` on a run whose activations are known: cones on the objects, whose borders are at 0.3."""

import shutil
from pathlib import Path

import pytest

from generated import write_cones
from weakseg.cli.main import main
from weakseg.files import read_json, write_json

Capture = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A comparison with seeds of bad thresholds, and its data beside."""
    root = tmp_path_factory.mktemp("sweep")
    write_cones(root / "data", 8, middle=0.3)
    words = ["--data.format=folder", f"--data.root={root / 'data'}", "--data.train=tags.json"]
    words += [f"--activations.from_folder={root / 'data' / 'cams'}", "--seeds.crf.iterations=0"]
    bad = ["--masks.crf.iterations=2", "--seeds.strict=0.8", "--seeds.lenient=0.7"]
    assert main(["compare", "cam", "--methods=cam", f"--out={root / 'out'}", "--workers=1", *words, *bad]) == 0
    return root


def test_it_finds_the_threshold_of_the_checked_masks(run: Path, capsys: Capture) -> None:
    assert main(["sweep", str(run / "out"), "--checked", str(run / "data" / "masks")]) == 0
    lines = capsys.readouterr().out.splitlines()
    plain = {float(score): float(value) for score, value, _ in (line.split() for line in lines[1:14])}
    best = max(plain, key=plain.__getitem__)
    assert 0.25 <= best <= 0.35 and plain[best] > 90
    assert "--seeds.strict 0.8 --seeds.lenient 0.7" in lines[14]
    own, first = (float(line.rsplit(": ", 1)[1]) for line in lines[14:16])
    assert own < plain[best] <= first
    assert "with fewer than 10 checked images" in lines[-1]


def test_what_was_decided_is_compared_with(run: Path, tmp_path: Path, capsys: Capture) -> None:
    """Thresholds and CRF of the run's own row are those that its steps have decided; masks of other images are told."""
    shutil.copytree(run / "out", tmp_path / "out")
    steps = tmp_path / "out" / "steps"
    (masks,), (seeds,) = steps.glob("masks-*/decided.json"), steps.glob("seeds-*")
    assert read_json(masks)["crf_tried"] >= 4
    write_json(masks, {"crf": False})
    write_json(seeds / "decided.json", {"strict": 0.5, "lenient": 0.4, "crf": True})
    one = tmp_path / "one"
    one.mkdir()
    shutil.copy(run / "data" / "masks" / "i03.png", one)
    shutil.copy(run / "data" / "masks" / "i03.png", one / "other.png")
    assert main(["sweep", str(tmp_path / "out"), "--method", "cam", "--checked", str(one)]) == 0
    found = capsys.readouterr()
    own = "--seeds.strict 0.5 --seeds.lenient 0.4 --seeds.crf.iterations 0 --masks.crf.iterations 0"
    assert own in found.out and "of 1 checked images" in found.out


@pytest.mark.parametrize("kind", ["none", "other"])
def test_no_checked_masks(run: Path, tmp_path: Path, capsys: Capture, kind: str) -> None:
    if kind == "other":
        shutil.copy(run / "data" / "masks" / "i03.png", tmp_path / "other.png")
    assert main(["sweep", str(run / "out"), "--checked", str(tmp_path)]) == 2
    assert ("no true masks" if kind == "none" else "is of a training image") in capsys.readouterr().err


def test_methods_without_such_seeds_are_refused(run: Path, tmp_path: Path, capsys: Capture) -> None:
    words = ["--data.format=folder", f"--data.root={run / 'data'}", "--data.train=tags.json", "--until=activations"]
    words += [f"--activations.from_folder={run / 'data' / 'cams'}", "--workers=1"]
    assert main(["compare", "irnet", "--methods=irnet", f"--out={tmp_path / 'out'}", *words]) == 0
    capsys.readouterr()
    assert main(["sweep", str(tmp_path / "out"), "--checked", str(run / "data" / "masks")]) == 2
    assert "method 'irnet' has no masks of seeds" in capsys.readouterr().err

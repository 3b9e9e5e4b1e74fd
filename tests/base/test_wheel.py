"""What users install is the wheel: it holds all files, installs by itself, and runs without the sources."""

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path
from time import monotonic

import pytest

import weakseg
from weakseg.artifacts import LabelMap
from weakseg.cli.demo import TAGS
from wheel import build_wheel, missing_from, run_alone


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_it_holds_every_file_of_the_package(wheel: Path, tmp_path: Path) -> None:
    assert missing_from(wheel) == []
    broken = tmp_path / wheel.name
    with zipfile.ZipFile(wheel) as whole, zipfile.ZipFile(broken, "w") as less:
        for name in whole.namelist():
            if not name.endswith(("template.html.j2", "imagenet_words.json")):
                less.writestr(name, whole.read(name))
    assert missing_from(broken) == ["weakseg/data/knowledge/imagenet_words.json", "weakseg/report/template.html.j2"]


def test_what_it_installs_runs_without_the_sources(wheel: Path, tmp_path: Path) -> None:
    """From an empty folder, on what was installed, which is the wheel unpacked: a command that reads a file of it."""
    place, folder = tmp_path / "installed", tmp_path / "empty"
    with zipfile.ZipFile(wheel) as file:
        file.extractall(place)
    (told,) = place.glob("weakseg-*.dist-info/entry_points.txt")
    assert "weakseg = weakseg.cli.main:main" in told.read_text()
    folder.mkdir()
    done = run_alone(place, ["words", "cat"], folder)
    assert done.returncode == 0 and "tabby cat" in done.stdout, done.stderr


def check_demo(folder: Path) -> None:
    """Assert that there are all masks, of about the size of the objects, and the page."""
    assert (folder / "report.html").stat().st_size > 100_000
    shares = {
        kind: {path.stem: float((LabelMap.load(path).labels == 1).mean()) for path in folder.glob(f"{kind}/*.png")}
        for kind in ("cam", "wsgcn", "boxes", "scribbles", "points")
    }
    assert all(found.keys() == TAGS.keys() for found in shares.values())
    assert 0.005 < shares["scribbles"]["rocket"] < 0.15  # over coarse features the label fills a third of the picture
    assert 0.005 < shares["boxes"]["rocket"] < 0.05 and 0.1 < shares["boxes"]["motorcycle"] < 0.5
    tagged = shares["cam"]
    assert 0.3 < tagged["cat"] < 0.95 and 0.005 < tagged["rocket"] < 0.15 and 0.1 < tagged["motorcycle"] < 0.6


@pytest.fixture
def clean(tmp_path: Path) -> Iterator[Path]:
    """The commands of a new environment, which takes gigabytes once all is installed."""
    place = tmp_path / "clean"
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    yield place / ("Scripts" if os.name == "nt" else "bin")
    shutil.rmtree(place)


@pytest.mark.slow
def test_a_clean_environment_has_all_that_it_needs(wheel: Path, clean: Path, tmp_path: Path) -> None:
    """``pip install weakseg-*.whl``, then the demo from an empty folder."""
    begun = monotonic()
    subprocess.run([str(clean / "python"), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    print(f"installed in {monotonic() - begun:.0f} s")
    (empty := tmp_path / "empty").mkdir()
    of_its_own = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def said(*words: str | Path) -> str:
        return subprocess.run(words, cwd=empty, env=of_its_own, check=True, capture_output=True, text=True).stdout

    where = said(clean / "python", "-c", "import weakseg; print(weakseg.__file__)").strip()
    assert Path(where).is_relative_to(clean.parent)
    assert weakseg.__version__ in said(clean / "weakseg", "--version")
    assert "5 photographs" in said(clean / "weakseg", "demo")
    check_demo(empty / "weakseg-demo")
    assert "all that weakseg needs is there" in said(clean / "weakseg", "doctor")

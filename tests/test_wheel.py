"""What users install is the wheel: it holds all files of the package, and runs without the sources.

``make wheel-test`` installs it with all that it depends on, and runs the demo.
"""

import zipfile
from pathlib import Path

import pytest

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

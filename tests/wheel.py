"""The wheel: how it is built, what it has to hold, and how a command runs on what was installed of it alone."""

import os
import subprocess
import sys
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src"
LEFT_OUT = ("__pycache__",)
ALONE = """
import sys
from pathlib import Path
sys.path[:] = [place for place in sys.path if Path(place).resolve() != Path(sys.argv[1])]
import weakseg
assert Path(weakseg.__file__).is_relative_to(sys.argv[2]), weakseg.__file__
from weakseg.cli.main import main
sys.exit(main(sys.argv[3:]))
"""


def build_wheel(folder: Path) -> Path:
    """Build the wheel as pip does, in an environment of its own, and return its file."""
    words = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(ROOT)]
    subprocess.run(words, check=True, timeout=300)
    (wheel,) = folder.glob("weakseg-*.whl")
    return wheel


def missing_from(wheel: Path) -> list[str]:
    """Return the files of the package that a wheel lacks, or holds with other content."""
    with zipfile.ZipFile(wheel) as file:
        held = {name: file.read(name) for name in file.namelist()}
    files = [path for path in (SOURCE / "weakseg").rglob("*") if path.is_file() and not set(LEFT_OUT) & set(path.parts)]
    names = {path.relative_to(SOURCE).as_posix(): path for path in files}
    return sorted(name for name, path in names.items() if held.get(name) != path.read_bytes())


def run_alone(place: Path, words: Sequence[str], folder: Path) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder, on the package in ``place``, with the sources of the project out of reach."""
    environment: Mapping[str, str] = {**os.environ, "PYTHONPATH": str(place)}
    line = [sys.executable, "-c", ALONE, str(SOURCE.resolve()), str(place), *words]
    return subprocess.run(line, cwd=folder, env=environment, capture_output=True, text=True, timeout=300, check=False)

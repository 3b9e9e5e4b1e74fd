"""The wheel in a clean environment, with all that it depends on: ``make wheel-test`` (minutes, gigabytes)."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from time import monotonic

import weakseg
from wheel import build_wheel, missing_from

GOAL_S = 180


def _processor_s() -> float:
    """Return the processor time of all commands that have ended."""
    used = os.times()
    return used.children_user + used.children_system


def test_a_clean_environment_in_three_minutes(tmp_path: Path) -> None:
    """``pip install weakseg-*.whl`` into a new environment, then the demo from an empty folder."""
    begun = monotonic()
    wheel = build_wheel(tmp_path / "dist")
    built = monotonic()
    assert missing_from(wheel) == []
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "clean")], check=True)
    made = monotonic()
    binaries = tmp_path / "clean" / ("Scripts" if os.name == "nt" else "bin")
    before = _processor_s()
    subprocess.run([str(binaries / "python"), "-m", "pip", "install", "--quiet", str(wheel)], check=True)
    installed, worked = monotonic(), _processor_s() - before
    (empty := tmp_path / "empty").mkdir()
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}

    def said(*words: str) -> str:
        return subprocess.run(words, cwd=empty, env=clean, check=True, capture_output=True, text=True).stdout

    where = said(str(binaries / "python"), "-c", "import weakseg; print(weakseg.__file__)").strip()
    assert Path(where).is_relative_to(tmp_path / "clean") and weakseg.__version__ in said(
        str(binaries / "weakseg"), "--version"
    )
    assert "5 photographs" in said(str(binaries / "weakseg"), "demo")
    assert (empty / "weakseg-demo" / "report.html").stat().st_size > 100_000
    assert len(list((empty / "weakseg-demo").rglob("*.png"))) == 25
    assert "all that weakseg needs is there" in said(str(binaries / "weakseg"), "doctor")
    done = monotonic()
    print(
        f"\nwheel built in {built - begun:.0f} s, environment made in {made - built:.0f} s, installed in "
        f"{installed - made:.0f} s ({worked:.0f} s of a processor), demo and checks {done - installed:.0f} s"
    )
    shutil.rmtree(tmp_path / "clean")  # of some gigabytes
    assert installed - made <= GOAL_S

"""A tenth of ``make torture``."""

import os
import subprocess
import sys
from pathlib import Path

TORTURE = Path(__file__).parents[1] / "torture.py"


def test_kills_and_faults_are_healed_by_the_same_command() -> None:
    words = ["--kills", "10", "--faults", "2", "--commands", "compare", "--workers", "1", "--images", "4"]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, str(TORTURE), *words], capture_output=True, text=True, env=environment, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "10 kills and 2 faults healed" in done.stdout

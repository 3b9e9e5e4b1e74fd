from pathlib import Path

import pytest

from weakseg.files import write_json
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig, auto_seeds
from weakseg.steps.decided import DECIDED_FILE, decide_seeds, decided, decided_masks, decided_seeds


def test_what_was_decided_holds(tmp_path: Path) -> None:
    """Images that are done later get the same, whatever the images say by then."""
    write_json(tmp_path / DECIDED_FILE, {"strict": 0.3, "lenient": 0.2, "crf": False})
    told = decide_seeds(auto_seeds(), [], tmp_path / "none", tmp_path)
    assert told == decided(tmp_path)
    found = decided_seeds(auto_seeds(), told)
    assert found.numbers == (0.3, 0.2) and found.crf.iterations == 0 and not found.check_crf
    assert decided_seeds(auto_seeds(), {**told, "crf": True}).numbers == (0.3, 0.2)
    assert decided_seeds(SeedConfig(), {}) == SeedConfig()
    assert decided_masks(RefineConfig(), {}) == RefineConfig()
    assert decided_masks(RefineConfig(), {"crf": False}).crf.iterations == 0


def test_nothing_to_decide_it_by(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    told = decide_seeds(auto_seeds(), [], tmp_path, tmp_path)
    assert (told["strict"], told["lenient"], told["crf"]) == (0.45, 0.35, True)
    assert "no image says anything" in caplog.text and (tmp_path / DECIDED_FILE).is_file()

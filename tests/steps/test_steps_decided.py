from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.artifacts import LabelMap
from weakseg.data.sample import Tags, WeakSample
from weakseg.files import write_json
from weakseg.settings.crf import CrfParams
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig, auto_seeds
from weakseg.steps.decided import DECIDED_FILE, decide_masks, decide_seeds, decided, decided_masks, decided_seeds


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


@pytest.mark.parametrize("strong", [True, False])
def test_masks_whose_crf_takes_the_seeds_have_none(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, strong: bool
) -> None:
    """Four images with thin seeds: a wide kernel takes them, a narrow one does not; what was decided is kept."""
    caplog.set_level("INFO")
    rng, samples = np.random.default_rng(0), []
    for index in range(4):
        Image.fromarray(rng.integers(90, 130, (48, 64, 3), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        samples.append(WeakSample(str(index), tmp_path / f"{index}.png", Tags(frozenset({1}))))
        labels = np.zeros((48, 64), np.uint8)
        labels[::8, 20:24] = 1
        LabelMap(labels).save(tmp_path / "seeds" / f"{index}.png")
    crf = CrfParams(10, 30.0, 10.0) if strong else CrfParams(1, gaussian_weight=0.0, bilateral_weight=0.0)
    samples.append(WeakSample("lost", tmp_path / "lost.png", Tags(frozenset({1}))))
    LabelMap(labels).save(tmp_path / "seeds" / "lost.png")
    config = RefineConfig(crf=crf, check_crf=True)
    told = decide_masks(config, samples, tmp_path / "seeds", tmp_path / "out", with_background=True)
    assert (told["crf"], told["crf_tried"], told["crf_lost"]) == (not strong, 4, 4 * strong)
    assert "lost: left out of what is decided" in caplog.text
    assert ("masks.crf: left out" if strong else "masks.crf: kept") in caplog.text
    assert decide_masks(config, [], tmp_path / "none", tmp_path / "out", with_background=True) == told
    assert decided_masks(config, told).crf.iterations == (0 if strong else 1)

"""What is decided for all images of a run, on photographs of real things that activations lie on, or beside."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.seed import SeedConfig, auto_seeds
from weakseg.stages.threshold import background_of, crf_takes, image_separability, losses, takes_too_much

SIDE, OBJECT = 192, slice(48, 144)


def photograph(rng: np.random.Generator) -> np.ndarray:
    """A striped square on grass-like noise."""
    image = np.stack([rng.normal(m, 12, (SIDE, SIDE)) for m in (70, 130, 60)], -1)
    stripes = (np.arange(96) // 12 % 2)[None, :, None] * np.array([180, 20, 160]) + 40
    image[OBJECT, OBJECT] = stripes + rng.normal(0, 8, (96, 96, 3))
    return np.clip(image, 0, 255).astype(np.uint8)


def cone(peak: float) -> torch.Tensor:
    """Activations that fall from the middle of the object, to ``peak`` at its border."""
    place = np.abs(np.arange(48) - 23.5) / 12
    far = np.maximum(place[:, None], place[None])
    return torch.from_numpy(np.clip(1 - (1 - peak) * far, 0, 1)[None]).float()


@pytest.fixture
def run(tmp_path: Path) -> tuple[list[WeakSample], Path]:
    samples = []
    for index in range(3):
        Image.fromarray(photograph(np.random.default_rng(index))).save(tmp_path / f"{index}.png")
        samples.append(WeakSample(str(index), tmp_path / f"{index}.png", Tags(frozenset({1}))))
    return samples, tmp_path


def save(samples: list[WeakSample], folder: Path, maps: torch.Tensor) -> None:
    for sample in samples:
        Activations(maps, (1,), (SIDE, SIDE), 4).save(folder / f"{sample.id}.safetensors")


def test_the_score_follows_activations_at_the_border_of_the_object(run: tuple[list[WeakSample], Path]) -> None:
    """Features see further than the border, so that it lies below these."""
    samples, folder = run
    scores = []
    for border in (0.2, 0.4, 0.6):
        save(samples, folder, cone(border))
        found = background_of(samples, folder)
        assert found.images == 3 and len(found.separability) == 13
        assert found.score is not None and -0.25 < found.score - border < 0.1
        scores.append(found.score)
    assert scores == sorted(set(scores))
    one = image_separability(samples[0].load_image(), Activations(cone(0.4), (1,), (SIDE, SIDE), 4))
    assert one.shape == (13,) and one.nanmean() > 0


def test_images_that_say_nothing(run: tuple[list[WeakSample], Path]) -> None:
    samples, folder = run
    save(samples, folder, torch.zeros(1, 48, 48))
    assert background_of(samples, folder).score is None
    untagged = [replace(s, tags=Tags(frozenset())) for s in samples]
    assert background_of(untagged, folder) == background_of([], folder)


def test_the_background_is_decided_for_both_readings() -> None:
    assert auto_seeds().with_score(0.3).numbers == (0.35, 0.25)
    assert auto_seeds().with_score(0.02).numbers == (0.07, 0.0)
    assert SeedConfig(strict=0.2, lenient="auto").with_score(0.5).numbers == (0.2, 0.2)
    assert SeedConfig(strict="auto", lenient=0.4).with_score(0.1).numbers == (0.4, 0.4)
    plain = SeedConfig(strict=0.4, lenient=0.2).without_crf
    assert plain.numbers == (0.3, 0.3) and plain.crf.iterations == 0
    with pytest.raises(ConfigError, match="'auto' is decided over the images of a run"):
        _ = auto_seeds().numbers
    with pytest.raises(ConfigError, match="give numbers here"):
        SeedConfig(background="power", strict="auto", lenient="auto")


class TestCrf:
    """A CRF that takes what activations have found is left out."""

    def test_what_it_takes_is_counted(self, run: tuple[list[WeakSample], Path]) -> None:
        samples, folder = run
        save(samples, folder, cone(0.5))
        assert crf_takes(samples, folder, SeedConfig(strict=0.5, lenient=0.4)) == (0, 3)
        spots = torch.zeros(1, 48, 48)
        spots[0, ::12, ::12] = 1.0  # single cells on grass
        save(samples, folder, spots)
        strong = CrfParams(10, 30.0, 10.0, 80.0, 13.0, 10.0)
        assert crf_takes(samples, folder, SeedConfig(strict=0.5, lenient=0.4, crf=strong)) == (3, 3)

    def test_losses(self) -> None:
        before = np.zeros((4, 6), np.uint8)
        before[:2], before[2:] = 1, 2
        after = before.copy()
        after[0], after[1, 0] = 0, 255
        assert losses(LabelMap(before), LabelMap(after)) == [True, False]
        assert losses(LabelMap(np.zeros((4, 6), np.uint8)), LabelMap(after)) == []
        assert takes_too_much(3, 5) and not takes_too_much(2, 3) and not takes_too_much(0, 0)

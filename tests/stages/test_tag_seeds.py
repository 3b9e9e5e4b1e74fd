import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from weakseg.artifacts import Activations
from weakseg.errors import ConfigError
from weakseg.settings.crf import CrfParams
from weakseg.settings.seed import SeedConfig
from weakseg.settings.tag_seeds import TagSeedConfig
from weakseg.stages.seed import seed_image
from weakseg.stages.tag_seeds import TagSeeds, tag_seeds

NO_CRF = CrfParams(iterations=0)
BARE = TagSeedConfig(crf=NO_CRF, crf_confidence=0)


def seeds(rows: list[list[list[float]]], *class_ids: int, config: TagSeedConfig = BARE) -> TagSeeds:
    """Return the seeds of activations as large as their image."""
    values = torch.tensor(rows)
    size = (values.shape[1], values.shape[2])
    return tag_seeds(Activations(values, class_ids, size, 1), blank(size), config)


def blank(size: tuple[int, int]) -> NDArray[np.uint8]:
    return np.full((*size, 3), 128, np.uint8)


def test_the_trimap_without_crf() -> None:
    """(1 - m)^4 = m at 0.2755 and (1 - m)^24 = m at 0.094 (SEAM card, section 2.6)."""
    found = seeds([[[0.9, 0.28, 0.27, 0.1, 0.09, 0.0]]], 7)
    assert found.trimap.labels[0].tolist() == [7, 7, 255, 255, 0, 0]


def test_without_crf_the_trimap_is_that_of_seed_image() -> None:
    values = torch.rand(3, 12, 17, generator=torch.Generator().manual_seed(0)) ** 3
    act = Activations(values, (2, 4, 5), (12, 17), 1)
    config = SeedConfig(background="power", strict=4, lenient=24, unary="scores", crf=NO_CRF)
    expected = seed_image(act, blank((12, 17)), config)
    np.testing.assert_array_equal(tag_seeds(act, blank((12, 17)), BARE).trimap.labels, expected.labels)


def test_the_top_of_a_ramp_is_confident() -> None:
    """SEAM card, oracle 13: of 100 pixels that class 3 wins, 39 are above the value at rank 60."""
    config = TagSeedConfig(strict=4, lenient=1e6, crf=NO_CRF, crf_confidence=0)
    ramp = torch.linspace(0.011, 1, 100).tolist()
    found = seeds([[ramp]], 3, config=config)
    assert np.flatnonzero(found.confident.labels[0] == 3).tolist() == list(range(61, 100))


def test_ranks_are_of_each_class_and_where_it_wins() -> None:
    """Values of class 1: 0.5, 0.6, 0.7, 0.8, 0.9; rank 3 is 0.8. Class 2: 0.95 three times, none is above rank 1."""
    one = [0.5, 0.6, 0.7, 0.8, 0.9, 0.4, 0.4, 0.4]
    two = [0.4, 0.4, 0.4, 0.4, 0.4, 0.95, 0.95, 0.95]
    found = seeds([[one], [two]], 1, 2)
    assert found.confident.labels[0].tolist() == [255, 255, 255, 255, 1, 255, 255, 255]


def test_confident_background() -> None:
    """(1 - m)^24 > 0.8 below m = 0.00926."""
    found = seeds([[[0.9, 0.02, 0.01, 0.009, 0.0]]], 1)
    assert found.trimap.labels[0].tolist() == [1, 0, 0, 0, 0]
    assert found.confident.labels[0].tolist() == [255, 255, 255, 0, 0]


def test_marginals_count_too() -> None:
    """Without CRF the marginal of the strict reading is its normalised score: 0.6 of 0.6 + 0.4^4 is 0.959."""
    ramp = [0.3, 0.4, 0.5, 0.6, 0.7]
    config = TagSeedConfig(crf=NO_CRF, crf_confidence=0.98, fraction=0.6)
    assert seeds([[ramp]], 1, config=config).confident.labels[0].tolist() == [255, 255, 255, 255, 1]


@pytest.mark.parametrize("crf", [NO_CRF, CrfParams(iterations=3)])
def test_confident_seeds_are_some_of_the_trimap(crf: CrfParams) -> None:
    rng = np.random.default_rng(0)
    values = torch.rand(2, 10, 15, generator=torch.Generator().manual_seed(1)) ** 4
    image = rng.integers(0, 255, (40, 60, 3), dtype=np.uint8)
    found = tag_seeds(Activations(values, (1, 6), (40, 60)), image, TagSeedConfig(crf=crf, crf_confidence=0.5))
    trimap, confident = found.trimap.labels, found.confident.labels
    kept = confident != 255
    assert 0 < kept.sum() < (trimap != 255).sum()
    np.testing.assert_array_equal(confident[kept], trimap[kept])


def test_no_class_is_background() -> None:
    found = tag_seeds(Activations(torch.zeros(0, 2, 2), (), (8, 8)), blank((8, 8)), TagSeedConfig())
    assert not found.trimap.labels.any() and not found.confident.labels.any()


def test_large_images_are_worked_on_reduced() -> None:
    act = Activations(torch.rand(1, 20, 30), (1,), (80, 120))
    found = tag_seeds(act, blank((80, 120)), TagSeedConfig(max_side=60))
    assert found.trimap.labels.shape == found.confident.labels.shape == (80, 120)


@pytest.mark.parametrize(
    "setting", [{"strict": 30}, {"fraction": 0}, {"fraction": 1}, {"crf_confidence": 2}, {"max_side": 0}]
)
def test_settings(setting: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"seeds\.tags"):
        TagSeedConfig(**setting)  # type: ignore[arg-type]

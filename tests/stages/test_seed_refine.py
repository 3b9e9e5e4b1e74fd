import numpy as np
import pytest
import torch

from weakseg.artifacts import Activations, LabelMap
from weakseg.errors import ConfigError, ShapeError
from weakseg.settings.crf import CrfParams
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import seed_image

NO_CRF = CrfParams(iterations=0)


def activations(rows: list[list[list[float]]], *class_ids: int) -> Activations:
    values = torch.tensor(rows)
    size = (values.shape[1] * 4, values.shape[2] * 4)
    return Activations(values, class_ids, size)


def blank(size: tuple[int, int]) -> np.ndarray:
    return np.full((*size, 3), 128, np.uint8)


def test_seeds_without_crf_follow_the_table_of_irnet() -> None:
    """Scores 0.9, 0.4, 0.1 with thresholds 0.45 and 0.35: class, undecided, background (irnet card, section 2.4)."""
    act = activations([[[0.9, 0.9, 0.4, 0.4, 0.1, 0.1]]], 7)
    labels = seed_image(act, blank((4, 24)), SeedConfig(crf=NO_CRF)).labels
    assert labels[0, [3, 11, 20]].tolist() == [7, 255, 0]


def test_the_stronger_class_wins() -> None:
    act = activations([[[0.9, 0.6]], [[0.6, 0.9]]], 2, 5)
    labels = seed_image(act, blank((4, 8)), SeedConfig(crf=NO_CRF)).labels
    assert labels[0, 0] == 2 and labels[0, -1] == 5


def test_a_score_equal_to_the_threshold_is_background() -> None:
    """Ties go to the background (cam card, oracle 7)."""
    labels = seed_image(
        activations([[[0.5]]], 1), blank((4, 4)), SeedConfig(strict=0.5, lenient=0.5, crf=NO_CRF)
    ).labels
    assert not labels.any()


def test_power_background_decides_as_its_threshold() -> None:
    """(1 - m)^4 < m from m = 0.27551 on (cam card, section 2.4)."""
    config = SeedConfig(background="power", strict=4, lenient=4, crf=NO_CRF)
    act = activations([[[0.28]], [[0.1]]], 1, 2)
    assert (seed_image(act, blank((4, 4)), config).labels == 1).all()
    act = activations([[[0.27]], [[0.1]]], 1, 2)
    assert (seed_image(act, blank((4, 4)), config).labels == 0).all()


def test_no_class_is_background_or_undecided() -> None:
    act = Activations(torch.zeros(0, 2, 2), (), (8, 8))
    assert not seed_image(act, blank((8, 8)), SeedConfig()).labels.any()
    assert (seed_image(act, blank((8, 8)), SeedConfig(background="none")).labels == 255).all()


def test_a_class_can_be_the_background() -> None:
    act = activations([[[0.9, 0.2]], [[0.3, 0.8]]], 1, 3)
    config = SeedConfig(background="class", background_class="sky", crf=NO_CRF)
    labels = seed_image(act, blank((4, 8)), config, background_id=3).labels
    assert labels[0, 0] == 1 and labels[0, -1] == 0


def test_saliency_is_joined_elsewhere() -> None:
    nothing = Activations(torch.zeros(0, 2, 2), (), (8, 8))
    with pytest.raises(ConfigError, match=r"seeds\.background: 'saliency' needs a map, which there is none of here"):
        seed_image(nothing, np.zeros((8, 8, 3), np.uint8), SeedConfig("saliency"))


def test_a_crf_moves_seeds_to_the_edge_of_the_object() -> None:
    """A bright square on dark ground, seen by activations that are two cells too wide."""
    image = blank((64, 64))
    image[16:48, 16:48] = 250
    values = torch.zeros(1, 16, 16)
    values[:, 2:14, 2:14] = 0.45
    values[:, 4:12, 4:12] = 0.9
    act = Activations(values, (1,), (64, 64))
    loose = seed_image(act, image, SeedConfig(strict=0.3, lenient=0.3, crf=NO_CRF)).labels
    tight = seed_image(act, image, SeedConfig(strict=0.3, lenient=0.3)).labels
    truth = np.zeros((64, 64), bool)
    truth[16:48, 16:48] = True
    assert ((tight == 1) != truth).sum() <= ((loose == 1) != truth).sum()


def test_large_images_are_worked_on_reduced() -> None:
    act = Activations(torch.rand(1, 20, 30), (1,), (80, 120))
    assert seed_image(act, blank((80, 120)), SeedConfig(max_side=60)).labels.shape == (80, 120)


def test_refining_decides_every_pixel() -> None:
    seeds = np.full((20, 30), 255, np.uint8)
    seeds[:, :8], seeds[:, 22:] = 4, 0
    image = blank((20, 30))
    image[:, :15] = (220, 30, 30)
    mask = refine_image(LabelMap(seeds), image, RefineConfig()).labels
    assert (mask[:, :15] == 4).all() and (mask[:, 15:] == 0).all()


def test_without_background_a_mask_has_none() -> None:
    seeds = np.full((8, 8), 255, np.uint8)
    seeds[0, 0], seeds[7, 7] = 2, 3
    labels = refine_image(LabelMap(seeds), blank((8, 8)), RefineConfig(), with_background=False).labels
    assert set(np.unique(labels)) <= {2, 3}


def test_undecided_everywhere_stays_undecided_without_a_second_label() -> None:
    """Nothing is known but that a pixel may be background: there is no second label to weigh."""
    seeds = LabelMap(np.full((4, 4), 255, np.uint8))
    assert (refine_image(seeds, blank((4, 4)), RefineConfig()).labels == 255).all()


def test_sizes_must_agree() -> None:
    with pytest.raises(ShapeError, match=r"seeds is \(3, 3\) but image is \(4, 4\)"):
        refine_image(LabelMap(np.zeros((3, 3), np.uint8)), blank((4, 4)), RefineConfig())


@pytest.mark.parametrize(
    "settings",
    [
        {"strict": 0.2, "lenient": 0.3},
        {"background": "power", "strict": 8, "lenient": 4},
        {"background": "class"},
        {"background_class": "sky"},
        {"label_confidence": 1.0},
        {"max_side": 0},
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="seeds"):
        SeedConfig(**settings)  # type: ignore[arg-type]

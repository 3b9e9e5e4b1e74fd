"""Seeds by share of each class's maximum: values by hand, the definition pixel by pixel, and what is not known."""

import numpy as np
import pytest
import torch

from weakseg.artifacts import Activations
from weakseg.errors import ConfigError
from weakseg.settings.area_seeds import AreaSeedConfig
from weakseg.stages.area_seeds import area_seeds, smallest_area

PLAIN = AreaSeedConfig()
SALIENT = AreaSeedConfig(background="saliency")


def activations(*rows: list[float], ids: tuple[int, ...] = (1, 2)) -> Activations:
    """Maps of one row of pixels."""
    values = torch.tensor(rows).reshape(len(rows), 1, -1) if rows else torch.zeros(0, 1, 4)
    return Activations(values, ids[: len(rows)], (1, values.shape[2]), stride=1)


def seeds(found: Activations, config: AreaSeedConfig = PLAIN, *, all_known: bool = True) -> list[int]:
    return area_seeds(found, config, saliency=None, all_known=all_known).labels[0].tolist()


def salient(found: Activations, saliency: list[float], *, all_known: bool = True) -> list[int]:
    values = np.array([saliency], np.float32)
    return area_seeds(found, SALIENT, saliency=values, all_known=all_known).labels[0].tolist()


def test_share_of_each_maximum_and_overlaps_to_the_smaller_area() -> None:
    # class 1: above 0.2 * 0.5 are pixels 0, 1, 2; class 5: above 0.2 * 1.0 are 2, 3. Pixel 2 is of both: class 5 has
    # the smaller area. Pixel 5: 0.02 / 0.5 = 0.04 < 0.05 and 0.04 / 1.0 < 0.05. Pixel 4: 0.1 is not above 0.1.
    found = activations([0.5, 0.3, 0.2, 0.0, 0.1, 0.02], [0.0, 0.1, 0.3, 1.0, 0.2, 0.04], ids=(1, 5))
    assert seeds(found) == [1, 1, 5, 5, 255, 0]
    assert seeds(found, AreaSeedConfig(share=0.0, activations_below=0.0)) == [
        1,
        1,
        1,
        5,
        1,
        1,
    ]  # 5 pixels each: the first


def test_background_from_saliency_stretched() -> None:
    # stretched: (s - 0.2) / 0.5 = 0, 0.04, 0.08, 1: below 0.06 are the first two, of which the first has a seed.
    assert salient(activations([1.0, 0.1, 0.1, 0.1]), [0.2, 0.22, 0.24, 0.7]) == [1, 0, 255, 255]
    assert salient(activations([1.0, 0.1, 0.0, 0.0]), [0.0] * 4) == [1, 0, 0, 0]  # a map that says: nothing
    assert salient(activations([1.0, 0.1, 0.0, 0.0]), [1.0] * 4) == [1, 255, 255, 255]  # and one that says: all
    assert salient(activations([1.0, 0.1, 0.0, 0.0]), [0.5, 0.5, 0.5, 0.5 + 1e-6]) == [1, 255, 255, 255]


def test_definition_pixel_by_pixel_on_grids_of_cells() -> None:
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(3, 8, 10, generator=generator) ** 3
    found = Activations(values, (2, 4, 7), (8, 10), stride=1)
    labels = area_seeds(found, AreaSeedConfig(), saliency=None, all_known=True).labels
    areas = {k: sum(bool(v > 0.2 * values[k].max()) for v in values[k].flatten()) for k in range(3)}
    for row in range(8):
        for column in range(10):
            share = [float(values[k, row, column] / values[k].max()) for k in range(3)]
            own = [k for k in range(3) if share[k] > 0.2]
            low = 0 if max(share) < 0.05 else 255
            wanted = (2, 4, 7)[min(own, key=lambda k: areas[k])] if own else low
            assert labels[row, column] == wanted
    wide = Activations(values, (2, 4, 7), (30, 40))
    assert area_seeds(wide, AreaSeedConfig(), saliency=None, all_known=True).labels.shape == (30, 40)


def test_large_images_are_worked_on_reduced() -> None:
    found = Activations(torch.rand(1, 5, 300), (1,), (40, 2400), stride=8)
    saliency = np.ones((40, 2400), np.float32)
    saliency[:, 1200:] = 0
    labels = area_seeds(found, SALIENT, saliency=saliency, all_known=True).labels
    assert labels.shape == (40, 2400) and not (labels[:, :1190] == 0).any() and set(labels[0, 1210:]) <= {0, 1}


def test_what_is_not_known_is_not_background() -> None:
    none = activations()
    assert seeds(none) == [0, 0, 0, 0]  # every class is absent
    assert seeds(none, all_known=False) == [255] * 4  # any may be there, and nothing says where
    assert salient(none, [0.0, 0.0, 1.0, 1.0], all_known=False) == [0, 0, 255, 255]
    dark = activations([0.0, 0.0, 0.0, 0.0], [0.9, 0.0, 0.0, 0.0])
    assert seeds(dark) == [2, 255, 255, 255]  # class 1 is somewhere, and nothing says where


def test_equal_areas_go_to_the_first() -> None:
    claimed = torch.tensor([[[True, True, False]], [[False, True, True]], [[False, False, False]]])
    assert smallest_area(claimed, (3, 4, 5)).tolist() == [[3, 3, 4]]


def test_settings_without_effect_or_meaning_are_refused() -> None:
    for wrong in ({"share": 1.0}, {"share": float("nan")}, {"background": "edges"}, {"activations_below": -0.1}):
        with pytest.raises(ConfigError, match=rf"seeds\.{next(iter(wrong))}"):
            AreaSeedConfig(**wrong)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"seeds\.saliency_below: 0\.1 has no effect with background 'activations'"):
        AreaSeedConfig(saliency_below=0.1)

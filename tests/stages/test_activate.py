from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from weakseg.errors import ConfigError
from weakseg.ops.resample import Cells
from weakseg.settings.activate import ActivateConfig
from weakseg.stages.activate import activate_image

ALIGN = ("cells", "edges")


class Brightness:
    """Evidence of class c: brightness of channel c - 1, at stride 16."""

    device = torch.device("cpu")
    cells = Cells(7.5, 16)

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        self.sizes.append((images.shape[2], images.shape[3]))
        pooled = torch.nn.functional.avg_pool2d(images, 16, ceil_mode=True)
        return pooled[:, [class_id - 1 for class_id in class_ids]]


class EverySixteenth:
    """Evidence of class c: the pixels (16 i, 16 j) of channel c - 1."""

    device = torch.device("cpu")
    cells = Cells(0, 16)

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        return images[:, [class_id - 1 for class_id in class_ids], ::16, ::16]


def test_sizes_follow_the_card() -> None:
    """375 x 500 gives 94 x 125; scale 0.5 of 375 is 188, half to even (cam card, oracle 6)."""
    model = Brightness()
    image = np.zeros((375, 500, 3), np.uint8)
    act = activate_image(model, image, (1, 3), ActivateConfig())
    assert act.values.shape == (2, 94, 125) and act.image_size == (375, 500)
    assert model.sizes == [(375, 500), (188, 250), (562, 750), (750, 1000)]


def test_large_images_are_reduced_first() -> None:
    model = Brightness()
    activate_image(model, np.zeros((300, 2000, 3), np.uint8), (1,), ActivateConfig(scales=(1.0, 2.0)))
    assert model.sizes == [(77, 512), (154, 1024)]


def test_peak_is_one_and_order_is_kept() -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[:32, :32, 0], image[32:, 32:, 2] = 255, 100
    act = activate_image(Brightness(), image, (1, 3), ActivateConfig(scales=(1.0,)))
    assert act.class_ids == (1, 3)
    assert torch.allclose(act.values.amax((1, 2)), torch.ones(2), atol=1e-4)
    assert act.values[0].argmax() < 16 * 8 and act.values[1].argmax() >= 16 * 8


@pytest.mark.parametrize("width", [96, 90])
@pytest.mark.parametrize("align", ALIGN)
@pytest.mark.parametrize("model", [Brightness(), EverySixteenth()])
def test_mirror_images_give_mirrored_activations(model: Brightness | EverySixteenth, align: Any, width: int) -> None:
    """Cam card, oracle 4, at scale 1."""
    image = np.random.default_rng(0).integers(0, 255, (64, width, 3), dtype=np.uint8)
    config = ActivateConfig(scales=(1.0,), align=align)
    one = activate_image(model, image, (2,), config).values
    other = activate_image(model, np.ascontiguousarray(image[:, ::-1]), (2,), config).values
    assert torch.allclose(one, other.flip(-1), atol=1e-5)


@pytest.mark.parametrize("align", ALIGN)
def test_a_spot_lies_where_it_is_only_if_cells_do(align: Any) -> None:
    image = np.zeros((64, 64, 3), np.uint8)
    image[16, 15:17] = 255  # two columns: one for the mirror image
    found = activate_image(EverySixteenth(), image, (1,), ActivateConfig(scales=(1.0,), align=align)).values[0]
    row, column = (4 * int(index) + 1.5 for index in divmod(int(found.argmax()), 16))
    if align == "cells":
        assert abs(row - 16) <= 2 and abs(column - 15.5) <= 2
    else:
        assert row - 16 >= 5  # half a cell is 7.5 pixels


@pytest.mark.parametrize(("align", "shift"), [("cells", 0), ("edges", 3)])
def test_all_scales_see_the_same_ramp(align: Any, shift: float) -> None:
    image = np.repeat(np.arange(128, dtype=np.uint8)[:, None, None] * 2, 48, 1).repeat(3, 2)
    found = activate_image(EverySixteenth(), image, (1,), ActivateConfig((1.0, 0.5, 2.0), align=align)).values[0, :, 4]
    pixels = 4 * torch.arange(32) + 1.5
    slope = (found[22] - found[4]) / (pixels[22] - pixels[4])
    seen = found[4:23] / slope  # the pixel that a cell seems to show
    assert float((seen - pixels[4:23]).abs().max()) < 1.5 if not shift else float((pixels[4:23] - seen).min()) > shift


def test_roots_are_taken_of_each_scale() -> None:
    half = np.repeat(np.repeat(np.random.default_rng(0).integers(1, 256, (2, 2, 3)), 16, 0), 16, 1).astype(np.uint8)
    image = np.concatenate([half, half[:, ::-1]], 1)  # its mirror image, so that both give the same evidence
    config = ActivateConfig((1.0,), stride=16, align="edges")  # a value for each cell of the evidence
    plain, rooted = (
        activate_image(Brightness(), image, (1,), replace(config, roots=roots)).values for roots in (False, True)
    )
    assert plain.std() > 0.1
    torch.testing.assert_close(rooted, plain.sqrt(), rtol=0, atol=1e-5)


def test_no_class_needs_no_model() -> None:
    assert activate_image(None, np.zeros((5, 9, 3), np.uint8), (), ActivateConfig()).values.shape == (0, 2, 3)


def test_one_pixel_works() -> None:
    act = activate_image(Brightness(), np.full((1, 1, 3), 9, np.uint8), (1,), ActivateConfig())
    assert act.values.shape == (1, 1, 1)


@pytest.mark.parametrize(
    "settings", [{"scales": ()}, {"scales": (0.0,)}, {"stride": 0}, {"max_side": 3}, {"align": "corners"}]
)
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="activations"):
        ActivateConfig(**settings)  # type: ignore[arg-type]

import numpy as np
import pytest
import torch
from torch import Tensor

from weakseg.errors import ConfigError
from weakseg.stages.activate import ActivateConfig, activate_image


class Brightness:
    """Evidence of class c: brightness of channel c - 1, at stride 16."""

    device = torch.device("cpu")

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []

    def evidence(self, images: Tensor, class_ids: tuple[int, ...]) -> Tensor:
        self.sizes.append((images.shape[2], images.shape[3]))
        pooled = torch.nn.functional.avg_pool2d(images, 16, ceil_mode=True)
        return pooled[:, [class_id - 1 for class_id in class_ids]]


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


def test_mirror_images_give_mirrored_activations() -> None:
    """Cam card, oracle 4, at scale 1."""
    image = np.random.default_rng(0).integers(0, 255, (64, 96, 3), dtype=np.uint8)
    config = ActivateConfig(scales=(1.0,))
    one = activate_image(Brightness(), image, (2,), config).values
    other = activate_image(Brightness(), np.ascontiguousarray(image[:, ::-1]), (2,), config).values
    assert torch.allclose(one, other.flip(-1), atol=1e-5)


def test_no_class_needs_no_model() -> None:
    assert activate_image(None, np.zeros((5, 9, 3), np.uint8), (), ActivateConfig()).values.shape == (0, 2, 3)


def test_one_pixel_works() -> None:
    act = activate_image(Brightness(), np.full((1, 1, 3), 9, np.uint8), (1,), ActivateConfig())
    assert act.values.shape == (1, 1, 1)


@pytest.mark.parametrize("settings", [{"scales": ()}, {"scales": (0.0,)}, {"stride": 0}, {"max_side": 3}])
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="activations"):
        ActivateConfig(**settings)  # type: ignore[arg-type]

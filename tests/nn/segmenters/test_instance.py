from typing import Any

import pytest
import torch
from contracts import assert_grouped
from torch import nn

from weakseg.errors import ConfigError
from weakseg.nn.segmenters.instance import InstanceSegmenter, Targets, build_instance_segmenter
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.instance_segment import InstanceModelConfig

SMALL = InstanceModelConfig(width=16, hidden=32, mask_layers=1, proposals=32)


@pytest.fixture(scope="module")
def model() -> InstanceSegmenter:
    torch.manual_seed(0)
    return build_instance_segmenter(SMALL, 2)


def targets(*counts: int, size: tuple[int, int] = (64, 64)) -> Targets:
    total = sum(counts)
    masks = torch.zeros(total, *size, dtype=torch.uint8)
    masks[:, 8:40, 16:48] = 1
    boxes = torch.tensor([[16.0, 8.0, 48.0, 40.0]]).repeat(total, 1)
    return Targets(torch.tensor(counts), boxes, torch.ones(total, dtype=torch.long), masks)


def images(count: int, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    return torch.rand(count, 3, *size, generator=torch.Generator().manual_seed(0)) * 255


@pytest.mark.parametrize("counts", [(1, 2), (0, 3), (0, 0)])
def test_the_loss_is_finite_and_reaches_every_part(model: InstanceSegmenter, counts: tuple[int, ...]) -> None:
    model.train().zero_grad()
    loss = model(images(2), targets(*counts))
    assert loss.ndim == 0 and bool(torch.isfinite(loss))
    loss.backward()
    reached = {name.split(".")[0] for name, p in model.named_parameters() if p.grad is not None and p.grad.any()}
    assert reached == {"backbone", "head"}


def test_every_parameter_has_a_rate(model: InstanceSegmenter) -> None:
    assert_grouped(model)


@pytest.mark.parametrize("size", [(64, 96), (50, 71), (33, 40)])
def test_what_is_found_lies_in_the_image(model: InstanceSegmenter, size: tuple[int, int]) -> None:
    with torch.inference_mode():
        found = model.eval().find(images(1, size)[0], score=0.01, most=7)
    assert 0 < len(found.boxes) <= 7
    assert found.masks.shape == (len(found.boxes), 1, 28, 28) and found.boxes.shape == (len(found.boxes), 4)
    limits = torch.tensor([size[1], size[0]] * 2)
    assert bool((found.boxes >= 0).all()) and bool((found.boxes <= limits).all())
    assert set(found.class_ids.tolist()) <= {1, 2}
    assert found.scores.tolist() == sorted(found.scores.tolist(), reverse=True)
    assert float(found.masks.min()) >= 0 and float(found.masks.max()) <= 1


def test_a_score_that_nothing_reaches(model: InstanceSegmenter) -> None:
    with torch.inference_mode():
        assert len(model.eval().find(images(1)[0], score=0.999).boxes) == 0


def test_targets_by_image() -> None:
    whole = targets(2, 0, 1)
    parts = whole.by_image()
    assert [len(part["boxes"]) for part in parts] == [2, 0, 1]
    assert torch.cat([part["masks"] for part in parts]).equal(whole.masks)


def test_other_backbones_and_strides() -> None:
    backbone = BackboneConfig("resnet18", 16, "none")
    model = build_instance_segmenter(InstanceModelConfig(backbone, 16, 32, 1, 16, 32), 3, pretrained=False)
    assert bool(torch.isfinite(model(images(1), targets(1))))


def test_levels_of_one_stride_are_no_pyramid() -> None:
    config = InstanceModelConfig(BackboneConfig("test_vit", 16, "none"), 16, 32, 1, 16, 32)
    with pytest.raises(ConfigError, match=r"several strides from 4 on, the backbone has \[16, 16, 16, 16\]"):
        build_instance_segmenter(config, 3)


@pytest.mark.parametrize(
    "settings",
    [{"width": 0}, {"hidden": 0}, {"mask_layers": 0}, {"width": 20}, {"samples": -1}, {"pyramid_norm": "batch"}],
)
def test_impossible_sizes_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="model"):
        InstanceModelConfig(**settings)


def test_published_sizes() -> None:
    """A pyramid without norms, and losses of fewer boxes than are proposed."""
    config = InstanceModelConfig(width=12, hidden=32, mask_layers=1, proposals=40, samples=16, pyramid_norm="none")
    model = build_instance_segmenter(config, 3, pretrained=False)
    assert not any(isinstance(part, nn.GroupNorm) for part in model.head.pyramid.modules())
    assert model.head.regions.fg_bg_sampler.batch_size_per_image == 16
    assert model.head.proposals.post_nms_top_n() == 40
    grouped = build_instance_segmenter(SMALL, 3, pretrained=False)
    assert sum(isinstance(part, nn.GroupNorm) for part in grouped.head.pyramid.modules()) == 8  # two a level
    assert grouped.head.regions.fg_bg_sampler.batch_size_per_image == SMALL.proposals

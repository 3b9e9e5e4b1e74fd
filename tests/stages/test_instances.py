import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import Activations
from weakseg.errors import ConfigError, ShapeError
from weakseg.graph.boundary import boundary_affinity
from weakseg.nn.pairs.boundary import BoundaryMaps
from weakseg.ops.centroids import Detections, detections, find_centroids, group_cells, split_by_groups
from weakseg.ops.stencil import half_disc
from weakseg.ops.walk import suppress_boundaries, walk_scores
from weakseg.settings.instances import InstanceConfig
from weakseg.stages.instances import find_instances

SIZE = (8, 20)


def towards(*centers: tuple[float, float], size: tuple[int, int] = SIZE) -> Tensor:
    """Return ``D(i) = c - i``, each of ``centers`` for an equal share of the columns."""
    axes = torch.arange(float(size[0])), torch.arange(float(size[1]))
    targets = torch.tensor(centers).T[:, None, :].repeat_interleave(size[1] // len(centers), dim=2)
    return targets.expand(2, *size) - torch.stack(torch.meshgrid(*axes, indexing="ij"))


def boundary_maps(field: Tensor, logits: Tensor) -> BoundaryMaps:
    return BoundaryMaps(logits[None, None], torch.zeros(1, 0, *logits.shape), field[None])


def wall(column: int = 10) -> Tensor:
    logits = torch.full(SIZE, -30.0)
    logits[:, column] = 30.0
    return logits


def activations(values: Tensor, *class_ids: int, image_size: tuple[int, int] | None = None) -> Activations:
    return Activations(values, class_ids, image_size or (4 * values.shape[1], 4 * values.shape[2]))


def random_scene(seed: int, *, grid: tuple[int, int] = (10, 13)) -> tuple[Tensor, BoundaryMaps]:
    """Return smooth activations of two classes, with logits and a field that comes to rest."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randn(1, 5, 4, 4, generator=generator)
    maps = F.interpolate(coarse, size=grid, mode="bilinear")[0]
    return maps[:2].sigmoid(), boundary_maps(1.5 * maps[2:4], 4 * maps[4])


def halves(found: Detections) -> tuple[Tensor, Tensor]:
    """Return the masks of the two objects, the left one first."""
    assert len(found) == 2
    left, right = sorted(found.masks, key=lambda mask: int(mask.nonzero()[:, 1].min()))
    return left, right


def test_one_centre_is_one_object() -> None:
    """irnet.md, oracle 13."""
    maps = boundary_maps(towards((4.0, 9.0)), torch.full(SIZE, -30.0))
    found = find_instances(activations(torch.full((1, *SIZE), 0.7), 5), maps, InstanceConfig())
    assert found.class_ids.tolist() == [5] and found.masks.all()
    assert found.scores.tolist() == [1.0]


@pytest.mark.parametrize("left_is_strong", [False, True])
def test_two_centres_are_two_objects_of_one_class(left_is_strong: bool) -> None:
    """irnet.md, oracle 13; cells that end in strong displacements are a group as well."""
    field = towards((4.0, 4.0), (4.0, 15.0))
    if left_is_strong:
        field[:, :, :10] = torch.tensor([3.0, -3.0])[:, None, None]
    found = find_instances(activations(torch.ones(1, *SIZE), 5), boundary_maps(field, wall()), InstanceConfig())
    left, right = halves(found)
    assert found.class_ids.tolist() == [5, 5] and found.scores.tolist() == pytest.approx([1, 1], abs=0.01)
    assert left[:, :38].all() and not left[:, 44:].any()
    assert right[:, 48:].all() and not right[:, :40].any()


def test_objects_of_two_classes() -> None:
    values = torch.zeros(2, *SIZE)
    values[0, :, :10], values[1, :, 11:] = 0.9, 0.8
    found = find_instances(
        activations(values, 2, 3), boundary_maps(towards((4.0, 9.0)), wall()), InstanceConfig(error=0)
    )
    assert found.class_ids.tolist() == [2, 3] and found.scores.tolist() == pytest.approx([1.0, 8 / 9], abs=1e-5)


@pytest.mark.parametrize(("weak", "expected"), [(0.2, [2]), (0.3, [2, 3])])
def test_all_classes_are_on_one_scale(weak: float, expected: list[int]) -> None:
    """irnet.md, section 4: a class under a quarter of the best one is lost."""
    values = torch.zeros(2, *SIZE)
    values[0, :, :10], values[1, :, 11:] = 1.0, weak
    field = towards((4.0, 4.0), (4.0, 15.0))
    found = find_instances(activations(values, 2, 3), boundary_maps(field, wall()), InstanceConfig())
    assert found.class_ids.tolist() == expected


@pytest.mark.parametrize("seed", range(4))
def test_equal_to_all_maps_at_full_size(seed: int) -> None:
    """The card's steps one by one, with the maps that cannot win."""
    values, maps = random_scene(seed)
    config = InstanceConfig(steps=8, weak_below=0.5, error=0)
    groups = group_cells(maps.field[0], find_centroids(maps.field[0]), weak_below=0.5)
    boundary, offsets = torch.sigmoid(maps.logits[0, 0]), half_disc(5)
    split = suppress_boundaries(split_by_groups(values, groups), boundary)
    walked = walk_scores(split, boundary_affinity(boundary, offsets), offsets, beta=10, steps=8)
    large = F.interpolate(walked[None], scale_factor=4, mode="bilinear")[0][:, :39, :50]
    count = int(groups.max()) + 1
    expected = detections((large / large.max()).clamp(0, 1), [1] * count + [4] * count)
    found = find_instances(activations(values, 1, 4, image_size=(39, 50)), maps, config)
    assert len(found) > 1
    assert found.class_ids.equal(expected.class_ids) and found.masks.equal(expected.masks)
    torch.testing.assert_close(found.scores, expected.scores)


@pytest.mark.parametrize("seed", range(4))
def test_mirrored_scenes_have_mirrored_objects(seed: int) -> None:
    values, maps = random_scene(seed)
    sign = torch.tensor([1.0, -1.0])[:, None, None]
    config = InstanceConfig(steps=8, weak_below=0.5, error=0)
    here = find_instances(activations(values, 1, 4), maps, config)
    mirror = boundary_maps(maps.field[0].flip(-1) * sign, maps.logits[0, 0].flip(-1))
    there = find_instances(activations(values.flip(-1), 1, 4), mirror, config)
    assert len(here) == len(there)
    shared = (here.masks[:, None] & there.masks.flip(-1)).sum((2, 3)) / here.masks.sum((1, 2))[:, None]
    best, partner = shared.max(1)
    assert (best > 0.99).all() and sorted(partner.tolist()) == list(range(len(here)))
    assert there.class_ids[partner].equal(here.class_ids)
    torch.testing.assert_close(there.scores[partner], here.scores, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("values", "logit"),
    [(torch.zeros(0, *SIZE), 0.0), (torch.zeros(2, *SIZE), 0.0), (torch.ones(2, *SIZE), 1000.0)],
    ids=["no classes", "no activation", "nothing but boundary"],
)
def test_nothing_is_no_object(values: Tensor, logit: float) -> None:
    maps = boundary_maps(towards((4.0, 9.0)), torch.full(SIZE, logit))
    found = find_instances(activations(values, *range(1, len(values) + 1)), maps, InstanceConfig())
    assert len(found) == 0 and found.masks.shape == (0, 32, 80)


def test_a_grid_of_one_cell() -> None:
    maps = boundary_maps(torch.full((2, 1, 1), 7.0), torch.zeros(1, 1))
    found = find_instances(activations(torch.full((1, 1, 1), 0.3), 9, image_size=(3, 2)), maps, InstanceConfig())
    assert found.class_ids.tolist() == [9] and found.masks.shape == (1, 3, 2) and found.masks.all()


def test_an_oscillating_field_comes_to_an_end() -> None:
    field = torch.zeros(2, *SIZE)
    field[1, :, ::2], field[1, :, 1::2] = 5.0, -5.0
    found = find_instances(activations(torch.ones(1, *SIZE), 1), boundary_maps(field, wall()), InstanceConfig())
    assert (found.scores > 0).sum() >= 1


def test_grids_must_agree() -> None:
    maps = boundary_maps(towards((4.0, 9.0)), wall())
    with pytest.raises(ShapeError, match=r"activations is \(8, 8\) but boundary maps is \(8, 20\)"):
        find_instances(activations(torch.ones(1, 8, 8), 1), maps, InstanceConfig())
    with pytest.raises(ShapeError, match=r"grid is \(8, 20\) but image in cells is \(8, 40\)"):
        find_instances(activations(torch.ones(1, *SIZE), 1, image_size=(32, 160)), maps, InstanceConfig())


@pytest.mark.parametrize(
    "settings",
    [{"iterations": -1}, {"beta": 0.0}, {"radius_cells": 1.0}, {"background": 1.5}, {"error": 1.0}, {"weak_below": 0}],
)
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"instance\.\w+: need"):
        InstanceConfig(**settings)  # type: ignore[arg-type]

import pytest
import torch
from torch import Tensor

from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.centroids import Detections, detections, find_centroids, group_cells, split_by_groups


def cells(height: int, width: int) -> Tensor:
    axes = torch.arange(float(height)), torch.arange(float(width))
    return torch.stack(torch.meshgrid(*axes, indexing="ij"))


def towards(size: tuple[int, int], *centers: tuple[float, float]) -> Tensor:
    """Return ``D(i) = c - i``, each of ``centers`` for an equal share of the columns."""
    targets = torch.tensor(centers).T[:, None, :].repeat_interleave(size[1] // len(centers), dim=2)
    return targets.expand(2, *size) - cells(*size)


def mirrored(field: Tensor) -> Tensor:
    return field.flip(-1) * torch.tensor([1.0, -1.0])[:, None, None]


def groups_of(field: Tensor, **options: float) -> Tensor:
    return group_cells(field, find_centroids(field), **options)


def smooth_field(seed: int, size: tuple[int, int] = (12, 17)) -> Tensor:
    """Return a field gentle enough to come to rest; steeper ones are chaotic, and magnify rounding."""
    coarse = torch.randn(1, 2, 3, 4, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")[0]


class TestFindCentroids:
    def test_one_step_to_the_centre(self) -> None:
        # irnet.md, oracle 13: D(i) = c - i.
        found = find_centroids(towards((7, 9), (3.0, 5.5)), iterations=1)
        torch.testing.assert_close(found, torch.tensor([3.0, 5.5])[:, None, None].expand(2, 7, 9))

    def test_no_displacement_or_no_step_is_no_movement(self) -> None:
        for field, iterations in ((torch.zeros(2, 3, 4), 9), (torch.ones(2, 3, 4), 0)):
            torch.testing.assert_close(find_centroids(field, iterations=iterations), cells(3, 4), rtol=0, atol=0)

    def test_positions_between_cells_are_interpolated(self) -> None:
        # From 0 to 0.5, where the mean of .5 and 1 moves it to 1.25; there .75 * 1 + .25 * .2 = .8 makes 2.05.
        field = torch.tensor([[[0.0, 0.0, 0.0, 0.0]], [[0.5, 1.0, 0.2, 0.0]]])
        found = [find_centroids(field, iterations=steps)[1, 0, 0].item() for steps in (1, 2, 3)]
        assert found == pytest.approx([0.5, 1.25, 2.05])

    def test_positions_stay_on_the_grid(self) -> None:
        found = find_centroids(torch.tensor([-9.0, 9.0])[:, None, None].expand(2, 4, 5))
        torch.testing.assert_close(found, torch.tensor([0.0, 4.0])[:, None, None].expand(2, 4, 5))

    @pytest.mark.parametrize(("iterations", "expected"), [(6, [0.0, 1.0]), (7, [1.0, 0.0]), (100, [0.0, 1.0])])
    def test_oscillation_ends_after_the_last_iteration(self, iterations: int, expected: list[float]) -> None:
        field = torch.tensor([[[0.0, 0.0]], [[1.0, -1.0]]])  # two cells that point to each other
        assert find_centroids(field, iterations=iterations)[1, 0].tolist() == expected

    def test_rest_ends_it_early(self, monkeypatch: pytest.MonkeyPatch) -> None:
        steps = []
        clip = torch.minimum
        monkeypatch.setattr(torch, "minimum", lambda *values: (steps.append(1), clip(*values))[1])
        find_centroids(towards((5, 5), (2.0, 2.0)), iterations=100)
        assert len(steps) == 2

    @pytest.mark.parametrize("seed", [0, 1, 3])
    def test_mirrored_fields_lead_to_mirrored_places(self, seed: int) -> None:
        field = smooth_field(seed).double()
        there, back = find_centroids(field), find_centroids(mirrored(field)).flip(-1)
        torch.testing.assert_close(back[0], there[0])
        torch.testing.assert_close(16 - back[1], there[1])

    @pytest.mark.parametrize("shape", [(3, 4, 4), (2, 4), (2, 0, 4)])
    def test_other_shapes_are_refused(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ShapeError, match=r"field: expected shape \(2, h, w\)"):
            find_centroids(torch.zeros(shape))

    def test_nan_is_refused(self) -> None:
        with pytest.raises(ShapeError, match="field: holds NaN"):
            find_centroids(torch.full((2, 3, 3), torch.nan))


class TestGroupCells:
    def test_one_centre_is_one_group(self) -> None:
        assert not groups_of(towards((9, 9), (4.0, 4.0))).any()

    def test_two_halves_with_two_centres(self) -> None:
        groups = groups_of(towards((8, 20), (4.0, 4.0), (4.0, 15.0)))
        assert groups.dtype == torch.long
        assert groups[:, :10].unique().tolist() == [0] and groups[:, 10:].unique().tolist() == [1]

    def test_strong_ends_are_a_group_of_their_own(self) -> None:
        # The left centre is a cell of 3 cells' displacement: no centre. What ends there comes before the others.
        field = towards((8, 20), (4.0, 4.0), (4.0, 15.0))
        ends = find_centroids(field)
        field[:, :, :10] = 3.0
        groups = group_cells(field, ends)
        assert (groups[:, :10] == 0).all() and (groups[:, 10:] == 1).all()

    def test_without_any_centre_all_is_one_group(self) -> None:
        assert not groups_of(torch.full((2, 4, 5), 3.0)).any()

    def test_the_limit_is_no_centre(self) -> None:
        field = torch.zeros(2, 1, 3)
        field[1, 0, 1] = 2.5  # parts two centres
        assert group_cells(field, cells(1, 3)).tolist() == [[1, 0, 2]]
        assert group_cells(field, cells(1, 3), weak_below=2.6).tolist() == [[0, 0, 0]]

    def test_corners_do_not_join(self) -> None:
        field = torch.tensor([[0.0, 9.0], [9.0, 0.0]]).expand(2, 2, 2)
        assert group_cells(field, cells(2, 2)).tolist() == [[1, 0], [0, 2]]

    @each("seed", range(5))
    def test_numbers_are_consecutive(self, seed: int) -> None:
        groups = groups_of(4 * smooth_field(seed))
        assert groups.unique().tolist() == list(range(int(groups.max()) + 1))

    @pytest.mark.parametrize("seed", [0, 1, 3])
    def test_mirrored_fields_have_mirrored_groups(self, seed: int) -> None:
        field = smooth_field(seed).double()
        one, other = groups_of(field, weak_below=0.5), groups_of(mirrored(field), weak_below=0.5).flip(-1)
        pairs = torch.stack([one, other]).flatten(1).unique(dim=1)
        assert pairs.shape[1] == int(one.max()) + 1 == int(other.max()) + 1  # the same parts under other numbers

    def test_a_grid_of_one_cell(self) -> None:
        assert groups_of(torch.full((2, 1, 1), 7.0)).tolist() == [[0]]

    def test_sizes_must_agree(self) -> None:
        with pytest.raises(ShapeError, match=r"centroids is \(2, 3, 3\) but field is \(2, 4, 4\)"):
            group_cells(torch.zeros(2, 4, 4), torch.zeros(2, 3, 3))


class TestSplitByGroups:
    def test_groups_of_the_first_map_come_first(self) -> None:
        maps = torch.tensor([[[1.0, 2.0]], [[3.0, 4.0]]])
        found = split_by_groups(maps, torch.tensor([[0, 1]]))
        assert found.flatten(1).tolist() == [[1, 0], [0, 2], [3, 0], [0, 4]]

    def test_they_add_up_to_the_maps(self) -> None:
        generator = torch.Generator().manual_seed(0)
        maps, groups = torch.rand(3, 5, 6, generator=generator), torch.randint(4, (5, 6), generator=generator)
        found = split_by_groups(maps, groups)
        torch.testing.assert_close(found.reshape(3, -1, 5, 6).sum(1), maps, rtol=0, atol=0)

    def test_no_maps(self) -> None:
        assert split_by_groups(torch.zeros(0, 2, 2), torch.tensor([[0, 1], [1, 2]])).shape == (0, 2, 2)


class TestDetections:
    def test_each_connected_part_is_one(self) -> None:
        # Two maps of class 7: two parts that touch at a corner only, and one part; class 3 wins nothing.
        maps = torch.zeros(3, 4, 4)
        maps[0, 0, 0], maps[0, 1, 1], maps[1, 3] = 0.5, 0.9, 0.6
        maps[2] = 0.2
        found = detections(maps, [7, 7, 3])
        assert found.class_ids.tolist() == [7, 7, 7]
        assert found.scores.tolist() == pytest.approx([0.5, 0.9, 0.6])
        assert [mask.nonzero().tolist() for mask in found.masks[:2]] == [[[0, 0]], [[1, 1]]]
        assert found.masks[2].sum() == 4

    def test_fragments_stay_but_score_nothing(self) -> None:
        maps = torch.zeros(1, 10, 20)
        maps[0, 0, 0], maps[0, 5, :2] = 0.9, 0.8  # 1 and 2 of 200 pixels; 1 % are 2
        found = detections(maps, [1])
        assert found.scores.tolist() == pytest.approx([0.0, 0.8]) and len(found) == 2
        assert detections(maps, [1], min_fraction=0).scores.tolist() == pytest.approx([0.9, 0.8])

    def test_ties_go_to_the_background_and_then_to_the_first(self) -> None:
        maps = torch.tensor([[[0.25, 0.5]], [[0.25, 0.5]]])
        found = detections(maps, [4, 2])
        assert found.class_ids.tolist() == [4] and found.masks.tolist() == [[[False, True]]]

    def test_no_pixel_is_in_two_masks(self) -> None:
        maps = torch.rand(5, 9, 9, generator=torch.Generator().manual_seed(0))
        found = detections(maps, range(1, 6))
        assert (found.masks.sum(0) == (maps.amax(0) > 0.25)).all()

    @pytest.mark.parametrize("maps", [torch.zeros(0, 4, 5), torch.zeros(2, 4, 5)])
    def test_none(self, maps: Tensor) -> None:
        found = detections(maps, range(len(maps)))
        assert len(found) == 0 and found.masks.shape == (0, 4, 5) and found.masks.dtype == torch.bool

    def test_refusals(self) -> None:
        with pytest.raises(ShapeError, match=r"class ids: expected one for each of 2 maps, got \(1,\)"):
            detections(torch.zeros(2, 3, 3), [1])
        with pytest.raises(ShapeError, match=r"maps: expected finite values in \[0, 1\]"):
            detections(torch.full((1, 3, 3), 1.5), [1])
        with pytest.raises(ShapeError, match="detections: 2 masks"):
            Detections(torch.zeros(1), torch.zeros(2), torch.zeros(2, 3, 3, dtype=torch.bool))

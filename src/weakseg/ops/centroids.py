"""Objects from a displacement field: where each cell's displacements lead, and what belongs together."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from scipy.ndimage import label as label_components  # 4-connected by default
from torch import Tensor

from weakseg.checks import check_finite, check_rank, check_same_size, check_within
from weakseg.errors import ShapeError


@dataclass(frozen=True)
class Detections:
    """Objects of one image.

    Attributes:
        class_ids: ``(N,)`` int64, the class of each object.
        scores: ``(N,)`` float in [0, 1]; 0 for fragments.
        masks: ``(N, H, W)`` bool; no pixel is in two of them.
    """

    class_ids: Tensor
    scores: Tensor
    masks: Tensor

    def __post_init__(self) -> None:
        """Check that there is one of each for every object."""
        check_rank("masks", self.masks, 3, "(N, H, W)")
        sizes = [tuple(found.shape) for found in (self.class_ids, self.scores)]
        if sizes != 2 * [(len(self.masks),)]:
            raise ShapeError(f"detections: {len(self.masks)} masks; class ids and scores are {sizes}; want one each")

    def __len__(self) -> int:
        return len(self.masks)


def find_centroids(field: Tensor, *, iterations: int = 100, tolerance: float = 1e-3) -> Tensor:
    """Return where each cell gets by following the field: ``p <- clip(p + D(p))``, from its own position on.

    Between cells the field is interpolated bilinearly. Where positions never rest, they are those after the last
    iteration.

    Args:
        field: ``(2, h, w)`` float, finite: displacement (rows, columns) in cells.
        iterations: Number of steps at most.
        tolerance: No further step is taken once no position has moved by this much along an axis, in cells.

    Returns:
        ``(2, h, w)``: positions (row, column), in [0, h - 1] and [0, w - 1].

    Raises:
        ShapeError: If the field has another shape, no cell, or values that are not finite.

    Reference:
        [ahn2019irnet], class-agnostic instance map. Differs from its code: stops early; 300 steps there.
    """
    _check_field(field)
    height, width = field.shape[1:]
    largest = field.new_tensor([height - 1, width - 1])[:, None, None]
    axes = [torch.arange(length, dtype=field.dtype, device=field.device) for length in (height, width)]
    positions = torch.stack(torch.meshgrid(*axes, indexing="ij"))
    for _ in range(iterations):
        before = positions
        positions = torch.minimum((before + _sampled(field, before)).clamp(min=0), largest)
        if float((positions - before).abs().max()) < tolerance:
            break
    return positions


def group_cells(field: Tensor, centroids: Tensor, *, weak_below: float = 2.5) -> Tensor:
    """Return groups of cells that end in the same centre: a 4-connected region in which ``||D|| < weak_below``.

    All cells that end outside of such regions are one group, the first.

    Args:
        field: ``(2, h, w)`` float, finite: displacement (rows, columns) in cells.
        centroids: ``(2, h, w)`` positions of ``find_centroids``; the nearest cell counts.
        weak_below: Longest displacement of a centre, in cells; not included.

    Returns:
        ``(h, w)`` int64 in 0..G-1, each of which occurs.

    Raises:
        ShapeError: If shapes differ from the above, or values are not finite.

    Reference:
        [ahn2019irnet], class-agnostic instance map; the threshold is that of its code.
    """
    _check_field(field)
    check_same_size("centroids", centroids.shape, "field", field.shape)
    check_finite("centroids", centroids)
    height, width = field.shape[1:]
    weak = (torch.linalg.vector_norm(field, dim=0) < weak_below).cpu().numpy()
    centers = torch.from_numpy(label_components(weak)[0]).long().to(field.device)
    rows, columns = centroids.round().long()
    ends = centers[rows.clamp(0, height - 1), columns.clamp(0, width - 1)]
    groups: Tensor = torch.unique(ends, return_inverse=True)[1]
    return groups


def split_by_groups(maps: Tensor, groups: Tensor) -> Tensor:
    """Return each map once for each group, zero outside of the group.

    Args:
        maps: ``(K, h, w)``.
        groups: ``(h, w)`` int64 in 0..G-1.

    Returns:
        ``(K G, h, w)``: the groups of the first map, then those of the second; they add up to the maps.
    """
    check_rank("maps", maps, 3, "(K, h, w)")
    check_same_size("maps", maps.shape[1:], "groups", groups.shape)
    count = int(groups.max()) + 1
    inside = groups == torch.arange(count, device=groups.device)[:, None, None]
    return (maps[:, None] * inside).flatten(0, 1)


def detections(
    maps: Tensor, class_ids: Sequence[int], *, background: float = 0.25, min_fraction: float = 0.01
) -> Detections:
    """Return an object for each 4-connected part of what a map wins against the other maps and the background.

    Args:
        maps: ``(M, H, W)`` scores in [0, 1]; M may be 0.
        class_ids: The class of each map; several maps may be of one class.
        background: Score of the background; equal scores are background, else the first of equal maps wins.
        min_fraction: Smaller parts are fragments and score 0; a fraction of the image's area.

    Returns:
        Objects in the order of their maps, and from top to bottom; the score is the largest of the map inside.

    Raises:
        ShapeError: If shapes or ranges differ from the above.

    Reference:
        [ahn2019irnet], instance labels; parts and scores are those of its code.
    """
    check_rank("maps", maps, 3, "(M, H, W)")
    check_within("maps", maps, 0, 1)
    if len(class_ids) != len(maps):
        raise ShapeError(f"class ids: expected one for each of {len(maps)} maps, got {tuple(class_ids)}")
    found = [(number, part) for number, won in _winners(maps, background) for part in _connected_parts(won)]
    smallest = min_fraction * maps.shape[1] * maps.shape[2]
    scores = [float(maps[number][part].max()) if int(part.sum()) >= smallest else 0.0 for number, part in found]
    masks = torch.stack([part for _, part in found]) if found else maps.new_zeros(0, *maps.shape[1:], dtype=torch.bool)
    ids = torch.tensor([class_ids[number] for number, _ in found], dtype=torch.long, device=maps.device)
    return Detections(ids, maps.new_tensor(scores), masks)


def _winners(maps: Tensor, background: float) -> Iterator[tuple[int, Tensor]]:
    """Yield the number of each map that is best somewhere, and the ``(H, W)`` bool pixels where it is."""
    if not maps.numel():
        return
    best = torch.where(maps.amax(0) > background, maps.argmax(0), -1)
    for number in torch.unique(best).tolist():
        if number >= 0:
            yield number, best == number


def _connected_parts(region: Tensor) -> list[Tensor]:
    """Return the 4-connected parts of a ``(H, W)`` bool region."""
    labels, count = label_components(region.cpu().numpy())
    return [torch.from_numpy(np.equal(labels, part)).to(region.device) for part in range(1, count + 1)]


def _sampled(field: Tensor, positions: Tensor) -> Tensor:
    """Return the ``(2, h, w)`` field at ``(2, h, w)`` positions inside the grid, bilinearly."""
    height, width = field.shape[1:]
    (y, x), (above, left) = positions, positions.floor().long()
    below, right = (above + 1).clamp(max=height - 1), (left + 1).clamp(max=width - 1)
    down, across = y - above, x - left
    upper = field[:, above, left] * (1 - across) + field[:, above, right] * across
    lower = field[:, below, left] * (1 - across) + field[:, below, right] * across
    found: Tensor = upper * (1 - down) + lower * down
    return found


def _check_field(field: Tensor) -> None:
    check_rank("field", field, 3, "(2, h, w)")
    if field.shape[0] != 2 or not field.numel():
        raise ShapeError(f"field: expected shape (2, h, w) with h, w >= 1, got {tuple(field.shape)}")
    check_finite("field", field)

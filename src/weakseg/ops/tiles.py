"""Graphs cut into tiles of nodes: what is sparse as a whole becomes a batch of small dense products."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weakseg.errors import ShapeError
from weakseg.ops.pattern import Pattern

ROWS = 32  # nodes of a tile: fewer cells without an edge than in 64, and products as fast
TILE_SHAPES = ((4, 8), (8, 4), (2, 16), (16, 2), (1, 32), (32, 1))
REACH = 4  # cells around a tile that a window typically sees


@dataclass(frozen=True, eq=False)
class Tiles:
    """The graphs of B images, the nodes of each in n places, ``ROWS`` places a tile, T tiles in all.

    A place may be empty. ``(T, ROWS, m)`` maps hold one value for each place and each column of its tile; a map is 0
    where there is no edge.

    Attributes:
        places: ``(N,)`` int64 places in [0, B n) of the nodes of all images, one image after the other.
        columns: ``(T, m)`` int32 places that some node of the tile has as a neighbour, filled up with any place.
        cells: ``(M,)`` int64 positions of the edges of all images in a flattened map.
        outside: ``(T, ROWS, m)`` bool: not an edge.
        mirror: ``(T * ROWS * m,)`` int32: where the opposite edge is; of a cell without an edge, itself.
        sizes: Places that the nodes of each image need, and columns of its tiles, without the others.
    """

    places: Tensor
    columns: Tensor
    cells: Tensor
    outside: Tensor
    mirror: Tensor
    sizes: tuple[tuple[int, int], ...]

    @property
    def spans(self) -> tuple[int, ...]:
        """Places that the nodes of each image need."""
        return tuple(span for span, _ in self.sizes)

    @property
    def widths(self) -> tuple[int, ...]:
        """Columns that the tiles of each image need."""
        return tuple(width for _, width in self.sizes)

    @property
    def num_places(self) -> int:
        """n: places of an image."""
        return len(self.columns) * ROWS // len(self.sizes)

    @cached_property
    def barrier(self) -> Tensor:
        """``(T, ROWS, m)`` float32: added to scores it leaves those of edges, and a softmax nothing elsewhere."""
        return self.outside * (torch.finfo(torch.float32).min / 2)

    @cached_property
    def empty(self) -> Tensor:
        """Places in [0, B n) without a node, int64."""
        nodes = torch.zeros(self.outside.shape[:2].numel(), dtype=torch.bool, device=self.places.device)
        return (~nodes.index_fill(0, self.places, True)).nonzero()[:, 0]

    def scatter(self, values: Tensor) -> Tensor:
        """Return ``(B, n, C)`` of ``(N, C)`` values of nodes, zero in empty places."""
        spread = values.new_zeros(len(self.columns) * ROWS, values.shape[1]).index_copy(0, self.places, values)
        return spread.reshape(len(self.sizes), -1, values.shape[1])

    def gather(self, values: Tensor) -> Tensor:
        """Return ``(N, C)`` values of nodes from ``(B, n, C)`` values of places."""
        return values.flatten(0, 1).index_select(0, self.places)

    def spread(self, values: Tensor) -> Tensor:
        """Return the ``(T, ROWS, m)`` map of ``(M,)`` values of edges."""
        return values.new_zeros(self.outside.numel()).index_copy(0, self.cells, values).reshape(self.outside.shape)

    def at_columns(self, values: Tensor) -> Tensor:
        """Return ``(T, m, C)`` from ``(B n, C)`` values of places."""
        return values.index_select(0, self.columns.flatten()).reshape(*self.columns.shape, -1)

    def at_rows(self, values: Tensor) -> Tensor:
        """Return ``(T, ROWS, C)`` from ``(B n, C)`` values of places."""
        return values.reshape(-1, ROWS, values.shape[1])

    def mirrored(self, values: Tensor) -> Tensor:
        """Return the map of the transposed matrix."""
        return values.flatten().index_select(0, self.mirror).reshape(values.shape)

    def to(self, device: str | torch.device) -> "Tiles":
        """Return the tiles on a device."""
        return Tiles(
            self.places.to(device),
            self.columns.to(device),
            self.cells.to(device),
            self.outside.to(device),
            self.mirror.to(device),
            self.sizes,
        )


def build_tiles(patterns: Sequence[Pattern], places: Sequence[Tensor | None] | None = None) -> Tiles:
    """Return the tiles of the graphs of several images.

    Args:
        patterns: One an image, symmetric, every node its own neighbour.
        places: For each image the ``(N,)`` int64 places of its nodes, none twice, so that neighbours share a tile:
            ``grid_places`` for a grid; ``None`` for the order of the nodes.

    Raises:
        ShapeError: If a pattern is not symmetric or a node lacks its self-loop.
    """
    for pattern in patterns:
        _check_pattern(pattern)
    own, spans = _global_places(patterns, places or [None] * len(patterns))
    total = len(patterns) * max(spans)
    rows = torch.cat([at[p.rows] for p, at in zip(patterns, own, strict=True)])
    columns = torch.cat([at[p.columns.long()] for p, at in zip(patterns, own, strict=True)])
    codes, inverse = torch.unique(rows // ROWS * total + columns, return_inverse=True)
    tile = codes // total
    counts = tile.bincount(minlength=total // ROWS)
    slot = torch.arange(len(codes), device=codes.device) - (counts.cumsum(0) - counts)[tile]
    width = int(counts.max())
    reached = torch.zeros(len(counts), width, dtype=torch.int32, device=codes.device)
    reached[tile, slot] = (codes % total).int()
    cells = rows * width + slot[inverse]
    outside = torch.ones(total * width, dtype=torch.bool, device=cells.device).index_fill(0, cells, False)
    sizes = tuple(zip(spans, counts.reshape(len(patterns), -1).amax(1).tolist(), strict=True))
    mirror = _mirror(patterns, cells, total * width)
    return Tiles(torch.cat(own), reached, cells, outside.reshape(-1, ROWS, width), mirror, sizes)


def grid_places(size: tuple[int, int]) -> Tensor:
    """Return the ``(N,)`` places of the cells of a grid, row by row: the cells of a rectangle make a tile.

    Of the rectangles that are possible, the one is taken for which tiles times columns are the fewest.
    """

    def work(shape: tuple[int, int]) -> int:
        tiles = -(-size[0] // shape[0]) * -(-size[1] // shape[1])
        return tiles * (shape[0] + 2 * REACH) * (shape[1] + 2 * REACH)

    height, width = min(TILE_SHAPES, key=work)
    row, column = torch.arange(size[0])[:, None], torch.arange(size[1])
    tile = row // height * -(-size[1] // width) + column // width
    return (tile * ROWS + row % height * width + column % width).flatten()


def _global_places(
    patterns: Sequence[Pattern], places: Sequence[Tensor | None]
) -> tuple[list[Tensor], tuple[int, ...]]:
    """Return the places of each image's nodes among all, and how many places each image needs."""
    own = [torch.arange(p.num_rows) if at is None else at for p, at in zip(patterns, places, strict=True)]
    spans = tuple(ROWS * (int(at.max()) // ROWS + 1) for at in own)
    device = patterns[0].columns.device
    return [at.to(device) + index * max(spans) for index, at in enumerate(own)], spans


def _mirror(patterns: Sequence[Pattern], cells: Tensor, count: int) -> Tensor:
    before, opposite = 0, []
    for pattern in patterns:
        opposite.append(pattern.transposed[1] + before)
        before += pattern.num_entries
    itself = torch.arange(count, device=cells.device)
    return itself.index_copy(0, cells, cells[torch.cat(opposite)]).int()


def _check_pattern(pattern: Pattern) -> None:
    flipped = pattern.transposed[0]
    same = pattern.num_rows == pattern.num_columns and torch.equal(flipped.row_starts, pattern.row_starts)
    if not same or not torch.equal(flipped.columns, pattern.columns):
        raise ShapeError(
            "tiles: expected a symmetric pattern with sorted rows; weakseg.ops.normalize.symmetrize makes one"
        )
    if int((pattern.rows == pattern.columns).sum()) != pattern.num_rows:
        raise ShapeError("tiles: a node is not its own neighbour; add_self_loops first")

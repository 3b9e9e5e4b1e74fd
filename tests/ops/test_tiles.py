import math
from collections.abc import Callable

import pytest
import torch

from cases import each
from tiled_graphs import DOUBLE, noise, uniform, window
from weakseg.errors import ShapeError
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges
from weakseg.ops.stencil import half_square, stencil_pattern
from weakseg.ops.tile_attention import cosine_attention
from weakseg.ops.tiles import ROWS, Tiles, build_tiles, grid_places


class TestTiles:
    @each("size", [(1, 1), (8, 8), (9, 17), (1, 70), (47, 63), (3, 200)])
    def test_places_of_a_grid(self, size: tuple[int, int]) -> None:
        places = grid_places(size)
        assert len(places.unique()) == math.prod(size) == len(places)
        reach = build_tiles([stencil_pattern(size, half_square(4), "cpu")[0]], [places])
        assert int(places.max()) < reach.num_places <= ROWS * math.ceil(size[0] / 4) * math.ceil(size[1] / 8)
        assert reach.columns.shape[1] <= max(256, 9 * 72)  # the window of a tile

    @pytest.mark.parametrize("size", [(1, 1), (3, 4), (9, 17)])
    def test_maps_hold_every_edge_once(self, size: tuple[int, int]) -> None:
        pattern, places = window(size)
        tiles = build_tiles([pattern], [places])
        values = uniform(pattern.num_entries)
        spread = tiles.spread(values)
        assert int((~tiles.outside).sum()) == pattern.num_entries
        assert spread.flatten()[tiles.cells].equal(values) and not spread[tiles.outside].any()
        full = torch.zeros(tiles.num_places, tiles.num_places, dtype=DOUBLE)
        rows = torch.arange(tiles.num_places).reshape(-1, ROWS, 1).expand(spread.shape)
        columns = tiles.columns.long()[:, None].expand(spread.shape)
        inside = ~tiles.outside
        full[rows[inside], columns[inside]] = spread[inside]
        expected = SparseMatrix(pattern, values).to_dense()
        assert full[places][:, places].equal(expected)
        assert tiles.mirrored(spread).flatten()[tiles.cells].equal(SparseMatrix(pattern, values).transpose().values)

    def test_nodes_come_back(self) -> None:
        tiles = build_tiles([window((3, 4))[0], window((9, 9))[0]], [None, grid_places((9, 9))])
        values = noise(12 + 81, 3)
        spread = tiles.scatter(values)
        assert spread.shape == (2, tiles.num_places, 3) and tiles.gather(spread).equal(values)
        assert tiles.spans == (32, 192) and int((spread != 0).any(2).sum()) == 93

    def test_empty_places_stay_empty(self) -> None:
        tiles = build_tiles([window((3, 4))[0], window((9, 9))[0]], [None, grid_places((9, 9))])
        assert len(tiles.empty) == 2 * tiles.num_places - 93
        assert not tiles.barrier[~tiles.outside].any() and float(tiles.barrier[tiles.outside].max()) < -1e37
        values = tiles.scatter(uniform(93, 3)).flatten(0, 1).requires_grad_()
        edges = tiles.spread(uniform(len(tiles.cells)))
        out = cosine_attention(tiles, values, torch.ones(2, dtype=DOUBLE), edges)
        (grad,) = torch.autograd.grad(out.sum(), values)
        assert not out[tiles.empty].any() and not grad[tiles.empty].any()

    def test_an_image_has_its_own_columns_first(self) -> None:
        small, large = window((3, 4)), window((9, 17), 4)
        alone = build_tiles([small[0]], [small[1]])
        both = build_tiles([small[0], large[0]], [small[1], large[1]])
        assert both.widths == (*alone.widths, both.widths[1])
        assert both.columns[:1, : alone.widths[0]].equal(alone.columns)

    @pytest.mark.parametrize(
        ("mask", "message"),
        [([[1, 1], [0, 1]], "symmetric"), ([[1, 1], [1, 0]], "add_self_loops"), ([[1, 1, 0], [1, 1, 1]], "symmetric")],
    )
    def test_other_patterns_are_refused(self, mask: list[list[int]], message: str) -> None:
        found = torch.tensor(mask).bool()
        edges = found.nonzero().T
        pattern = matrix_from_edges(edges, torch.ones(edges.shape[1]), (found.shape[0], found.shape[1])).pattern
        with pytest.raises(ShapeError, match=message):
            build_tiles([pattern])

    def test_duplicate_edges_are_one(self) -> None:
        # graph-baselines.md, oracle 8: summed where the matrix is made, so that no layer sees two.
        edges = torch.tensor([[0, 0, 1, 1, 0], [0, 1, 0, 1, 1]])
        matrix = matrix_from_edges(edges, torch.tensor([1.0, 0.25, 0.5, 1.0, 0.25]), (2, 2))
        assert matrix.pattern.num_entries == 4 and matrix.to_dense().tolist() == [[1, 0.5], [0.5, 1]]


@pytest.mark.parametrize("pick", [lambda t: t.columns.shape, lambda t: t.outside.shape])
def test_memory_grows_with_the_nodes(pick: Callable[[Tiles], tuple[int, ...]]) -> None:
    sizes = [math.prod(pick(build_tiles([window((h, 64), 4)[0]], [grid_places((h, 64))]))) for h in (32, 64)]
    assert sizes[1] <= 2.1 * sizes[0]

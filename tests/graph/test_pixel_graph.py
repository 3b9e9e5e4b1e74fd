import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save
from torch import Tensor

from cases import each
from weakseg.artifacts import PixelGraph
from weakseg.errors import ShapeError, StoreError
from weakseg.graph.pixel_graph import build_pixel_graph
from weakseg.ops.sparse import block_diagonal
from weakseg.ops.stencil import half_disc, half_square


def graph_of(height: int, width: int, *, radius: int = 2) -> PixelGraph:
    generator = torch.Generator().manual_seed(height)
    offsets = half_square(radius)
    affinity = torch.rand(len(offsets), height, width, generator=generator)
    return build_pixel_graph(torch.rand(4, height, width, generator=generator), affinity, offsets)


def test_nodes_are_cells_in_row_major_order() -> None:
    features = torch.arange(6.0).reshape(1, 2, 3)
    graph = build_pixel_graph(features, torch.full((1, 2, 3), 0.5), ((1, 0),), self_affinity=2.0)
    assert graph.features.flatten().tolist() == [0, 1, 2, 3, 4, 5]
    expected = 2 * torch.eye(6)
    for upper in range(3):
        expected[upper, upper + 3] = expected[upper + 3, upper] = 0.5
    torch.testing.assert_close(graph.affinity.to_dense(), expected)


@pytest.mark.parametrize("size", [(5, 7), (1, 1), (1, 4)])
def test_save_and_load_keep_every_bit(tmp_path: Path, size: tuple[int, int]) -> None:
    graph = graph_of(*size)
    graph.save(tmp_path / "g.safetensors")
    found = PixelGraph.load(tmp_path / "g.safetensors")
    assert found.size == size
    torch.testing.assert_close(found.features, graph.features, rtol=0, atol=0)
    torch.testing.assert_close(found.affinity.to_dense(), graph.affinity.to_dense(), rtol=0, atol=0)


def test_graphs_of_several_sizes_in_one_product() -> None:
    graphs = [graph_of(5, 7), graph_of(1, 1), graph_of(3, 2, radius=1)]
    together = block_diagonal([graph.affinity for graph in graphs]) @ torch.cat([graph.features for graph in graphs])
    torch.testing.assert_close(together, torch.cat([graph.affinity @ graph.features for graph in graphs]))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"g\.safetensors: no such graph"):
        PixelGraph.load(tmp_path / "g.safetensors")


def hostile(change: dict[str, Tensor]) -> bytes:
    graph = graph_of(2, 2)
    pattern = graph.affinity.pattern
    tensors = {"features": graph.features.contiguous(), "affinity": graph.affinity.values}
    tensors |= {"row_starts": pattern.row_starts, "columns": pattern.columns, **change}
    return save(tensors, {"weakseg": json.dumps({"size": [2, 2]})})


@each(
    "change",
    [
        {"columns": torch.full((16,), 4, dtype=torch.int32)},
        {"columns": torch.full((16,), -1, dtype=torch.int32)},
        {"row_starts": torch.tensor([0, 4, 3, 12, 16], dtype=torch.int32)},
        {"row_starts": torch.tensor([0, 4, 8, 12, 99], dtype=torch.int32)},
        {"row_starts": torch.tensor([1, 4, 8, 12, 16], dtype=torch.int32)},
        {"row_starts": torch.zeros(0, dtype=torch.int32)},
        {"features": torch.zeros(3, 4)},
        {"affinity": torch.full((16,), -1.0)},
        {"affinity": torch.full((16,), torch.nan)},
    ],
)
def test_hostile_files_are_refused(tmp_path: Path, change: dict[str, Tensor]) -> None:
    (tmp_path / "g.safetensors").write_bytes(hostile(change))
    with pytest.raises(StoreError, match=r"g\.safetensors: not a file of graph"):
        PixelGraph.load(tmp_path / "g.safetensors")


def test_the_unchanged_file_is_no_hostile_one(tmp_path: Path) -> None:
    (tmp_path / "g.safetensors").write_bytes(hostile({}))
    assert PixelGraph.load(tmp_path / "g.safetensors").size == (2, 2)


def test_grids_that_differ_are_both_named() -> None:
    with pytest.raises(ShapeError, match=r"features is \(2, 3\) but affinity is \(3, 2\)"):
        build_pixel_graph(torch.zeros(1, 2, 3), torch.zeros(34, 3, 2), half_disc(5))

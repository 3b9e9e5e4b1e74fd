import math
from collections.abc import Callable

import networkx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch import Tensor

import dense_reference as dense
from cases import each
from weakseg.errors import ShapeError
from weakseg.ops.mincut import MinCut, min_cut, terminal_links
from weakseg.ops.sparse import SparseMatrix, matrix_from_edges

CHAIN = ((0, 1), (1, 2), (2, 3))


def joined(nodes: int, pairs: tuple[tuple[int, int], ...], weight: float = 1.0) -> SparseMatrix:
    """Return a graph in which each pair is joined by a link of the same capacity."""
    edges = torch.tensor([*pairs, *((q, p) for p, q in pairs)], dtype=torch.int64).reshape(-1, 2).T
    return matrix_from_edges(edges, torch.full((edges.shape[1],), weight, dtype=torch.float64), (nodes, nodes))


def sparse(weights: Tensor) -> SparseMatrix:
    edges = weights.nonzero().T
    return matrix_from_edges(edges, weights[edges[0], edges[1]], (len(weights), len(weights)))


def seeds(nodes: int, *chosen: int) -> Tensor:
    return torch.tensor([node in chosen for node in range(nodes)])


def labels(cut: MinCut) -> list[int]:
    return cut.foreground.nonzero().flatten().tolist()


def random_scene(nodes: int, seed: int) -> tuple[SparseMatrix, Tensor, Tensor]:
    """Return a ring with chords of random capacities, and random costs at the terminals."""
    generator = torch.Generator().manual_seed(seed)
    upper = torch.rand(nodes, nodes, generator=generator, dtype=torch.float64).triu(1)
    weights = torch.where(torch.rand(nodes, nodes, generator=generator) < 6 / nodes, upper, 0.0)
    source, sink = torch.rand(2, nodes, generator=generator, dtype=torch.float64) * 3
    return sparse(weights + weights.T), source, sink


class TestByHand:
    """Card, oracles 1 and 2."""

    PROBS = torch.tensor([0.6, 0.6, 0.3, 0.1], dtype=torch.float64)

    def cut(self, *, as_printed: bool) -> MinCut:
        graph = joined(4, CHAIN)
        return min_cut(graph, *terminal_links(self.PROBS, seeds(4, 0), seeds(4, 3), graph, as_printed=as_printed))

    def test_chain(self) -> None:
        cut = self.cut(as_printed=False)
        assert labels(cut) == [0, 1]
        assert cut.value == pytest.approx(-math.log(0.6) - math.log(0.7) + 1, abs=1e-12)
        assert cut.value == pytest.approx(1.867501, abs=1e-6)
        assert cut.error < 1e-8

    def test_chain_with_the_printed_table(self) -> None:
        cut = self.cut(as_printed=True)
        assert labels(cut) == [0, 1, 2]
        assert cut.value == pytest.approx(-math.log(0.4) - math.log(0.7) + 1, abs=1e-12)
        assert cut.value == pytest.approx(2.272966, abs=1e-6)

    @pytest.mark.parametrize(("prob", "foreground"), [(0.9, [0]), (0.1, [])])
    def test_single_node(self, prob: float, foreground: list[int]) -> None:
        probs, graph = torch.tensor([prob], dtype=torch.float64), joined(1, ())
        cut = min_cut(graph, *terminal_links(probs, seeds(1), seeds(1), graph))
        assert labels(cut) == foreground
        assert cut.value == pytest.approx(0.105361, abs=1e-6)

    @pytest.mark.parametrize(("prob", "foreground"), [(0.9, []), (0.1, [0])])
    def test_single_node_with_the_printed_table(self, prob: float, foreground: list[int]) -> None:
        probs, graph = torch.tensor([prob], dtype=torch.float64), joined(1, ())
        assert labels(min_cut(graph, *terminal_links(probs, seeds(1), seeds(1), graph, as_printed=True))) == foreground

    def test_of_several_minimum_cuts_the_smallest_foreground(self) -> None:
        # A chain of equal links between two fixed ends may be cut anywhere.
        hard = torch.tensor([9.0, 0.0, 0.0, 0.0])
        cut = min_cut(joined(4, CHAIN, 0.5), hard, hard.flip(0))
        assert (labels(cut), cut.value, cut.error) == ([0], 0.5, 0.0)

    def test_indifferent_nodes_are_background(self) -> None:
        cut = min_cut(joined(3, ((0, 1),)), torch.tensor([2.0, 0.0, 5.0]), torch.tensor([2.0, 0.0, 5.0]))
        assert (labels(cut), cut.value, cut.error) == ([], 7.0, 0.0)

    def test_no_nodes(self) -> None:
        cut = min_cut(joined(0, ()), torch.zeros(0), torch.zeros(0))
        assert (cut.foreground.shape, cut.foreground.dtype, cut.value, cut.error) == ((0,), torch.bool, 0.0, 0.0)

    def test_no_links_at_all(self) -> None:
        assert labels(min_cut(joined(3, ()), torch.zeros(3), torch.zeros(3))) == []


eighths = st.integers(0, 16).map(lambda value: value / 8)


@st.composite
def scenes(draw: st.DrawFn, capacities: st.SearchStrategy[float]) -> tuple[Tensor, Tensor, Tensor]:
    """Return weights ``(N, N)`` and costs of source and sink of up to seven nodes."""
    nodes = draw(st.integers(1, 7))
    upper = torch.from_numpy(draw(hnp.arrays(np.float64, (nodes, nodes), elements=capacities))).triu(1)
    source, sink = (torch.from_numpy(draw(hnp.arrays(np.float64, nodes, elements=capacities))) for _ in range(2))
    return upper + upper.T, source, sink


class TestAgainstAllLabellings:
    """Card, oracle 3."""

    @given(scenes(eighths))
    @settings(max_examples=40)
    def test_multiples_of_a_power_of_two_are_exact(self, scene: tuple[Tensor, Tensor, Tensor]) -> None:
        cut = min_cut(sparse(scene[0]), *scene[1:])
        least, best = dense.minimum_cuts(*scene, slack=0)
        assert (cut.value, cut.error) == (least, 0)
        smallest = np.logical_and.reduce(best)  # of minimum cuts the intersection is one, too
        np.testing.assert_array_equal(cut.foreground.numpy(), smallest)

    @given(scenes(st.floats(0, 10, allow_subnormal=False) | st.just(0.0) | st.floats(0, 1e9)))
    @settings(max_examples=40)
    def test_the_optimum_is_missed_by_no_more_than_stated(self, scene: tuple[Tensor, Tensor, Tensor]) -> None:
        cut = min_cut(sparse(scene[0]), *scene[1:])
        least, _ = dense.minimum_cuts(*scene, slack=0)
        size = 1e-12 * float(sum(part.sum() for part in scene))  # float64 sums
        assert cut.value == pytest.approx(dense.cut_energy(cut.foreground.numpy(), *scene), rel=1e-12)
        assert least - size <= cut.value <= least + cut.error + size

    @pytest.mark.parametrize("seed", [6, 47, 50])
    def test_flow_that_turns_back_on_a_full_link(self, seed: int) -> None:
        # Found by search: with capacities up to 2^31 the residual of a link overflows in these.
        generator = torch.Generator().manual_seed(seed)
        upper = (torch.rand(8, 8, generator=generator) < 0.25).triu(1) * torch.tensor(0.96875, dtype=torch.float64)
        costs = torch.randint(0, 32, (8,), generator=generator).double() / 32
        up = torch.rand(8, generator=generator) < 0.5
        scene = upper + upper.T, torch.where(up, costs, 0.0), torch.where(up, 0.0, costs)
        cut = min_cut(sparse(scene[0]), *scene[1:])
        assert (cut.value, cut.error) == (dense.minimum_cuts(*scene, slack=0)[0], 0)

    def test_the_stated_error_is_the_sum_of_roundings(self) -> None:
        # The largest number is 1.2 * 2 (twice the degree of a node that is decided): 2^27 2.4 < 2^29 < 2^28 2.4.
        weights = torch.tensor([[0, 0.7, 0.5], [0.7, 0, 0.1], [0.5, 0.1, 0]], dtype=torch.float64)
        source, sink = torch.tensor([[9.0, 0.3, 0.0], [0.0, 0.0, 0.9]], dtype=torch.float64)
        rounded = [abs(x - round(x * 2**27) / 2**27) for x in (0.7, 0.5, 0.1, float(source[1]), float(sink[2]))]
        assert min_cut(sparse(weights), source, sink).error == pytest.approx(sum(rounded), rel=1e-9)
        assert sum(rounded) > 1e-9

    def test_the_stated_error_is_small(self) -> None:
        assert min_cut(*random_scene(200, 0)).error < 1e-4

    def test_a_fixed_node_costs_no_precision(self) -> None:
        # As large as a capacity can be: scaled as it is it would leave nothing of the others.
        graph, source, sink = random_scene(9, 1)
        source[3], sink[5] = 1e30, 1e300
        cut = min_cut(graph, source, sink)
        assert cut.error < 1e-6
        assert cut.foreground[3] and not cut.foreground[5]
        least, _ = dense.minimum_cuts(graph.to_dense(), source, sink, slack=0)
        assert cut.value == pytest.approx(least, rel=1e-9)

    @each("capacity", [2.0**-1000, 1e-30, 1e-9, 1.0, 1e9, 1e30, 2.0**1000])
    def test_capacities_of_any_size(self, capacity: float) -> None:
        hard = 3 * capacity * torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)
        weights = capacity * torch.tensor([2.0, 1.0, 2.0], dtype=torch.float64)
        edges = torch.tensor(CHAIN).T
        both = torch.cat([edges, edges.flip(0)], dim=1)
        cut = min_cut(matrix_from_edges(both, weights.repeat(2), (4, 4)), hard, hard.flip(0))
        assert (labels(cut), cut.value / capacity) == ([0, 1], 1.0)

    def test_a_hub_does_not_overflow(self) -> None:
        # 3000 links of the largest capacity at one node, which is nearly torn between the terminals.
        pairs = tuple((0, leaf) for leaf in range(1, 3001))
        source = torch.full((3001,), 1.0, dtype=torch.float64)
        sink = torch.zeros(3001, dtype=torch.float64)
        source[0], sink[0] = 0, 2999
        assert min_cut(joined(3001, pairs), source, sink).foreground.all()
        sink[0] = 3001
        cut = min_cut(joined(3001, pairs), source, sink)
        assert (labels(cut), cut.value) == ([], 3000)

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_types(self, dtype: torch.dtype) -> None:
        graph, source, sink = random_scene(50, 2)
        graph = SparseMatrix(graph.pattern, graph.values.to(dtype))
        cut = min_cut(graph, source.to(dtype), sink.to(dtype))
        assert torch.equal(cut.foreground, min_cut(*random_scene(50, 2)).foreground)


class TestLaws:
    def test_without_links_the_threshold_decides(self) -> None:
        # Card, oracle 4.
        probs = torch.rand(60, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        foreground, background, graph = seeds(60, 3, 8, 30), seeds(60, 5, 8, 50), joined(60, CHAIN, 0.0)
        cut = min_cut(graph, *terminal_links(probs, foreground, background, graph))
        expected = (probs > 0.5) | (foreground & ~background)
        expected[[5, 50]] = False  # 8 is in both and counts as no seed
        assert torch.equal(cut.foreground, expected)

    @pytest.mark.parametrize("foreground", [True, False])
    def test_strong_links_spread_the_only_kind_of_seed(self, foreground: bool) -> None:
        # Card, oracle 5.
        probs = torch.full((20,), 0.1 if foreground else 0.9)
        graph = joined(20, tuple((node, node + 1) for node in range(19)), 300.0)
        chosen = (seeds(20, 4), seeds(20)) if foreground else (seeds(20), seeds(20, 4))
        cut = min_cut(graph, *terminal_links(probs, *chosen, graph))
        assert bool((cut.foreground == foreground).all())

    @each("seed", range(5))
    def test_exchanged_sides_give_the_complement(self, seed: int) -> None:
        # Card, oracle 7; with random capacities the minimum is unique.
        generator = torch.Generator().manual_seed(seed)
        probs = torch.rand(80, generator=generator, dtype=torch.float64)
        graph, foreground, background = random_scene(80, seed)[0], seeds(80, 1, 2, 40), seeds(80, 0, 60)
        cut = min_cut(graph, *terminal_links(probs, foreground, background, graph))
        other = min_cut(graph, *terminal_links(1 - probs, background, foreground, graph))
        assert torch.equal(other.foreground, ~cut.foreground)
        assert 0 < cut.foreground.sum() < 80
        assert other.value == pytest.approx(cut.value, rel=1e-9)

    @pytest.mark.parametrize("seed", range(3))
    def test_permuted_nodes_have_permuted_labels(self, seed: int) -> None:
        graph, source, sink = random_scene(60, seed)
        order = torch.randperm(60, generator=torch.Generator().manual_seed(seed))
        cut = min_cut(graph, source, sink)
        permuted = min_cut(sparse(graph.to_dense()[order][:, order]), source[order], sink[order])
        assert torch.equal(permuted.foreground, cut.foreground[order])
        assert permuted.value == pytest.approx(cut.value, rel=1e-12)

    def test_a_cost_on_both_sides_of_a_node_changes_the_value_only(self) -> None:
        graph, source, sink = random_scene(60, 4)
        cut, shifted = min_cut(graph, source, sink), min_cut(graph, source + 2, sink + 2)
        assert torch.equal(shifted.foreground, cut.foreground)
        assert shifted.value == pytest.approx(cut.value + 120, rel=1e-9)

    def test_joined_strongly_two_nodes_have_one_label(self) -> None:
        # Card, oracle 8, the cut's part.
        probs, graph = torch.tensor([0.9, 0.2, 0.6]), joined(3, ((0, 1),), 50.0)
        cut = min_cut(graph, *terminal_links(probs, seeds(3), seeds(3), graph))
        assert labels(cut) == [0, 1, 2]  # -log .9 - log .2 = 1.71 < 2.53 = -log .1 - log .8
        swapped = min_cut(graph, *terminal_links(1 - probs, seeds(3), seeds(3), graph))
        assert labels(swapped) == []

    def test_arguments_are_left_alone_and_no_gradient_flows(self) -> None:
        graph, source, sink = random_scene(20, 5)
        copies = source.clone(), sink.clone(), graph.values.clone()
        cut = min_cut(SparseMatrix(graph.pattern, graph.values.requires_grad_()), source.requires_grad_(), sink)
        torch.testing.assert_close((source.detach(), sink, graph.values.detach()), copies, rtol=0, atol=0)
        assert not cut.foreground.requires_grad


class TestTerminalLinks:
    GRAPH = joined(4, CHAIN, 0.5)

    def test_table(self) -> None:
        # Card, 2.4, with C1 = 1 + deg C0 - log 1e-4; degrees 1, 2, 2, 1 at C0 = 0.5.
        probs = torch.tensor([0.3, 0.8, 0.8, 0.3], dtype=torch.float64)
        source, sink = terminal_links(probs, seeds(4, 0, 3), seeds(4, 2, 3), self.GRAPH)
        assert source.tolist() == pytest.approx([1.5 - math.log(1e-4), -math.log(0.2), 0, -math.log(0.7)])
        assert sink.tolist() == pytest.approx([0, -math.log(0.8), 2 - math.log(1e-4), -math.log(0.3)])

    def test_printed_table_exchanges_the_soft_entries_only(self) -> None:
        probs = torch.tensor([0.3, 0.8, 0.8, 0.3], dtype=torch.float64)
        right = terminal_links(probs, seeds(4, 0), seeds(4, 2), self.GRAPH)
        printed = terminal_links(probs, seeds(4, 0), seeds(4, 2), self.GRAPH, as_printed=True)
        for end, other in ((0, 1), (1, 0)):
            assert torch.equal(printed[end][[0, 2]], right[end][[0, 2]])
            assert torch.equal(printed[end][[1, 3]], right[other][[1, 3]])

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
    def test_saturated_probabilities_are_clipped(self, dtype: torch.dtype) -> None:
        # Card, section 8: at most 9.21.
        probs = torch.tensor([0.0, 1.0, 0.5, 1e-9], dtype=dtype)
        source, sink = terminal_links(probs, seeds(4), seeds(4), self.GRAPH)
        assert sink.tolist() == pytest.approx([9.210340, 1.0e-4, math.log(2), 9.210340], abs=1e-6)
        assert source.tolist() == pytest.approx([1.0e-4, 9.210340, math.log(2), 1.0e-4], abs=1e-6)

    def test_a_seed_holds_against_everything(self) -> None:
        # All its neighbours and the network say foreground.
        probs, graph = torch.full((6,), 1.0), joined(6, tuple((0, leaf) for leaf in range(1, 6)), 100.0)
        cut = min_cut(graph, *terminal_links(probs, seeds(6, 1, 2, 3, 4, 5), seeds(6, 0), graph))
        assert labels(cut) == [1, 2, 3, 4, 5]

    def test_floor(self) -> None:
        source, sink = terminal_links(torch.tensor([0.0, 1.0, 1.0, 0.0]), seeds(4), seeds(4), self.GRAPH, floor=0.25)
        assert sink.tolist() == pytest.approx([math.log(4), math.log(4 / 3), math.log(4 / 3), math.log(4)])
        assert torch.equal(source, sink.flip(0)[[1, 0, 3, 2]])


class TestRefusals:
    GRAPH = joined(3, ((0, 1),))

    @each("bad", [math.nan, math.inf])
    @each(
        ("name", "call"),
        [
            ("source", lambda graph, values: min_cut(graph, values, torch.zeros(3))),
            ("sink", lambda graph, values: min_cut(graph, torch.zeros(3), values)),
            ("probs", lambda graph, values: terminal_links(values, seeds(3), seeds(3), graph)),
        ],
    )
    def test_non_finite(self, name: str, call: Callable[[SparseMatrix, Tensor], object], bad: float) -> None:
        with pytest.raises(ShapeError, match=f"{name}: holds NaN or infinite"):
            call(self.GRAPH, torch.tensor([0.5, bad, 0.5]))

    @pytest.mark.parametrize(
        ("source", "sink", "name"), [((0, -1, 0), (0, 0, 0), "source"), ((0, 0, 0), (0, 0, -2), "sink")]
    )
    def test_negative_costs(self, source: tuple[int, ...], sink: tuple[int, ...], name: str) -> None:
        with pytest.raises(ShapeError, match=f"{name}: expected non-negative capacities, got -"):
            min_cut(self.GRAPH, torch.tensor(source), torch.tensor(sink))

    @each(
        "weights",
        [
            [[0.0, 1.0], [0.5, 0.0]],
            [[0.0, 1.0], [0.0, 0.0]],
            [[0.0, -1.0], [-1.0, 0.0]],
            [[1.0, 0.0], [0.0, 0.0]],
        ],
    )
    def test_graphs(self, weights: list[list[float]]) -> None:
        with pytest.raises(ShapeError, match="graph: expected symmetric non-negative capacities and a zero diagonal"):
            min_cut(sparse(torch.tensor(weights)), torch.zeros(2), torch.zeros(2))

    def test_stored_zeros_are_no_links(self) -> None:
        edges = torch.tensor([[0, 1], [1, 1]])
        graph = matrix_from_edges(edges, torch.zeros(2), (2, 2))
        assert labels(min_cut(graph, torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]))) == [0]

    def test_sizes(self) -> None:
        with pytest.raises(ShapeError, match="sink is"):
            min_cut(self.GRAPH, torch.zeros(3), torch.zeros(2))
        with pytest.raises(ShapeError, match="source is"):
            min_cut(self.GRAPH, torch.zeros(4), torch.zeros(4))
        rectangle = matrix_from_edges(torch.zeros(2, 0, dtype=torch.int64), torch.zeros(0), (2, 3))
        with pytest.raises(ShapeError, match="square"):
            min_cut(rectangle, torch.zeros(3), torch.zeros(3))
        with pytest.raises(ShapeError, match="background_seeds is"):
            terminal_links(torch.zeros(3), seeds(3), seeds(2), self.GRAPH)
        with pytest.raises(ShapeError, match="probs is"):
            terminal_links(torch.zeros(4), seeds(4), seeds(4), self.GRAPH)
        with pytest.raises(ShapeError, match="probs: expected shape"):
            terminal_links(torch.zeros(1, 3), seeds(3), seeds(3), self.GRAPH)

    @pytest.mark.parametrize("probs", [[0.0, 1.1, 0.0], [-0.1, 0.0, 0.0]])
    def test_probabilities(self, probs: list[float]) -> None:
        with pytest.raises(ShapeError, match=r"probs, floor: expected values in \[0, 1\]"):
            terminal_links(torch.tensor(probs), seeds(3), seeds(3), self.GRAPH)

    @each("floor", [0.0, 0.5, -1.0, math.nan])
    def test_floors(self, floor: float) -> None:
        with pytest.raises(ShapeError, match="floor"):
            terminal_links(torch.zeros(3), seeds(3), seeds(3), self.GRAPH, floor=floor)

    def test_seeds_that_are_not_bool(self) -> None:
        with pytest.raises(ShapeError, match=r"foreground_seeds: expected bool, got torch\.float32"):
            terminal_links(torch.zeros(3), torch.zeros(3), seeds(3), self.GRAPH)


class TestAgainstAnotherLibrary:
    def test_values_and_sides(self) -> None:
        for seed in range(5):
            graph, source, sink = random_scene(60, seed)
            other = networkx.Graph()
            for p, q in graph.to_dense().triu().nonzero().tolist():
                other.add_edge(p, q, capacity=float(graph.to_dense()[p, q]))
            for p in range(60):
                other.add_edge("s", p, capacity=float(source[p]))
                other.add_edge(p, "t", capacity=float(sink[p]))
            value, (side, _) = networkx.minimum_cut(other, "s", "t")
            cut = min_cut(graph, source, sink)
            assert cut.value == pytest.approx(value, abs=cut.error + 1e-9)
            assert set(labels(cut)) == side - {"s"}  # random capacities: there is one minimum cut

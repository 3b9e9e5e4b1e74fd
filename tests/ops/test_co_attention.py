from typing import Any

import pytest
import torch
from torch import Tensor

import dense_reference as dense
import weakseg.ops.co_attention as module
from cases import assert_exact, each
from tiled_graphs import DOUBLE, noise
from weakseg.errors import ShapeError
from weakseg.ops.co_attention import attention, cell_mean, co_attention, edge_messages

EDGES = torch.tensor([[0, 1, 2, 2, 0, 2], [1, 0, 0, 1, 3, 1]])  # the last edge stands there twice, nobody hears node 3


def scene(nodes: int = 4, receiving: int = 5, sending: int = 7) -> list[Tensor]:
    """Return queries, keys and values of 3, 3 and 6 channels."""
    shapes = [(nodes, receiving, 3), (nodes, sending, 3), (nodes, sending, 6)]
    return [noise(*shape, seed=index).requires_grad_() for index, shape in enumerate(shapes)]


def mask_of(nodes: int = 4, sending: int = 7) -> Tensor:
    mask = noise(nodes, sending, seed=9) > 0
    mask[:, 2] = True
    return mask


def expected_messages(parts: list[Tensor], mask: Tensor | None) -> Tensor:
    query, key, value = parts
    kept = [slice(None) if mask is None else mask[sender] for sender in EDGES[0].tolist()]
    found = [
        dense.co_attention_message(query[receiver], key[sender][cells], value[sender][cells])
        for (sender, receiver), cells in zip(EDGES.T.tolist(), kept, strict=True)
    ]
    return torch.stack(found)


class TestCoAttention:
    @each("masked", [False, True])
    def test_equals_the_dense_version(self, masked: bool) -> None:
        # group-wsss.md, oracle 2: values and gradients, for blocks of cells, of one edge, of several
        mask, parts = (mask_of(sending=4) if masked else None), scene(receiving=3, sending=4)
        own = expected_messages(parts, mask)
        own_sum = torch.zeros(4, 3, 6, dtype=DOUBLE).index_add(0, EDGES[1], own)
        for function, expected in ((edge_messages, own), (co_attention, own_sum)):
            slope = noise(*expected.shape, seed=5)
            slopes = torch.autograd.grad((expected * slope).sum(), parts, retain_graph=True)
            for chunk in (1, 8, 12, 36, 10**6):
                found = function(*parts, EDGES, key_mask=mask, chunk=chunk)
                assert_exact(found, expected)
                for one, other in zip(torch.autograd.grad((found * slope).sum(), parts), slopes, strict=True):
                    assert_exact(one, other)
        assert not own_sum[2].any()

    @each(("per_edge", "masked"), [(False, False), (True, True)])
    def test_the_kernel_of_torch_says_the_same(self, per_edge: bool, masked: bool) -> None:
        # group-wsss.md, oracle 2: scaled-dot-product attention of unequal widths, as on other devices
        mask, parts = (mask_of() if masked else None), scene()
        senders, receivers = EDGES.tolist()
        targets, rows = (list(range(len(senders))), len(senders)) if per_edge else (receivers, 4)
        routes = module._Routes(senders, receivers, targets, rows, mask, 10**6)
        expected = (edge_messages if per_edge else co_attention)(*parts, EDGES, key_mask=mask)
        assert_exact(module.fused(*parts, routes), expected)

    def test_gradient_by_finite_differences(self) -> None:
        parts = scene(receiving=2, sending=3)
        assert torch.autograd.gradcheck(lambda *given: co_attention(*given, EDGES, chunk=7), parts)

    @each("zero", [0, 1])
    def test_without_a_projection_messages_are_means(self, zero: int) -> None:
        # group-wsss.md, oracle 3
        parts = [part.detach() for part in scene()]
        parts[zero] = torch.zeros_like(parts[zero])
        means = cell_mean(parts[2], mask_of())[EDGES[0]].expand(-1, 5, -1)
        assert_exact(edge_messages(*parts, EDGES, key_mask=mask_of()), means)

    def test_rows_of_attention(self) -> None:
        # group-wsss.md, oracle 1
        query, key, _ = scene()
        rows = attention(query, key, mask_of())
        assert_exact(rows.sum(-1), torch.ones(4, 5, dtype=DOUBLE))
        assert bool((rows >= 0).all())
        assert not rows.masked_fill(mask_of()[:, None], 0).any()

    def test_a_bias_of_senders_cancels_out(self) -> None:
        # group-wsss.md, section 6.4
        query, key, value = scene()
        shift = noise(3, seed=4)
        assert_exact(co_attention(query, key + shift, value, EDGES), co_attention(query, key, value, EDGES))
        assert not torch.allclose(
            co_attention(query + shift, key, value, EDGES), co_attention(query, key, value, EDGES)
        )

    def test_messages_of_a_duplicate_are_the_same(self) -> None:
        # group-wsss.md, oracle 14
        query, key, value = (part[:2] for part in scene())
        copied = [torch.cat([part, part[:1]]) for part in (query, key, value)]
        both = edge_messages(*copied, torch.tensor([[0, 2], [1, 1]]))
        assert torch.equal(both[0], both[1])

    def test_no_edges(self) -> None:
        parts = scene()
        found = co_attention(*parts, torch.empty(2, 0, dtype=torch.int64))
        found.sum().backward()
        assert not found.any() and all(part.grad is not None and not part.grad.any() for part in parts)

    @each("dtype", [torch.float16, torch.bfloat16])
    def test_scores_are_summed_up_in_float32(self, dtype: torch.dtype) -> None:
        # half precision ends at 65,504
        query, key, value = (100 * noise(2, 4, 60, seed=index).sign().to(dtype) for index in range(3))
        loop = torch.tensor([[0], [1]])
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = co_attention(query, key, value, loop)
        assert found.dtype == dtype
        query, key, value = (part.double() for part in (query, key, value))
        assert float((query[1] @ key[0].T).abs().max()) > 65504
        own = dense.co_attention_message(query[1], key[0], value[0])
        torch.testing.assert_close(found[1].double(), own, rtol=1e-2, atol=1e-2)


class TestBadInput:
    @each(
        ("change", "message"),
        [
            ({"query": noise(4, 15)}, r"query: expected shape \(nodes, cells, channels\)"),
            ({"query": noise(4, 5, 2)}, r"key \(nodes, channels\) is \(4, 3\) but query is \(4, 2\)"),
            ({"value": noise(4, 6, 6)}, r"value .*\(4, 6\) but key is \(4, 7\)"),
            ({"edges": EDGES.float()}, r"edges: expected int64 of shape \(2, E\), got torch.float32"),
            ({"edges": EDGES.T}, r"edges: .*\(6, 2\)"),
            ({"edges": torch.tensor([[0], [4]])}, r"edges: expected nodes in 0..3, got 0 to 4"),
            ({"edges": torch.tensor([[-1], [0]])}, r"edges: expected nodes in 0..3, got -1"),
            ({"key_mask": torch.ones(4, 7)}, "key_mask: expected bool"),
            ({"key_mask": torch.ones(4, 5, dtype=torch.bool)}, r"key_mask is \(4, 5\)"),
            ({"key_mask": torch.arange(4)[:, None].expand(-1, 7) != 2}, "a sender has no cell"),
        ],
    )
    def test_refused(self, change: dict[str, Tensor], message: str) -> None:
        query, key, value = scene()
        given: dict[str, Any] = {"query": query, "key": key, "value": value, "edges": EDGES, **change}
        for function in (co_attention, edge_messages):
            with pytest.raises(ShapeError, match=message):
                function(**given)

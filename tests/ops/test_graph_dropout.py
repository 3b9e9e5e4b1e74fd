from typing import Any

import pytest
import torch

from cases import assert_exact, each
from tiled_graphs import DOUBLE, noise
from weakseg.errors import ShapeError
from weakseg.ops.graph_dropout import graph_dropout

STATES = torch.tensor([[0.0, 2.0], [4.0, 1.0]], dtype=DOUBLE)[None, None]
DROP, KEEP = torch.tensor([True]), torch.tensor([False])


class TestGraphDropout:
    @each(
        ("settings", "expected"),
        [
            ({}, [[0, 2], [2, 1]]),  # group-wsss.md, oracle 8: threshold 2.8, mask [[1, 1], [0, 1]]
            ({"mask": "times_mean", "output": "product"}, [[0, 4], [0, 1]]),
            ({"output": "product"}, [[0, 2], [0, 1]]),
            ({"mask": "times_mean"}, [[0, 3], [2, 1]]),
            ({"threshold": 0.5}, [[0, 1], [2, 1]]),  # 2 is no less than 0.5 * 4
            ({"threshold": 0.0}, [[0, 1], [2, 0.5]]),
        ],
    )
    def test_of_the_card(self, settings: dict[str, Any], expected: list[list[float]]) -> None:
        assert_exact(graph_dropout(STATES, DROP, **settings)[0, 0], torch.tensor(expected, dtype=DOUBLE))

    @each(("output", "low"), [("average", 0.5), ("product", 0.0)])
    def test_importance(self, output: Any, low: float) -> None:
        # group-wsss.md, oracle 8
        states = noise(2, 3, 4, 5)
        share = torch.sigmoid(states.mean(1, keepdim=True))
        factor = (1 + share) / 2 if output == "average" else share
        assert low < float(factor.min()) and float(factor.max()) < 1
        for mask in ("binary", "times_mean"):
            found = graph_dropout(states, torch.zeros(2, dtype=torch.bool), mask=mask, output=output)
            assert_exact(found, states * factor)

    def test_each_node_has_its_own_maximum_and_draw(self) -> None:
        states = torch.cat([STATES, STATES, 10 * STATES])
        found = graph_dropout(states, torch.tensor([True, False, True]))
        assert torch.equal(found[0], graph_dropout(STATES, DROP)[0])
        assert torch.equal(found[1], graph_dropout(STATES, KEEP)[0])
        assert_exact(found[2], 10 * found[0])

    def test_nothing_is_dropped_below_zero(self) -> None:
        # group-wsss.md, oracle 10
        assert torch.equal(graph_dropout(-1 - STATES, DROP), -1 - STATES)

    def test_cells_outside_of_the_mask_do_not_count(self) -> None:
        padded = torch.nn.functional.pad(STATES, (0, 1, 0, 1), value=100.0)
        mask = torch.zeros(1, 3, 3, dtype=torch.bool)
        mask[:, :2, :2] = True
        assert torch.equal(graph_dropout(padded, DROP, cell_mask=mask)[..., :2, :2], graph_dropout(STATES, DROP))

    @each("settings", [{}, {"mask": "times_mean", "output": "product"}])
    def test_gradient_by_finite_differences(self, settings: dict[str, Any]) -> None:
        states, drawn = noise(2, 3, 2, 2).requires_grad_(), torch.tensor([True, False])
        assert torch.autograd.gradcheck(lambda given: graph_dropout(given, drawn, **settings), states)

    @each(
        ("states", "drawn", "mask", "message"),
        [
            (STATES[0], DROP, None, r"states: expected shape \(n, C, H, W\)"),
            (STATES, torch.ones(2, dtype=torch.bool), None, r"dropped is \(2,\) but nodes is \(1,\)"),
            (STATES, DROP, torch.ones(1, 2, 3, dtype=torch.bool), r"cell_mask is \(1, 2, 3\)"),
        ],
    )
    def test_bad_input(self, states: Any, drawn: Any, mask: Any, message: str) -> None:
        with pytest.raises(ShapeError, match=message):
            graph_dropout(states, drawn, cell_mask=mask)

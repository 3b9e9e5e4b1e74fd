from typing import Any

import pytest

from cases import each
from weakseg.errors import ConfigError
from weakseg.settings.group import ImageGraphConfig, light, official, preset


class TestPresets:
    def test_of_the_card(self) -> None:
        # group-wsss.md, section 2 and 2.10
        paper = preset("paper")
        assert (paper.rounds, paper.reduction, paper.aggregate, paper.gru_kernel) == (3, 4, "sum", 3)
        assert (paper.self_edge, paper.gate, paper.drop_probability, paper.drop_threshold) == (True, False, 0.2, 0.7)
        published = preset("official")
        assert published == official()
        assert (published.rounds, published.reduction, published.aggregate, published.senders) == (
            3,
            2,
            "concatenate",
            2,
        )
        assert (published.gru_kernel, published.self_edge, published.gate) == (1, False, True)
        assert preset("light") == light() == ImageGraphConfig(gru_kernel=1)

    def test_unknown(self) -> None:
        with pytest.raises(
            ConfigError, match=r"preset 'heavy' does not exist; choose 'paper', 'official', 'light' or "
        ):
            preset("heavy")


@each(
    ("change", "message"),
    [
        ({"rounds": 0}, "graph.rounds: need >= 1, got 0"),
        ({"reduction": 0}, "graph.reduction: need >= 1"),
        ({"gru_kernel": 2}, "graph.gru_kernel: need an odd number, got 2"),
        ({"drop_probability": 1.1}, r"graph.drop_probability: need in \[0, 1\]"),
        ({"drop_threshold": float("nan")}, "graph.drop_threshold"),
        ({"aggregate": "max"}, "graph.aggregate: 'sum', 'mean' or 'concatenate', got 'max'"),
        ({"aggregate": "concatenate"}, "'concatenate' and a number of senders go together"),
        ({"senders": 2}, "'concatenate' and a number of senders go together"),
        ({"timing": "previous", "rounds": 1}, "graph.rounds: .*need >= 2"),
        ({"messages": "none", "self_edge": False}, "nothing to update states by"),
        ({"messages": "none", "gate": True}, "graph.gate: True changes nothing with messages 'none'"),
        ({"messages": "none", "aggregate": "mean"}, "graph.aggregate: 'mean' changes nothing"),
        ({"messages": "mean", "affinity": "full"}, "graph.affinity: 'full' changes nothing with messages 'mean'"),
        ({"messages": "mean", "reverse": "transposed"}, "graph.reverse"),
        ({"affinity": "full", "reduction": 2}, "graph.reduction: 2 changes nothing with affinity 'full'"),
        ({"affinity": "full", "projection_bias": True}, "graph.projection_bias"),
        ({"affinity": "cosine", "reverse": "transposed"}, "graph.reverse: .*affinity 'cosine'"),
        ({"messages": "mean", "pool": 2}, "graph.pool: 2 changes nothing with messages 'mean'"),
        ({"pool": 2, "reverse": "transposed"}, "graph.pool: reverse 'transposed' .* set pool to 1"),
        ({"sharpness": 20.0}, "graph.sharpness: 20.0 changes nothing with affinity 'low_rank'"),
        ({"sharpness": 0.0}, "graph.sharpness: need > 0"),
        ({"update": "mean"}, "graph.update: .*aggregate 'mean' and self_edge false"),
        ({"update": "mean", "gru_kernel": 1}, "graph.gru_kernel: 1 changes nothing with update 'mean'"),
        ({"dropout": False, "drop_probability": 0.4}, "graph.drop_probability: 0.4 changes nothing with dropout false"),
        ({"dropout": False, "drop_output": "product"}, "graph.drop_output"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ImageGraphConfig(**change)

import pytest
import torch

from weakseg.errors import ShapeError
from weakseg.ops.gates import probability_gate, rank_gate

NAN = float("nan")


def test_rank() -> None:
    # oaa.md, oracle 2: two classes are present, the two highest are 0 and 2.
    logits = torch.tensor([[3.0, 1.0, 2.0]])
    assert rank_gate(logits, torch.tensor([[1.0, 1.0, 0.0]])).tolist() == [[True, False, False]]
    targets = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.0, 0.0, 1.0], [0.0, 1.0, NAN]])
    expected = [[False] * 3, [True] * 3, [False] * 3, [False] * 3]
    assert rank_gate(logits.expand(4, 3), targets).tolist() == expected
    assert rank_gate(logits, torch.tensor([[NAN, 1.0, NAN]])).tolist() == [[False, True, False]]  # none competes
    equal = rank_gate(torch.zeros(2, 3), torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]]))
    assert equal.tolist() == [[True, False, False], [False] * 3]


def test_probability() -> None:
    logits = torch.tensor([[-2.1972246, -2.1972244, -2.3, 5.0]], dtype=torch.float64)  # log(1 / 9) is between two
    targets = torch.tensor([[1.0, 1.0, 1.0, NAN]])
    assert probability_gate(logits, targets, 0.1).tolist() == [[False, True, False, False]]
    assert probability_gate(logits, targets, 0.0).tolist() == [[True, True, True, False]]


def test_sizes_that_differ() -> None:
    for gate in (rank_gate, lambda a, b: probability_gate(a, b, 0.1)):
        with pytest.raises(ShapeError, match="targets is"):
            gate(torch.zeros(2, 3), torch.zeros(2, 4))

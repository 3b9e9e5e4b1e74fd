"""How what a device answers is compared with what the processor does."""

from typing import Any

import torch

from device_cases import Case, flattened

DOUBLE = 1e-9  # sums of some hundred terms in another order, and what follows from them, in double precision
NETWORK = 1e-6  # the same through dozens of layers, and of parts that compute in single precision whatever they get
SINGLE = 1e-4  # sums of some thousand terms in another order, in single precision


def assert_agree(found: Any, expected: Any, tolerance: float) -> None:
    """Fail unless two results, on any devices, are alike: numbers within the tolerance, labels and places equal."""
    ours, theirs = list(flattened(found)), list(flattened(expected))
    assert len(ours) == len(theirs) > 0
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        torch.testing.assert_close(
            one, other, rtol=tolerance, atol=tolerance, equal_nan=True, msg=lambda text, n=number: f"part {n}: {text}"
        )


def assert_case_agrees(case: Case, device: str, tolerance: float) -> None:
    """Fail unless a device answers a case as the processor does."""
    assert_agree(case(device), case("cpu"), tolerance)

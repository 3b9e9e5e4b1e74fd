"""How what a device answers is compared with what the processor does."""

from typing import Any

import torch

from device_cases import Case, flattened

DOUBLE = 1e-9  # sums of some hundred terms in another order, and what follows from them, in double precision
NETWORK = 1e-6  # the same through dozens of layers, and of parts that compute in single precision whatever they get
LAST_DIGITS = 1e-5  # of single precision, after some roundings
SINGLE = 1e-4  # sums of some thousand terms in another order, in single precision


def assert_agree(found: Any, expected: Any, tolerance: float) -> None:
    """Fail unless two results, on any devices, are alike: numbers within the tolerance, labels and places equal.

    What is given in single precision may differ in its last digits, whatever it was computed in.
    """
    ours, theirs = list(flattened(found)), list(flattened(expected))
    assert len(ours) == len(theirs) > 0
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
        least = LAST_DIGITS if one.dtype == torch.float32 else 0.0
        most = max(tolerance, least)
        torch.testing.assert_close(
            one, other, rtol=most, atol=most, equal_nan=True, msg=lambda text, n=number: f"part {n}: {text}"
        )


def assert_case_agrees(case: Case, device: str, tolerance: float) -> None:
    """Fail unless a device answers a case as the processor does."""
    assert_agree(case(device), case("cpu"), tolerance)

import numpy as np
import pytest
import torch

from weakseg.checks import check_finite, check_rank, check_rgb_uint8, check_same_size
from weakseg.errors import ShapeError

KINDS = (np.zeros, torch.zeros)


@pytest.mark.parametrize("zeros", KINDS)
def test_rank(zeros: type) -> None:
    check_rank("maps", zeros((2, 3, 4)), 3, "(K, h, w)")
    with pytest.raises(ShapeError, match=r"maps: expected shape \(K, h, w\), got \(2, 3\)"):
        check_rank("maps", zeros((2, 3)), 3, "(K, h, w)")


def test_size() -> None:
    check_same_size("mask", torch.zeros(2, 3).shape, "image", (2, 3))
    with pytest.raises(ShapeError, match=r"mask is \(2, 3\) but image is \(3, 2\); resize one of them first"):
        check_same_size("mask", (2, 3), "image", (3, 2))


@pytest.mark.parametrize("make", [np.array, torch.tensor])
def test_finite(make: type) -> None:
    check_finite("scores", make([1.0, -2.0]))
    check_finite("scores", make([]))
    for bad in (float("nan"), float("inf"), -float("inf")):
        with pytest.raises(ShapeError, match="scores: holds NaN or infinite values; expected finite numbers"):
            check_finite("scores", make([1.0, bad]))


def test_rgb() -> None:
    check_rgb_uint8("photo", np.zeros((2, 3, 3), np.uint8))
    check_rgb_uint8("photo", torch.zeros(2, 3, 3, dtype=torch.uint8))
    for bad in (np.zeros((2, 3, 3)), np.zeros((2, 3), np.uint8), torch.zeros(2, 3, 4, dtype=torch.uint8)):
        with pytest.raises(ShapeError, match=r"photo: expected RGB uint8 of shape \(H, W, 3\), got"):
            check_rgb_uint8("photo", bad)

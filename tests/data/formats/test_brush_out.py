"""Brush strokes that are written are read again: by the decoder here, and by Label Studio's own."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray

from weakseg.data.formats.brush import brush_of_mask, mask_of_brush

Mask = NDArray[np.bool_]
LONG = [(70_000, 1), (1, 70_000), (300, 301)]  # runs longer than 2^16 elements
masks = arrays(np.bool_, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=40), elements=st.booleans())


def spotted(size: tuple[int, int]) -> Mask:
    mask = np.ones(size, np.bool_)
    mask.flat[[5, 6, 9, -1]] = False
    return mask


@given(mask=masks)
def test_any_mask_comes_back(mask: Mask) -> None:
    np.testing.assert_array_equal(mask_of_brush(brush_of_mask(mask), mask.shape, "here"), mask)


@pytest.mark.parametrize("size", LONG)
@pytest.mark.parametrize("value", [0, 1, None])
def test_long_runs(size: tuple[int, int], value: int | None) -> None:
    mask = spotted(size) if value is None else np.full(size, bool(value))
    np.testing.assert_array_equal(mask_of_brush(brush_of_mask(mask), size, "here"), mask)


@pytest.mark.parametrize("length", [2, 4, 64, 2**14, 2**14 + 1, 3 * 2**14])
def test_runs_as_long_as_a_width_holds(length: int) -> None:
    """Lengths of 8, 16, 256 and 2^16 elements are the longest of their widths."""
    mask = np.zeros((1, length + 3), np.bool_)
    mask[0, 1 : 1 + length] = True
    np.testing.assert_array_equal(mask_of_brush(brush_of_mask(mask), mask.shape, "here"), mask)


def test_bits_by_hand() -> None:
    """One opaque pixel: 4 elements of 8 bits, widths 3, 4, 8, 16; a repeated run, width 0, length 4 - 1, 255."""
    bits = f"{4:032b}{7:05b}" + "".join(f"{width - 1:04b}" for width in (3, 4, 8, 16)) + "1" + "00" + "011" + "1" * 8
    bits += "0" * (-len(bits) % 8)
    assert brush_of_mask(np.ones((1, 1), np.bool_)) == int(bits, 2).to_bytes(len(bits) // 8, "big")


class TestAgainstLabelStudio:
    """Its own decoder and encoder, of the package ``label-studio-sdk``; skipped where that is not installed."""

    brush = staticmethod(lambda: pytest.importorskip("label_studio_sdk.converter.brush"))

    @pytest.mark.parametrize("size", [(1, 1), (7, 1), (1, 9), (33, 20), *LONG])
    def test_it_reads_what_is_written(self, size: tuple[int, int]) -> None:
        random = np.random.default_rng(0).random(size) < 0.5 if size not in LONG else spotted(size)
        for mask in (random, np.zeros(size, np.bool_), np.ones(size, np.bool_)):
            found = self.brush().decode_rle(list(brush_of_mask(mask))).reshape(*size, 4)
            np.testing.assert_array_equal(found, np.where(mask, 255, 0)[..., None].repeat(4, -1))

    def test_what_it_writes_is_read(self) -> None:
        mask = np.random.default_rng(1).random((31, 17)) < 0.4
        stream = bytes(self.brush().mask2rle(mask.astype(np.uint8) * 255))
        np.testing.assert_array_equal(mask_of_brush(stream, mask.shape, "here"), mask)

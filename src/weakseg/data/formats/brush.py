"""Label Studio's compressed brush strokes become pixels, and pixels strokes.

A stream of bits, high bits first: 32 for the number of elements, 5 for the bits of an element less 1, four times 4
for the widths less 1 in which run lengths are written. Then runs: 1 bit, set where one element is repeated; 2 bits
that choose the width; the length less 1; then the repeated element, or as many elements as the run is long. The
elements are red, green, blue and opacity of the pixels, row by row.
"""

import numpy as np
from numpy.typing import NDArray

from weakseg.data.regions import check_size
from weakseg.errors import DataError
from weakseg.ops.runs import Size

_CHANNELS = 4
_HALF = 128  # strokes have soft edges
_COUNT_BITS, _ELEMENT_BITS = 32, 8
_WIDTHS = (3, 4, 8, 16)  # of run lengths, as Label Studio itself writes them


def mask_of_brush(stream: bytes, size: Size, where: str) -> NDArray[np.bool_]:
    """Return the ``(H, W)`` mask of the pixels that are at least half opaque.

    Args:
        stream: The bytes of ``value.rle``.
        size: (rows, columns) of the image.
        where: File and entry, for errors.

    Raises:
        DataError: If the size is absurd, or the stream is of another size, cut off, or no such stream.
    """
    rows, columns = check_size(size, where)
    bits = _Bits(stream, where)
    count, element_bits = bits.number(32), bits.number(5) + 1
    if count != rows * columns * _CHANNELS:
        raise DataError(
            f"{where}: 'rle' has {count} elements, but {rows} x {columns} pixels have {rows * columns * _CHANNELS}; "
            "export it again"
        )
    if element_bits != 8:
        raise DataError(f"{where}: 'rle' has elements of {element_bits} bits, not 8; export it again")
    widths = [bits.number(4) + 1 for _ in range(4)]
    elements = np.zeros(count, np.uint8)
    start = 0
    while start < count:
        repeated = bits.number(1)
        stop = start + 1 + bits.number(widths[bits.number(2)])
        if stop > count:
            raise DataError(f"{where}: 'rle' goes on after its {count} elements; export it again")
        elements[start:stop] = bits.number(8) if repeated else bits.elements(stop - start)
        start = stop
    return np.asarray(elements.reshape(rows, columns, _CHANNELS)[..., 3] >= _HALF)


def brush_of_mask(mask: NDArray[np.bool_]) -> bytes:
    """Return the stream of an ``(H, W)`` mask: its pixels white and opaque, all others transparent."""
    pixels = mask.ravel()
    starts = np.flatnonzero(np.concatenate([[True], pixels[1:] != pixels[:-1]]))
    lengths = np.diff(np.append(starts, pixels.size)) * _CHANNELS
    longest = 2 ** _WIDTHS[-1]
    pieces = -(-lengths // longest)  # of each run, for the longest lengths are written as several
    values = np.repeat(pixels[starts].astype(np.int64) * 255, pieces)
    written = np.full(values.size, longest)
    written[np.cumsum(pieces) - 1] = lengths - (pieces - 1) * longest
    choices = np.searchsorted(2 ** np.array(_WIDTHS), written)
    widths = np.array(_WIDTHS)[choices]
    heads = ((4 + choices) << widths) + written - 1  # a set bit, two of the choice, the length less 1
    sizes = [_COUNT_BITS, 5, *[4] * len(_WIDTHS)]
    numbers = [pixels.size * _CHANNELS, _ELEMENT_BITS - 1, *(width - 1 for width in _WIDTHS)]
    return _packed(
        np.concatenate([numbers, (heads << _ELEMENT_BITS) + values]),
        np.concatenate([sizes, 3 + widths + _ELEMENT_BITS]),
    )


def _packed(numbers: NDArray[np.int64], sizes: NDArray[np.int64]) -> bytes:
    """Return numbers of ``sizes`` bits each, one after another, the last byte filled up with zeros."""
    starts = np.cumsum(sizes) - sizes
    bits = np.zeros(int(sizes.sum()), np.uint8)
    for bit in range(int(sizes.max())):
        has = sizes > bit
        bits[starts[has] + bit] = numbers[has] >> (sizes[has] - 1 - bit) & 1
    return np.packbits(bits).tobytes()


class _Bits:
    """Reads a stream from its start on; what lies behind its end is an error."""

    def __init__(self, stream: bytes, where: str) -> None:
        self._stream = stream
        self._bits = np.unpackbits(np.frombuffer(stream, np.uint8))
        self._where = where
        self._at = 0

    def number(self, width: int) -> int:
        """Return the next ``width`` bits as a number."""
        start, stop = self._advance(width)
        value = int.from_bytes(self._stream[start // 8 : -(-stop // 8)], "big")
        return (value >> (-stop % 8)) & ((1 << width) - 1)

    def elements(self, count: int) -> NDArray[np.uint8]:
        """Return the next ``count`` elements of 8 bits."""
        start, stop = self._advance(8 * count)
        return np.packbits(self._bits[start:stop])

    def _advance(self, width: int) -> tuple[int, int]:
        start, self._at = self._at, self._at + width
        if self._at > len(self._bits):
            raise DataError(f"{self._where}: 'rle' is cut off after {len(self._stream)} bytes; export it again")
        return start, self._at

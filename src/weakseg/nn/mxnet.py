"""Parameter files of MXNet, read from their binary layout: nothing of MXNet is needed, and nothing is executed.

All numbers are little-endian. A file is a list: the magic number and a reserved one (64 bits each), the number of
arrays (64 bits) and the arrays, the number of names (64 bits) and of each its length (64 bits) and characters. An array
is its magic number (32 bits), from version 2 on the kind of storage (32 bits), the number of axes (32 bits) and their
lengths (64 bits each), type and number of a device (32 bits each), type of numbers (32 bits), and the numbers. Before
version 1 the number of axes stood for the magic number, and lengths had 32 bits.
"""

import math
import mmap
import struct
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weakseg.errors import CheckpointError, cut

LIST, HEADER = 0x112, 16  # magic number, and bytes that it and the reserved one take
VERSIONS = {0xF993FAC8: 1, 0xF993FAC9: 2, 0xF993FACA: 3}
DENSE, MOST_AXES = 0, 32
TYPES = {0: "<f4", 1: "<f8", 2: "<f2", 3: "u1", 4: "<i4", 5: "i1", 6: "<i8"}


def read_mxnet(path: Path) -> dict[str, Tensor]:
    """Return the arrays of a parameter file by name, as they are named there (``arg:conv1_weight``).

    No memory is taken for what a file says that it holds and does not.

    Raises:
        CheckpointError: If the file is missing, no parameter file, truncated or longer than its list, or if an array is
            sparse, has a type of numbers or a size that is not possible, or no name or that of another one.
    """
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise CheckpointError(f"{path}: cannot be read ({error}); give a parameter file of MXNet") from error
    with content:
        return _File(path, content).arrays()


class _File:
    """The content of a file, and how far it has been read."""

    def __init__(self, path: Path, content: mmap.mmap) -> None:
        self.path, self.content, self.place = path, content, 0

    def arrays(self) -> dict[str, Tensor]:
        """Return all arrays by name."""
        if len(self.content) < HEADER or self._numbers("<QQ")[0] != LIST:
            raise CheckpointError(
                f"{self.path}: is no parameter file of MXNet; PyTorch and safetensors files need no conversion: "
                "name them in backbone.file"
            )
        arrays = [self._array(index) for index in range(self._count("arrays"))]
        names = [self._name() for _ in range(self._count("names"))]
        if not len(set(names)) == len(names) == len(arrays):
            raise self._damaged(f"{len(arrays)} arrays have {len(set(names))} names")
        if self.place != len(self.content):
            raise self._damaged(f"{len(self.content) - self.place} bytes follow the last name")
        return dict(zip(names, arrays, strict=True))

    def _array(self, index: int) -> Tensor:
        magic = self._numbers("<I")[0]
        version = VERSIONS.get(magic, 0)
        if version >= 2 and self._numbers("<i")[0] != DENSE:
            raise self._damaged(f"array {index} is sparse or undefined")
        axes = self._numbers("<I")[0] if version else magic
        if not 1 <= axes <= MOST_AXES:
            raise self._damaged(f"array {index} has {axes} axes")
        shape = self._numbers(f"<{axes}{'q' if version else 'I'}")
        _, _, kind = self._numbers("<iii")
        if kind not in TYPES:
            raise self._damaged(f"array {index} has numbers of the unknown type {kind}; known are {sorted(TYPES)}")
        if min(shape) < 1:
            raise self._damaged(f"array {index} has the shape {shape}")
        dtype = np.dtype(TYPES[kind])
        values = np.frombuffer(self._bytes(math.prod(shape) * dtype.itemsize), dtype)
        return torch.from_numpy(values.astype(dtype.newbyteorder("="))).reshape(shape)

    def _name(self) -> str:
        name = self._bytes(self._numbers("<Q")[0])
        try:
            return name.decode()
        except UnicodeDecodeError as error:
            raise self._damaged(f"a name is no text: {cut(name)}") from error

    def _count(self, what: str) -> int:
        count = int(self._numbers("<Q")[0])
        if count > len(self.content) - self.place:
            raise self._damaged(f"{count} {what} are said to follow")
        return count

    def _numbers(self, layout: str) -> tuple[int, ...]:
        return struct.unpack(layout, self._bytes(struct.calcsize(layout)))

    def _bytes(self, count: int) -> bytes:
        if count > len(self.content) - self.place:
            raise self._damaged(f"{count} bytes should follow byte {self.place}, {len(self.content) - self.place} do")
        self.place += count
        return self.content[self.place - count : self.place]

    def _damaged(self, why: str) -> CheckpointError:
        return CheckpointError(f"{self.path}: damaged parameter file of MXNet: {why}; get the file anew")

import resource
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from mxnet_files import MAGIC, array_bytes, list_bytes, write_mxnet
from weakseg.errors import CheckpointError
from weakseg.nn.mxnet import TYPES, read_mxnet


@pytest.fixture
def little_memory() -> Iterator[None]:
    """Refuse what a file of some hundred bytes cannot need."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with Path("/proc/self/statm").open() as file:
        used = int(file.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 2**29, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


class TestRead:
    @pytest.mark.parametrize("version", [0, 1, 2, 3])
    def test_all_versions_and_kinds(self, tmp_path: Path, version: int) -> None:
        values = np.arange(24).reshape(2, 3, 4)
        given = {f"arg:{code}": values.astype(code) for code in TYPES.values()}
        given["aux:one"] = np.array([-1.5], "<f4")
        found = read_mxnet(write_mxnet(tmp_path / "x.params", given, version))
        assert list(found) == list(given)
        for name, expected in given.items():
            assert found[name].equal(torch.from_numpy(expected.copy()))

    def test_an_empty_list(self, tmp_path: Path) -> None:
        assert read_mxnet(write_mxnet(tmp_path / "x.params", {})) == {}


ONE = array_bytes(np.zeros(3, "<f4"), 2)


class TestDamaged:
    @pytest.mark.parametrize("version", [0, 2])
    def test_truncated_anywhere_and_longer(self, tmp_path: Path, version: int) -> None:
        given = {"arg:a_weight": np.ones((2, 2), "<f4"), "aux:b_moving_var": np.ones(3, "<f8")}
        path = write_mxnet(tmp_path / "x.params", given, version)
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(CheckpointError, match=r"x\.params: "):
                read_mxnet(path)
        path.write_bytes(content + b"\0")
        with pytest.raises(CheckpointError, match="1 bytes follow the last name; get the file anew"):
            read_mxnet(path)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"PK\x03\x04" + bytes(40), "is no parameter file of MXNet; PyTorch and safetensors files need no"),
            (struct.pack("<QQQ", 0x112, 0, 2**63), "9223372036854775808 arrays are said to follow"),
            (struct.pack("<QQQ", 0x112, 0, 0) + struct.pack("<Q", 2**40), "1099511627776 names are said to follow"),
            (struct.pack("<QQQQ", 0x112, 0, 0, 1) + struct.pack("<Q", 2**62), "4611686018427387904 bytes should"),
            (list_bytes([ONE], []), "1 arrays have 0 names"),
            (list_bytes([ONE, ONE], [b"a", b"a"]), "2 arrays have 1 names"),
            (list_bytes([ONE], [b"\xff\xfe"]), "a name is no text"),
            (list_bytes([array_bytes(np.zeros(3, "<f4"), 2, storage=1)], [b"a"]), "array 0 is sparse or undefined"),
            (list_bytes([array_bytes(np.zeros(3, "<f4"), 2, kind=12)], [b"a"]), "numbers of the unknown type 12;"),
            (list_bytes([array_bytes(np.zeros(3, "<f4"), 0, kind=-1)], [b"a"]), "numbers of the unknown type -1"),
            (list_bytes([array_bytes(np.array(1, "<f4"), 2)], [b"a"]), "array 0 has 0 axes"),
            (list_bytes([struct.pack("<I", 2**31)], [b"a"]), "array 0 has 2147483648 axes"),
            (list_bytes([struct.pack("<I2Iiii", 2, 2**31, 2**31, 1, 0, 0)], [b"a"]), "18446744073709551616 bytes"),
            (list_bytes([struct.pack("<IiIqiii", MAGIC[2], 0, 1, -4, 1, 0, 0)], [b"a"]), r"has the shape \(-4,\)"),
            (list_bytes([struct.pack("<IiI2qiii", MAGIC[2], 0, 2, 0, 2**62, 1, 0, 0)], [b"a"]), r"has the shape \(0, "),
        ],
    )  # fmt: skip
    def test_nothing_is_believed(self, tmp_path: Path, content: bytes, message: str, little_memory: None) -> None:
        path = tmp_path / "x.params"
        path.write_bytes(content)
        with pytest.raises(CheckpointError, match=message):
            read_mxnet(path)

    @pytest.mark.parametrize("make", [Path.touch, Path.mkdir, lambda path: None])
    def test_no_file(self, tmp_path: Path, make: Callable[[Path], object]) -> None:
        make(tmp_path / "x.params")
        with pytest.raises(CheckpointError, match="cannot be read"):
            read_mxnet(tmp_path / "x.params")

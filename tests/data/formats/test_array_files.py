"""Arrays of other programs; nothing that a file asks for is run."""

import json
import os
import pickle
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from weakseg.data.formats.array_files import read_arrays
from weakseg.errors import DataError


def save_pickled(path: Path, content: object, protocol: int = 4) -> Path:
    """Write what ``numpy.save`` writes of an object, by any protocol."""
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "|O", "fortran_order": False, "shape": ()})
        pickle.dump(np.array(content, dtype=object), file, protocol=protocol)
    return path


class TestPickledDictionaries:
    def test_arrays_and_tensors_of_any_protocol_are_read(self, tmp_path: Path) -> None:
        maps = np.random.default_rng(0).random((2, 3, 4))
        whole = torch.from_numpy(np.random.default_rng(1).random((4, 2, 3)))
        content = {
            "keys": np.array([1, 5]), "cam": whole[1:].permute(1, 2, 0), "high_res": np.asfortranarray(maps),
            "big": maps.astype(">f4"), "half": maps.astype(np.float16), "list": [1, 2], "text": "x",
        }  # fmt: skip
        for protocol in range(6):
            found = read_arrays(save_pickled(tmp_path / f"{protocol}.npy", content, protocol))
            assert list(found) == ["keys", "cam", "high_res", "big", "half", "list"]
            np.testing.assert_array_equal(found["cam"], whole[1:].permute(1, 2, 0).numpy())
            for name in ("keys", "high_res", "big", "half", "list"):
                np.testing.assert_array_equal(found[name], content[name])
                assert found[name].dtype == np.asarray(content[name]).dtype

    def test_what_numpy_itself_writes(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", {3: np.ones((2, 2), np.float16), np.int64(4): np.zeros((2, 2))})  # type: ignore[arg-type]
        found = read_arrays(tmp_path / "a.npy")
        assert list(found) == [3, 4] and found[3].dtype == np.float16

    @pytest.mark.parametrize("function", [os.system, subprocess.getoutput, eval, torch.load, getattr])
    def test_nothing_is_called(self, tmp_path: Path, function: Any) -> None:
        made = tmp_path / "made"

        class Hostile:
            def __reduce__(self) -> tuple[Any, ...]:
                return function, (f"touch {made}",)

        path = save_pickled(tmp_path / "a.npy", {"keys": [1], "cam": Hostile()})
        with pytest.raises(
            DataError, match=r"a\.npy: a pickle that holds more than arrays \(it asks for .*which could run"
        ):
            read_arrays(path)
        assert not made.exists()

    def test_a_checkpoint_within_the_pickle_is_read_safely_too(self, tmp_path: Path) -> None:
        class Inner:
            def __reduce__(self) -> tuple[Any, ...]:
                return os.system, (f"touch {tmp_path}/made",)

        class Storage:
            def __reduce__(self) -> tuple[Any, ...]:
                return torch.storage._load_from_bytes, (pickle.dumps(Inner(), protocol=2),)

        with pytest.raises(DataError, match="it has a damaged tensor, or more than one"):
            read_arrays(save_pickled(tmp_path / "a.npy", {"cam": Storage()}))
        assert not (tmp_path / "made").exists()

    def test_a_tensor_beyond_its_numbers(self, tmp_path: Path) -> None:
        class Tensor:
            def __reduce__(self) -> tuple[Any, ...]:
                storage = torch.zeros(4)._typed_storage()
                return torch._utils._rebuild_tensor_v2, (storage, 0, (3, 2), (2, 1), False, {})

        with pytest.raises(DataError, match="reaches beyond its numbers"):
            read_arrays(save_pickled(tmp_path / "a.npy", {"cam": Tensor()}))


class TestOtherFiles:
    def test_plain_arrays_and_archives(self, tmp_path: Path) -> None:
        np.save(tmp_path / "a.npy", np.arange(6.0).reshape(1, 2, 3))
        assert read_arrays(tmp_path / "a.npy")["values"].shape == (1, 2, 3)
        np.savez(tmp_path / "b.npz", values=np.zeros((2, 1, 1)), classes=["cat", "dog"])
        assert read_arrays(tmp_path / "b.npz")["classes"].tolist() == ["cat", "dog"]
        tensors = {"values": torch.zeros(1, 2, 3, dtype=torch.bfloat16), "class_ids": torch.tensor([4])}
        save_file(tensors, tmp_path / "c.safetensors", {"classes": json.dumps(["cat"])})
        found = read_arrays(tmp_path / "c.safetensors")
        assert (found["values"].dtype, found["class_ids"].tolist(), found["classes"].tolist()) == ("f4", [4], ["cat"])

    def test_damage_and_objects_are_named(self, tmp_path: Path) -> None:
        np.savez(tmp_path / "objects.npz", values=np.array([{}], dtype=object))
        with pytest.raises(DataError, match=r"objects\.npz: holds Python objects, which are never loaded"):
            read_arrays(tmp_path / "objects.npz")
        np.save(tmp_path / "list.npy", np.array([{"a": 1}, 2], dtype=object), allow_pickle=True)
        np.save(tmp_path / "whole.npy", np.zeros((2, 3, 4)))
        content = (tmp_path / "whole.npy").read_bytes()
        (tmp_path / "cut.npy").write_bytes(content[:-8])
        (tmp_path / "giant.npy").write_bytes(content.replace(b"(2, 3, 4)", b"(2, 9999999999999, 4)"))
        (tmp_path / "none.npz").write_bytes(b"PK")
        (tmp_path / "none.safetensors").write_bytes(b"x" * 20)
        for name in ("list.npy", "cut.npy", "giant.npy", "none.npz", "none.safetensors", "missing.npy"):
            with pytest.raises(DataError, match=rf"{name}: cannot be read as arrays"):
                read_arrays(tmp_path / name)

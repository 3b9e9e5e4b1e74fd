"""Activations that another program wrote."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from weakseg.artifacts import Activations
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError
from weakseg.settings.activate import ExternalConfig
from weakseg.stages.external import ExternalMaps

SIZE = (32, 48)
CAT_AND_SHEEP = WeakSample("a", Path("a.jpg"), Tags(frozenset({1, 3})))


@pytest.fixture
def maps(tmp_path: Path) -> ExternalMaps:
    return ExternalMaps(tmp_path, Classes(("cat", "dog", "sheep")), ExternalConfig())


def values(count: int, h: int = 8, w: int = 12) -> np.ndarray[Any, Any]:
    """Maps that tell their number: (number + 1) / 10 all over."""
    return np.ones((count, h, w), np.float32) * (np.arange(count)[:, None, None] + 1) / 10


def means(maps: ExternalMaps) -> dict[int, float]:
    found = maps.load(CAT_AND_SHEEP, SIZE)
    assert found.values.shape[1:] == (8, 12) and found.stride == 4
    return {i: round(float(one.mean()), 3) for i, one in zip(found.class_ids, found.values, strict=True)}


class TestWhoseTheMapsAre:
    @pytest.mark.parametrize(
        ("content", "expected"),
        [
            ({"values": values(2), "classes": np.array(["sheep", "cat"])}, {1: 0.2, 3: 0.1}),
            ({"values": values(3), "classes": np.array(["background", "cat", "sheep"])}, {1: 0.2, 3: 0.3}),
            ({"values": values(3), "classes": np.array(["cat", "zebra", "sheep"])}, {1: 0.1, 3: 0.3}),
            ({"values": values(2), "class_ids": np.array([3, 1])}, {1: 0.2, 3: 0.1}),
            ({"values": values(4), "class_ids": np.arange(4)}, {1: 0.2, 3: 0.4}),
            ({"cam": values(2), "high_res": values(2, *SIZE) / 2, "keys": np.array([0, 2])}, {1: 0.1, 3: 0.2}),
            ({"anything": values(2), "keys": np.array([0, 2])}, {1: 0.1, 3: 0.2}),
            ({"values": values(3)}, {1: 0.1, 3: 0.3}),
        ],
    )
    def test_archives(self, maps: ExternalMaps, content: dict[str, Any], expected: dict[int, float]) -> None:
        np.savez(maps.folder / "a.npz", **content)
        assert means(maps) == expected

    def test_the_other_files(self, maps: ExternalMaps) -> None:
        np.save(maps.folder / "a.npy", values(3))
        assert means(maps) == {1: 0.1, 3: 0.3}
        np.save(maps.folder / "a.npy", {"keys": np.array([0, 2]), "cam": torch.from_numpy(values(2))})  # type: ignore[arg-type]
        assert means(maps) == {1: 0.1, 3: 0.2}
        np.save(maps.folder / "a.npy", {2: values(1)[0], 0: values(2)[1]})  # type: ignore[arg-type]
        assert means(maps) == {1: 0.2, 3: 0.1}
        (maps.folder / "a.npy").unlink()
        tensors = {"values": torch.from_numpy(values(2)), "class_ids": torch.tensor([1, 3])}
        save_file(tensors, maps.folder / "a.safetensors")
        assert means(maps) == {1: 0.1, 3: 0.2}

    def test_those_of_another_run(self, maps: ExternalMaps) -> None:
        own = Activations(torch.from_numpy(values(2, 6, 9)), (1, 3), (48, 72), 8)
        own.save(maps.folder / "a.safetensors")
        assert means(maps) == {1: 0.1, 3: 0.2}
        replace(own, class_ids=(1, 2)).save(maps.folder / "a.safetensors")
        with pytest.raises(DataError, match="no map of 'sheep', which is tagged; there are maps of cat, dog"):
            maps.load(CAT_AND_SHEEP, SIZE)

    def test_numbers_may_be_counted_otherwise(self, maps: ExternalMaps) -> None:
        np.savez(maps.folder / "a.npz", values=values(2), keys=np.array([1, 3]))
        assert means(replace(maps, config=ExternalConfig(from_ids="1"))) == {1: 0.1, 3: 0.2}
        with pytest.raises(DataError, match=r"a map of class 4, but there are 3; .*from_ids"):
            maps.load(CAT_AND_SHEEP, SIZE)
        np.savez(maps.folder / "a.npz", values=values(2), class_ids=np.array([0, 2]))
        assert means(replace(maps, config=ExternalConfig(from_ids="0"))) == {1: 0.1, 3: 0.2}
        with pytest.raises(DataError, match=r"no map of 'cat', which is tagged; there are maps of dog\. .*from_ids"):
            maps.load(CAT_AND_SHEEP, SIZE)

    def test_without_tags(self, maps: ExternalMaps) -> None:
        nothing = WeakSample("b", Path("b.jpg"), Tags(frozenset()))
        assert maps.load(nothing, SIZE).values.shape == (0, 8, 12)  # needs no file
        np.savez(maps.folder / "b.npz", values=values(2), classes=np.array(["sheep", "background"]))
        assert maps.load(nothing, SIZE, every=True).class_ids == (3,)


class TestValues:
    def test_other_grids_cover_the_same_photograph(self, maps: ExternalMaps) -> None:
        ramp = np.broadcast_to((np.arange(48) + 0.5) / 48, (3, *SIZE))
        np.savez(maps.folder / "a.npz", values=ramp)
        fine = maps.load(CAT_AND_SHEEP, SIZE).values
        expected = torch.from_numpy((np.arange(12) + 0.5) / 12).float().expand(2, 8, 12)
        assert (fine - expected).abs()[..., 1:-1].max() < 1e-6
        np.savez(maps.folder / "a.npz", values=ramp.reshape(3, 2, 16, 3, 16).mean((2, 4)))
        coarse = maps.load(CAT_AND_SHEEP, SIZE).values
        assert (coarse - expected).abs()[..., 2:-2].max() < 1e-6

    def test_they_are_normalised_when_asked(self, maps: ExternalMaps) -> None:
        evidence = np.random.default_rng(0).normal(size=(3, 8, 12)).astype(np.float32) * 40
        np.savez(maps.folder / "a.npz", values=evidence)
        with pytest.raises(DataError, match=r"a\.npz: values from -.* to .*, but activations lie in \[0, 1\]"):
            maps.load(CAT_AND_SHEEP, SIZE)
        by_max = maps_of(maps, "max")
        torch.testing.assert_close(by_max[0], torch.from_numpy(evidence[0].clip(0) / evidence[0].max()))
        low, high = evidence[2].min(), evidence[2].max()
        expected = torch.from_numpy((evidence[2] - low) / (high - low))
        torch.testing.assert_close(maps_of(maps, "range")[1], expected, atol=1e-5, rtol=0)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            ({"values": values(3) * 255}, "values from 25.5 to 76.5"),
            ({"values": np.full((3, 8, 12), np.nan)}, "holds NaN or infinite values"),
            ({"values": values(3, 12, 8)}, r"maps of 12 x 8 do not have the form .* 32 x 48 .*exchanged"),
            ({"values": values(3, 14, 14)}, "maps of 14 x 14 do not have the form .*square reduced image"),
            ({"values": values(2)}, "2 maps that do not say of which classes, and the data set has 3"),
            ({"values": values(4)}, "4 maps that do not say of which classes"),
            ({"values": values(3), "classes": np.array(["cat", "sheep"])}, "but 2 classes; is one of the background"),
            ({"values": values(2), "classes": np.array(["cat", "cat"])}, "two maps are of class 1"),
            ({"values": values(2), "class_ids": np.array([1, 9])}, "a map of class 9, but there are 3"),
            ({"values": values(2), "class_ids": np.array([1.0, 3.0])}, "must be whole numbers"),
            ({"values": values(2), "classes": np.array(["cat", "dog"])}, "no map of 'sheep', which is tagged"),
            ({"a": values(2), "b": values(2)}, "that are called 'values'; it holds a .2, 8, 12"),
            ({"values": np.zeros((3, 0, 4))}, "at least one a map"),
            ({"values": np.array([[["x"]]] * 3)}, "write numbers"),
        ],
    )  # fmt: skip
    def test_what_is_wrong_is_named(self, maps: ExternalMaps, content: dict[str, Any], message: str) -> None:
        np.savez(maps.folder / "a.npz", **content)
        with pytest.raises(DataError, match=message):
            maps.load(CAT_AND_SHEEP, SIZE)

    def test_files(self, maps: ExternalMaps) -> None:
        with pytest.raises(DataError, match=r"no activations of image 'a' \(a with .safetensors, .npz, .npy\)"):
            maps.load(CAT_AND_SHEEP, SIZE)
        np.savez(maps.folder / "a.npz", values=values(3))
        np.save(maps.folder / "a.npy", values(3))
        with pytest.raises(DataError, match=r"a\.npz: there is a\.npy, too; keep one"):
            maps.load(CAT_AND_SHEEP, SIZE)
        (maps.folder / "a.npz").unlink()
        np.save(maps.folder / "a.npy", {0: np.zeros((2, 2)), 2: np.zeros((2, 3))})  # type: ignore[arg-type]
        with pytest.raises(DataError, match=r"maps of the shapes \[\(2, 2\), \(2, 3\)\]"):
            maps.load(CAT_AND_SHEEP, SIZE)


def maps_of(maps: ExternalMaps, how: Any) -> torch.Tensor:
    return replace(maps, config=ExternalConfig(from_values=how)).load(CAT_AND_SHEEP, SIZE).values

import itertools
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from cases import each
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import DataError, ShapeError, StoreError
from weakseg.pipeline.memory import tree_memory_mb
from weakseg.stages.accumulated import AccumulatedMaps, Origin, to_bytes
from weakseg.stages.map_index import MapIndex, MappedImage

CLASSES = Classes(("a", "b", "c"))
IMAGES = (
    MappedImage("two", (40, 64), (5, 8), (1, 3)),
    MappedImage("none", (24, 24), (3, 3), ()),
    MappedImage("one", (17, 30), (3, 4), (2,)),
)
PAIRS = (("two", 1), ("two", 3), ("one", 2))


def store() -> AccumulatedMaps:
    return AccumulatedMaps(MapIndex.of(CLASSES, IMAGES))


def drawn(count: int = 5) -> list[tuple[str, int, NDArray[np.uint8]]]:
    """Return maps of the pairs, so many of each."""
    rng, grids = np.random.default_rng(0), {image.id: image.grid for image in IMAGES}
    return [
        (name, class_id, rng.integers(0, 256, grids[name], np.uint8)) for _ in range(count) for name, class_id in PAIRS
    ]


def filled() -> AccumulatedMaps:
    found = store()
    for one in drawn():
        found.merge(*one)
    return found


def samples(**tags: set[int]) -> list[WeakSample]:
    shown = {image.id: set(image.class_ids) for image in IMAGES} | tags
    return [WeakSample(name, Path(f"{name}.png"), Tags(frozenset(ids))) for name, ids in shown.items()]


def _header(path: Path) -> tuple[int, dict[str, Any]]:
    """Return length and content of what safetensors writes in front."""
    data = path.read_bytes()
    length = int.from_bytes(data[:8], "little")
    return length, json.loads(data[8 : 8 + length])


def assert_same(found: AccumulatedMaps, expected: AccumulatedMaps) -> None:
    assert found.index == expected.index
    assert np.array_equal(found.values, expected.values) and np.array_equal(found.origins, expected.origins)


class TestMaxima:
    def test_they_are_those_of_each_pair(self) -> None:
        found, maps = filled(), drawn()
        for name, class_id in PAIRS:
            expected = np.max([m for *pair, m in maps if pair == [name, class_id]], axis=0)
            ids = found.index.images[found.index.place(name)].class_ids
            assert np.array_equal(found.maps(name)[ids.index(class_id)], expected)
        assert found.maps("none").shape == (0, 3, 3)

    def test_any_order_any_number_of_times_and_any_shards(self) -> None:
        maps = drawn(3)
        for order in itertools.islice(itertools.permutations(maps), 0, 362880, 40000):
            found, shards = store(), (store(), store())
            before = found.values.copy()
            for number, one in enumerate((*order, *order[:4])):
                found.merge(*one)
                shards[number % 2].merge(*one)
                assert (found.values >= before).all()
                before = found.values.copy()
            shards[0].merge_store(shards[1])
            expected = store()
            for one in maps:
                expected.merge(*one)
            assert_same(found, expected)
            assert_same(shards[0], expected)

    def test_only_what_is_missing_is_filled_and_where_it_is_from_is_counted(self) -> None:
        found = store()
        low, high = (np.full((5, 8), value, np.uint8) for value in (10, 200))
        assert found.missing() == {"one": (2,), "two": (1, 3)}
        assert found.fill("two", 1, low, Origin.LAST)
        assert not found.fill("two", 1, high, Origin.LAST) and (found.maps("two")[0] == 10).all()
        found.merge("two", 3, low)
        assert not found.fill("two", 3, high, Origin.TRAINED)
        assert found.missing() == {"one": (2,)}
        assert found.fill("one", 2, np.zeros((3, 4), np.uint8), Origin.TRAINED)  # a map without evidence is a map
        assert found.missing() == {}
        assert found.counts() == {"none": 0, "trained": 1, "last": 1, "accepted": 1}
        found.merge("two", 1, high)
        assert found.origin("two", 1) == Origin.ACCEPTED
        other = store()
        other.merge("one", 2, np.full((3, 4), 5, np.uint8))
        found.merge_store(other)
        assert found.origin("one", 2) == Origin.ACCEPTED and found.counts()["accepted"] == 3

    def test_eight_bits(self) -> None:
        maps = torch.rand(2, 6, 7, generator=torch.Generator().manual_seed(0))
        error = torch.from_numpy(to_bytes(maps, (6, 7)).astype(np.float32)) / 255 - maps
        assert float(error.abs().max()) <= 1 / 510 + 1e-6
        assert to_bytes(torch.tensor([[[0.0, 1.0]]]), (1, 2)).tolist() == [[[0, 255]]]
        assert to_bytes(torch.tensor([[[0.0, 1.0]]]), (2, 4)).tolist() == [[[0, 64, 191, 255]] * 2]

    @each("value", (-0.01, 1.01, float("nan"), float("inf")))
    def test_values_out_of_range(self, value: float) -> None:
        with pytest.raises(ShapeError, match="maps"):
            to_bytes(torch.full((1, 2, 2), value), (2, 2))

    def test_what_it_has_no_place_for(self) -> None:
        found, small = store(), np.zeros((3, 3), np.uint8)
        with pytest.raises(ShapeError, match=r"image 'two': a map is \(3, 3\) but the stored one is \(5, 8\)"):
            found.merge("two", 1, small)
        with pytest.raises(StoreError, match=r"image 'two': has maps of classes \(1, 3\), not of 2"):
            found.merge("two", 2, small)
        with pytest.raises(StoreError, match="image 'other': is not in the list that was accumulated"):
            found.merge("other", 1, small)
        other = MapIndex.of(CLASSES, IMAGES[:2])
        for index in (other, MapIndex.of(Classes(("a", "b", "d")), IMAGES)):
            with pytest.raises(StoreError, match="two stores of different lists"):
                found.merge_store(AccumulatedMaps(index))


class TestIndex:
    def test_images_that_are_none(self) -> None:
        with pytest.raises(DataError, match="'one': is listed twice"):
            MapIndex.of(CLASSES, (*IMAGES, IMAGES[2]))
        with pytest.raises(DataError, match="'x': class 4, but there are 3"):
            MapIndex.of(CLASSES, [MappedImage("x", (8, 8), (1, 1), (4,))])
        for ids in ((0,), (2, 1), (1, 1)):
            with pytest.raises(DataError, match="class ids must be sorted"):
                MappedImage("x", (8, 8), (1, 1), ids)
        with pytest.raises(DataError, match="sizes must be at least 1"):
            MappedImage("x", (8, 8), (0, 1), ())


class TestActivations:
    def test_they_lie_on_the_usual_grid(self) -> None:
        found = store()
        found.merge("two", 3, np.eye(5, 8, dtype=np.uint8) * 100)
        activations = found.activations("two", 8)
        assert (activations.class_ids, activations.image_size, activations.stride) == ((1, 3), (40, 64), 8)
        torch.testing.assert_close(
            activations.values, torch.stack([torch.zeros(5, 8), torch.eye(5, 8)]), atol=1e-4, rtol=0
        )
        assert found.activations("two", 4).values.shape == (2, 10, 16)
        assert found.activations("one", 4).values.shape == (1, 5, 8)
        assert found.activations("none", 4).values.shape == (0, 6, 6)

    def test_range(self) -> None:
        found = store()
        found.merge("one", 2, np.linspace(51, 255, 12).round().astype(np.uint8).reshape(3, 4))
        values = found.activations("one", 8, by="range").values
        assert float(values.min()) == 0 and float(values.max()) == pytest.approx(1, abs=1e-4)


class TestFile:
    def test_it_is_read_as_it_was_written(self, tmp_path: Path) -> None:
        found = filled()
        found.save(tmp_path / "maps")
        opened = AccumulatedMaps.open(tmp_path / "maps", CLASSES, samples())
        assert_same(opened, found)
        opened.merge("one", 2, np.full((3, 4), 255, np.uint8))
        assert_same(AccumulatedMaps.open(tmp_path / "maps"), found)  # changes do not reach the file
        empty = AccumulatedMaps(MapIndex.of(CLASSES, ()))
        empty.save(tmp_path / "empty")
        assert_same(AccumulatedMaps.open(tmp_path / "empty"), empty)

    def test_truncated_anywhere(self, tmp_path: Path) -> None:
        filled().save(tmp_path / "maps")
        whole = (tmp_path / "maps").read_bytes()
        for length in (0, 7, 60, len(whole) // 2, len(whole) - 1):
            (tmp_path / "cut").write_bytes(whole[:length])
            with pytest.raises(StoreError, match=r"cut: is no file of accumulated maps .*; delete it and train again"):
                AccumulatedMaps.open(tmp_path / "cut")
        with pytest.raises(StoreError, match=r"nothing: no accumulated maps; set classifier\.accumulate"):
            AccumulatedMaps.open(tmp_path / "nothing")

    def test_of_another_kind(self, tmp_path: Path) -> None:
        one = torch.zeros(1)
        for header in ("{}", '{"kind": "segmenter"}', '{"kind": "accumulated"}', "[]"):
            save_file({"values": one}, tmp_path / "other", {"weakseg": header})
            with pytest.raises(StoreError, match="other: is no file of accumulated maps"):
                AccumulatedMaps.open(tmp_path / "other")

    @each(("part", "count"), (("values", 3), ("origins", 5), ("class_ids", 1), ("sizes", 4), ("counts", 2)))
    def test_parts_that_do_not_fit(self, tmp_path: Path, part: str, count: int) -> None:
        from safetensors import safe_open

        filled().save(tmp_path / "maps")
        with safe_open(tmp_path / "maps", "pt") as file:
            tensors, metadata = {name: file.get_tensor(name) for name in file.keys()}, file.metadata()  # noqa: SIM118
        tensors[part] = tensors[part].new_zeros(count)
        save_file({name: value.clone() for name, value in tensors.items()}, tmp_path / "bad", metadata)
        with pytest.raises(StoreError, match="bad: is no file of accumulated maps"):
            AccumulatedMaps.open(tmp_path / "bad")

    def test_of_other_classes_or_another_list(self, tmp_path: Path) -> None:
        filled().save(tmp_path / "maps")
        with pytest.raises(StoreError, match="maps: is of the classes a, b, c, not a, b; train again"):
            AccumulatedMaps.open(tmp_path / "maps", Classes(("a", "b")))
        with pytest.raises(StoreError, match="maps: was accumulated on another list, without image 'new'"):
            AccumulatedMaps.open(tmp_path / "maps", CLASSES, samples(new={1}))
        with pytest.raises(StoreError, match=r"image 'one' was accumulated for classes \(2,\), and its tags are \(1,"):
            AccumulatedMaps.open(tmp_path / "maps", CLASSES, samples(one={1}))

    def test_of_the_size_of_coco(self, tmp_path: Path) -> None:
        """82,783 images, 2.9 classes each, short side 224 and stride 8, take less than 300 MB."""
        kinds = [tuple(range(1, count + 1)) for count in (1, 2, 3, 3, 3, 3, 4, 4)]  # 2.9 on average
        images = [MappedImage(f"{number:012}", (480, 640), (28, 37), kinds[number % 8]) for number in range(82_783)]
        index = MapIndex.of(Classes(tuple(f"class {number}" for number in range(80))), images)
        assert index.pairs[-1] == pytest.approx(240_000, rel=0.01)
        few = AccumulatedMaps(MapIndex.of(index.classes, index.images[:1000]))
        few.save(tmp_path / "few")
        beside = (tmp_path / "few").stat().st_size - few.values.nbytes  # ids, sizes, classes
        assert index.cells[-1] + beside * len(images) / 1000 < 300e6

    def test_it_is_not_read_before_it_is_asked_for(self, tmp_path: Path) -> None:
        side = 1 << 14  # a map of 256 MiB, of which the disk holds nothing
        AccumulatedMaps(MapIndex.of(CLASSES, [MappedImage("x", (8, 8), (1, 1), (1,))])).save(tmp_path / "small")
        length, content = _header(tmp_path / "small")
        content["values"] |= {"shape": [side**2], "data_offsets": [content["values"]["data_offsets"][0]] * 2}
        content["values"]["data_offsets"][1] += side**2
        data = (tmp_path / "small").read_bytes()[8 + length : -1]
        header = json.dumps(content).encode()
        data = data.replace(
            np.array([8, 8, 1, 1], np.int32).tobytes(), np.array([8, 8, side, side], np.int32).tobytes()
        )
        with (tmp_path / "large").open("wb") as file:
            file.write(len(header).to_bytes(8, "little") + header + data)
            file.truncate(file.tell() + side**2)
        before = tree_memory_mb()
        found = AccumulatedMaps.open(tmp_path / "large")
        assert found.maps("x").shape == (1, side, side) and not found.maps("x")[:, 5].any()
        assert tree_memory_mb() - before < 64


class TestKept:
    def test_it_goes_on_from_its_state(self) -> None:
        found, other = filled(), store()
        other.load_state_dict(found.state_dict())
        assert_same(other, found)
        state = AccumulatedMaps(MapIndex.of(CLASSES, IMAGES[:2])).state_dict()
        with pytest.raises(StoreError, match="of other classes, images or sizes"):
            other.load_state_dict(state)

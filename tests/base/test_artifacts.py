import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import save, save_file

from cases import each
from weakseg.artifacts import Activations, LabelMap, Scores, voc_palette
from weakseg.errors import DataError, OutputError, ShapeError, StoreError
from weakseg.files import write_bytes


def random_activations(classes: tuple[int, ...] = (2, 5)) -> Activations:
    values = torch.rand(len(classes), 3, 4, generator=torch.Generator().manual_seed(0))
    return Activations(values, classes, (10, 13), 4)


class TestActivations:
    @pytest.mark.parametrize("classes", [(), (1,), (2, 5, 254)])
    def test_round_trip(self, tmp_path: Path, classes: tuple[int, ...]) -> None:
        written = random_activations(classes)
        written.save(tmp_path / "a.safetensors")
        found = Activations.load(tmp_path / "a.safetensors")
        assert (found.class_ids, found.image_size, found.stride) == (classes, (10, 13), 4)
        assert found.values.dtype == torch.float32
        assert found.values.shape == written.values.shape
        torch.testing.assert_close(found.values, written.values, rtol=0, atol=2**-12)  # float16 below 1

    def test_extremes_survive(self, tmp_path: Path) -> None:
        Activations(torch.tensor([[[0.0, 0.99999, 1.0, 1e-9]]]), (1,), (4, 16)).save(tmp_path / "a")
        found = Activations.load(tmp_path / "a").values
        assert found.max() <= 1
        assert found.min() >= 0

    def test_strided_maps(self, tmp_path: Path) -> None:
        values = random_activations().values.transpose(1, 2)
        Activations(values, (2, 5), (13, 10)).save(tmp_path / "a")
        torch.testing.assert_close(Activations.load(tmp_path / "a").values, values, rtol=0, atol=2**-12)

    def test_they_cannot_be_changed(self) -> None:
        with pytest.raises(dataclasses.FrozenInstanceError):
            random_activations().stride = 8  # type: ignore[misc]

    @each(
        ("change", "message"),
        [
            ({"values": torch.zeros(3, 4)}, r"activations: expected shape \(K_present, h, w\), got \(3, 4\)"),
            ({"values": torch.full((2, 3, 4), math.nan)}, "activations: expected finite values"),
            (
                {"values": torch.full((2, 3, 4), 1.5)},
                r"activations: expected finite values in \[0, 1\], got 1.5 to 1.5",
            ),
            ({"values": torch.full((2, 3, 4), -0.1)}, r"activations: expected finite values in \[0, 1\], got -0.1 to"),
            ({"class_ids": (2,)}, r"activations: 2 maps with class ids \(2,\); want one, sorted"),
            ({"class_ids": (5, 2)}, "want one, sorted"),
            ({"class_ids": (2, 2)}, "want one, sorted"),
            ({"class_ids": (0, 2)}, "activations: class ids start at 1"),
        ],
    )
    def test_refusals(self, change: dict[str, Any], message: str) -> None:
        with pytest.raises(ShapeError, match=message):
            dataclasses.replace(random_activations(), **change)

    def test_truncated_files(self, tmp_path: Path) -> None:
        path = tmp_path / "a.safetensors"
        random_activations().save(path)
        content = path.read_bytes()
        for length in range(len(content)):
            path.write_bytes(content[:length])
            with pytest.raises(StoreError, match=r"a\.safetensors: not a file of activations .* run the stage again"):
                Activations.load(path)

    @each(
        "header",
        [
            None,
            {},
            [],
            {"class_ids": [1], "image_size": [4, 4]},
            {"class_ids": [1], "image_size": [4], "stride": 4},
            {"class_ids": 1, "image_size": [4, 4], "stride": 4},
            {"class_ids": [1, 2], "image_size": [4, 4], "stride": 4},
            {"class_ids": ["a"], "image_size": [4, 4], "stride": 4},
        ],
    )
    def test_files_of_another_kind(self, tmp_path: Path, header: Any) -> None:
        metadata = None if header is None else {"weakseg": json.dumps(header)}
        save_file({"values": torch.zeros(1, 1, 1)}, tmp_path / "a", metadata)
        with pytest.raises(StoreError, match="not a file of activations"):
            Activations.load(tmp_path / "a")

    def test_files_without_values(self, tmp_path: Path) -> None:
        header = {"class_ids": [1], "image_size": [4, 4], "stride": 4}
        save_file({"other": torch.zeros(1, 1, 1)}, tmp_path / "a", {"weakseg": json.dumps(header)})
        with pytest.raises(StoreError, match="not a file of activations"):
            Activations.load(tmp_path / "a")

    @pytest.mark.parametrize("name", ["none", "."])
    def test_missing_files(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(StoreError):
            Activations.load(tmp_path / name)


class TestLabelMap:
    @settings(max_examples=30)
    @given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9))))
    def test_round_trip(self, tmp_path_factory: pytest.TempPathFactory, labels: NDArray[np.uint8]) -> None:
        path = tmp_path_factory.mktemp("labels") / "a.png"
        LabelMap(labels).save(path)
        np.testing.assert_array_equal(LabelMap.load(path).labels, labels)

    def test_the_file_is_an_indexed_png_with_the_voc_palette(self, tmp_path: Path) -> None:
        LabelMap(np.array([[0, 1, 255]], np.uint8)).save(tmp_path / "a.png")
        with Image.open(tmp_path / "a.png") as image:
            assert (image.format, image.mode) == ("PNG", "P")
            colours = np.asarray(image.convert("RGB"))[0]
        np.testing.assert_array_equal(colours, [[0, 0, 0], [128, 0, 0], [224, 224, 192]])

    def test_coverage(self) -> None:
        assert LabelMap(np.array([[0, 1, 255, 255]], np.uint8)).coverage == 0.5
        assert LabelMap(np.zeros((2, 2), np.uint8)).coverage == 1
        assert LabelMap(np.zeros((0, 2), np.uint8)).coverage == 0

    @pytest.mark.parametrize("bits", [1, 2, 4])
    def test_palettes_of_few_colours(self, tmp_path: Path, bits: int) -> None:
        labels = np.arange(2**bits, dtype=np.uint8)[None]
        image = Image.fromarray(labels)
        image.putpalette(voc_palette()[: 2**bits].tobytes())
        image.save(tmp_path / "a.png", bits=bits)
        np.testing.assert_array_equal(LabelMap.load(tmp_path / "a.png").labels, labels)

    def test_grey_values_are_labels(self, tmp_path: Path) -> None:
        labels = np.array([[0, 3, 255]], np.uint8)
        Image.fromarray(labels).save(tmp_path / "a.png")
        np.testing.assert_array_equal(LabelMap.load(tmp_path / "a.png").labels, labels)

    @each("mode", ["RGB", "RGBA", "LA", "1", "I;16"])
    def test_colours_and_other_depths_are_refused(self, tmp_path: Path, mode: str) -> None:
        Image.new(mode, (3, 2)).save(tmp_path / "a.png")
        with pytest.raises(
            DataError, match=rf"a\.png: a label map must be an indexed or 8-bit grey PNG, got mode {mode}"
        ):
            LabelMap.load(tmp_path / "a.png")

    def test_truncated_files(self, tmp_path: Path) -> None:
        path = tmp_path / "a.png"
        LabelMap(np.random.default_rng(0).integers(0, 9, (16, 16), dtype=np.uint8)).save(path)
        content = path.read_bytes()
        whole = len(content) - 4 - 4 - 12  # without the two check sums and the end mark, every pixel is still there
        for length in range(0, whole, 7):
            path.write_bytes(content[:length])
            with pytest.raises(DataError, match=r"a\.png: cannot be read as a label map"):
                LabelMap.load(path)

    @pytest.mark.parametrize("name", ["none.png", "."])
    def test_missing_files(self, tmp_path: Path, name: str) -> None:
        with pytest.raises(DataError, match="no such label map; the step before has to make it first"):
            LabelMap.load(tmp_path / name)

    @pytest.mark.parametrize("labels", [np.zeros((2, 2)), np.zeros((2, 2), np.int64)])
    def test_other_types_are_refused(self, labels: NDArray[Any]) -> None:
        with pytest.raises(ShapeError, match=f"labels: expected uint8, got {labels.dtype}"):
            LabelMap(labels)

    def test_other_shapes_are_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"labels: expected shape \(H, W\), got \(1, 2, 3\)"):
            LabelMap(np.zeros((1, 2, 3), np.uint8))

    def test_a_full_disk_leaves_the_old_map(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "a.png"
        LabelMap(np.ones((2, 2), np.uint8)).save(path)

        def full(*_: Any, **__: Any) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Image.Image, "save", full)
        with pytest.raises(OutputError, match=r"a\.png: cannot be written: No space left on device"):
            LabelMap(np.zeros((2, 2), np.uint8)).save(path)
        assert LabelMap.load(path).labels.min() == 1
        assert [p.name for p in tmp_path.iterdir()] == ["a.png"]


def test_voc_palette() -> None:
    # Colours of the VOC development kit: background, aeroplane, bicycle, bird, boat, bottle, .., tv monitor, void.
    palette = voc_palette()
    assert palette.shape == (256, 3)
    expected = [[0, 0, 0], [128, 0, 0], [0, 128, 0], [128, 128, 0], [0, 0, 128], [128, 0, 128]]
    np.testing.assert_array_equal(palette[:6], expected)
    np.testing.assert_array_equal(palette[[20, 255]], [[0, 64, 128], [224, 224, 192]])
    assert len({tuple(colour) for colour in palette.tolist()}) == 256


class TestScoresOnCells:
    def test_the_stride_is_kept(self, tmp_path: Path) -> None:
        for stride, size in ((None, (2, 3)), (8, (2, 3))):
            Scores(torch.full((1, *size), 0.5), (0,), (13, 18), stride).save(tmp_path / "a.safetensors")
            assert Scores.load(tmp_path / "a.safetensors").stride == stride

    def test_a_file_without_a_stride(self, tmp_path: Path) -> None:
        header = json.dumps({"label_ids": [0], "image_size": [13, 18]})
        write_bytes(tmp_path / "a.safetensors", save({"values": torch.ones(1, 2, 2).half()}, {"weakseg": header}))
        assert Scores.load(tmp_path / "a.safetensors").stride is None

    def test_another_grid_is_refused(self) -> None:
        with pytest.raises(ShapeError, match=r"scores is \(2, 2\) but image in cells is \(2, 3\)"):
            Scores(torch.ones(1, 2, 2), (0,), (13, 18), 8)
        with pytest.raises(ShapeError, match=r"scores is \(2, 3\) but image in cells is \(4, 5\)"):
            Scores(torch.ones(1, 2, 3), (0,), (13, 18), 8, (26, 36))
        with pytest.raises(ShapeError, match=r"a reduced size of \(13, 18\), but no stride"):
            Scores(torch.ones(1, 2, 3), (0,), (26, 36), None, (13, 18))

    @pytest.mark.parametrize(("stride", "kept"), [(8, (13, 18)), (None, None)])
    def test_those_of_a_reduced_photograph(
        self, stride: int | None, kept: tuple[int, int] | None, tmp_path: Path
    ) -> None:
        reduced = Scores(torch.full((1, 2, 3), 0.5), (0,), (13, 18), stride)
        assert reduced.of_photograph((13, 18)) is reduced
        whole = reduced.of_photograph((26, 37))
        assert (whole.image_size, whole.stride, whole.reduced_size) == ((26, 37), stride, kept)
        whole.save(tmp_path / "a.safetensors")
        found = Scores.load(tmp_path / "a.safetensors")
        assert (found.image_size, found.stride, found.reduced_size) == ((26, 37), stride, kept)
        torch.testing.assert_close(found.values, reduced.values)

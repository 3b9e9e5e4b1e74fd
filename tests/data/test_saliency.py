"""Saliency maps: what is read, what is refused in words, and which maps look inverted."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from weakseg.cli.main import main
from weakseg.data.annotations import Box
from weakseg.data.check import check_dataset
from weakseg.data.config import DataConfig
from weakseg.data.dataset import open_dataset
from weakseg.data.saliency import load_saliency
from weakseg.data.saliency_check import contrast
from weakseg.data.sample import Tags, WeakSample
from weakseg.errors import ConfigError, DataError
from weakseg.methods.recipe import Recipe
from weakseg.methods.run import run_recipe

SIZE = (24, 36)
RAMP = np.broadcast_to(np.linspace(0, 1, 36), SIZE)


def save(path: Path, values: np.ndarray, mode: str | None = None) -> Path:
    path.parent.mkdir(exist_ok=True)
    image = Image.fromarray(values)
    (image.convert(mode) if mode else image).save(path)
    return path


class TestReading:
    def test_eight_and_sixteen_bits(self, tmp_path: Path) -> None:
        eight = load_saliency(save(tmp_path / "a.png", (RAMP * 255).round().astype(np.uint8)), SIZE)
        assert (eight.dtype, eight.shape, eight.min(), eight.max()) == (np.float32, SIZE, 0, 1)
        np.testing.assert_allclose(eight, RAMP, atol=0.5 / 255 + 1e-6)
        deep = load_saliency(save(tmp_path / "b.png", (RAMP * 65535).round().astype(np.uint16)), SIZE)
        np.testing.assert_allclose(deep, RAMP, atol=0.5 / 65535 + 1e-6)

    @pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P"])
    def test_grey_in_other_modes(self, tmp_path: Path, mode: str) -> None:
        values = (RAMP * 255).round().astype(np.uint8)
        found = load_saliency(save(tmp_path / "a.png", values, mode), SIZE)
        np.testing.assert_allclose(found, values / 255, atol=1e-6)

    def test_masks_of_two_values(self, tmp_path: Path) -> None:
        values = ((RAMP > 0.5) * 255).astype(np.uint8)
        for mode in (None, "1"):
            assert set(np.unique(load_saliency(save(tmp_path / "a.png", values, mode), SIZE))) == {0, 1}

    def test_another_size_of_the_same_form_is_resized(self, tmp_path: Path) -> None:
        for size in ((12, 18), (8, 12), (5, 7), (48, 72)):
            small = np.broadcast_to((np.arange(size[1]) + 0.5) / size[1], size)
            found = load_saliency(save(tmp_path / "a.png", (small * 255).round().astype(np.uint8)), SIZE)
            wanted = np.broadcast_to((np.arange(36) + 0.5) / 36, SIZE)
            np.testing.assert_allclose(found[:, 4:-4], wanted[:, 4:-4], atol=0.01)

    @pytest.mark.parametrize(
        ("name", "values", "message"),
        [
            ("a.png", RAMP.T * 255, r"is 36 x 24, but the photograph is 24 x 36 .*rows and columns are exchanged"),
            ("a.png", np.full((32, 32), 9), "is 32 x 32, but the photograph is 24 x 36 .*squeezed"),
            ("a.png", RAMP, "no value but 0 and 1: a map in .0, 1. was saved as whole numbers"),
            ("a.png", np.stack([RAMP * 255, 255 - RAMP * 255, RAMP], 2), "is in colours, as a heat map"),
            ("a.tif", RAMP, "saliency maps are 8-bit PNG; write round"),
            ("a.jpg", RAMP, "saliency maps are 8-bit PNG"),
        ],
    )
    def test_what_cannot_be_meant_is_explained(
        self, tmp_path: Path, name: str, values: np.ndarray, message: str
    ) -> None:
        with pytest.raises(DataError, match=rf"{name}: .*{message}"):
            load_saliency(save(tmp_path / name, values.astype(np.uint8)), SIZE)

    def test_eight_bits_in_sixteen(self, tmp_path: Path) -> None:
        path = save(tmp_path / "a.png", (RAMP * 255).astype(np.uint16))
        with pytest.raises(DataError, match="values up to 255 in 16 bits, of which 65535 is white"):
            load_saliency(path, SIZE)
        assert not load_saliency(save(path, np.zeros(SIZE, np.uint16)), SIZE).any()
        save(path, (RAMP * 65535).astype(np.uint16))
        path.write_bytes(path.read_bytes()[:60])
        with pytest.raises(DataError, match=r"a\.png: cannot be read as a saliency map"):
            load_saliency(path, SIZE)

    def test_a_sample_without_one(self, tmp_path: Path) -> None:
        with pytest.raises(DataError, match=r"image 'a': no saliency map; add a\.png to the folder of data\.saliency"):
            WeakSample("a", tmp_path / "a.jpg", Tags(frozenset())).load_saliency()


def test_contrast() -> None:
    middle = np.zeros((10, 20), np.float32)
    middle[2:8, 4:16] = 1
    assert (contrast(middle), contrast(1 - middle), contrast(np.full((10, 20), 0.3, np.float32))) == (
        pytest.approx(1), pytest.approx(-1), pytest.approx(0, abs=1e-6),
    )  # fmt: skip
    edge = np.zeros((10, 20), np.float32)
    edge[:, :4] = 1
    box = Box(1, -3, -2, 99, 4)
    assert contrast(edge) < 0 and contrast(edge, [box]) == 1 and contrast(edge, [Box(1, 0, 0, 10, 20)]) == 0


class TestDatasets:
    @pytest.fixture
    def config(self, tmp_path: Path, write_image) -> DataConfig:
        """Seven photographs; the first six have a map that is bright in the middle."""
        lines = ["image,label"]
        for index in range(7):
            write_image(tmp_path / f"images/{index}.png", *SIZE, seed=index)
            lines.append(f"{index}.png,{'cat' if index % 2 else ''}")
            if index < 6:
                values = np.full(SIZE, 20 + index, np.uint8)
                values[8:16, 12:24] = 200
                save(tmp_path / f"saliency/{index}.png", values)
        (tmp_path / "tags.csv").write_text("\n".join(lines) + "\n")
        return DataConfig(root=str(tmp_path), train="tags.csv", saliency="saliency")

    def test_samples_load_them(self, config: DataConfig) -> None:
        samples = open_dataset(config).splits["train"]
        assert [sample.saliency is not None for sample in samples] == [True] * 6 + [False]
        np.testing.assert_allclose(np.unique(samples[1].load_saliency()), [21 / 255, 200 / 255], rtol=1e-6)
        assert samples[0].shows_nothing

    def test_the_check_counts_and_explains(self, config: DataConfig, capsys: pytest.CaptureFixture[str]) -> None:
        folder = Path(config.root) / "saliency"
        small = Image.open(folder / "1.png").resize((18, 12))
        small.save(folder / "1.png")
        save(folder / "2.png", np.ones(SIZE, np.uint8))
        (folder / "3.png").rename(folder / "3.npy")
        report = check_dataset(open_dataset(config)).saliency
        assert report is not None and (report.images, report.maps, report.resized) == (7, 4, 1)
        assert list(report.failures) == ["2", "3"] and report.warnings == ()
        words = ["data", "check", f"--data.root={config.root}", "--data.train=tags.csv", "--data.saliency=saliency"]
        assert main(words) == 1
        said = capsys.readouterr().out
        assert "saliency: 4 maps for 7 images, 1 of another size than the photograph, and resized" in said
        assert "no value but 0 and 1" in said and "3.npy: saliency maps are 8-bit PNG" in said

    def test_inverted_maps_are_suspected(self, config: DataConfig) -> None:
        for path in (Path(config.root) / "saliency").iterdir():
            values = np.asarray(Image.open(path))
            save(path, 255 - values)
        (warning,) = (w for w in check_dataset(open_dataset(config)).warnings if "saliency" in w)
        assert warning.startswith("saliency: on 6 of 6 maps") and "are they inverted? Then write 255 - value" in warning

    def test_folders_that_cannot_be_meant(self, config: DataConfig) -> None:
        folder = Path(config.root) / "saliency"
        for path in list(folder.iterdir()):
            path.rename(folder / f"map_{path.name}")
        with pytest.raises(DataError, match=r"maps of none of the images \(it has 'map_0.png', the data set '0'\)"):
            open_dataset(config)
        folder.rename(folder.with_name("elsewhere"))
        with pytest.raises(DataError, match=r"data\.saliency: .*saliency is not a folder"):
            open_dataset(config)

    def test_a_run_that_does_not_read_them_says_so(self, config: DataConfig, tmp_path: Path) -> None:
        with pytest.raises(ConfigError, match=r"data\.saliency: no step of method 'cam' reads saliency maps"):
            run_recipe(Recipe("cam", data=config), tmp_path / "out")
        assert not (tmp_path / "out").exists()

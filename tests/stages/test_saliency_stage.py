"""Saliency detectors: objects stand out, degenerate photographs, weights that are none, and figures on photographs."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from generated import draw
from weakseg.errors import CheckpointError, ConfigError, ShapeError
from weakseg.settings.saliency import SaliencyConfig
from weakseg.stages.saliency import detect_saliency

UNTRAINED = ("spectral", "fine_grained")
FLAT = np.full((30, 40, 3), 90, np.uint8)


@pytest.fixture(scope="session")
def u2netp(real_data: Path) -> SaliencyConfig:
    return SaliencyConfig("u2netp", str(real_data / "saliency" / "u2netp.onnx"))


def message(*fields: tuple[int, int | str | bytes]) -> bytes:
    """Return a protocol buffer of numbers below 128 and of texts below 128 bytes."""
    made = b""
    for number, value in fields:
        if isinstance(value, int):
            made += bytes([8 * number, value])
        else:
            content = value.encode() if isinstance(value, str) else value
            made += bytes([8 * number + 2, len(content)]) + content
    return made


def relu_model() -> bytes:
    """Return an ONNX file of one rectifier."""
    value = message((2, message((1, message((1, 1), (2, message(*[(1, message((1, 1)))] * 4)))))))
    node = message((1, "x"), (2, "y"), (4, "Relu"))
    graph = message((1, node), (2, "g"), (11, message((1, "x")) + value), (12, message((1, "y")) + value))
    return message((1, 8), (7, graph), (8, message((1, ""), (2, 11))))


@pytest.mark.parametrize("detector", UNTRAINED)
def test_a_square_stands_out(detector: str) -> None:
    image = np.random.default_rng(0).integers(80, 100, (120, 160, 3), dtype=np.uint8)
    image[50:70, 80:100] = 220
    found = detect_saliency(image, SaliencyConfig(detector))  # type: ignore[arg-type]
    assert (found.dtype, found.shape, found.min(), found.max()) == (np.float32, (120, 160), 0, 1)
    assert found[50:70, 80:100].mean() > 3 * np.delete(found, np.s_[80:100], 1).mean()


@pytest.mark.parametrize("detector", UNTRAINED)
def test_degenerate_photographs(detector: str) -> None:
    config = SaliencyConfig(detector)  # type: ignore[arg-type]
    for size in ((1, 1), (1, 5), (30, 40)):
        assert not detect_saliency(np.full((*size, 3), 7, np.uint8), config).any()
    noise = np.random.default_rng(0).integers(0, 255, (2, 300, 3), dtype=np.uint8)
    found = detect_saliency(noise, config)
    assert found.shape == (2, 300) and np.isfinite(found).all() and found.max() <= 1
    with pytest.raises(ShapeError, match="image: expected RGB uint8"):
        detect_saliency(noise.astype(np.float32), config)


def test_spectral_residual_by_its_definition() -> None:
    """Log amplitude less its mean in a window of 3, back with the phase; squared and smoothed, at 64 x 64."""
    image = cv2.resize(draw(3)[0], (64, 64))
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float64)
    spectrum = np.fft.fft2(grey)
    log = np.log(np.abs(spectrum))
    residual = log - cv2.blur(log, (3, 3), borderType=cv2.BORDER_DEFAULT)
    power = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = cv2.GaussianBlur(power, (5, 5), 8)
    wanted = (smooth - smooth.min()) / (smooth.max() - smooth.min())
    found = detect_saliency(image, SaliencyConfig("spectral"))
    assert np.corrcoef(found.ravel(), wanted.ravel())[0, 1] > 0.95


def test_the_network_of_a_photograph(u2netp: SaliencyConfig) -> None:
    image, mask = draw(3)
    found = detect_saliency(image, u2netp)
    assert (found.dtype, found.shape) == (np.float32, mask.shape) and 0 <= found.min() <= found.max() <= 1
    assert found[mask > 0].mean() > 0.9 > 0.1 > found[mask == 0].mean()
    assert not detect_saliency(FLAT, u2netp).any()
    cv2.setNumThreads(2)
    assert (detect_saliency(image, u2netp) == found).all()  # whatever the number of threads


@pytest.mark.slow
def test_background_of_real_photographs(u2netp: SaliencyConfig, real_data: Path) -> None:
    """The first 4 photographs of MSRC's ``val`` that show an object; of 60 it is 74.1, 88.8 and 98.0 percent."""
    root = real_data / "msrc"
    shown: dict[str, np.ndarray] = {}
    for image_id in (root / "ImageSets/Segmentation/val.txt").read_text().split():
        truth = np.asarray(Image.open(root / f"SegmentationClass/{image_id}.png"))
        if ((truth > 0) & (truth < 255)).any() and len(shown) < 4:
            shown[image_id] = truth
    counts = np.zeros(5)
    for image_id, truth in shown.items():
        path = next((root / "JPEGImages").glob(f"{image_id}.*"))
        found = detect_saliency(np.asarray(Image.open(path).convert("RGB")), u2netp)
        known, object_, low = truth != 255, (truth > 0) & (truth < 255), (found < 0.05) & (truth != 255)
        salient = (found > 0.5) & known
        both, either, right = ((object_ & salient), (object_ | salient), (low & (truth == 0)))
        counts += [both.sum(), either.sum(), right.sum(), low.sum(), (truth == 0).sum()]
    assert counts[0] / counts[1] > 0.85 and counts[2] / counts[3] > 0.98 and counts[2] / counts[4] > 0.97


class TestWeights:
    def test_files_that_are_no_network(self, tmp_path: Path, u2netp: SaliencyConfig) -> None:
        image, bad = draw(1)[0], tmp_path / "bad.onnx"
        config = SaliencyConfig("u2netp", str(bad))
        for content in (b"", b"no network", Path(u2netp.file).read_bytes()[:99_999]):
            bad.write_bytes(content)
            with pytest.raises(CheckpointError, match=r"bad\.onnx: cannot be read as ONNX file of U2-Net"):
                detect_saliency(image, config)
        bad.unlink()
        with pytest.raises(CheckpointError, match=r"bad\.onnx: cannot be read as ONNX file .*No such file"):
            detect_saliency(image, config)

    def test_a_network_that_gives_no_map(self, tmp_path: Path) -> None:
        (tmp_path / "relu.onnx").write_bytes(relu_model())
        with pytest.raises(CheckpointError, match=r"relu\.onnx: gives \(1, 3, 320, 320\) of a photograph of 320 x 320"):
            detect_saliency(draw(1)[0], SaliencyConfig("u2netp", str(tmp_path / "relu.onnx")))


def test_detectors_that_there_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match=r"saliency\.detector: 'files' detects nothing"):
        detect_saliency(FLAT, SaliencyConfig())
    monkeypatch.delattr(cv2, "saliency")
    with pytest.raises(ConfigError, match=r"'spectral' is in opencv-contrib-python-headless, which another package"):
        detect_saliency(draw(1)[0], SaliencyConfig("spectral"))


def test_settings() -> None:
    with pytest.raises(ConfigError, match=r"saliency\.detector: 'files', 'spectral', 'fine_grained' or 'u2netp'"):
        SaliencyConfig("edges")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=r"saliency\.file: belongs to detector 'u2netp', and it is 'spectral'"):
        SaliencyConfig("spectral", "a.onnx")

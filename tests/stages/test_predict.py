"""Prediction modes against their definitions, on networks whose logits are known."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.errors import ConfigError
from weakseg.nn.output import Output
from weakseg.nn.segmenters import build_segmenter
from weakseg.ops.crf import dense_crf, unary_from_scores
from weakseg.ops.resample import image_tensor, resize_image, resize_maps
from weakseg.settings.backbone import BackboneConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.predict import PredictConfig
from weakseg.settings.segment import SegmenterConfig
from weakseg.stages.predict import predict_image, predict_probabilities, predict_restricted


class Mixed(nn.Module):
    """Three labels: logits of cells of four pixels that depend on the place in the image and on all colours."""

    def __init__(self) -> None:
        super().__init__()
        weight = torch.randn(3, 3, 4, 4, generator=torch.Generator().manual_seed(0)) / 300
        self.weight = nn.Parameter(weight)

    def forward(self, images: Tensor) -> Output:
        sides = [-side % 4 for side in images.shape[2:]]
        padded = F.pad(images, (0, sides[1], 0, sides[0]))
        return Output(F.conv2d(padded, self.weight, stride=4), {})


class Redness(nn.Module):
    """Logits: class 1 where red is above 128, else background."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(1.0))

    def forward(self, images: Tensor) -> Output:
        red = (images[:, :1] - 128) * self.scale
        return Output(nn.functional.avg_pool2d(torch.cat([-red, red], 1), 4, ceil_mode=True), {})


def half_red(size: tuple[int, int] = (40, 60)) -> np.ndarray:
    image = np.zeros((*size, 3), np.uint8)
    image[:, : size[1] // 2, 0] = 255
    return image


@pytest.mark.parametrize("config", [PredictConfig(), PredictConfig(crf=True), PredictConfig(scales=(1.0,), flip=False)])
def test_a_mask_has_the_size_of_the_image(config: PredictConfig) -> None:
    labels = predict_image(Redness(), half_red(), config).labels
    assert labels.shape == (40, 60)
    assert (labels[:, :28] == 1).all() and (labels[:, 33:] == 0).all()


def test_large_images_are_worked_on_reduced() -> None:
    config = PredictConfig(max_side=32, mask_side=50)
    labels = predict_image(Redness(), half_red((80, 100)), config).labels
    assert labels.shape == (80, 100) and (labels[:, :40] == 1).all() and (labels[:, 60:] == 0).all()


@pytest.mark.parametrize("settings", [{"scales": ()}, {"scales": (-1.0,)}, {"max_side": 0}, {"mask_side": 3}])
def test_impossible_settings_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="predictions"):
        PredictConfig(**settings)  # type: ignore[arg-type]


def noise(*size: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)


class TestFusion:
    """Scales and mirror images by maximum or mean of logits or probabilities."""

    SCALES = (0.5, 1.0, 1.5)

    def maps(self, image: np.ndarray, *, mode: str = "bilinear", early: bool = False) -> Tensor:
        """Return logits, or probabilities if ``early``, of all scales and mirror images at the size of the image."""
        found, (rows, columns) = [], image.shape[:2]
        for scale in self.SCALES:
            scaled = resize_image(image, (round(rows * scale), round(columns * scale)))
            for mirrored in (False, True):
                logits = Mixed()(image_tensor(scaled[:, ::-1] if mirrored else scaled)[None]).logits
                logits = logits.softmax(1) if early else logits
                large = F.interpolate(logits, (rows, columns), mode=mode, align_corners=False)[0]
                found.append(large.flip(-1) if mirrored else large)
        return torch.stack(found).detach()

    def test_each_rule_is_its_definition(self) -> None:
        image = noise(20, 28)
        maps = self.maps(image)
        largest = maps.softmax(1).amax(0)
        expected = {
            "mean_probabilities": maps.softmax(1).mean(0),
            "max_probabilities": largest / largest.sum(0),
            "mean_logits": maps.mean(0).softmax(0),
            "max_logits": maps.amax(0).softmax(0),
        }
        for fusion, probs in expected.items():
            config = PredictConfig(self.SCALES, fusion=fusion)  # type: ignore[arg-type]
            torch.testing.assert_close(predict_probabilities(Mixed(), image, config, (20, 28)), probs)
            assert (predict_image(Mixed(), image, config).labels == probs.argmax(0).numpy()).all()
        assert len({probs.argmax(0).numpy().tobytes() for probs in expected.values()}) > 1

    @pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
    def test_probabilities_may_be_enlarged(self, mode: str) -> None:
        # segmentation-stage.md, 2.4: bicubic upsampling of probabilities
        image = noise(20, 28)
        maps = self.maps(image, mode=mode, early=True).clamp(min=0)
        config = PredictConfig(self.SCALES, enlarged="probabilities", interpolation=mode)  # type: ignore[arg-type]
        found = predict_probabilities(Mixed(), image, config, (20, 28))
        torch.testing.assert_close(found, (maps / maps.sum(1, keepdim=True)).mean(0))
        torch.testing.assert_close(found.sum(0), torch.ones(20, 28))


class TestWindows:
    @pytest.mark.parametrize("fusion", ["mean_probabilities", "max_logits"])
    def test_values_are_averaged_over_the_windows_of_a_pixel(self, fusion: str) -> None:
        # Windows of 12 pixels, 8 apart, on 20 x 30 pixels: rows 0 and 8; columns 0, 8, 16 and, at the border, 18.
        image = noise(20, 30)
        config = PredictConfig((1.0,), flip=False, fusion=fusion, window=12)  # type: ignore[arg-type]
        pixels, total, counts = image_tensor(image)[None], torch.zeros(3, 20, 30), torch.zeros(20, 30)
        with torch.no_grad():
            for top in (0, 8):
                for left in (0, 8, 16, 18):
                    place = slice(top, top + 12), slice(left, left + 12)
                    cells = Mixed()(pixels[:, :, *place]).logits
                    values = F.interpolate(cells, (12, 12), mode="bilinear", align_corners=False)[0]
                    total[:, *place] += values.softmax(0) if fusion == "mean_probabilities" else values
                    counts[place] += 1
        assert counts.unique().tolist() == [1, 2, 3, 4, 6]
        expected = total / counts if fusion == "mean_probabilities" else (total / counts).softmax(0)
        torch.testing.assert_close(predict_probabilities(Mixed(), image, config, (20, 30)), expected)

    def test_small_images_are_padded(self) -> None:
        image = noise(9, 11)
        padded = np.full((16, 16, 3), 127, np.uint8)
        padded[:9, :11] = image
        config = PredictConfig((1.0,), flip=False, window=16)
        whole = predict_probabilities(Mixed(), padded, PredictConfig((1.0,), flip=False), (16, 16))
        torch.testing.assert_close(predict_probabilities(Mixed(), image, config, (9, 11)), whole[:, :9, :11])

    def test_mirror_images_and_scales_go_through_windows(self) -> None:
        image = noise(24, 40)
        config = PredictConfig((0.5, 1.0), window=16, window_stride=1.0)
        found = predict_probabilities(Mixed(), image, config, (24, 40))
        single = [
            predict_probabilities(Mixed(), one, PredictConfig((s,), flip=False, window=16, window_stride=1.0), (24, 40))
            for s in (0.5, 1.0)
            for one in (image, image[:, ::-1])
        ]
        expected = torch.stack([single[0], single[1].flip(-1), single[2], single[3].flip(-1)]).mean(0)
        torch.testing.assert_close(found, expected)


class TestAlignedCorners:
    """PSPNet's cells lie on pixels 0, 8, 16, ...: other images are padded to the next."""

    @pytest.fixture(scope="class")
    @staticmethod
    def model() -> nn.Module:
        torch.manual_seed(0)
        config = SegmenterConfig(BackboneConfig("resnet10t", 8, "none"), "pspnet", hidden=8)
        return build_segmenter(config, 2).eval()

    def test_whole_images(self, model: nn.Module) -> None:
        image = noise(30, 41)
        fill = 255 * torch.tensor([0.485, 0.456, 0.406])[:, None, None]
        padded = fill.repeat(1, 33, 41)
        padded[:, :30] = image_tensor(image)
        with torch.no_grad():
            cells = model(padded[None]).logits
            assert cells.shape[2:] == (5, 6)
            pixels = F.interpolate(cells, (33, 41), mode="bilinear", align_corners=True)[0, :, :30]
        torch.testing.assert_close(pixels[:, ::8, ::8], cells[0, :, :4])  # cells are read where they lie
        found = predict_probabilities(model, image, PredictConfig((1.0,), flip=False), (15, 20))
        torch.testing.assert_close(found, resize_maps(pixels.softmax(0), (15, 20)))

    def test_windows_have_to_fit(self, model: nn.Module) -> None:
        with pytest.raises(ConfigError, match=r"predictions\.window: .* 1 modulo 8, got 32"):
            predict_image(model, noise(40, 40), PredictConfig((1.0,), window=32))
        assert predict_image(model, noise(40, 50), PredictConfig((1.0,), window=33)).labels.shape == (40, 50)


class TestCrf:
    def test_published_parameters(self) -> None:
        # segmentation-stage.md, 2.3: iterations; spatial sigma and weight; bilateral sigmas and weight.
        found = {name: PredictConfig(crf_preset=name).crf_settings for name in ("deeplab_v2", "dsrg", "oaa")}  # type: ignore[arg-type]
        assert found == {
            "deeplab_v2": CrfParams(10, 1, 3, 67, 3, 4),
            "dsrg": CrfParams(10, 3, 3, 80, 13, 10),
            "oaa": CrfParams(1, 3, 1, 67, 4, 3),
        }
        own = CrfParams(2)
        assert PredictConfig(crf_params=own).crf_settings == own

    def test_they_are_used(self) -> None:
        image = noise(40, 60)
        found = {
            name: predict_image(Mixed(), image, PredictConfig((1.0,), crf=True, crf_preset=name)).labels  # type: ignore[arg-type]
            for name in ("own", "deeplab_v2", "dsrg", "oaa")
        }
        assert (found["own"] == found["deeplab_v2"]).all()
        assert len({labels.tobytes() for labels in found.values()}) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"fusion": "max"}, r"predictions\.fusion: 'mean_probabilities', "),
        ({"window": -1}, r"predictions\.window: need >= 0"),
        ({"window_stride": 0.0}, r"predictions\.window_stride: need in \(0, 1\]"),
        ({"window_stride": 1.5}, r"predictions\.window_stride: need in \(0, 1\]"),
        ({"interpolation": "nearest"}, r"predictions\.interpolation: 'bilinear' or 'bicubic', got"),
        ({"enlarged": "labels"}, r"predictions\.enlarged: 'logits' or 'probabilities', got"),
        (
            {"enlarged": "probabilities", "fusion": "max_logits"},
            r"predictions\.enlarged: .* belong to a fusion of them",
        ),
        ({"crf_preset": "irnet"}, r"predictions\.crf_preset: 'own', "),
        ({"crf_preset": "dsrg", "crf_params": CrfParams()}, r"predictions\.crf_params: belong to crf_preset 'own'"),
    ],
)
def test_modes_that_do_not_exist_are_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        PredictConfig(**change)  # type: ignore[arg-type]


class Constant(nn.Module):
    """Logits of four labels: left half as the first row says, right half as the second."""

    def __init__(self, left: list[float], right: list[float]) -> None:
        super().__init__()
        self.halves = nn.Parameter(torch.tensor([left, right]))

    def forward(self, images: Tensor) -> Output:
        rows, columns = images.shape[2:]
        side = (torch.arange(columns) >= columns // 2).long()
        return Output(self.halves[side].T[None, :, None].expand(1, -1, rows, columns), {})


class TestRestricted:
    """Labels that there cannot be are never given, and what that changes is counted."""

    ONCE = PredictConfig(scales=(1.0,), flip=False)

    def test_best_of_what_there_may_be(self) -> None:
        model = Constant([0.0, 1.0, 5.0, 0.5], [3.0, 1.0, 0.0, 2.0])
        image = noise(6, 10)
        assert predict_image(model, image, self.ONCE).labels[0].tolist() == [2] * 5 + [0] * 5
        for allowed, labels, changed in (
            ({0, 1, 2, 3}, (2, 0), 0),
            ({0, 1}, (1, 0), 30),
            ({1, 3}, (1, 3), 60),
            ({0, 9}, (0, 0), 30),
        ):
            found = predict_restricted(model, image, self.ONCE, frozenset(allowed))
            assert found.mask.labels[0].tolist() == [labels[0]] * 5 + [labels[1]] * 5
            assert (found.pixels, found.changed) == (60, changed)

    def test_a_crf_is_conditioned_on_what_there_may_be(self) -> None:
        # An absent class takes all but 1e-9 of the probability: what is left still says 1 at the left and 0 at the
        # right, though both lie below the smallest probability that a CRF reads.
        model = Constant([0.0, 3.0, 25.0, 0.0], [3.0, 0.0, 25.0, 0.0])
        image = np.zeros((24, 40, 3), np.uint8)
        image[:, 20:] = 255
        config = PredictConfig(scales=(1.0,), flip=False, crf=True)
        found = predict_restricted(model, image, config, frozenset({0, 1}))
        assert (found.mask.labels[:, :20] == 1).all() and (found.mask.labels[:, 20:] == 0).all()
        assert found.changed == found.pixels == 960
        probs = predict_probabilities(model, image, config, (24, 40))[:2]
        wanted = dense_crf(unary_from_scores(probs / probs.sum(0)), torch.from_numpy(image), config.crf_settings)
        assert np.array_equal(found.mask.labels, wanted.argmax(0).numpy())

    def test_large_images_are_counted_reduced(self) -> None:
        config = PredictConfig(scales=(1.0,), flip=False, mask_side=50)
        found = predict_restricted(Redness(), half_red((80, 100)), config, frozenset({0}))
        assert found.mask.labels.shape == (80, 100) and not found.mask.labels.any()
        assert found.pixels == 40 * 50 and abs(found.changed - 1000) <= 40

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from weakseg.artifacts import Scores
from weakseg.errors import ConfigError, ShapeError
from weakseg.ops.fuse import fuse_scores
from weakseg.settings.crf import CrfParams
from weakseg.settings.decode import DecodeConfig, Enlarged, Fusion
from weakseg.stages.decode import decode_image, enlarge_scores, fuse_walked

NO_CRF = CrfParams(iterations=0)
UNARIES = ("scores", "softmax", "labels")


def blank(height: int, width: int) -> np.ndarray:
    return np.full((height, width, 3), 128, np.uint8)


def half_red(height: int, width: int) -> np.ndarray:
    image = np.random.default_rng(0).integers(0, 4, (height, width, 3), dtype=np.uint8)
    image[:, : width // 2, 0] += 250
    return image


def probabilities(labels: int, *size: int, seed: int = 0) -> Tensor:
    return torch.randn(labels, *size, generator=torch.Generator().manual_seed(seed)).softmax(0)


def halves(*, cells: int = 4, wrong: int = 0) -> Tensor:
    """Return ``(2, 8, 16)`` scores of background and a class, which has the left half and ``wrong`` columns more."""
    foreground = torch.full((8, 4 * cells), 0.2)
    foreground[:, : 2 * cells + wrong] = 0.8
    return torch.stack([1 - foreground, foreground])


class TestEnlargeScores:
    @pytest.mark.parametrize("size", [(23, 31), (6, 7), (3, 4), (1, 1)])
    def test_scores_keep_their_sum(self, size: tuple[int, int]) -> None:
        # wsgcn.md, oracle 13.
        found = enlarge_scores(probabilities(3, 6, 7), size)
        torch.testing.assert_close(found.sum(0), torch.ones(size))

    def test_between_logarithms_the_sum_is_lost(self) -> None:
        # wsgcn.md, oracle 13: half-way between (.9, .1) and (.1, .9) is (.3, .3).
        values = torch.tensor([[[0.9, 0.1]], [[0.1, 0.9]]])
        found = enlarge_scores(values, (1, 3), "logarithms")
        torch.testing.assert_close(found, torch.tensor([[[0.9, 0.3, 0.1]], [[0.1, 0.3, 0.9]]]))

    def test_a_logarithm_of_zero_is_finite(self) -> None:
        found = enlarge_scores(torch.tensor([[[0.0, 1.0]], [[1.0, 0.0]]]), (5, 9), "logarithms")
        assert torch.isfinite(found).all() and found.min() >= 0 and found.max() <= 1

    @pytest.mark.parametrize("size", [(13, 18), (16, 24), (7, 9)])
    def test_logits_are_what_the_softmax_was_made_of(self, size: tuple[int, int]) -> None:
        # a2gnn.md, 2.9: logits to the padded size, cropped, then the softmax; also where the image is reduced.
        logits = 3 * torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
        padded = torch.nn.functional.interpolate(logits[None], (16, 24), mode="bilinear")[0].softmax(0)
        found = enlarge_scores(logits.softmax(0), size, "logits", cells=(8, size))
        if size[1] > 9:
            torch.testing.assert_close(found, padded[:, : size[0], : size[1]])
        torch.testing.assert_close(found.sum(0), torch.ones(size))
        half = enlarge_scores(logits.softmax(0), (8, 12), "logits", cells=(8, (16, 24)))
        exactly = torch.nn.functional.interpolate(logits[None], (8, 12), mode="bilinear")[0].softmax(0)
        torch.testing.assert_close(half, exactly)

    def test_cells_that_reach_over_the_border(self) -> None:
        # a2gnn.md, section 4, 26: enlarged to whole cells, then cropped; not stretched.
        values = probabilities(2, 2, 3)
        whole = enlarge_scores(values, (16, 24))
        torch.testing.assert_close(enlarge_scores(values, (13, 18), cells=(8, (13, 18))), whole[:, :13, :18])
        with pytest.raises(ConfigError, match="logits"):
            enlarge_scores(values, (13, 18), "logarithms", cells=(8, (13, 18)))

    @pytest.mark.parametrize("enlarged", ["scores", "logarithms", "logits"])
    def test_equal_scores_stay(self, enlarged: str) -> None:
        found = enlarge_scores(torch.full((2, 3, 4), 0.5), (13, 18), enlarged)  # type: ignore[arg-type]
        torch.testing.assert_close(found, torch.full((2, 13, 18), 0.5))


class TestDecodeImage:
    @pytest.mark.parametrize("enlarged", ["scores", "logarithms"])
    @pytest.mark.parametrize("unary", UNARIES)
    @pytest.mark.parametrize("iterations", [0, 2])
    def test_only_labels_of_the_scores_occur(self, unary: str, enlarged: str, iterations: int) -> None:
        # wsgcn.md, oracle 13.
        scores = Scores(probabilities(3, 6, 8), (0, 4, 9), (22, 30))
        config = DecodeConfig(CrfParams(iterations=iterations), unary, enlarged=enlarged)  # type: ignore[arg-type]
        found = decode_image(scores, half_red(22, 30), config)
        assert found.labels.shape == (22, 30)
        assert found.label_ids <= {0, 4, 9} and found.label_ids

    @pytest.mark.parametrize("label", [0, 7])
    def test_one_label_is_everywhere(self, label: int) -> None:
        scores = Scores(torch.zeros(1, 5, 6), (label,), (20, 23))
        for unary in UNARIES:
            found = decode_image(scores, blank(20, 23), DecodeConfig(unary=unary))  # type: ignore[arg-type]
            assert (found.labels == label).all()

    @pytest.mark.parametrize("unary", UNARIES)
    def test_without_crf_the_best_score_wins(self, unary: str) -> None:
        values = probabilities(3, 20, 24)
        config = DecodeConfig(NO_CRF, unary)  # type: ignore[arg-type]
        found = decode_image(Scores(values, (0, 1, 5), (20, 24)), half_red(20, 24), config)
        np.testing.assert_array_equal(found.labels, np.array([0, 1, 5])[values.argmax(0).numpy()])

    def test_equal_scores_are_background(self) -> None:
        scores = Scores(torch.full((3, 4, 4), 0.3), (0, 1, 2), (16, 16))
        assert not decode_image(scores, blank(16, 16), DecodeConfig(NO_CRF)).labels.any()

    @pytest.mark.parametrize("unary", UNARIES)
    def test_a_crf_moves_labels_to_the_edge_of_the_object(self, unary: str) -> None:
        # The class has a cell too much on each row; the photograph is red up to its middle.
        scores = Scores(halves(wrong=1), (0, 3), (32, 64))
        expected = np.where(np.arange(64) < 32, 3, 0)
        plain = decode_image(scores, half_red(32, 64), DecodeConfig(NO_CRF)).labels
        tight = decode_image(scores, half_red(32, 64), DecodeConfig(CrfParams(), unary)).labels  # type: ignore[arg-type]
        assert (plain != expected).sum() > 32 and (tight != expected).sum() == 0

    @pytest.mark.parametrize("size", [(80, 160), (33, 200), (200, 7)])
    def test_large_images_are_worked_on_reduced(self, size: tuple[int, int]) -> None:
        config = DecodeConfig(CrfParams(iterations=1), max_side=32)
        found = decode_image(Scores(halves(), (0, 3), size), half_red(*size), config).labels
        middle, margin = size[1] // 2, -(-2 * max(size) // 32)
        assert found.shape == size
        assert (found[:, : middle - margin] == 3).all() and (found[:, middle + margin :] == 0).all()

    def test_scores_know_their_stride(self) -> None:
        values = probabilities(3, 2, 3)
        scores, config = Scores(values, (0, 2, 3), (13, 18), 8), DecodeConfig(NO_CRF, enlarged="logits")
        expected = enlarge_scores(values, (13, 18), "logits", cells=(8, (13, 18))).argmax(0)
        found = decode_image(scores, blank(13, 18), config).labels
        np.testing.assert_array_equal(found, np.array([0, 2, 3])[expected.numpy()])

    @pytest.mark.parametrize("enlarged", ["scores", "logits"])
    def test_a_reduced_photograph_has_the_mask_of_the_reduction(self, enlarged: Enlarged) -> None:
        """Every pixel is the middle of 3 x 3 of the photograph, which see what it sees."""
        scores, config = Scores(probabilities(3, 2, 3), (0, 2, 3), (13, 18), 8), DecodeConfig(NO_CRF, enlarged=enlarged)
        found = decode_image(scores.of_photograph((39, 54)), blank(39, 54), config).labels
        np.testing.assert_array_equal(found[1::3, 1::3], decode_image(scores, blank(13, 18), config).labels)
        borders = np.mean(found != np.repeat(np.repeat(found[1::3, 1::3], 3, 0), 3, 1))
        assert 0 < borders < 0.1

    def test_sizes_must_agree(self) -> None:
        scores = Scores(halves(), (0, 3), (32, 64))
        with pytest.raises(ShapeError, match=r"scores is \(32, 64\) but image is \(64, 32\)"):
            decode_image(scores, blank(64, 32), DecodeConfig())


@pytest.mark.parametrize(
    "settings",
    [{"unary": "logits"}, {"enlarged": "twice"}, {"label_confidence": 1.0}, {"label_confidence": 0}, {"max_side": 31}],
)
def test_settings_that_do_not_exist_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"masks\.\w+: "):
        DecodeConfig(**settings)  # type: ignore[arg-type]


class TestFusion:
    NET = torch.rand(3, 3, 4, generator=torch.Generator().manual_seed(0)).softmax(0)
    WALK = torch.rand(3, 3, 4, generator=torch.Generator().manual_seed(1))

    def scores(self, size: tuple[int, int] = (20, 27)) -> tuple[Scores, Scores]:
        """Return those of a network that knows labels 0, 2 and 5, and of a walk that knows 0, 5 and 7."""
        return Scores(self.NET, (0, 2, 5), size, 8), Scores(self.WALK, (0, 5, 7), size, 8)

    def test_on_pixels_as_published(self) -> None:
        # a2gnn.md, 2.9: logits enlarged to the padded size, cropped, softmax; the walk enlarged; (P + 3 R) / sum.
        def large(maps: Tensor) -> Tensor:
            return F.interpolate(maps[None].double(), scale_factor=8, mode="bilinear")[0, :, :20, :27]

        found = fuse_walked(*self.scores(), DecodeConfig(enlarged="logits"), Fusion(3.0, "pixels"))
        walked = large(self.WALK)
        known = torch.stack([walked[0], 0 * walked[0], walked[1]])
        expected = large(self.NET.double().log()).softmax(0) + 3 * known
        torch.testing.assert_close(found.values.double(), expected / expected.sum(0), rtol=1e-5, atol=1e-6)
        assert (found.label_ids, found.stride) == ((0, 2, 5), None)
        config = DecodeConfig(CrfParams(iterations=0), enlarged="logits")
        mask = decode_image(found, np.zeros((20, 27, 3), np.uint8), config).labels
        np.testing.assert_array_equal(mask, np.array([0, 2, 5])[expected.argmax(0).numpy()])

    def test_on_cells(self) -> None:
        found = fuse_walked(*self.scores(), DecodeConfig(enlarged="logits"), Fusion(3.0, "cells"))
        known = torch.stack([self.WALK[0], 0 * self.WALK[0], self.WALK[1]])
        torch.testing.assert_close(found.values, fuse_scores(self.NET, known, weight=3.0))
        assert found.stride == 8 and found.label_ids == (0, 2, 5)

    def test_what_is_background_stays_so_and_sizes_agree(self) -> None:
        alone = Scores(torch.ones(1, 1, 1), (0,), (20, 27))
        assert fuse_walked(alone, self.scores()[1], DecodeConfig(), Fusion(3.0, "cells")) is alone
        with pytest.raises(ShapeError, match=r"walked scores is \(21, 27\) but scores is \(20, 27\)"):
            fuse_walked(self.scores()[0], self.scores((21, 27))[1], DecodeConfig(), Fusion(3.0, "cells"))

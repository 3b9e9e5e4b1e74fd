"""What may be done with the mask of a photograph."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.errors import OutputError
from weakseg.ops.runs import decode_runs
from weakseg.photograph.overlay import draw_labels
from weakseg.photograph.segmentation import Segmentation
from weakseg.stages.reliability import Reliability

MASK = np.zeros((6, 8), np.uint8)
MASK[1:4, 2:7], MASK[4:, :2] = 1, 2


@pytest.fixture
def result() -> Segmentation:
    image = np.random.default_rng(0).integers(0, 256, (6, 8, 3), np.uint8)
    nothing = Activations(torch.zeros(0, 1, 1), (), (6, 8), 8)
    decided = Scores(torch.rand(2, 3, 4, generator=torch.Generator().manual_seed(0)), (0, 2), (6, 8))
    labels = LabelMap(MASK)
    trusted = {"cat": Reliability(0.834), "<b>dog": Reliability(0.31, ("it is in pieces",))}
    return Segmentation(
        image, ("cat", "<b>dog"), nothing, labels, labels, decided, ("a doubt & more",), "in/i.jpg", trusted
    )


def test_a_short_text_says_what_it_covers(result: Segmentation) -> None:
    told = "cat: 31.2% (reliability 0.83), <b>dog: 8.3% (reliability 0.31)"  # 15 and 4 of 48
    assert repr(result) == f"Segmentation('in/i.jpg', 8 x 6, {told}, 1 warnings)" and result.reliability == 0.31
    assert result.shares == {"cat": 15 / 48, "<b>dog": 4 / 48}


def test_scores_are_of_the_background_and_of_each_tag(result: Segmentation) -> None:
    assert result.scores.shape == (3, 6, 8) and result.scores.dtype == np.float32
    assert (result.scores[1] == 0).all() and result.decided is not None  # no score was computed of the first tag
    np.testing.assert_allclose(result.scores[2].mean(), result.decided.values[1].mean(), atol=0.05)
    bare = Segmentation(result.image, result.tags, result.activations, result.seeds, result.labels)
    assert (bare.scores.argmax(0) == MASK).all() and (bare.scores.sum(0) == 1).all()


def test_a_notebook_shows_overlay_names_and_warnings(result: Segmentation) -> None:
    page = result._repr_html_()
    assert (
        'src="data:image/png;base64,' in page
        and "&lt;b&gt;dog: 8.3% (reliability 0.31)" in page
        and "a doubt &amp; more" in page
    )
    assert "<b>" not in page and (result.overlay() == draw_labels(result.image, MASK)).all()


class TestSave:
    def test_the_mask(self, result: Segmentation, tmp_path: Path) -> None:
        result.save(tmp_path / "m.png")
        result.save(str(tmp_path / "m.npy"))
        assert (LabelMap.load(tmp_path / "m.png").labels == MASK).all() and (np.load(tmp_path / "m.npy") == MASK).all()

    @pytest.mark.parametrize("suffix", [".jpg", ".JPEG", ".webp"])
    def test_the_overlay(self, result: Segmentation, tmp_path: Path, suffix: str) -> None:
        result.save(tmp_path / f"o{suffix}")
        with Image.open(tmp_path / f"o{suffix}") as image:
            assert image.size == (8, 6) and image.format == ("WEBP" if suffix == ".webp" else "JPEG")

    def test_a_coco_data_set(self, result: Segmentation, tmp_path: Path) -> None:
        result.save(tmp_path / "c.json")
        found = json.loads((tmp_path / "c.json").read_text())
        assert found == json.loads(json.dumps(result.to_coco()))
        assert found["images"] == [{"id": 1, "file_name": "i.jpg", "height": 6, "width": 8}]
        assert [each["name"] for each in found["categories"]] == ["cat", "<b>dog"]
        for annotation in found["annotations"]:
            pixels = decode_runs([annotation["segmentation"]["counts"].encode()], (6, 8))[0]
            assert (pixels == (annotation["category_id"] == MASK)).all()

    def test_another_suffix_is_refused(self, result: Segmentation, tmp_path: Path) -> None:
        with pytest.raises(
            OutputError, match=r"o\.gif: give \.png or \.npy for the mask, \.jpg, .* or \.json for COCO"
        ):
            result.save(tmp_path / "o.gif")
        assert not list(tmp_path.iterdir())

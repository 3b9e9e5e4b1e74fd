import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from weakseg.artifacts import Activations, LabelMap
from weakseg.data.classes import Classes
from weakseg.data.sample import Tags, WeakSample
from weakseg.data.truth import EvalSample
from weakseg.errors import DataError, EvaluationError, StoreError
from weakseg.evaluation.protocol import export_truth, score_activations, score_maps

CLASSES = Classes(("cat", "dog"))
TRUTHS = {
    "a": [[0, 0, 1, 1], [0, 2, 2, 255]],  # cam.md, oracle 8
    "b/c": [[0, 0, 0, 0], [1, 1, 1, 1]],
}
PREDICTIONS = {"a": [[0, 1, 1, 1], [0, 2, 0, 2]], "b/c": [[0, 0, 255, 255], [1, 1, 0, 255]]}
MakeTruth = Callable[..., tuple[EvalSample, ...]]


def array(rows: list[list[int]]) -> NDArray[np.uint8]:
    return np.array(rows, np.uint8)


def read_png(path: Path) -> NDArray[np.uint8]:
    return LabelMap.load(path).labels


@pytest.fixture
def make_truth(tmp_path: Path) -> MakeTruth:
    """Return a function that writes photographs and true masks and returns them as samples."""

    def make(masks: dict[str, list[list[int]]] = TRUTHS, num_classes: int = 2) -> tuple[EvalSample, ...]:
        samples = []
        for image_id, rows in masks.items():
            photo, mask = tmp_path / f"photos/{image_id}.png", tmp_path / f"truth/{image_id}.png"
            for path in (photo, mask):
                path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.zeros((*array(rows).shape, 3), np.uint8)).save(photo)
            LabelMap(array(rows)).save(mask)
            sample = WeakSample(image_id, photo, Tags(frozenset()))
            samples.append(EvalSample(sample, partial(read_png, mask), num_classes, str(mask)))
        return tuple(samples)

    return make


@pytest.fixture
def maps(tmp_path: Path) -> Path:
    for image_id, rows in PREDICTIONS.items():
        LabelMap(array(rows)).save(tmp_path / f"maps/{image_id}.png")
    return tmp_path / "maps"


def write_activations(folder: Path, image_id: str, maps: list[list[list[float]]], class_ids: tuple[int, ...]) -> None:
    Activations(torch.tensor(maps), class_ids, (2, 4)).save(folder / f"{image_id}.safetensors")


class TestScoreMaps:
    def test_one_image(self, make_truth: MakeTruth, maps: Path) -> None:
        score = score_maps("masks", make_truth({"a": TRUTHS["a"]}), maps)
        assert score.confusion.mean_iou() == pytest.approx(0.555556, abs=1e-6)  # cam.md, oracle 8
        assert (score.images, score.missing) == (1, 0)

    def test_images_share_one_matrix(self, make_truth: MakeTruth, maps: Path) -> None:
        score = score_maps("masks", make_truth(), maps)
        # Rows: truth 0, 1, 2; b/c adds (0,0) x 2, (0,255) x 2, (1,1) x 2, (1,0) x 1, (1,255) x 1.
        np.testing.assert_array_equal(score.confusion.counts, [[4, 1, 0, 2], [1, 4, 0, 1], [1, 0, 1, 0]])
        assert score.per_image["a"] == pytest.approx(0.555556, abs=1e-6)
        assert score.per_image["b/c"] == pytest.approx((2 / 5 + 2 / 4) / 2)  # by hand, 255 as misses

    @pytest.mark.parametrize(("policy", "background"), [("error", 4 / 9), ("background", 6 / 10), ("drop", 4 / 7)])
    def test_policies(self, make_truth: MakeTruth, maps: Path, policy: str, background: float) -> None:
        score = score_maps("masks", make_truth(), maps, policy=policy)  # type: ignore[arg-type]
        values = score.as_json(CLASSES)
        assert values["iou"]["background"] == pytest.approx(100 * background)
        assert values["protocol"]["undecided"] == policy

    def test_missing_maps_count_as_undecided(self, make_truth: MakeTruth, maps: Path) -> None:
        (maps / "b/c.png").unlink()
        score = score_maps("masks", make_truth(), maps)
        assert (score.images, score.missing) == (2, 1)
        assert score.confusion.counts[:, -1].tolist() == [4, 4, 0]
        assert score.per_image["b/c"] == 0
        assert score.confusion.coverage == pytest.approx(7 / 15)

    def test_no_map_at_all_is_an_error(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match="masks: none of the 2 images with truth has a prediction"):
            score_maps("masks", make_truth(), tmp_path / "elsewhere")

    def test_no_truth_is_an_error(self, maps: Path) -> None:
        with pytest.raises(EvaluationError, match=r"masks: no image has ground truth; set data\.truth"):
            score_maps("masks", (), maps)

    def test_another_size_is_refused(self, make_truth: MakeTruth, maps: Path) -> None:
        LabelMap(np.zeros((4, 2), np.uint8)).save(maps / "a.png")
        with pytest.raises(EvaluationError, match=r"a\.png: \(4, 2\) but the truth of 'a' is \(2, 4\); same size"):
            score_maps("masks", make_truth(), maps)

    @pytest.mark.parametrize("value", [3, 200])
    def test_labels_that_are_no_classes_are_refused(self, make_truth: MakeTruth, maps: Path, value: int) -> None:
        LabelMap(np.full((2, 4), value, np.uint8)).save(maps / "b/c.png")
        with pytest.raises(EvaluationError, match=f"masks: image 'b/c': labels up to {value} but there are 2 classes"):
            score_maps("masks", make_truth(), maps)

    def test_colour_maps_are_refused(self, make_truth: MakeTruth, maps: Path) -> None:
        Image.fromarray(np.zeros((2, 4, 3), np.uint8)).save(maps / "a.png")
        with pytest.raises(DataError, match=r"a\.png: a label map must be an indexed or 8-bit grey PNG, got mode RGB"):
            score_maps("masks", make_truth(), maps)

    def test_a_broken_map_is_no_missing_map(self, make_truth: MakeTruth, maps: Path) -> None:
        (maps / "a.png").write_bytes((maps / "a.png").read_bytes()[:60])
        with pytest.raises(DataError, match=r"a\.png: cannot be read as a label map"):
            score_maps("masks", make_truth(), maps)

    def test_a_misspelt_policy_is_refused(self, make_truth: MakeTruth, maps: Path) -> None:
        with pytest.raises(EvaluationError, match="undecided policy 'miss'"):
            score_maps("masks", make_truth(), maps, policy="miss")  # type: ignore[arg-type]

    def test_order_of_the_images_does_not_matter(self, make_truth: MakeTruth, maps: Path) -> None:
        truth = make_truth()
        forth, back = (score_maps("masks", samples, maps) for samples in (truth, truth[::-1]))
        np.testing.assert_array_equal(forth.confusion.counts, back.confusion.counts)
        assert forth.per_image == back.per_image


class TestJson:
    def test_content(self, make_truth: MakeTruth, maps: Path) -> None:
        score = score_maps("masks", make_truth({"a": TRUTHS["a"]}), maps, protocol={"split": "val"})
        value = json.loads(json.dumps(score.as_json(CLASSES)))
        assert value["name"] == "masks"
        assert value["mean_iou"] == pytest.approx(55.5556, abs=1e-4)
        assert value["iou"] == pytest.approx({"background": 50, "cat": 66.6667, "dog": 50}, abs=1e-4)
        assert value["pixel_accuracy"] == pytest.approx(100 * 5 / 7)
        assert value["coverage"] == 100
        assert value["absent_classes"] == []
        assert value["per_image"] == pytest.approx({"a": 55.5556}, abs=1e-4)
        assert value["protocol"] == {
            "void": "pixels whose truth is 255 are left out",
            "undecided": "error",
            "split": "val",
        }

    def test_absent_classes_are_listed_and_have_no_number(self, make_truth: MakeTruth, maps: Path) -> None:
        value = score_maps("masks", make_truth({"b/c": TRUTHS["b/c"]}), maps).as_json(CLASSES)
        assert value["absent_classes"] == ["dog"]
        assert value["iou"]["dog"] is None

    def test_an_image_that_is_all_void_has_no_score_of_its_own(self, make_truth: MakeTruth, maps: Path) -> None:
        truth = make_truth({"a": [[255] * 4] * 2, "b/c": TRUTHS["b/c"]})
        assert set(score_maps("masks", truth, maps).per_image) == {"b/c"}


class TestScoreActivations:
    def test_the_best_threshold_is_found(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        # Foreground .5 and above, background at most .25: every threshold in [.25, .50) is right; the first is taken.
        cat = [[0.25, 0.2, 0.9, 0.6], [0.1, 0.0, 0.2, 0.0]]
        dog = [[0.1, 0.1, 0.2, 0.0], [0.25, 0.5, 0.8, 0.9]]
        write_activations(tmp_path, "a", [cat, dog], (1, 2))
        score, threshold = score_activations("activations", make_truth({"a": TRUTHS["a"]}), tmp_path)
        assert score.confusion.mean_iou() == 1
        assert threshold == 0.25
        protocol = score.as_json(CLASSES)["protocol"]["background"]
        assert protocol == f"threshold {threshold:.2f}, the best of 0.00..0.59 on these images"

    def test_maps_are_brought_to_the_size_of_the_truth(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        # 1 x 2 cells [0, 1] at 2 x 4 pixels: 0, .25, .75, 1 (cam.md, oracle 1); the right half is above .25.
        write_activations(tmp_path, "a", [[[0.0, 1.0]]], (1,))
        truth = make_truth({"a": [[0, 0, 1, 1]] * 2})
        score, threshold = score_activations("activations", truth, tmp_path)
        assert score.confusion.mean_iou() == 1
        assert threshold == pytest.approx(0.25)

    def test_missing_activations_count_as_undecided(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        write_activations(tmp_path, "a", [[[0.0, 0.0, 1.0, 1.0], [0.0] * 4]], (1,))
        score, _ = score_activations("activations", make_truth(), tmp_path)
        assert (score.images, score.missing) == (2, 1)
        assert score.confusion.counts[:, -1].tolist() == [4, 4, 0]

    def test_an_image_without_tags_is_background(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        Activations(torch.zeros(0, 1, 1), (), (2, 4)).save(tmp_path / "a.safetensors")
        score, _ = score_activations("activations", make_truth({"a": [[0] * 4] * 2}), tmp_path)
        assert score.confusion.mean_iou() == 1
        assert score.confusion.coverage == 1

    def test_no_activations_at_all_are_an_error(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match="activations: none of the 2 images with truth has a prediction"):
            score_activations("activations", make_truth(), tmp_path / "elsewhere")

    def test_no_truth_is_an_error(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match="activations: no image has ground truth"):
            score_activations("activations", (), tmp_path)

    def test_activations_of_another_image_are_refused(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        Activations(torch.zeros(1, 1, 1), (1,), (4, 2)).save(tmp_path / "a.safetensors")
        with pytest.raises(EvaluationError, match=r"a\.safetensors: of \(4, 2\) but the truth of 'a' is \(2, 4\)"):
            score_activations("activations", make_truth(), tmp_path)

    def test_classes_that_do_not_exist_are_refused(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        write_activations(tmp_path, "a", [[[0.5]]], (3,))
        with pytest.raises(EvaluationError, match="activations: image 'a': labels up to 3 but there are 2 classes"):
            score_activations("activations", make_truth(), tmp_path)

    def test_a_broken_file_is_no_missing_file(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        (tmp_path / "a.safetensors").write_bytes(b"\x00" * 20)
        with pytest.raises(StoreError, match=r"a\.safetensors: not a file of activations"):
            score_activations("activations", make_truth(), tmp_path)


class TestExportTruth:
    def test_masks_equal_the_truth(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        export_truth(make_truth(), tmp_path / "out")
        for image_id, rows in TRUTHS.items():
            np.testing.assert_array_equal(read_png(tmp_path / f"out/{image_id}.png"), array(rows))

    def test_void_can_become_background(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        export_truth(make_truth(), tmp_path / "out", void=0)
        assert any(255 in array(rows) for rows in TRUTHS.values())
        for image_id, rows in TRUTHS.items():
            expected = np.where(array(rows) == 255, 0, array(rows))
            np.testing.assert_array_equal(read_png(tmp_path / f"out/{image_id}.png"), expected)

    def test_truth_against_itself_is_perfect(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        export_truth(make_truth(), tmp_path / "out")
        assert score_maps("masks", make_truth(), tmp_path / "out").confusion.mean_iou() == 1

    def test_files_that_exist_are_made_anew(self, make_truth: MakeTruth, tmp_path: Path) -> None:
        LabelMap(np.ones((2, 4), np.uint8)).save(tmp_path / "out/a.png")
        export_truth(make_truth(), tmp_path / "out")
        assert read_png(tmp_path / "out/a.png").min() == 0
        assert (tmp_path / "out/b/c.png").exists()


def test_truth_with_values_that_are_no_classes_is_refused(make_truth: MakeTruth, maps: Path) -> None:
    with pytest.raises(DataError, match=r"a\.png: truth of image 'a' holds values \[2\] that are no class ids"):
        score_maps("masks", make_truth(num_classes=1), maps)


def test_truth_of_another_size_than_the_photograph_is_refused(make_truth: MakeTruth, maps: Path) -> None:
    truth = make_truth()
    Image.new("RGB", (5, 5)).save(truth[0].sample.image_path)
    with pytest.raises(DataError, match="truth of image 'a' is 2 x 4, but the photograph"):
        score_maps("masks", truth, maps)

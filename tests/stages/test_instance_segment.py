from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from generated import CLASSES, draw
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_plain_folder
from weakseg.errors import CheckpointError, ConfigError, DataError
from weakseg.instances import SUFFIX, Instances
from weakseg.nn.segmenters.instance import Detected, build_instance_segmenter
from weakseg.nn.weights import MODEL_FILE, save_model
from weakseg.ops.crf import build_crf
from weakseg.settings.augment import AugmentConfig
from weakseg.settings.crf import CrfParams
from weakseg.settings.fit import FitConfig
from weakseg.settings.instance_segment import InstanceModelConfig, InstancePredictConfig, InstanceSegmentConfig
from weakseg.stages.instance_segment import (
    KIND,
    InstanceData,
    join_examples,
    load_instance_segmenter,
    load_instances,
    predict_instances,
    refine_mask,
    train_instance_segmenter,
)
from weakseg.training.loop import FitPlace

SMALL = InstanceModelConfig(width=16, hidden=64, mask_layers=1, proposals=48)
WHOLE = AugmentConfig(long_side=(80, 80), crop=80, flip=False)
SIZE = (64, 80)


def objects_of(mask: NDArray[np.uint8]) -> Instances:
    ids = [class_id for class_id in (1, 2) if (mask == class_id).any()]
    return Instances.of(mask == np.reshape(ids, (-1, 1, 1)), ids)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("instances")
    (root / "images").mkdir()
    for index in range(8):
        image, mask = draw(index, SIZE)
        Image.fromarray(image).save(root / f"images/i{index}.png")
        objects_of(mask).save(root / f"objects/i{index}{SUFFIX}")
    return root


def instance_data(data: Path, config: AugmentConfig = WHOLE, seed: int = 0) -> InstanceData:
    return InstanceData(open_plain_folder(data / "images"), data / "objects", 2, config, seed)


class Finds(nn.Module):
    """Finds what it is told to, in place of a network."""

    def __init__(self, *boxes: tuple[float, float, float, float], inside: float = 0.9) -> None:
        super().__init__()
        self.scale, self.boxes, self.inside = nn.Parameter(torch.tensor(1.0)), boxes, inside
        self.seen: tuple[int, ...] = ()

    def find(self, image: torch.Tensor, *, score: float, nms: float, most: int) -> Detected:
        self.seen = tuple(image.shape)
        count = len(self.boxes)
        masks = torch.full((count, 1, 28, 28), self.inside)
        scores = torch.linspace(0.9, 0.5, count)
        return Detected(torch.tensor(self.boxes).reshape(-1, 4), torch.ones(count, dtype=torch.long), scores, masks)


class TestData:
    def test_without_variation_objects_stay_what_they_are(self, data: Path) -> None:
        image, boxes, class_ids, masks = instance_data(data).load(3, 0)
        source, mask = draw(3, SIZE)
        found = objects_of(mask)
        assert image.shape == (3, 80, 80) and class_ids.tolist() == [1, 2] and masks.shape == (2, 80, 80)
        rows = int(np.flatnonzero(masks[0].any(1))[0] - np.flatnonzero((mask == 1).any(1))[0])  # padded above
        np.testing.assert_array_equal(masks[:, rows : rows + 64], found.masks)
        np.testing.assert_array_equal(image[:, rows : rows + 64].permute(1, 2, 0), source)
        expected = [(left, top + rows, right, bottom + rows) for top, left, bottom, right in found.boxes]
        np.testing.assert_allclose(boxes, expected, atol=1e-4)

    @pytest.mark.parametrize("epoch", range(6))
    def test_boxes_follow_the_masks(self, data: Path, epoch: int) -> None:
        config = AugmentConfig(long_side=(60, 140), crop=64)
        for index in range(1, 8):
            _, boxes, _, masks = instance_data(data, config).load(index, epoch)
            for box, mask in zip(boxes, masks, strict=True):
                rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
                tight = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]
                uncut = float(box.min()) > 0 and float(box.max()) < 64
                inner = np.array(tight) * [1, 1, -1, -1]  # of a disc that is cut less is left than of its box
                assert (inner >= box.numpy() * [1, 1, -1, -1] - 1.5).all()
                np.testing.assert_allclose(box, tight, atol=1.5 if uncut else 64)

    def test_an_image_without_objects(self, data: Path) -> None:
        _, boxes, class_ids, masks = instance_data(data).load(0, 0)
        assert boxes.shape == (0, 4) and class_ids.shape == (0,) and masks.shape == (0, 80, 80)

    def test_what_lies_outside_of_the_crop_is_left_out(self, data: Path) -> None:
        config = AugmentConfig(long_side=(640, 640), crop=16, flip=False)
        counts = [len(instance_data(data, config).load(3, epoch)[1]) for epoch in range(12)]
        assert 0 in counts and max(counts) <= 2

    def test_examples_are_joined(self, data: Path) -> None:
        examples = [instance_data(data).load(index, 0) for index in (0, 3, 1)]
        images, counts, boxes, class_ids, masks = join_examples(examples)
        assert images.shape == (3, 3, 80, 80) and counts.tolist() == [0, 2, 1]
        assert boxes.shape == (3, 4) and class_ids.tolist() == [1, 2, 1] and masks.shape == (3, 80, 80)
        assert masks[2].equal(examples[2][3][0])

    def test_instances_of_another_image_or_data_set_are_refused(self, data: Path, tmp_path: Path) -> None:
        Instances.of(np.ones((1, 5, 5), np.bool_), [2]).save(tmp_path / f"i0{SUFFIX}")
        other = InstanceData(open_plain_folder(data / "images"), tmp_path, 2, WHOLE, 0)
        with pytest.raises(DataError, match=r"instances of image 'i0' are of \(5, 5\), the image \(64, 80\)"):
            other.load(0, 0)
        with pytest.raises(DataError, match="class 2 but there are 1 classes"):
            load_instances(tmp_path, "i0", 1)


def train(data: Path, folder: Path, epochs: int = 6) -> list[float]:
    fit = FitConfig(epochs=epochs, batch_size=4, optimizer="adamw", lr=2e-4)
    config = InstanceSegmentConfig(SMALL, AugmentConfig(long_side=(72, 88), crop=72), fit)
    samples = open_plain_folder(data / "images")
    records = train_instance_segmenter(
        samples, data / "objects", Classes(CLASSES), config=config, place=FitPlace(folder)
    )
    return [record["loss"] for record in records]


def test_the_loss_falls_and_the_model_is_kept(data: Path, tmp_path: Path) -> None:
    losses = train(data, tmp_path)
    assert len(losses) == 6 and losses[-1] < 0.7 * losses[0] and max(losses[4:]) < min(losses[:2])
    model, classes = load_instance_segmenter(tmp_path / MODEL_FILE)
    assert classes == Classes(CLASSES) and not model.training
    found = predict_instances(model, draw(3, SIZE)[0], InstancePredictConfig(score=0.01, most=5))
    assert found.image_size == SIZE and 0 < len(found) <= 5 and set(found.class_ids) <= {1, 2}
    assert list(found.scores) == sorted(found.scores, reverse=True)


def test_an_interrupted_training_goes_on(data: Path, tmp_path: Path) -> None:
    whole = train(data, tmp_path / "whole", 2)
    assert train(data, tmp_path / "again", 2) == whole
    assert train(data, tmp_path / "again", 2) == whole  # from its records


class TestPrediction:
    def test_masks_lie_in_their_boxes_at_the_size_of_the_image(self) -> None:
        model = Finds((20.0, 8.0, 40.0, 32.0))
        found = predict_instances(model, np.zeros((200, 400, 3), np.uint8), InstancePredictConfig(max_side=100))  # type: ignore[arg-type]
        assert model.seen == (3, 50, 100) and found.image_size == (200, 400)
        assert found.boxes == ((32, 80, 128, 160),) and found.scores == (pytest.approx(0.9),)
        rows, columns = (np.flatnonzero(found.masks[0].any(axis)) for axis in (1, 0))
        assert [rows[0], rows[-1], columns[0], columns[-1]] == pytest.approx([32, 128, 80, 160], abs=4)

    def test_small_images_are_not_enlarged(self) -> None:
        model = Finds()
        found = predict_instances(model, np.zeros((40, 60, 3), np.uint8), InstancePredictConfig())  # type: ignore[arg-type]
        assert model.seen == (3, 40, 60) and len(found) == 0

    def test_a_short_side_is_reached_as_far_as_the_long_one_allows(self) -> None:
        # Mask R-CNN's test sizes are 800 and at most 1,333; here a tenth
        for size, seen in (
            ((38, 50), (80, 105)),
            ((20, 50), (53, 133)),
            ((200, 300), (80, 120)),
            ((80, 400), (27, 133)),
        ):
            model = Finds((2.0, 2.0, 20.0, 20.0))
            image, config = np.zeros((*size, 3), np.uint8), InstancePredictConfig(short_side=80, max_side=133)
            found = predict_instances(model, image, config)  # type: ignore[arg-type]
            assert model.seen == (3, *seen) and found.image_size == size
            assert found.boxes[0] == pytest.approx(
                [2 * size[0] / seen[0], 2 * size[1] / seen[1], *np.divide((20 * size[0], 20 * size[1]), seen)]
            )

    def test_empty_masks_and_boxes_are_left_out(self) -> None:
        image, config = np.zeros((40, 60, 3), np.uint8), InstancePredictConfig()
        assert len(predict_instances(Finds((5.0, 5.0, 30.0, 30.0), inside=0.4), image, config)) == 0  # type: ignore[arg-type]
        flat = Finds((5.0, 5.0, 5.0, 30.0), (5.0, 5.0, 30.0, 30.0))
        assert predict_instances(flat, image, config).boxes == ((5, 5, 30, 30),)  # type: ignore[arg-type]

    def test_the_crf_follows_the_colours(self) -> None:
        image = np.zeros((48, 64, 3), np.uint8)
        image[12:36, 16:44] = 230
        model, config = Finds((12.0, 14.0, 40.0, 34.0), inside=0.7), InstancePredictConfig(crf=True)
        plain, refined = (
            predict_instances(model, image, c).masks[0]  # type: ignore[arg-type]
            for c in (InstancePredictConfig(), config)
        )
        bright = image[..., 0] > 0
        assert (plain & ~bright).sum() > 40 and (refined & ~bright).sum() < 10
        assert (refined & bright).sum() >= 0.95 * (plain & bright).sum()


def test_a_crf_without_iterations_changes_nothing() -> None:
    probs = torch.rand(6, 7, generator=torch.Generator().manual_seed(0))
    crf = build_crf(torch.zeros(6, 7, 3, dtype=torch.uint8), CrfParams(iterations=0))
    torch.testing.assert_close(refine_mask(probs, crf), probs, rtol=1e-4, atol=2e-5)


def test_certain_masks_stay_finite() -> None:
    crf = build_crf(torch.zeros(4, 4, 3, dtype=torch.uint8), CrfParams())
    found = refine_mask(torch.tensor([[0.0, 1.0]]).repeat(4, 2), crf)
    assert bool(torch.isfinite(found).all())


@pytest.mark.parametrize(
    "settings", [{"max_side": 8}, {"score": 0.0}, {"nms": 1.0}, {"mask": 2.0}, {"most": 0}, {"short_side": -1}]
)
def test_settings_without_meaning_are_refused(settings: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=r"(max_side|short_side|most|score|nms|mask): need"):
        InstancePredictConfig(**settings)  # type: ignore[arg-type]


def test_other_models_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.safetensors"
    save_model(path, nn.Linear(2, 2), {"kind": "segmenter", "classes": ["a"], "model": {}})
    with pytest.raises(CheckpointError, match="is no instance segmenter but a segmenter"):
        load_instance_segmenter(path)
    save_model(path, nn.Linear(2, 2), {"kind": KIND, "classes": ["a"], "model": {"width": 16}})
    with pytest.raises(CheckpointError, match="describes no network of kind 'instance segmenter'"):
        load_instance_segmenter(path)
    save_model(path, nn.Linear(2, 2), {"kind": KIND, "classes": ["a"], "model": asdict(SMALL)})
    with pytest.raises(CheckpointError, match="belongs to another model"):
        load_instance_segmenter(path)
    huge = {**asdict(SMALL), "hidden": 10**8}  # 314 GB for one layer
    save_model(path, nn.Linear(2, 2), {"kind": KIND, "classes": ["a"], "model": huge})
    with pytest.raises(CheckpointError, match="head: belongs to another model"):
        load_instance_segmenter(path)


def test_save_load_find_are_the_same(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model = build_instance_segmenter(SMALL, 2).eval()
    save_model(tmp_path / "m.safetensors", model, {"kind": KIND, "classes": CLASSES, "model": asdict(SMALL)})
    loaded, _ = load_instance_segmenter(tmp_path / "m.safetensors")
    image, config = draw(3, SIZE)[0], InstancePredictConfig(score=0.01, most=4, mask=0.3)
    assert predict_instances(model, image, config) == predict_instances(loaded, image, config)

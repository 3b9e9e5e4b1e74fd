import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from weakseg.data.classes import Classes
from weakseg.data.formats.instances_out import write_coco_annotations, write_coco_results
from weakseg.data.truth import TrueInstances
from weakseg.errors import EvaluationError
from weakseg.evaluation.coco_ap import coco_ap
from weakseg.instances import Instances

SIZE = (120, 150)


def rectangle(top: int, left: int, bottom: int, right: int) -> NDArray[np.bool_]:
    mask = np.zeros(SIZE, np.bool_)
    mask[top:bottom, left:right] = True
    return mask


def truth(masks: list[NDArray[np.bool_]], ids: list[int], crowd: tuple[bool, ...] = ()) -> TrueInstances:
    stacked = np.stack(masks) if masks else np.zeros((0, *SIZE), np.bool_)
    return TrueInstances(Instances.of(stacked, ids), crowd or (False,) * len(masks))


def random_pairs(seed: int, count: int = 10) -> dict[str, tuple[Instances | None, TrueInstances]]:
    """Return a fixture of images in which objects of all sizes are found more or less well."""
    rng = np.random.default_rng(seed)
    pairs: dict[str, tuple[Instances | None, TrueInstances]] = {}
    for number in range(count):
        real, seen = [], []
        for _ in range(int(rng.integers(1, 5))):
            top, left = int(rng.integers(0, 80)), int(rng.integers(0, 100))
            rows, columns = (int(v) for v in rng.integers(6, 110, 2))
            real.append(rectangle(top, left, top + rows, left + columns))
            seen.append(
                rectangle(top + int(rng.integers(0, 5)), left + int(rng.integers(0, 5)), top + rows, left + columns)
            )
        ids = [int(i) for i in rng.integers(1, 4, len(real))]
        guesses = [i if rng.random() < 0.8 else 1 for i in ids]
        scores = [float(s) for s in rng.random(len(seen))]
        pairs[f"i{number}"] = (Instances.of(np.stack(seen), guesses, scores=scores), truth(real, ids))
    return pairs


def test_three_detections_of_three_objects() -> None:
    """By hand: precision 1 at the 34 recall points up to 1/3, 2/3 at the 33 up to 2/3, then 0; all are small."""
    squares = [rectangle(0, left, 20, left + 20) for left in (0, 30, 60, 90)]
    found = Instances.of(np.stack([squares[0], squares[3], squares[1]]), [1, 1, 1], scores=[0.9, 0.8, 0.7])
    figures = coco_ap({"a": (found, truth(squares[:3], [1, 1, 1]))}, 2)
    expected = (34 + 33 * 2 / 3) / 101
    assert [figures.ap, figures.ap50, figures.ap75, figures.by_size["small"]] == pytest.approx([expected] * 4)
    assert np.isnan(figures.by_size["medium"]) and np.isnan(figures.by_size["large"])
    assert figures.per_class[0] == pytest.approx(expected) and np.isnan(figures.per_class[1])


def test_half_of_the_thresholds() -> None:
    """The IoU is 0.7: right at 0.50 to 0.70, five of ten thresholds."""
    found = Instances.of(rectangle(0, 0, 20, 14)[None], [1])
    figures = coco_ap({"a": (found, truth([rectangle(0, 0, 20, 20)], [1]))}, 1)
    assert (figures.ap, figures.ap50, figures.ap75) == pytest.approx((0.5, 1, 0))


def test_sizes() -> None:
    """Areas are 31^2, 32 * 33 and 97^2 pixels."""
    masks = [rectangle(0, 0, 31, 31), rectangle(0, 40, 32, 73), rectangle(20, 50, 117, 147)]
    found = Instances.of(np.stack(masks[1:]), [1, 1])
    figures = coco_ap({"a": (found, truth(masks, [1, 1, 1]))}, 1)
    assert figures.by_size == pytest.approx({"small": 0, "medium": 1, "large": 1})


@pytest.mark.parametrize(("crowd", "expected"), [(True, 1.0), (False, 1 / 2)])
def test_what_lies_in_a_crowd_is_neither_right_nor_wrong(crowd: bool, expected: float) -> None:
    """As an object the region is missed, and the sure detections inside of it are wrong: 1 of 2 at precision 1/3."""
    real = truth([rectangle(0, 0, 40, 40), rectangle(60, 0, 120, 150)], [1, 1], (False, crowd))
    inside = [rectangle(70, left, 80, left + 10) for left in (0, 50)]
    found = Instances.of(np.stack([rectangle(0, 0, 40, 40), *inside]), [1] * 3, scores=[0.9, 0.8, 0.7])
    figures = coco_ap({"a": (found, real)}, 1)
    assert figures.ap == pytest.approx(1.0 if crowd else 51 / 101)
    assert figures.ap == pytest.approx(expected, abs=0.01)


def test_nothing_found_and_nothing_there() -> None:
    square = rectangle(0, 0, 20, 20)
    assert coco_ap({"a": (None, truth([square], [1]))}, 1).ap == 0
    assert np.isnan(coco_ap({"a": (Instances.of(square[None], [1]), truth([], []))}, 1).ap)
    assert np.isnan(coco_ap({"a": (None, truth([], []))}, 1).ap)


@pytest.mark.parametrize("seed", range(3))
def test_equal_to_the_reference_on_files(seed: int, tmp_path: Path) -> None:
    """weak-labels.md, oracle 14: ten images, read and summed up by pycocotools itself."""
    pairs, classes = random_pairs(seed), Classes(("a", "b", "c"))
    names = {image_id: f"{image_id}.png" for image_id in pairs}
    write_coco_annotations(tmp_path / "t.json", {i: t.objects for i, (_, t) in pairs.items()}, names, classes)
    numbers = {image_id: number for number, image_id in enumerate(pairs, start=1)}
    found = {image_id: ours for image_id, (ours, _) in pairs.items() if ours}
    write_coco_results(tmp_path / "r.json", found, numbers, {1: 1, 2: 2, 3: 3})
    with redirect_stdout(StringIO()):
        reference = COCO(str(tmp_path / "t.json"))
        evaluation = COCOeval(reference, reference.loadRes(json.loads((tmp_path / "r.json").read_text())), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    ours = coco_ap(pairs, 3)
    figures = [ours.ap, ours.ap50, ours.ap75, *ours.by_size.values()]
    np.testing.assert_allclose(np.nan_to_num(figures, nan=-1), evaluation.stats[:6], rtol=1e-12)
    assert 0.2 < ours.ap < 0.99


def test_the_order_of_images_does_not_matter() -> None:
    pairs = random_pairs(0)
    equal = {
        i: (ours and Instances(ours.runs, ours.class_ids, (0.5,) * len(ours), ours.boxes, SIZE), t)
        for i, (ours, t) in pairs.items()
    }
    for images in (pairs, equal):
        turned = dict(reversed(images.items()))
        np.testing.assert_array_equal(coco_ap(images, 3).per_class, coco_ap(turned, 3).per_class)


def test_another_size_is_refused() -> None:
    found = Instances.of(np.ones((1, 3, 3), np.bool_), [1])
    with pytest.raises(EvaluationError, match=r"image 'a': instances are of \(3, 3\), the truth of \(120, 150\)"):
        coco_ap({"a": (found, truth([rectangle(0, 0, 3, 3)], [1]))}, 1)

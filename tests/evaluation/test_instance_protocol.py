import json
from pathlib import Path

import numpy as np
import pytest

from weakseg.data.classes import Classes
from weakseg.data.truth import InstanceSample, TrueInstances
from weakseg.errors import EvaluationError, StoreError
from weakseg.evaluation.instance_protocol import score_instances
from weakseg.instances import SUFFIX, Instances

CLASSES = Classes(("cat", "dog", "cow"))


def squares(*class_ids: int, size: tuple[int, int] = (10, 20)) -> Instances:
    masks = np.zeros((len(class_ids), *size), np.bool_)
    for number in range(len(class_ids)):
        masks[number, :4, 5 * number : 5 * number + 4] = True
    return Instances.of(masks, class_ids)


def sample(image_id: str, *class_ids: int) -> InstanceSample:
    real = squares(*class_ids)
    return InstanceSample(image_id, lambda: TrueInstances(real, (False,) * len(real)), 3)


def test_figures_of_a_small_set(tmp_path: Path) -> None:
    """Two cats, one in an image without prediction; a dog that is taken for a cow."""
    truth = [sample("x/a", 1, 2), sample("b", 1)]
    squares(1, 3).save(tmp_path / f"x/a{SUFFIX}")
    score = score_instances("found", truth, tmp_path, match="free", protocol={"list": "val"})
    assert score.mean_precision == (0.25,) * 4 and score.counts == {"images": 2, "missing": 1, "objects": 3}
    values = json.loads(json.dumps(score.as_json(CLASSES), allow_nan=False))
    assert values["mean_ap_region"] == {"0.25": 25.0, "0.5": 25.0, "0.7": 25.0, "0.75": 25.0}
    assert values["ap_region"]["cat"]["0.5"] == 50.0 and values["ap_region"]["dog"]["0.5"] == 0.0
    assert values["ap_region"]["cow"] == dict.fromkeys(["0.25", "0.5", "0.7", "0.75"])
    assert values["coco"]["ap"] == pytest.approx(100 * 51 / 101 / 2) and values["coco"]["ap_large"] is None
    assert values["coco_ap"] == {"cat": pytest.approx(100 * 51 / 101), "dog": 0.0, "cow": None}
    assert values["protocol"]["list"] == "val" and "IoU > threshold" in values["protocol"]["match"]


def test_a_set_without_objects_has_no_mean(tmp_path: Path) -> None:
    squares().save(tmp_path / f"a{SUFFIX}")
    score = score_instances("found", [sample("a")], tmp_path)
    assert np.isnan(score.mean_precision).all()
    assert score.as_json(CLASSES)["mean_ap_region"] == dict.fromkeys(["0.25", "0.5", "0.7", "0.75"])


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="found: no image has true objects"):
        score_instances("found", [], tmp_path)
    with pytest.raises(EvaluationError, match="none of the 1 images with truth has instances"):
        score_instances("found", [sample("a", 1)], tmp_path)
    squares(1, size=(5, 20)).save(tmp_path / f"a{SUFFIX}")
    with pytest.raises(EvaluationError, match=r"found: image 'a': instances are of an image of \(5, 20\)"):
        score_instances("found", [sample("a", 1)], tmp_path)
    squares(4).save(tmp_path / f"a{SUFFIX}")
    with pytest.raises(EvaluationError, match="image 'a': objects of class 4 but there are 3 classes"):
        score_instances("found", [sample("a", 1)], tmp_path)
    (tmp_path / f"a{SUFFIX}").write_text("{")
    with pytest.raises(StoreError, match=r"a\.instances\.json: not a file of instances"):
        score_instances("found", [sample("a", 1)], tmp_path)

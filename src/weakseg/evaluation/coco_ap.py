"""COCO's average precision of masks, by pycocotools."""

import io
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from weakseg.data.truth import TrueInstances
from weakseg.errors import EvaluationError
from weakseg.instances import Instances
from weakseg.ops.runs import as_coco

_AT_50, _AT_75 = 0, 5  # places among the IoU thresholds 0.50, 0.55, ..., 0.95
_ALL = 0  # place among the area ranges
_SIZES = {"small": 1, "medium": 2, "large": 3}


@dataclass(frozen=True)
class CocoAp:
    """COCO's figures, in [0, 1]; NaN where there is no true object.

    Attributes:
        ap: Mean over IoU 0.50:0.05:0.95 and classes, at most 100 detections an image.
        ap50: At IoU 0.5.
        ap75: At IoU 0.75.
        by_size: ``ap`` of ``small`` objects (below 32^2 pixels), ``medium`` and ``large`` ones (above 96^2).
        per_class: ``(K,)`` ``ap`` of each class.
    """

    ap: float
    ap50: float
    ap75: float
    by_size: dict[str, float]
    per_class: NDArray[np.float64]


def coco_ap(images: Mapping[str, tuple[Instances | None, TrueInstances]], num_classes: int) -> CocoAp:
    """Return COCO's AP of instances.

    A detection that lies in a crowd is neither right nor wrong. Images enter in order of their ids, so that equal
    scores are ranked alike for any order of ``images``.

    Args:
        images: Detections (``None``: none) and truth by image id.
        num_classes: K.

    Raises:
        EvaluationError: If sizes differ; pycocotools would compare such masks in silence.

    Reference:
        [lin2014coco]. Differs from its files: the area of a true object is that of its mask.
    """
    entries, truths, found = [], [], []
    for number, image_id in enumerate(sorted(images), start=1):
        ours, truth = images[image_id]
        rows, columns = truth.objects.image_size
        entries.append({"id": number, "height": rows, "width": columns})
        truths += _annotations(truth.objects, number, truth.crowd)
        if ours is not None:
            if ours.image_size != truth.objects.image_size:
                raise EvaluationError(
                    f"image {image_id!r}: instances are of {ours.image_size}, the truth of {rows, columns}"
                )
            found += _annotations(ours, number, (False,) * len(ours))
    categories = [{"id": class_id, "name": str(class_id)} for class_id in range(1, num_classes + 1)]
    with redirect_stdout(io.StringIO()):
        evaluation = COCOeval(_indexed(entries, truths, categories), _indexed(entries, found, categories), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
    return _figures(evaluation.eval["precision"][..., -1])


def _annotations(objects: Instances, image: int, crowd: Sequence[bool]) -> list[dict[str, Any]]:
    parts = zip(
        as_coco(objects.runs, objects.image_size), objects.areas, objects.class_ids, objects.scores, crowd, strict=True
    )
    return [
        {"image_id": image, "segmentation": s, "area": a, "category_id": c, "score": p, "iscrowd": int(many)}
        for s, a, c, p, many in parts
    ]


def _indexed(images: list[dict[str, Any]], annotations: list[dict[str, Any]], categories: list[dict[str, Any]]) -> COCO:
    index = COCO()
    numbered = [{**annotation, "id": number} for number, annotation in enumerate(annotations, start=1)]
    index.dataset = {"images": images, "annotations": numbered, "categories": categories}
    index.createIndex()
    return index


def _figures(precision: NDArray[np.float64]) -> CocoAp:
    """Return means of ``(T, R, K, A)`` precision, in which -1 stands for no true object."""
    seen = np.where(precision < 0, np.nan, precision)
    return CocoAp(
        ap=_mean(seen[..., _ALL]),
        ap50=_mean(seen[_AT_50, ..., _ALL]),
        ap75=_mean(seen[_AT_75, ..., _ALL]),
        by_size={name: _mean(seen[..., area]) for name, area in _SIZES.items()},
        per_class=np.array([_mean(seen[:, :, column, _ALL]) for column in range(seen.shape[2])]),
    )


def _mean(values: NDArray[np.float64]) -> float:
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")

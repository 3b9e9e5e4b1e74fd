"""The artefact of objects: pixels, class, score and box; frozen, validated at construction, with save and load."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import stored_size
from weakseg.errors import DataError, ShapeError, StoreError, cut
from weakseg.files import json_value, write_bytes
from weakseg.names import in_any_form
from weakseg.ops.runs import check_counts, counts_of_text, decode_runs, encode_masks, run_areas, run_boxes

KIND = "instances"
SUFFIX = ".instances.json"
Extent = tuple[float, float, float, float]


@dataclass(frozen=True)
class Instances:
    """Objects of one image; their masks may overlap, and none is empty.

    Attributes:
        runs: COCO's compressed runs of each object's pixels, column by column.
        class_ids: Class of each object, at least 1.
        scores: How sure each object is, in [0, 1].
        boxes: (top, left, bottom, right) of each object in pixels from the outer top left corner, half open; the box
            that it was drawn or found with, which need not be tight around its mask.
        image_size: (rows, columns) of the photograph.
    """

    runs: tuple[bytes, ...]
    class_ids: tuple[int, ...]
    scores: tuple[float, ...]
    boxes: tuple[Extent, ...]
    image_size: tuple[int, int]

    def __post_init__(self) -> None:
        """Check that there is one of each for every object, and their values."""
        lengths = [len(self.class_ids), len(self.scores), len(self.boxes)]
        if lengths != 3 * [len(self)]:
            raise ShapeError(
                f"instances: {len(self)} masks, but {lengths} class ids, scores and boxes; want one of each"
            )
        for number, counts in enumerate(self.runs):
            lengths = counts_of_text(counts.decode("latin-1"), f"instances: object {number}")
            check_counts(lengths, self.image_size, f"instances: object {number}")
            if not sum(lengths[1::2]):
                raise ShapeError(f"instances: object {number} has no pixel; leave it out")
        if not all(type(class_id) is int and class_id >= 1 for class_id in self.class_ids):
            raise ShapeError(f"instances: class ids are integers from 1 on, got {self.class_ids}")
        if not all(0 <= score <= 1 for score in self.scores):
            raise ShapeError(f"instances: scores must lie in [0, 1], got {self.scores}")
        if not all(_is_box(box) for box in self.boxes):
            raise ShapeError(f"instances: boxes need finite top < bottom and left < right, got {self.boxes}")

    @classmethod
    def of(
        cls,
        masks: NDArray[np.bool_],
        class_ids: Sequence[int],
        *,
        scores: Sequence[float] | None = None,
        boxes: Sequence[Extent] | None = None,
    ) -> "Instances":
        """Return the objects with these masks.

        Args:
            masks: ``(N, H, W)`` bool, none empty.
            class_ids: Class of each.
            scores: Score of each; 1 where not given.
            boxes: Box of each; tight around the masks where not given.
        """
        runs, size = encode_masks(masks), (int(masks.shape[1]), int(masks.shape[2]))
        given = tuple(scores) if scores is not None else (1.0,) * len(runs)
        return cls(runs, tuple(class_ids), given, tuple(boxes) if boxes is not None else run_boxes(runs, size), size)

    def __len__(self) -> int:
        return len(self.runs)

    @property
    def masks(self) -> NDArray[np.bool_]:
        """``(N, H, W)`` bool."""
        return decode_runs(self.runs, self.image_size)

    @property
    def areas(self) -> tuple[int, ...]:
        """Pixels of each object."""
        return run_areas(self.runs, self.image_size)

    def chosen(self, numbers: Sequence[int]) -> "Instances":
        """Return some of the objects, in the given order."""
        runs, class_ids, scores, boxes = (
            tuple(values[number] for number in numbers)
            for values in (self.runs, self.class_ids, self.scores, self.boxes)
        )
        return Instances(runs, class_ids, scores, boxes, self.image_size)  # type: ignore[arg-type]

    def save(self, path: Path) -> None:
        """Write as JSON; the counts of each object are those of a COCO segmentation."""
        objects = [
            {"class_id": class_id, "score": score, "box": box, "counts": counts.decode("ascii")}
            for counts, class_id, score, box in zip(self.runs, self.class_ids, self.scores, self.boxes, strict=True)
        ]
        document = {"kind": KIND, "image_size": self.image_size, "objects": objects}
        write_bytes(path, json.dumps(document).encode())

    @classmethod
    def load(cls, path: Path) -> "Instances":
        """Read what ``save`` wrote.

        Raises:
            StoreError: If the file is missing, truncated or of another kind.
        """
        path = in_any_form(path)
        if not path.is_file():
            raise StoreError(f"{path}: no such instances; the step before has to make them first")
        try:
            document = json_value(path.read_text(encoding="utf-8"))
            if document["kind"] != KIND:
                raise DataError(f"its kind is {cut(document['kind'])}")
            size = stored_size(document["image_size"])
            objects = [(o["counts"].encode(), o["class_id"], o["score"], tuple(o["box"])) for o in document["objects"]]
            runs, class_ids, scores, boxes = zip(*objects, strict=True) if objects else ((), (), (), ())
            return cls(runs, class_ids, scores, boxes, size)
        except Exception as error:  # entries of other types fail in every way
            raise StoreError(f"{path}: not a file of instances ({cut(error)}); delete it and make it again") from error


def _is_box(box: Extent) -> bool:
    top, left, bottom, right = box
    return all(math.isfinite(edge) for edge in box) and top < bottom and left < right

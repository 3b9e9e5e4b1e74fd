"""A Mask R-CNN that onnxruntime runs: objects as the network of torch finds them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError, cut
from weakseg.nn.exported.described import (
    BOXES,
    CELLS,
    INSTANCES,
    LABELS,
    LEAST_SCORE,
    MAX_SIDE,
    MOST_OBJECTS,
    NMS_IOU,
    SCORES,
)
from weakseg.nn.exported.file import NO_SIDE, content_with, open_session, outputs_of, read_onnx
from weakseg.nn.segmenters.instance import Detected
from weakseg.settings.instance_segment import MASK_SIDE


class ExportedDetector(nn.Module):
    """An image to objects by the network in an ONNX file, on the CPU, with as many threads as torch has.

    Attributes:
        described: What the file says of itself.

    Args:
        path: Of the file.

    Raises:
        CheckpointError: As ``read_onnx``; or if the file is of no instance segmenter.
        ConfigError: If onnx or onnxruntime is not installed.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._model, self.described = read_onnx(path)
        if self.described.kind != INSTANCES:
            raise CheckpointError(
                f"{path}: is a {self.described.kind}, no {INSTANCES}; weakseg predict takes segmenters"
            )
        self.path = path
        self._wanted: tuple[float, float, int] | None = None
        self._session: Any = None

    def find(self, image: Tensor, *, score: float = 0.05, nms: float = 0.5, most: int = 100) -> Detected:
        """Return the objects of a ``(3, H, W)`` image on the scale 0..255; as ``InstanceSegmenter.find``.

        Raises:
            CheckpointError: If onnxruntime cannot run it, or it gives what no objects are, or a class without a name.
        """
        if self._wanted != (score, nms, most):
            constants = {LEAST_SCORE: score, NMS_IOU: nms, MOST_OBJECTS: most, MAX_SIDE: NO_SIDE}
            content = content_with(self._model, [BOXES, LABELS, SCORES, CELLS], constants)
            self._session = open_session(content, str(self.path), torch.get_num_threads())
            self._wanted = score, nms, most
        found = outputs_of(self._session, [BOXES, LABELS, SCORES, CELLS], image[None], str(self.path))
        _check_found(found, (image.shape[1], image.shape[2]), str(self.path))
        boxes, ids, scores, cells = (torch.from_numpy(part).to(image.device) for part in found)
        if len(ids) and not 1 <= int(ids.min()) <= int(ids.max()) < len(self.described.labels):
            raise CheckpointError(
                f"{self.path}: finds class {int(ids.max())}, and names {len(self.described.classes)}; export again"
            )
        return Detected(boxes, ids, scores, cells[:, None])


def _check_found(found: Sequence[Any], size: tuple[int, int], where: str) -> None:
    """Refuse what are no objects of an image of ``size``: rows, columns."""
    count = (*getattr(found[0], "shape", ()), 0)[0]
    shapes = {BOXES: (count, 4), LABELS: (count,), SCORES: (count,), CELLS: (count, MASK_SIDE, MASK_SIDE)}
    for (name, shape), part in zip(shapes.items(), found, strict=True):
        kind = np.int64 if name == LABELS else np.float32
        if not isinstance(part, np.ndarray) or part.shape != shape or part.dtype != kind:
            told = f"{part.dtype} of {part.shape}" if isinstance(part, np.ndarray) else type(part).__name__
            raise CheckpointError(
                f"{where}: gives {name} as {cut(told)}, where {count} objects have {np.dtype(kind)} of {shape}; "
                "export the model again"
            )
        if not np.isfinite(part).all():
            raise CheckpointError(f"{where}: gives {name} that are no finite numbers; export the model again")
    edges, (rows, columns) = found[0], size
    if (edges < -1).any() or (edges > np.array([columns, rows] * 2, np.float32) + 1).any():
        raise CheckpointError(f"{where}: gives boxes outside of an image of {rows} x {columns}; export the model again")

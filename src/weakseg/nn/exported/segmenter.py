"""A segmenter that onnxruntime runs: logits as a network of torch returns them."""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from weakseg.errors import CheckpointError
from weakseg.nn.exported.described import INSTANCES, LOGITS, MAX_SIDE, SEGMENTER
from weakseg.nn.exported.file import NO_SIDE, content_with, open_session, outputs_of, read_onnx
from weakseg.nn.output import Layout, Output, check_further


class ExportedSegmenter(nn.Module):
    """Images to logits by the network in an ONNX file, on the CPU, with as many threads as torch has.

    Attributes:
        described: What the file says of itself.

    Args:
        path: Of the file.

    Raises:
        CheckpointError: As ``read_onnx``; or if the file is of no segmenter.
        ConfigError: If onnx or onnxruntime is not installed.
    """

    fill: Tensor

    def __init__(self, path: Path) -> None:
        super().__init__()
        model, self.described = read_onnx(path)
        if (kind := self.described.kind) != SEGMENTER:
            raise CheckpointError(
                f"{path}: is {'an' if kind == INSTANCES else 'a'} {kind}, no segmenter; export the run's "
                "segmenter, or give an instance segmenter to weakseg predict-instances"
            )
        self.path = path
        content = content_with(model, [LOGITS], {MAX_SIDE: NO_SIDE})
        self._session: Any = open_session(content, str(path), torch.get_num_threads())
        self.register_buffer("fill", torch.tensor(self.described.sight.fill).reshape(1, 3, 1, 1))

    @property
    def layout(self) -> Layout:
        """How it sees images."""
        sight = self.described.sight
        return Layout(sight.corners, sight.stride, self.fill)

    def forward(self, images: Tensor, *, further: Collection[str] = ()) -> Output:
        """Return ``(B, K + 1, h, w)`` logits of ``(B, 3, H, W)`` images on the scale 0..255, as they are.

        Images of whole numbers, as photographs are, give those of the network; others are rounded.

        Raises:
            CheckpointError: If onnxruntime cannot run it.
        """
        check_further(self, further, ())
        sight, sides = self.described.sight, images.shape[2:]
        cells = math.prod(-(-side // sight.stride) for side in sides)
        if cells > sight.most > 0:
            raise CheckpointError(
                f"{self.path}: was exported for {sight.most} cells at most, and an image of {sides[1]} x {sides[0]} "
                f"has {cells}; give a smaller --max_side, or the model that it was made of"
            )
        (logits,) = outputs_of(self._session, [LOGITS], images, str(self.path))
        if logits.shape[1] != len(self.described.labels):
            raise CheckpointError(
                f"{self.path}: names {len(self.described.labels)} labels and gives {logits.shape[1]}; export again"
            )
        return Output(torch.from_numpy(logits).to(images.device), {})

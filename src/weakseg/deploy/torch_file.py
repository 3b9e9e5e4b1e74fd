"""Write a trained network as a file of ``torch.export``, which torch runs without weakseg."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weakseg.deploy.agreement import Agreement, Found, Images, check_agreement
from weakseg.deploy.network import Given, load_exportable
from weakseg.deploy.objects import FEW, UNSURE, Finder, Objects, check_objects, drawn
from weakseg.deploy.traced import EXAMPLE, LONGEST, exported, open_sides, shortest_side
from weakseg.errors import ConfigError
from weakseg.files import atomic_path
from weakseg.nn.exported.described import INSTANCES, SEGMENTER, Described, Sides

SUFFIX = ".pt2"
PROPERTIES = "weakseg.json"  # the extra file that holds what is to be said


class FromPixels(nn.Module):
    """From ``(B, H, W, 3)`` uint8 images, as they are, to what is decided on; of a segmenter to labels and logits."""

    def __init__(self, network: nn.Module, kind: str) -> None:
        super().__init__()
        self.network, self.kind = network, kind

    def forward(self, images: Tensor, *wanted: Tensor) -> tuple[Tensor, ...]:
        """Return ``(B, H, W)`` uint8 labels and ``(B, K + 1, h, w)`` logits; or scores and activations.

        Or of one image, and of the smallest score and the largest number that are wanted, what ``Found`` gives.
        """
        pixels = images.permute(0, 3, 1, 2).float()
        if self.kind != SEGMENTER:
            return tuple(self.network(pixels, *wanted))
        logits = self.network(pixels)
        values = F.interpolate(logits, images.shape[1:3], mode="bilinear", align_corners=False)
        return values.argmax(1).to(torch.uint8), logits


def export_torch(given: Given, out: Path) -> Agreement:
    """Write a segmenter or a tag classifier by ``torch.export``, once the file read back agrees with it.

    Images are not reduced: the caller does.

    Args:
        given: The model file; its sides have no effect.
        out: The file to write; appears whole or not at all.

    Raises:
        ConfigError: If networks of this kind cannot be exported.
        CheckpointError: If the model file cannot be read, or the exported file does not agree.
    """
    given = Given(given.path, Sides(LONGEST, LONGEST))
    network, described = load_exportable(given)
    if described.sight.corners:
        raise ConfigError(
            f"{given.path}: images are padded until corners lie on cells for this head, which only the ONNX file does; "
            "take --format onnx"
        )
    whole = FromPixels(network, described.kind).eval()
    batch, channels, rows, columns = EXAMPLE
    example = torch.randint(0, 256, (batch, rows, columns, channels), dtype=torch.uint8)
    sides = open_sides(shortest_side(network))
    opened = {0: sides[0], 1: sides[2], 2: sides[3]}
    wanted: tuple[Tensor, ...] = ()
    if described.kind == INSTANCES:
        del opened[0]
        example, wanted = example[:1], (torch.tensor(UNSURE), torch.tensor(FEW))
    shapes = {"images": opened, **({"wanted": tuple({} for _ in wanted)} if wanted else {})}
    program = exported(str(given.path), lambda: torch.export.export(whole, (example, *wanted), dynamic_shapes=shapes))
    with atomic_path(out) as temporary:
        told = {PROPERTIES: json.dumps(described.properties())}
        held = io.BytesIO()  # to a path a full disk is told as RuntimeError
        exported(str(given.path), lambda: torch.export.save(program, held, extra_files=told))
        temporary.write_bytes(held.getvalue())
        module = torch.export.load(temporary).module()
        if described.kind == INSTANCES:
            return check_objects(_finder(module), given)
        return check_agreement(_runner(module, described), given, described)


def _runner(module: Any, described: Described) -> Callable[[Images], Found]:
    def run(images: Images) -> Found:
        with torch.inference_mode():
            first, second = module(torch.from_numpy(np.array(images)))
        return [first.numpy()] if described.kind == SEGMENTER else [first.numpy(), second.numpy()]

    return run


def _finder(module: Any) -> Finder:
    def find(image: Images, score: float) -> Objects:
        with torch.inference_mode():
            given = torch.from_numpy(np.array(image))[None], torch.tensor(score), torch.tensor(FEW)
            boxes, class_ids, scores, cells = module(*given)
        return drawn(boxes, class_ids, scores, cells, image)

    return find

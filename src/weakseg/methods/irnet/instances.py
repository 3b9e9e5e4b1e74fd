"""Instance masks of single images, written as one file each."""

import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save

from weakseg.artifacts import Activations
from weakseg.data.sample import WeakSample
from weakseg.files import write_bytes
from weakseg.pipeline.jobs import cached
from weakseg.stages.boundary import find_boundary, load_boundary
from weakseg.stages.instances import InstanceConfig, find_instances


@dataclass(frozen=True)
class InstanceJob:
    """Image and activations to instance masks; ``model`` is a boundary network with its displacement branch.

    Files hold ``masks`` ``(D, H, W)`` uint8, ``class_ids`` and ``scores`` ``(D,)``, detections of score 0 left out.
    """

    model: Path
    activations: Path
    out: Path
    config: InstanceConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Find and save the instances."""
        model, side = cached(load_boundary, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        maps = find_boundary(model, sample.load_image(), side=side)
        found = find_instances(activations, maps, self.config, device=self.device)
        kept = found.scores > 0
        tensors = {
            "masks": found.masks[kept].to(torch.uint8).contiguous(),
            "class_ids": found.class_ids[kept].contiguous(),
            "scores": found.scores[kept].contiguous(),
        }
        header = {"weakseg": json.dumps({"kind": "instances", "image_size": activations.image_size})}
        write_bytes(self.output(sample.id), save(tensors, header))

"""Instance masks of single images, written as one file each."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.artifacts import Activations
from weakseg.data.sample import WeakSample
from weakseg.instances import Instances
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.settings.instances import InstanceConfig
from weakseg.stages.boundary import find_boundary, load_boundary
from weakseg.stages.instances import find_instances
from weakseg.steps.base import cached


@dataclass(frozen=True)
class BoundaryInstanceJob(ImageJob):
    """Image and activations to instances; ``model`` is a boundary network with its displacement branch.

    Detections of score 0 are left out.
    """

    model: Path
    activations: Path
    out: Path
    config: InstanceConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.INSTANCES.suffix

    def one(self, sample: WeakSample) -> None:
        """Find and save the instances."""
        model, side = cached(load_boundary, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        maps = find_boundary(model, sample.load_image(), side=side)
        found = find_instances(activations, maps, self.config, device=self.device)
        kept = found.scores > 0
        scores = found.scores[kept].clamp(max=1).tolist()
        Instances.of(found.masks[kept].numpy(), found.class_ids[kept].tolist(), scores=scores).save(
            self.output(sample.id)
        )

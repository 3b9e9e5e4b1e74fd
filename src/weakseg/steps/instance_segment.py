"""The job that finds objects with a trained instance segmenter."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.stages.instance_segment import load_detector, predict_instances
from weakseg.steps.base import cached


@dataclass(frozen=True)
class InstancePredictJob(ImageJob):
    """Image to the objects that an instance segmenter finds; ``model`` is its file, or the ONNX file made of it."""

    model: Path
    out: Path
    config: InstancePredictConfig
    device: str = "cpu"
    suffix: ClassVar[str] = Kind.INSTANCES.suffix

    def one(self, sample: WeakSample) -> None:
        """Find and save the objects."""
        model, _ = cached(load_detector, self.model, self.device)
        predict_instances(model, sample.load_image(), self.config).save(self.output(sample.id))

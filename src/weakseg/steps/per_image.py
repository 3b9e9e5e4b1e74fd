"""What jobs share that train a network for each image and save scores."""

from collections.abc import Sequence
from typing import ClassVar

import torch

from weakseg.artifacts import Scores
from weakseg.data.sample import WeakSample
from weakseg.pipeline.plan import Kind
from weakseg.pipeline.units import ImageJob, Unit, batches

CHUNK = 64  # images whose networks are trained at once on a GPU


class PerImageTraining(ImageJob):
    """A job that trains a network for each image; how, is said in ``train_batch``."""

    device: str
    suffix: ClassVar[str] = Kind.SCORES.suffix

    def units(self, samples: Sequence[WeakSample]) -> list[Unit]:
        """Return batches: on a CPU of one, so that a result depends on no other image's company."""
        return batches(samples, CHUNK if self.device != "cpu" else 1)

    def run(self, unit: Unit) -> None:
        """Save the scores of several images; one that is all background needs no training."""
        shown = [sample for sample in unit.samples if not self.is_background(sample)]
        for sample in unit.samples:
            if self.is_background(sample):
                height, width = sample.load_image().shape[:2]
                Scores(torch.ones(1, 1, 1), (0,), (height, width)).save(self.output(sample.id))
        for sample, scores in zip(shown, self.train_batch(shown) if shown else (), strict=True):
            scores.save(self.output(sample.id))

    def is_background(self, sample: WeakSample) -> bool:
        """Return whether a photograph is background by its labels alone."""
        return sample.shows_nothing

    def train_batch(self, samples: Sequence[WeakSample]) -> list[Scores]:
        """Train the networks of some images, as many at once as memory allows."""
        raise NotImplementedError

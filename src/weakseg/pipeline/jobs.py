"""What is done to one image in each step: load, call the stage, save. Picklable, so that processes can share them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import torch
from torch import nn

from weakseg.artifacts import Activations, LabelMap, Scores
from weakseg.data.sample import WeakSample
from weakseg.instances import SUFFIX
from weakseg.pipeline.engine import release_workers
from weakseg.settings.activate import ActivateConfig
from weakseg.settings.decode import DecodeConfig
from weakseg.settings.instance_segment import InstancePredictConfig
from weakseg.settings.refine import RefineConfig
from weakseg.settings.seed import SeedConfig
from weakseg.settings.segment import PredictConfig
from weakseg.settings.walk import WalkConfig
from weakseg.settings.weak_seeds import WeakSeedConfig
from weakseg.stages.activate import activate_image
from weakseg.stages.affinity import find_features, load_affinity
from weakseg.stages.classify import load_classifier
from weakseg.stages.decode import decode_image, keep_to_boxes
from weakseg.stages.instance_segment import load_instance_segmenter, predict_instances
from weakseg.stages.refine import refine_image
from weakseg.stages.seed import reading_scores, seed_image
from weakseg.stages.segment import load_segmenter, predict_image
from weakseg.stages.walk import walk_activations
from weakseg.stages.weak_seeds import counted, weak_seeds

Loaded = TypeVar("Loaded")

CHUNK = 64  # images whose problems are held at once on a GPU


@dataclass(frozen=True)
class ActivateJob:
    """Image and tags to activations; ``model`` is a classifier file."""

    model: Path
    out: Path
    config: ActivateConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the activations file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the activations of the tagged classes."""
        model, _ = cached(load_classifier, self.model, self.device)
        class_ids = tuple(sorted(sample.tags.present))
        activate_image(model, sample.load_image(), class_ids, self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class SeedJob:
    """Image and activations to seeds."""

    activations: Path
    out: Path
    config: SeedConfig
    background_id: int = 0
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the seeds file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        image = sample.load_image()
        seeds = seed_image(activations, image, self.config, background_id=self.background_id, device=self.device)
        seeds.save(self.output(sample.id))


@dataclass(frozen=True)
class WeakSeedJob:
    """Image and what is drawn on it to seeds; ``activations`` of its tags where there are any."""

    activations: Path | None
    out: Path
    config: WeakSeedConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the seeds file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the seeds."""
        source, image, sample = self.activations, sample.load_image(), counted(sample, self.config.use)
        activations = Activations.load(source / f"{sample.id}.safetensors") if source else None
        if sample.shows_nothing:
            seeds = LabelMap(np.zeros(image.shape[:2], np.uint8))
        else:
            seeds = weak_seeds(sample.drawn, image, activations, self.config, device=self.device)
        seeds.save(self.output(sample.id))


@dataclass(frozen=True)
class ReadingJob:
    """Image and activations to the CRF's marginals of one reading; ``value`` is its background score or exponent."""

    activations: Path
    out: Path
    config: SeedConfig
    value: float
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the scores file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the marginals."""
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        image = sample.load_image()
        scores = reading_scores(activations, image, self.config, self.value, device=self.device)
        scores.save(self.output(sample.id))


@dataclass(frozen=True)
class RefineJob:
    """Image and seeds to a mask; a pixel can be what some seed is, or background where the data has one."""

    seeds: Path
    out: Path
    config: RefineConfig
    with_background: bool = True
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the mask file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the mask."""
        seeds = LabelMap.load(self.seeds / f"{sample.id}.png")
        image = sample.load_image()
        mask = refine_image(seeds, image, self.config, with_background=self.with_background, device=self.device)
        mask.save(self.output(sample.id))


@dataclass(frozen=True)
class WalkJob:
    """Image and activations to walked scores; ``model`` is an affinity network."""

    model: Path
    activations: Path
    out: Path
    config: WalkConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the scores file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the scores."""
        model = cached(load_affinity, self.model, self.device)
        activations = Activations.load(self.activations / f"{sample.id}.safetensors")
        features = find_features(model, sample.load_image())
        walk_activations(activations, features, self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class DecodeJob:
    """Image and scores to a mask; ``within_boxes``: where boxes are drawn, a class appears in its boxes alone."""

    scores: Path
    out: Path
    config: DecodeConfig
    within_boxes: bool = False
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the mask file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Compute and save the mask."""
        scores = Scores.load(self.scores / f"{sample.id}.safetensors")
        mask = decode_image(scores, sample.load_image(), self.config, device=self.device)
        boxes = sample.drawn.boxes if self.within_boxes else ()
        (keep_to_boxes(mask, boxes) if boxes else mask).save(self.output(sample.id))


@dataclass(frozen=True)
class PredictJob:
    """Image to the segmenter's mask; ``model`` is a segmenter file."""

    model: Path
    out: Path
    config: PredictConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the mask file."""
        return self.out / f"{image_id}.png"

    def run(self, sample: WeakSample) -> None:
        """Predict and save the mask."""
        model, _ = cached(load_segmenter, self.model, self.device)
        predict_image(model, sample.load_image(), self.config).save(self.output(sample.id))


@dataclass(frozen=True)
class InstancePredictJob:
    """Image to the objects that an instance segmenter finds; ``model`` is its file."""

    model: Path
    out: Path
    config: InstancePredictConfig
    device: str = "cpu"

    def output(self, image_id: str) -> Path:
        """Return the file of instances."""
        return self.out / f"{image_id}{SUFFIX}"

    def run(self, sample: WeakSample) -> None:
        """Find and save the objects."""
        model, _ = cached(load_instance_segmenter, self.model, self.device)
        predict_instances(model, sample.load_image(), self.config).save(self.output(sample.id))


class PerImageTraining:
    """What jobs share that train a network for each image and save scores; they say how in ``train_batch``."""

    out: Path
    device: str

    @property
    def batch_size(self) -> int:
        """Images that ``run_batch`` takes: on a CPU one, so that a result depends on no other image's company."""
        return CHUNK if self.device != "cpu" else 1

    def output(self, image_id: str) -> Path:
        """Return the scores file."""
        return self.out / f"{image_id}.safetensors"

    def run(self, sample: WeakSample) -> None:
        """Train the image's network and save the scores."""
        self.run_batch([sample])

    def run_batch(self, samples: Sequence[WeakSample]) -> None:
        """Save the scores of several images; one that is all background needs no training."""
        shown = [sample for sample in samples if not self.is_background(sample)]
        for sample in samples:
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


def release_models() -> None:
    """Give back the memory of models that image jobs keep, here and in idle processes, before a training step."""
    release_workers()
    _cached.cache_clear()


def cached(load: Callable[[Path], Loaded], path: Path, device: str) -> Loaded:
    """Return a model, or a tuple that begins with one, as ``load`` makes it of a file, on the device.

    The last one is kept for further images.
    """
    return cast(Loaded, _cached(load, path, path.stat().st_mtime_ns, device))


@lru_cache(maxsize=1)
def _cached(load: Callable[[Path], Any], path: Path, _written_ns: int, device: str) -> Any:
    found = load(path)
    model: nn.Module = found[0] if isinstance(found, tuple) else found
    model.to(device)
    return found

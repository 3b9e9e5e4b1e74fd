"""``weakseg activate``."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jsonargparse import Namespace

from weakseg.cli.image_verb import ImageVerb
from weakseg.settings.activate import ActivateConfig

if TYPE_CHECKING:
    from weakseg.data.sample import WeakSample
    from weakseg.pipeline.units import Job


def _job(given: Namespace, config: ActivateConfig, device: str) -> "Job":
    from weakseg.steps.activate import ActivateJob

    return ActivateJob(given.model, given.out, config, device)


def _samples(given: Namespace) -> "Sequence[WeakSample]":
    from weakseg.data.dataset import open_labelled_folder
    from weakseg.stages.classify import load_classifier

    _, classes = load_classifier(given.model)
    return open_labelled_folder(given.images, given.labels, classes).splits["train"]


main = ImageVerb(
    "activate",
    "Class activation maps of tagged images, as safetensors (float16, one cell for four pixels, tagged classes).",
    "  weakseg activate --model out/classifier/model.safetensors --images photos --labels tags.csv --out act",
    ActivateConfig,
    "activations",
    _job,
    {"model": "trained classifier", "labels": "tags of the images: CSV, JSON or JSONL"},
    _samples,
    shown=("--scales", "--max_side"),
).main

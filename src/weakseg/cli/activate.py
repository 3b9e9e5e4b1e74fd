"""``weakseg activate``."""

from collections.abc import Sequence
from pathlib import Path

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    conclude,
    parse,
    run_options,
    settings_of,
    settle,
)
from weakseg.data.dataset import open_labelled_folder
from weakseg.pipeline.engine import map_images
from weakseg.pipeline.jobs import ActivateJob
from weakseg.stages.activate import ActivateConfig
from weakseg.stages.classify import load_classifier


def main(words: Sequence[str]) -> int:
    """Compute activations of tagged images."""
    parser = build_parser(
        "activate",
        "Class activation maps of tagged images, as safetensors (float16, one cell for four pixels, tagged classes).",
        "  weakseg activate --model out/classifier/model.safetensors --images photos --labels tags.csv --out act",
    )
    parser.add_argument("--model", type=Path, required=True, help="trained classifier")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--labels", type=Path, required=True, help="their tags: CSV, JSON or JSONL")
    parser.add_argument("--out", type=Path, required=True, help="folder of the activations")
    add_settings(parser, ActivateConfig)
    add_run_options(parser)
    given = parse(parser, words)
    options = run_options(given)
    samples = open_labelled_folder(given.images, given.labels, load_classifier(given.model)[1]).splits["train"]
    config = settings_of(given, ActivateConfig)
    settle(given.out, config, model=given.model, images=given.images, labels=given.labels)
    job = ActivateJob(given.model, given.out, config, options.device)
    failures = map_images(job, samples, title="activate", workers=options.workers)
    return conclude(failures, f"{len(samples) - len(failures)} activations: {given.out.resolve()}")

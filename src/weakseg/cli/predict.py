"""``weakseg predict``."""

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
from weakseg.data.dataset import open_plain_folder
from weakseg.pipeline.engine import map_images
from weakseg.pipeline.jobs import PredictJob
from weakseg.stages.segment import PredictConfig, load_segmenter


def main(words: Sequence[str]) -> int:
    """Apply a trained segmenter to a folder of images."""
    parser = build_parser(
        "predict",
        "Masks of images with a trained segmenter, as indexed PNG.",
        "  weakseg predict --model out/segmenter/model.safetensors --images photos --out masks --crf true",
    )
    parser.add_argument("--model", type=Path, required=True, help="trained segmenter")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--out", type=Path, required=True, help="folder of the masks")
    add_settings(parser, PredictConfig)
    add_run_options(parser)
    given = parse(parser, words)
    options = run_options(given)
    load_segmenter(given.model)  # a bad model is one error, not one for each image
    samples = open_plain_folder(given.images)
    config = settings_of(given, PredictConfig)
    settle(given.out, config, model=given.model, images=given.images)
    job = PredictJob(given.model, given.out, config, options.device)
    failures = map_images(job, samples, title="predict", workers=options.workers)
    return conclude(failures, f"{len(samples) - len(failures)} masks: {given.out.resolve()}")

"""``weakseg train-segmenter``."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from weakseg.cli.common import (
    add_run_options,
    add_settings,
    build_parser,
    check_there,
    conclude,
    out_path,
    parse,
    read_class_file,
    run_options,
    settings_of,
    settle,
)
from weakseg.settings.segment import SegmentConfig

SHOWN = (
    "--fit.epochs",
    "--fit.batch_size",
    "--fit.lr",
    "--augment.long_side",
    "--augment.crop",
    "--model.backbone.name",
)


def main(words: Sequence[str]) -> int:
    """Train a segmenter on masks."""
    parser = build_parser(
        "train-segmenter",
        "Train a segmenter on masks; images without a mask are left out. An interrupted training goes on.",
        "  weakseg train-segmenter --masks masks --images photos --classes classes.txt --out segmenter",
    )
    parser.add_argument("--masks", type=Path, required=True, help="folder of the masks")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--classes", type=Path, required=True, help="class names, one a line")
    parser.add_argument("--out", type=out_path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    add_settings(parser, SegmentConfig)
    add_run_options(parser)
    given = parse(parser, words, shown=SHOWN)
    check_there(given, {"masks": "folder of the masks", "images": "folder of the images"})
    from weakseg.data.dataset import open_plain_folder
    from weakseg.errors import DataError
    from weakseg.nn.weights import MODEL_FILE
    from weakseg.stages.segment import train_segmenter
    from weakseg.training.loop import FitPlace

    options = run_options(given)
    samples = [s for s in open_plain_folder(given.images) if (given.masks / f"{s.id}.png").exists()]
    if not samples:
        raise DataError(f"{given.masks}: no mask has the name of an image in {given.images}")
    place = FitPlace(given.out, given.seed, options.device)
    config = settings_of(given, SegmentConfig)
    inputs = {"masks": given.masks, "images": given.images, "classes": given.classes}
    with settle(given.out, {**asdict(config), "seed": given.seed}, **inputs):
        train_segmenter(samples, given.masks, read_class_file(given.classes), config=config, place=place)
    return conclude((), f"trained on {len(samples)} masks: {(given.out / MODEL_FILE).resolve()}")

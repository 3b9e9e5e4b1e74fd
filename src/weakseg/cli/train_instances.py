"""``weakseg train-instances``."""

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
from weakseg.settings.instance_segment import InstanceSegmentConfig

SHOWN = (
    "--fit.epochs",
    "--fit.batch_size",
    "--fit.lr",
    "--augment.long_side",
    "--augment.crop",
    "--model.backbone.name",
)


def main(words: Sequence[str]) -> int:
    """Train an instance segmenter on instances."""
    parser = build_parser(
        "train-instances",
        "Train Mask R-CNN on instance masks (ID.instances.json); images without are left out. An interrupted training "
        "goes on.",
        "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter\n"
        "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter \\\n"
        "      --fit.epochs 24 --augment.long_side [320,512] --augment.crop 384\n"
        "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter \\\n"
        "      --config recipes/instances/mask_rcnn_resnet101.yaml",
    )
    parser.add_argument("--instances", type=Path, required=True, help="folder of the instances")
    parser.add_argument("--images", type=Path, required=True, help="folder of the images")
    parser.add_argument("--classes", type=Path, required=True, help="class names, one a line")
    parser.add_argument("--out", type=out_path, required=True, help="folder of the model")
    parser.add_argument("--seed", type=int, default=0, help="of everything random")
    parser.add_argument("--config", action="config", help="YAML file of settings; flags after it win")
    add_settings(parser, InstanceSegmentConfig)
    add_run_options(parser)
    given = parse(parser, words, shown=SHOWN)
    check_there(given, {"instances": "folder of the instances", "images": "folder of the images"})
    from weakseg.data.dataset import open_plain_folder
    from weakseg.errors import DataError
    from weakseg.instances import SUFFIX
    from weakseg.nn.weights import MODEL_FILE
    from weakseg.stages.instance_segment import train_instance_segmenter
    from weakseg.training.loop import FitPlace

    options, classes = run_options(given), read_class_file(given.classes)
    samples = [s for s in open_plain_folder(given.images) if (given.instances / f"{s.id}{SUFFIX}").exists()]
    if not samples:
        raise DataError(f"{given.instances}: no file ID{SUFFIX} has the name of an image in {given.images}")
    config, place = settings_of(given, InstanceSegmentConfig), FitPlace(given.out, given.seed, options.device)
    inputs = {"instances": given.instances, "images": given.images, "classes": given.classes}
    with settle(given.out, {**asdict(config), "seed": given.seed}, **inputs):
        train_instance_segmenter(samples, given.instances, classes, config=config, place=place)
    return conclude((), f"trained on {len(samples)} images: {(given.out / MODEL_FILE).resolve()}")

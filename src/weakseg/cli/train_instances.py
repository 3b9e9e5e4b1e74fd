"""``weakseg train-instances``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weakseg.cli.train_verb import TrainVerb
from weakseg.settings.instance_segment import InstanceSegmentConfig

if TYPE_CHECKING:
    from weakseg.data.classes import Classes
    from weakseg.data.sample import WeakSample
    from weakseg.training.loop import FitPlace


def _train(
    samples: "Sequence[WeakSample]",
    instances: Path,
    classes: "Classes",
    config: InstanceSegmentConfig,
    place: "FitPlace",
) -> None:
    from weakseg.stages.instance_segment import train_instance_segmenter

    train_instance_segmenter(samples, instances, classes, config=config, place=place)


main = TrainVerb(
    "train-instances",
    "Train Mask R-CNN on instance masks (ID.instances.json); images without are left out. An interrupted training "
    "goes on.",
    "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter\n"
    "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter \\\n"
    "      --fit.epochs 24 --augment.long_side [320,512] --augment.crop 384\n"
    "  weakseg train-instances --instances objects --images photos --classes classes.txt --out segmenter \\\n"
    "      --config recipes/instances/mask_rcnn_resnet101.yaml",
    InstanceSegmentConfig,
    "instances",
    _train,
).main

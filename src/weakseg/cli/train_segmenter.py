"""``weakseg train-segmenter``."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from weakseg.cli.train_verb import TrainVerb
from weakseg.settings.segment import SegmentConfig

if TYPE_CHECKING:
    from weakseg.data.classes import Classes
    from weakseg.data.sample import WeakSample
    from weakseg.training.loop import FitPlace


def _train(
    samples: "Sequence[WeakSample]", masks: Path, classes: "Classes", config: SegmentConfig, place: "FitPlace"
) -> None:
    from weakseg.stages.segment import train_segmenter

    train_segmenter(samples, masks, classes, config=config, place=place)


main = TrainVerb(
    "train-segmenter",
    "Train a segmenter on masks; images without a mask are left out. An interrupted training goes on.",
    "  weakseg train-segmenter --masks masks --images photos --classes classes.txt --out segmenter",
    SegmentConfig,
    "masks",
    _train,
).main

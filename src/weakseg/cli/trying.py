"""Photographs that ``weakseg export-model --int8`` calibrates and measures by, and their true masks."""

import logging
from collections.abc import Sequence

import numpy as np
from jsonargparse import Namespace
from numpy.typing import NDArray

from weakseg.cli.scores import true_masks
from weakseg.data.classes import Classes
from weakseg.data.dataset import open_dataset, open_plain_folder
from weakseg.data.formats.mask_files import MaskRules
from weakseg.data.formats.palettes import find_palette
from weakseg.data.sample import WeakSample
from weakseg.deploy.network import Given
from weakseg.deploy.quantize import FEWEST, Tried
from weakseg.errors import ConfigError, DataError
from weakseg.evaluation.judge import Judge, judge_of_split
from weakseg.methods.finished import FinishedRun
from weakseg.nn.weights import read_header
from weakseg.pipeline.plan import TRAIN, VAL
from weakseg.rng import derive_seed
from weakseg.stages.classify import classes_of

logger = logging.getLogger(__name__)

OF_A_RUN, OF_A_FOLDER = 64, 512  # photographs that calibrate, and of --images, of which half do
MEASURING = 256  # of the list ``val`` of a run
Image = NDArray[np.uint8]


def photographs_of(given: Namespace, finished: FinishedRun | None, model: Given) -> Tried:
    """Return the photographs of ``--images``, or those of a run: ``train`` calibrates, and ``val`` measures.

    Raises:
        ConfigError: If there are neither.
        DataError: If a folder or data set cannot be opened, or true masks that were given tell nothing.
    """
    if given.images is not None:
        return _of_folder(given, classes_of(read_header(model.path), model.path))
    if finished is None:
        raise ConfigError("--int8: needs photographs to calibrate and measure; give their folder by --images")
    config = finished.recipe.data
    dataset = open_dataset(config)
    split = VAL if len(dataset.splits.get(VAL, ())) >= FEWEST else TRAIN
    learned = _drawn(dataset.splits[TRAIN], OF_A_RUN)
    calibrating, measuring = (learned, dataset.splits[VAL]) if split == VAL else (learned[::2], learned[1::2])
    images = _loaded(_drawn(measuring, MEASURING))
    judge = judge_of_split(images, config, dataset, split)
    return Tried([image for _, image in _loaded(calibrating)], [image for _, image in images], judge, split == TRAIN)


def _of_folder(given: Namespace, classes: Classes) -> Tried:
    """Return the photographs of a folder, half for the one and half for the other; those with true masks measure."""
    samples, truth = _drawn(open_plain_folder(given.images), OF_A_FOLDER), None
    if given.truth is not None:
        truth = true_masks(given.truth, None, MaskRules(classes, "auto", find_palette(given.truth)))
        known = {sample.id for sample in truth}
        samples.sort(key=lambda sample: sample.id not in known)
    found = _loaded(samples)
    half = len(found) // 2
    judge = Judge(found[:half], truth, len(classes), f"--truth: {given.truth}") if truth is not None else None
    return Tried([image for _, image in found[half:]], [image for _, image in found[:half]], judge)


def _drawn(samples: Sequence[WeakSample], most: int) -> list[WeakSample]:
    """Return so many at most, in an order of their own."""
    if len(samples) > most:
        logger.info("--int8: takes %d of %d photographs", most, len(samples))
    return sorted(samples, key=lambda sample: derive_seed(0, sample.id, "calibration"))[:most]


def _loaded(samples: Sequence[WeakSample]) -> list[tuple[str, Image]]:
    found = []
    for sample in samples:
        try:
            found.append((sample.id, sample.load_image()))
        except DataError as error:
            logger.warning("--int8: left out: %s", error)
    return found

"""Weak labels of a whole data set, simulated from ground truth, with what they would have cost; and their file.

This module opens ground truth, as ``data/truth.py`` allows for simulation alone; what it returns and writes holds tags,
boxes, points and scribbles, never a mask.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from weakseg.data.annotations import Drawn
from weakseg.data.check import UnreadableImage
from weakseg.data.classes import Classes
from weakseg.data.config import DataConfig, SimulationConfig, WeakKind
from weakseg.data.dataset import open_dataset
from weakseg.data.effort import Effort, labelling_effort, mask_seconds
from weakseg.data.formats.drawn_json import DrawnFile, DrawnImage, write_drawn
from weakseg.data.simulate_drawn import background_parts, inner_point, inner_stroke, tight_box, true_objects
from weakseg.data.truth import EvalSample, open_truth
from weakseg.errors import DataError
from weakseg.progress import track
from weakseg.rng import numpy_generator_for


@dataclass(frozen=True)
class SimulatedImage:
    """The weak labels of one photograph.

    Attributes:
        id: Its id.
        size: (rows, columns).
        tags: Ids of the classes that it shows.
        drawn: What was drawn on it; nothing for kind ``tags``.
        effort: What the labels cost.
        mask_seconds: What true masks would have cost.
    """

    id: str
    size: tuple[int, int]
    tags: frozenset[int]
    drawn: Drawn
    effort: Effort
    mask_seconds: float


@dataclass(frozen=True)
class SimulatedSplit:
    """The weak labels of a split.

    Attributes:
        kind: Of its labels.
        classes: The foreground classes.
        images: In the order of the split.
        failures: Images whose truth cannot be used, with the reason.
        without_truth: Number of images that have none.
    """

    kind: WeakKind
    classes: Classes
    images: tuple[SimulatedImage, ...]
    failures: tuple[UnreadableImage, ...] = ()
    without_truth: int = 0


def simulate_split(data: DataConfig, config: SimulationConfig) -> SimulatedSplit:
    """Return the weak labels of a split of a data set.

    Objects are those of the instance maps (voc: SegmentationObject, coco: the annotations), else connected parts of
    each class; classes and objects below ``data.min_pixels`` are left out.

    Raises:
        DataError: If the data set cannot be opened, has no such split, or no image of it has ground truth.
    """
    dataset = open_dataset(data)
    if config.split not in dataset.splits:
        raise DataError(f"split {config.split!r}: the data set has {', '.join(dataset.splits)}; choose one of these")
    samples = open_truth(data, dataset, config.split)
    if not samples:
        raise DataError(
            "data.truth: no image has ground truth to simulate labels from; give the folder of the true masks"
        )
    images: list[SimulatedImage] = []
    failures: list[UnreadableImage] = []
    with track("simulate", len(samples)) as advance:
        for sample in samples:
            try:
                images.append(simulate_image(sample, config, min_pixels=data.min_pixels))
            except DataError as error:
                failures.append(UnreadableImage(sample.id, sample.sample.image_path, str(error)))
            advance(1)
    missing = len(dataset.splits[config.split]) - len(samples)
    return SimulatedSplit(config.kind, dataset.classes, tuple(images), tuple(failures), missing)


def simulate_image(sample: EvalSample, config: SimulationConfig, *, min_pixels: int = 100) -> SimulatedImage:
    """Return the weak labels of one photograph; they depend on its truth, its id and the settings alone.

    Raises:
        DataError: If the truth cannot be read, or is of another size than the photograph.
    """
    truth = sample.load_truth()
    objects = true_objects(truth, sample.load_objects(), min_pixels=min_pixels)
    drawn = Drawn()
    for kind in ("boxes", "points", "scribbles") if config.kind == "all" else (config.kind,):
        generator = numpy_generator_for(config.seed, sample.id, f"simulated {kind}")
        if kind == "boxes":
            drawn = replace(drawn, boxes=tuple(tight_box(item) for item in objects))
        elif kind == "points":
            drawn = replace(drawn, points=tuple(inner_point(item, generator) for item in objects))
        elif kind == "scribbles":
            marked = (*objects, *background_parts(truth))
            strokes = tuple(inner_stroke(item, generator, coverage=config.coverage) for item in marked)
            drawn = replace(drawn, scribbles=strokes)
    tags = frozenset(item.class_id for item in objects)
    return SimulatedImage(
        sample.id,
        (truth.shape[0], truth.shape[1]),
        tags,
        drawn,
        labelling_effort(drawn, tags, sample.num_classes),
        mask_seconds(len(objects), len(tags), sample.num_classes),
    )


def save_simulated(path: Path, kind: WeakKind, classes: Classes, images: Sequence[SimulatedImage]) -> None:
    """Write weak labels as weakseg's own JSON; positions are (row, column), the background is ``background``.

    Raises:
        OutputError: If the file cannot be written.
    """
    entries = {}
    for image in images:
        effort = {
            "clicks": image.effort.clicks,
            "length_px": round(image.effort.length_px, 1),
            "seconds": round(image.effort.seconds, 1),
        }
        entries[image.id] = DrawnImage(image.size, image.drawn, effort, image.tags)
    write_drawn(path, DrawnFile(kind, classes, entries))

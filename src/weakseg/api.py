"""Masks of photographs in one call, with no training of a classifier; and whole runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from weakseg.artifacts import LabelMap
from weakseg.crew import crew
from weakseg.errors import DataError
from weakseg.files import read_json
from weakseg.photograph.config import SegmentOptions
from weakseg.photograph.given import Given, Named
from weakseg.photograph.group import grouped, segment_together
from weakseg.photograph.marks import marks_of_file, read_marks
from weakseg.photograph.photograph import Photograph
from weakseg.photograph.segmentation import Segmentation
from weakseg.pipeline.options import RunOptions

if TYPE_CHECKING:
    from weakseg.methods.run import RunResult  # which loads all methods, and these scipy


def segment(
    image: Given,
    tags: str | Sequence[str] = (),
    *,
    boxes: Named = (),
    points: Named = (),
    scribbles: Named = (),
    options: SegmentOptions | None = None,
) -> Segmentation:
    """Return the mask of one photograph from tags, boxes, points or scribbles, with no training of a classifier.

    Where something is drawn, boxes decide, else scribbles, else points. Coordinates are pixels from the upper left
    corner, x to the right and y down, as most tools write them. ``Photograph`` keeps what further marks can use.

    Args:
        image: A file; an image of Pillow; a tensor ``(C, H, W)``; or an array ``(H, W)``, ``(H, W, 3)`` or
            ``(H, W, 4)`` of uint8, uint16, bool or float in [0, 1].
        tags: What the photograph shows, such as ``"tabby cat"``, or several in a list; a general word such as ``"cat"``
            works too, see ``weakseg words``.
        boxes: ``("cat", 40, 30, 200, 180)``: name, left, top, right, bottom of each object, tight; any names. One, or
            a list.
        points: ``("cat", 120, 90)``, one on each object; any names. ``"background"`` is one; the photograph's border is
            background where no object's point is near.
        scribbles: ``("cat", [(90, 80), (150, 100)])``, lines on objects and on the ``"background"``.
        options: Method, and settings of the stages.

    Raises:
        DataError: If the image cannot be used, nothing is said of it, a tag is repeated or no word of ImageNet, or a
            drawn label is malformed.
    """
    marks = read_marks(tags, boxes=boxes, points=points, scribbles=scribbles)
    return Photograph(image).segment(marks, options)


def segment_each(
    images: Sequence[Given],
    tags: str | Sequence[str],
    *,
    options: SegmentOptions | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> list[Segmentation]:
    """Return the mask of each of several photographs that show the same, each by itself; see ``segment_group``.

    Args:
        images: Each as for ``segment``.
        tags: What each of them shows, in the vocabulary of ImageNet.
        options: Method, and settings of the stages.
        progress: Called after each photograph with how many are done, and how many there are.

    Raises:
        DataError: As ``segment``.
    """
    _check_several("segment_each", images)
    marks, found = read_marks(tags), []
    for index, image in enumerate(images):
        found.append(_opened(image, index).segment(marks, options))
        if progress is not None:
            progress(index + 1, len(images))
    return found


def segment_group(
    images: Sequence[Given], tags: str | Sequence[str], *, options: SegmentOptions | None = None
) -> list[Segmentation]:
    """Return the mask of each of several photographs that show the same, and tell each other what it looks like.

    Nothing is trained: cells of the photographs exchange features with those that are alike. Groups have eight
    photographs at most; more are cut into several, in their order. Where a photograph does not seem to show a tag, the
    log says so.

    Args:
        images: Two or more, each as for ``segment``; sizes may differ.
        tags: What each of them shows, in the vocabulary of ImageNet.
        options: Method, and settings of the stages; by default thresholds of seeds are higher than for one photograph,
            0.55 and 0.45. Those of drawn labels are not used.

    Raises:
        DataError: If an image cannot be used, there is one alone, there is no tag, or one that ``segment`` refuses.
    """
    _check_several("segment_group", images)
    found: list[Segmentation] = []
    for group in grouped(list(enumerate(images))):
        found += segment_together([_opened(image, index) for index, image in group], tags, options)
    return found


def segment_labelled(image: str | Path, labels: str | Path, *, options: SegmentOptions | None = None) -> Segmentation:
    """Return the mask of a photograph file from what a label file says of it.

    Args:
        image: The photograph's file, which the label file calls by its name.
        labels: A file of LabelMe, CVAT, Label Studio, COCO, VOC, YOLO, ScribbleSup, weakseg, or CSV; or a folder of
            files with the photograph's name.
        options: Method, and settings of the stages.

    Raises:
        DataError: If one of the files cannot be used, or the label file says nothing of the photograph.
    """
    if not isinstance(image, str | Path):
        raise DataError(
            f"segment_labelled: the photograph's file is needed, for the label file calls it by its name, got "
            f"{type(image).__name__}; give arrays to segment, with their labels"
        )
    marks = marks_of_file(Path(image), Path(labels))
    return Photograph(image).segment(marks, options)


@dataclass(frozen=True)
class Run:
    """What ``run`` left.

    Attributes:
        folder: The run folder; ``weakseg report``, ``label`` and ``predict`` take it.
        result: Failures, and where the masks are.
        report: The HTML page.
    """

    folder: Path
    result: "RunResult"
    report: Path

    @cached_property
    def figures(self) -> dict[str, float]:
        """mIoU in percent of each product that has true masks to be compared with, by its title."""
        from weakseg.evaluation.protocol import titled
        from weakseg.steps.evaluate import RESULTS_FILE

        path = self.folder / "evaluation" / RESULTS_FILE
        return {titled(score): score["mean_iou"] for score in read_json(path)["scores"]} if path.is_file() else {}

    @property
    def model(self) -> Path:
        """File of the trained segmenter, which ``weakseg.load_segmenter`` reads.

        Raises:
            CheckpointError: If none has been trained.
        """
        from weakseg.methods.finished import open_finished

        return open_finished(self.folder).model_of("segmenter")

    def mask(self, image_id: str) -> NDArray[np.uint8]:
        """Return the ``(H, W)`` uint8 mask of a training image.

        Raises:
            DataError: If the run makes no masks, or has none of this image.
        """
        if self.result.masks is None:
            raise DataError(f"{self.folder}: this run makes no masks")
        return LabelMap.load(self.result.masks / f"{image_id}.png").labels

    def __repr__(self) -> str:
        figures = ", ".join(f"{name} {value:.1f}" for name, value in self.figures.items())
        failed = f", {len(self.result.failures)} images failed" if self.result.failures else ""
        return f"Run({str(self.folder)!r}{f', mIoU %: {figures}' if figures else ''}{failed})"


def run(recipe: str, *, root: str | Path, out: str | Path, options: RunOptions | None = None, **settings: Any) -> Run:
    """Carry out a recipe or a method on a folder of photographs, and write its report, as ``weakseg run`` does.

    An interrupted run goes on where it stopped. In a script that torchrun starts as several processes all train, and
    the first one does all else.

    >>> weakseg.run("cam", root="photos", out="out", data={"train": "tags.csv"}, seed=1)  # doctest: +SKIP

    Args:
        recipe: Path of a recipe file, or the name of a method.
        root: Folder of the data.
        out: The run folder; new, or of an earlier run.
        options: Processes and device.
        settings: Of the recipe, by section: ``classifier={"frozen": True}``.

    Raises:
        ConfigError: If a setting does not exist or does not fit.
        DataError: If the data set cannot be used.
        StoreError: If ``out`` cannot be written, or another process works on it.
    """
    from weakseg.methods.recipes import config_words, load_recipe
    from weakseg.methods.run import run_recipe
    from weakseg.report.run import write_run_report

    loaded = load_recipe(recipe, [*config_words(settings), "--data.root", str(root)])
    result = run_recipe(loaded, Path(out), options)
    page = write_run_report(Path(out), result.dataset) if crew().leads else None
    return Run(Path(out), result, crew().tell(page))


def _check_several(name: str, images: object) -> None:
    if not isinstance(images, list | tuple):
        got = repr(images) if isinstance(images, str | Path) else type(images).__name__
        raise DataError(f"{name}: give a list of photographs, got {got} alone; segment takes one")


def _opened(image: Given, index: int) -> Photograph:
    """Return one of several photographs; errors say which."""
    try:
        return Photograph(image)
    except DataError as error:
        raise error if isinstance(image, str | Path) else DataError(f"images[{index}]: {error}") from error
